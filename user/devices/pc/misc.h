/* Ports that are one register each: the POST code port and the exit device. World's lock. */
#ifndef USER_DEVICES_PC_MISC_H
#define USER_DEVICES_PC_MISC_H

#include "abi/types.h"

/* On the bus; exit_device: with port F4h, whose writes of 1, 2 or 4 bytes end the guest with the value as its
 * status. */
void misc_init(bool exit_device);

#endif
