/*
 * Each interrupt is taken once: IPIs to itself, among the ticks of a timer whose period shifts against them, so that
 * the hypervisor is interrupted at each point of an IPI's way sooner or later.
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "once";

#define IPIS        20000
#define PERIOD      10007 /* of the LAPIC's timer, in its counts: a prime */
#define MANY_PAUSES 1000000

enum { VECTOR_IPI = 0x40, VECTOR_TIMER = 0x41 };

static volatile uint32_t ipis, ticks;

/* An interrupt gate has cleared IF, so the second of two that are one finds the first one's handler. */
static void taken(const struct trap *t, volatile uint32_t *count)
{
    (*count)++;
    if (!(t->rflags & RFLAGS_IF))
        fail("interrupt taken with IF clear: vector", 0, t->vector);
    lapic_eoi();
}

static void on_ipi(struct trap *t)
{
    taken(t, &ipis);
}

static void on_timer(struct trap *t)
{
    taken(t, &ticks);
}

void guest_main(void)
{
    trap_set(VECTOR_IPI, on_ipi);
    trap_set(VECTOR_TIMER, on_timer);
    lapic_init(x2apic_offered());
    lapic_write(APIC_TDCR, TDCR_1);
    lapic_write(APIC_LVTT, TIMER_PERIODIC | VECTOR_TIMER);
    lapic_write(APIC_TMICT, PERIOD);
    irq_on();
    for (uint32_t sent = 1; sent <= IPIS; sent++) {
        lapic_ipi(0, ICR_SELF | ICR_ASSERT | ICR_FIXED | VECTOR_IPI);
        for (unsigned i = 0; i < MANY_PAUSES && ipis == sent - 1; i++)
            pause();
        check("IPIs taken", sent, ipis);
    }
    irq_off();
    lapic_write(APIC_LVTT, LVT_MASKED | VECTOR_TIMER);
    print("once: %u IPIs, %u ticks\n", ipis, ticks);
}
