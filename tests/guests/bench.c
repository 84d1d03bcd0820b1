/*
 * What each kind of exit costs: docs/costs.md. The command line says what to measure:
 *
 *     rows=1     rows of one vCPU, and of two on one CPU
 *     rows=2     rows of two vCPUs on two CPUs
 *     parked=N   the rows of one vCPU while N - 1 APs are in each of the states in which they are parked
 *     life=1     creation and destruction of a guest that is restarted
 */
#include "tests/guests/bench/bench.h"
#include "tests/guests/lib/mark.h"

#define RTC_INDEX   0x70
#define RTC_DATA    0x71
#define LIFE_MS     1500 /* a guest is restarted at once when it is older than a second */
#define SETTLING_MS 20
#define LEAF_TIMING 0x40000010 /* EAX: the TSC's kHz */

const char guest_name[] = "bench";

static unsigned bcd(uint8_t value)
{
    return 10u * (value >> 4) + (value & 0xf);
}

/* Asleep for so long that nothing is left to do of its beginning, and its end is not delayed. */
void life(void)
{
    uint64_t end = tsc_hz() / 1000 * LIFE_MS;

    print("bench: life %lu\n", guest_began());
    sleep_ticks(end - rdtsc());
    out8(RTC_INDEX, 0);
    mark(LIFE_MARK + bcd(in8(RTC_DATA)));
    guest_exit(1);
}

void guest_main(void)
{
    unsigned cpus = (unsigned)guest_option("parked", 0);

    /* Measuring it would be most of what this guest does. */
    tsc_hz_known(1000ull * cpuid(LEAF_TIMING, 0).eax);
    single_init();
    if (guest_option("life", 0))
        life();
    if (cpus) {
        parked(cpus);
        irq_off();
        return;
    }
    sleep_ticks(tsc_hz() / 1000 * SETTLING_MS);
    if (guest_option("rows", 1) == 1) {
        single();
        pairs_on_one_cpu();
    } else {
        pairs_on_two_cpus();
    }
    irq_off();
    rows_report();
}
