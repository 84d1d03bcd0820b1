/*
 * The IOAPIC, with 24 pins, after the 82093AA datasheet. It is version 0x11: an EOI comes from the LAPICs as a
 * broadcast. Messages go out through env_apic_msg. The world's lock protects it.
 */
#ifndef USER_DEVICES_PC_IOAPIC_H
#define USER_DEVICES_PC_IOAPIC_H

#include "abi/types.h"

/* Put it on the bus at PLATFORM_IOAPIC_BASE, in reset state. */
void ioapic_init(void);

/* Set the input of a pin, 0..23. true means "asserted", whichever polarity the guest programs. */
void ioapic_set(unsigned pin, bool level);

/*
 * A LAPIC has ended a level-triggered interrupt of this vector (the EOI message; datasheet 3.2.4, Remote IRR).
 * ABI_EOI_NONE: a LAPIC may now take messages that it did not take before. Pending messages are sent again.
 */
void ioapic_eoi(unsigned vector);

/* Could an unmasked pin send an NMI or INIT? Only these end an HLT with interrupts off: fixed interrupts and ExtINT do
 * not. */
bool ioapic_may_wake(void);

#endif
