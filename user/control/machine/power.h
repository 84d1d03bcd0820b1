/* Switching the machine off and resetting it. */
#ifndef USER_CONTROL_MACHINE_POWER_H
#define USER_CONTROL_MACHINE_POWER_H

#include "user/control/console/mux.h"

/*
 * ACPI S5. Where that is not to be had, nothing else is tried: the machine says so and is halted. Returns only where
 * os_call(SYS_HALT) does.
 */
void power_off(struct mux *mux);

/* By the FADT's reset register, port 0xcf9, the keyboard controller, and at last a triple fault. Returns as
 * power_off. */
void power_reset(struct mux *mux);

#endif
