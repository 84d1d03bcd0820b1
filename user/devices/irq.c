#include "user/devices/irq.h"

#include "user/devices/ioapic.h"
#include "user/devices/pic.h"
#include "user/devices/platform.h"
#include "user/lib/env.h"

static bool has_ioapic;
static bool intr, intr_told;

void irq_init(bool with_ioapic)
{
    has_ioapic = with_ioapic;
    intr = intr_told = false;
    if (with_ioapic)
        ioapic_init();
    pic_init();
}

void irq_set(unsigned line, bool level)
{
    pic_set(line, level);
    if (has_ioapic)
        ioapic_set(line == PLATFORM_IRQ_PIT ? PLATFORM_IRQ_PIT_PIN : line, level);
}

void irq_set_intr(bool level)
{
    intr = level;
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
