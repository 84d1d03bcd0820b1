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
#define LIFE_US     1500000 /* a guest is restarted at once when it is older than a second */
#define SETTLING_US 20000

const char guest_name[] = "bench";

static unsigned bcd(uint8_t value)
{
    return 10u * (value >> 4) + (value & 0xf);
}

/* Asleep for so long that nothing is left to do of its beginning, and its end is not delayed. */
void life(void)
{
    uint64_t end = tsc_hz() / 1000000 * LIFE_US;

    print("bench: life %lu\n", guest_began());
    lapic_write(APIC_LVTT, TIMER_DEADLINE | VECTOR_TIMER);
    irq_off();
    wrmsr(MSR_DEADLINE, end);
    irq_wait();
    out8(RTC_INDEX, 0);
    mark(LIFE_MARK + bcd(in8(RTC_DATA)));
    guest_exit(1);
}

void guest_main(void)
{
    unsigned cpus = (unsigned)guest_option("parked", 0);

    single_init();
    if (guest_option("life", 0))
        life();
    tsc_hz();
    if (cpus) {
        parked(cpus);
        irq_off();
        return;
    }
    delay_us(SETTLING_US);
    if (guest_option("rows", 1) == 1) {
        single();
        pairs_on_one_cpu();
    } else {
        pairs_on_two_cpus();
    }
    irq_off();
    rows_report();
}
