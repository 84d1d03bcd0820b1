/*
 * The 8254 interval timer and system control port B, after Intel's 82C54 datasheet. Channel 0 is IRQ 0. Channel 1
 * counts, but its output goes nowhere. Channel 2's gate and output are at port B. The world's lock protects it.
 */
#ifndef USER_DEVICES_PC_PIT_H
#define USER_DEVICES_PC_PIT_H

#define PIT_HZ 1193182u

/* Put it on the bus. All channels wait for their mode and count. To be called after irq_init. */
void pit_init(void);

#endif
