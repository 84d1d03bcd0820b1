/*
 * The MC146818A real-time clock with 128 bytes of CMOS memory, on IRQ 8. The NMI mask in its index port is ignored. The
 * world's lock protects it.
 */
#ifndef USER_DEVICES_PC_RTC_H
#define USER_DEVICES_PC_RTC_H

#include "abi/abi.h"

/*
 * Put it on the bus. To be called after irq_init. The time is the time of the host's boot plus the time since then. The
 * memory sizes are those of the guest.
 */
void rtc_init(const struct abi_info *info);

#endif
