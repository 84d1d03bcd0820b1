#include "user/devices/irq.h"

#include "user/devices/bus.h"
#include "user/devices/pc/ioapic.h"
#include "user/devices/pc/pic.h"
#include "user/lib/env.h"

#include "lib/string.h"

bool irq_lines[PLATFORM_IRQ_LINES];
static bool has_ioapic;

/* INTR now; has it risen since root was last told; the level that root was last told. */
static bool intr, intr_rose, intr_told;

void irq_init(bool with_ioapic)
{
    has_ioapic = with_ioapic;
    intr = intr_rose = intr_told = false;
    memset(irq_lines, 0, sizeof(irq_lines));
    if (with_ioapic)
        ioapic_init();
    pic_init();
}

void irq_changed(unsigned line, bool level)
{
    irq_lines[line] = level;
    pic_set(line, level);
    if (has_ioapic)
        ioapic_set(line == PLATFORM_IRQ_PIT ? PLATFORM_IRQ_PIT_PIN : line, level);
}

void irq_set_intr(bool level)
{
    if (level == intr)
        return;

    intr = level;
    intr_rose |= level;
    bus_due = true;
    if (has_ioapic)
        ioapic_set(PLATFORM_IOAPIC_EXTINT, level);
}

static void tell(bool level)
{
    if (level == intr_told)
        return;
    intr_told = level;
    env_extint(level);
}

/* LINT0 may be programmed to see edges. So root is told of a rise even if INTR was high before, or is low by now. */
void irq_flush(void)
{
    if (intr_rose) {
        tell(false);
        tell(true);
    }
    intr_rose = false;
    tell(intr);
}
