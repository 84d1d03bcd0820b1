/* One CPU runs at a time, with interrupts off, for `ticks` of the TSC; then it wakes the next one by an IPI and halts.
 * For ever. */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "turns";

enum { VECTOR_TURN = 0x40 };

static volatile uint32_t turn, cpus;
static uint64_t ticks;

static void woken(struct trap *t)
{
    (void)t;
    lapic_eoi();
}

static void run(unsigned index)
{
    for (;;) {
        while (turn != index)
            irq_wait();

        /* Without PAUSE, at which some give way to others. */
        for (uint64_t end = rdtsc() + ticks; rdtsc() < end;)
            ;

        unsigned next = (index + 1) % cpus;
        turn = next;
        lapic_ipi(cpu_apic_id(next), VECTOR_TURN);
    }
}

static void ap(unsigned index)
{
    while (!cpus)
        irq_wait();
    run(index);
}

void guest_main(void)
{
    ticks = guest_option("ticks", 200000);
    trap_set(VECTOR_TURN, woken);
    lapic_init(x2apic_offered());
    unsigned all = smp_start(ap);

    print("turns: %u CPUs\n", all);
    cpus = all;
    for (unsigned i = 1; i < all; i++)
        lapic_ipi(cpu_apic_id(i), VECTOR_TURN);
    run(0);
}
