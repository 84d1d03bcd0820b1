/* Devices of one register each: the POST code port and the exit device. The world's lock protects them. */
#ifndef USER_DEVICES_PC_MISC_H
#define USER_DEVICES_PC_MISC_H

#include "abi/types.h"

/* Put them on the bus. exit_device: port F4h exists, and a write to it of 1, 2 or 4 bytes ends the guest with the value
 * as its status. */
void misc_init(bool exit_device);

#endif
