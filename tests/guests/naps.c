/* Each CPU sleeps `us` microseconds, and each its own few more, by its TSC deadline, again and again. */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "naps";

#define LEAF_TIMING 0x40000010 /* EAX: the TSC's kHz */
#define MORE_US     7

enum { VECTOR_NAP = 0x40 };

static volatile uint32_t all_here;
static uint64_t hz;

static void woken(struct trap *t)
{
    (void)t;
    lapic_eoi();
}

static void nap(unsigned index)
{
    uint64_t ticks = hz / 1000000 * (guest_option("us", 50) + index * MORE_US);

    lapic_write(APIC_LVTT, TIMER_DEADLINE | VECTOR_NAP);
    __asm__ volatile("mfence" : : : "memory"); /* SDM Vol. 3, 11.5.4.1 */
    for (;;) {
        wrmsr(MSR_DEADLINE, rdtsc() + ticks);
        irq_wait();
    }
}

static void ap(unsigned index)
{
    while (!all_here)
        pause();
    nap(index);
}

void guest_main(void)
{
    hz = 1000ull * cpuid(LEAF_TIMING, 0).eax;
    tsc_hz_known(hz);
    trap_set(VECTOR_NAP, woken);
    lapic_init(x2apic_offered());
    print("naps: %u CPUs\n", smp_start(ap));
    all_here = 1;
    nap(0);
}
