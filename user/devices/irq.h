/* The interrupt lines of the PC, between the devices, the 8259s, the IOAPIC and the LAPICs. World's lock. */
#ifndef USER_DEVICES_IRQ_H
#define USER_DEVICES_IRQ_H

#include "abi/types.h"
#include "user/devices/platform.h"

/* All lines low; with_ioapic: there is an IOAPIC (not for a guest without LAPICs). After bus_init. */
void irq_init(bool with_ioapic);

/* Of irq_set: what the lines are, and what there is to do when one changes. */
extern bool irq_lines[PLATFORM_IRQ_LINES];
void irq_changed(unsigned line, bool level);

/*
 * Drive ISA line 0..15 (PLATFORM_IRQ_*), high meaning "asserted". Each line has one source. Interrupts through the
 * IOAPIC are sent at once.
 */
static inline void irq_set(unsigned line, bool level)
{
    if (irq_lines[line] != level)
        irq_changed(line, level);
}

/* For the master 8259: its INTR output. */
void irq_set_intr(bool level);

/*
 * Tell root of INTR's level if that differs from what it was told last, and of a rise in any case. Called before the
 * world's lock is released: any number of rises since the last call are one.
 */
void irq_flush(void);

#endif
