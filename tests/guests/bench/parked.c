/* Whether parked APs cost the BSP anything: "bench: parked STATE ROW TICKS" for each row of one vCPU and each state. */
#include "tests/guests/bench/bench.h"

#define WAIT_MS   60000
#define MAX_ROWS  32
#define SETTLE_MS 20

enum { UNINITIALIZED, WAIT_FOR_SIPI, HALTED_MASKED, HALTED, STATES };

static const char *const states[STATES] = {"uninitialized", "wait-for-SIPI", "halted-masked", "halted"};
static volatile uint32_t working, nmis;
static volatile bool masked = true;
static uint64_t result[STATES][MAX_ROWS];

static void measure_all(unsigned state)
{
    for (unsigned i = 0; i < single_count; i++)
        result[state][i] = measure(&single_rows[i], 0);
}

static void on_nmi(struct trap *t)
{
    (void)t;
    __atomic_add_fetch(&nmis, 1, __ATOMIC_SEQ_CST);
}

static void on_ap(struct trap *t)
{
    (void)t;
    lapic_eoi();
    __atomic_add_fetch(&working, 1, __ATOMIC_SEQ_CST);
}

static void ap(unsigned index)
{
    (void)index;
    __atomic_add_fetch(&working, 1, __ATOMIC_SEQ_CST);
    while (masked)
        __asm__ volatile("hlt" : : : "memory");
    for (;;)
        irq_wait();
}

/* Until the others have done what they were asked to, and all is quiet. */
static void settle(const char *what, const volatile uint32_t *value, uint32_t wanted)
{
    if (!wait_for(value, wanted, WAIT_MS))
        fail(what, wanted, *value);
    sleep_ticks(tsc_hz() / 1000 * SETTLE_MS);
}

static void report(unsigned states_measured)
{
    for (unsigned state = 0; state < states_measured; state++)
        for (unsigned i = 0; i < single_count; i++)
            print("bench: parked %s %s %lu\n", states[state], single_rows[i].name, result[state][i]);
}

/* SDM Vol. 3, 9.4.4.1, with a moment between INIT and SIPI in which to measure. */
static void with_aps(unsigned cpus)
{
    uint64_t sent, last = 0;

    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_INIT);
    sleep_ticks(tsc_hz() / 1000 * SETTLE_MS);
    measure_all(WAIT_FOR_SIPI);
    sent = rdtsc();
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_STARTUP | AP_CODE >> 12);
    settle("APs at work", &working, cpus - 1);
    for (unsigned i = 1; i < cpus; i++)
        last = cpu_began(i) > last ? cpu_began(i) : last;
    measure_all(HALTED_MASKED);
    masked = false;
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_NMI);
    settle("NMIs", &nmis, cpus - 1);
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_FIXED | VECTOR_AP);
    settle("APs that took an interrupt", &working, 2 * (cpus - 1));
    measure_all(HALTED);
    report(STATES);
    print("bench: from the SIPI to the last AP's first instruction: %lu\n", last - sent);
}

void parked(unsigned cpus)
{
    check("room for the rows", true, single_count <= MAX_ROWS);
    trap_set(VECTOR_AP, on_ap);
    trap_set(VECTOR_NMI, on_nmi);
    smp_prepare(ap);
    sleep_ticks(tsc_hz() / 1000 * SETTLE_MS);
    measure_all(UNINITIALIZED);
    if (cpus > 1)
        with_aps(cpus);
    else
        report(1);
}
