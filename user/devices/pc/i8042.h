/*
 * The 8042 keyboard controller with nothing plugged in and no mouse port, and system control port A: as much as kernels
 * look at to find that out quickly, A20 that can be read back, and two ways to reset. World's lock.
 */
#ifndef USER_DEVICES_PC_I8042_H
#define USER_DEVICES_PC_I8042_H

/* Reset state; on the bus, after irq_init. */
void i8042_init(void);

#endif
