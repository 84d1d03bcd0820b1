/*
 * The 8254 interval timer and system control port B, after Intel's 82C54 datasheet. Channel 0 is IRQ 0; channel 1 runs
 * and goes nowhere; channel 2's gate and output are at port B. World's lock.
 */
#ifndef USER_DEVICES_PC_PIT_H
#define USER_DEVICES_PC_PIT_H

#define PIT_HZ 1193182u

/* All channels wait for their mode and count. On the bus, after irq_init. */
void pit_init(void);

#endif
