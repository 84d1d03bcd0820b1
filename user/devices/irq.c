#include "user/devices/irq.h"

#include "user/devices/bus.h"
#include "user/devices/ioapic.h"
#include "user/devices/pic.h"
#include "user/devices/platform.h"
#include "user/lib/env.h"

static bool has_ioapic;
static uint16_t lines;
static bool intr, intr_told;

void irq_init(bool with_ioapic)
{
    has_ioapic = with_ioapic;
    intr = intr_told = false;
    lines = 0;
    if (with_ioapic)
        ioapic_init();
    pic_init();
}

void irq_set(unsigned line, bool level)
{
    if ((lines >> line & 1) == level)
        return;
    lines ^= (uint16_t)BIT(line);
    pic_set(line, level);
    if (has_ioapic)
        ioapic_set(line == PLATFORM_IRQ_PIT ? PLATFORM_IRQ_PIT_PIN : line, level);
}

void irq_set_intr(bool level)
{
    if (level == intr)
        return;
    intr = level;
    bus_due = true;
    if (has_ioapic)
        ioapic_set(PLATFORM_IOAPIC_EXTINT, level);
}

void irq_flush(void)
{
    if (intr == intr_told)
        return;
    intr_told = intr;
    env_extint(intr);
}
