/*
 * The 8042 keyboard controller, with no keyboard and no mouse port, and system control port A. It has as much as a
 * kernel needs to find out quickly that no device is there, an A20 bit that can be read back, and two ways to reset.
 * The world's lock protects it.
 */
#ifndef USER_DEVICES_PC_I8042_H
#define USER_DEVICES_PC_I8042_H

/* Put it on the bus, in reset state. To be called after irq_init. */
void i8042_init(void);

#endif
