/*
 * All CPUs at once switch their LAPICs between off, moved and in place, at random, with exits and CR8 in between: the
 * hypervisor lets the CPU do LAPIC work by itself while all are in place, and must not while one is not. With `seed`
 * other numbers.
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "modes";

#define ROUNDS    400
#define ELSEWHERE 0xfed80000ull /* no RAM, no device */

static volatile uint32_t ready, done;

static uint32_t random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 33);
}

/* CR8 is the CPU's own, whoever keeps it, and an exit in between does not lose it. */
static void use_cr8(uint32_t r)
{
    uint64_t value = r & 15;

    write_cr8(value);
    if (r & 16)
        cpuid(0, 0);
    check("CR8", value, read_cr8());
}

/* SDM Vol. 3, 11.4.3: enabled again, a LAPIC is as after power-up. */
static void switch_off_and_on(uint64_t base)
{
    use_cr8(9);
    wrmsr(MSR_APICBASE, base & ~(uint64_t)APICBASE_ENABLE);
    check("APIC_BASE of a LAPIC that is off", base & ~(uint64_t)APICBASE_ENABLE, rdmsr(MSR_APICBASE));
    cpuid(0, 0);
    wrmsr(MSR_APICBASE, base);
    check("TPR of a LAPIC that was off", 0, read_cr8());
    check("SVR of a LAPIC that was off", 0xff, lapic_read(APIC_SVR));
}

static void run(unsigned index)
{
    uint64_t state = guest_option("seed", 1) * 1000 + index, base = rdmsr(MSR_APICBASE);

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t r = random(&state);

        for (uint32_t n = r >> 8 & 7; n > 0; n--)
            use_cr8(random(&state));
        if (r & 1)
            switch_off_and_on(base);
        if (r & 2) {
            wrmsr(MSR_APICBASE, (base & 0xfff) | ELSEWHERE);
            use_cr8(r >> 16);
            wrmsr(MSR_APICBASE, base);
        }
    }
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
}

static void ap(unsigned index)
{
    while (!ready)
        pause();
    run(index);
}

void guest_main(void)
{
    tsc_hz();
    lapic_init(false);
    unsigned cpus = smp_start(ap);
    ready = 1;
    run(0);
    if (!wait_for(&done, cpus, 60000))
        fail("CPUs that came to the end", cpus, done);
    print("modes: %u CPUs, %u rounds each\n", cpus, ROUNDS);
}
