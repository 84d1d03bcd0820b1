/*
 * The MC146818A real-time clock with 128 bytes of CMOS memory, and the NMI mask in its index port. IRQ 8. World's lock.
 */
#ifndef USER_DEVICES_PC_RTC_H
#define USER_DEVICES_PC_RTC_H

#include "abi/abi.h"

/*
 * On the bus, after irq_init. The time is that of the host's boot plus what passed since; the memory sizes are those of
 * the guest.
 */
void rtc_init(const struct abi_info *info);

#endif
