/*
 * The IOAPIC, 24 pins, after the 82093AA datasheet. Version 0x11: an EOI comes from the LAPICs as a broadcast. Messages
 * go out through env_apic_msg. World's lock.
 */
#ifndef USER_DEVICES_PC_IOAPIC_H
#define USER_DEVICES_PC_IOAPIC_H

#include "abi/types.h"

/* Reset state, on the bus at PLATFORM_IOAPIC_BASE. */
void ioapic_init(void);

/* The input of a pin, 0..23: true is "asserted", whichever polarity the guest programs for it. */
void ioapic_set(unsigned pin, bool level);

/*
 * A LAPIC ended a level-triggered interrupt of this vector (the EOI message; datasheet 3.2.4, Remote IRR), or
 * (ABI_EOI_NONE) may take now what it did not take before. What is pending is sent again.
 */
void ioapic_eoi(unsigned vector);

/* Could an unmasked pin send an NMI or INIT? Fixed interrupts and ExtINT end no HLT with interrupts off. */
bool ioapic_may_wake(void);

#endif
