/* The interrupt lines of the PC, between the devices, the 8259s, the IOAPIC and the LAPICs. The world's lock protects
 * everything here. */
#ifndef USER_DEVICES_IRQ_H
#define USER_DEVICES_IRQ_H

#include "abi/types.h"
#include "user/devices/platform.h"

/* Set all lines low. with_ioapic: there is an IOAPIC (not in a guest without LAPICs). To be called after bus_init. */
void irq_init(bool with_ioapic);

/* Only for irq_set: the levels of the lines, and the work when one changes. */
extern bool irq_lines[PLATFORM_IRQ_LINES];
void irq_changed(unsigned line, bool level);

/*
 * Drive ISA line 0..15 (PLATFORM_IRQ_*), where high means "asserted". Each line has one source. Interrupts through
 * the IOAPIC are sent at once.
 */
static inline void irq_set(unsigned line, bool level)
{
    if (irq_lines[line] != level)
        irq_changed(line, level);
}

/* Set the INTR output of the master 8259. Only the 8259 model calls this. */
void irq_set_intr(bool level);

/*
 * Tell root INTR's level if it differs from the level that root was last told. Tell it of a rise in any case. To be
 * called before the world's lock is released. Any number of rises since the last call count as one.
 */
void irq_flush(void);

#endif
