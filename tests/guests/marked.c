/*
 * Operations between markers, for tests/bench/profile.py and tests/boot/test_counting.py: REPEATS of each, one row
 * each. With two vCPUs there are the IPIs to the other one; the rows of one vCPU are measured before that one starts.
 */
#include "tests/guests/lib/apic.h"
#include "tests/guests/lib/mark.h"

const char guest_name[] = "marked";

#define REPEATS 100
#define COM1    0x3f8
#define PM_TMR  0x608 /* user/devices/platform.h */

enum { VECTOR_THERE = 0x40, VECTOR_BACK = 0x41, VECTOR_SELF = 0x42 };
enum {
    ROW_NOTHING = 1,
    ROW_CPUID,
    ROW_RDMSR,
    ROW_EOI,
    ROW_PORT,
    ROW_DEVICE_PORT,
    ROW_SELF_IPI,
    ROW_IPI,
    ROW_IPI_HALTED,
    ROWS
};

static volatile uint32_t taken, answered;
static volatile bool halting;
static uint64_t ticks[ROWS]; /* 0: not measured by the TSC, which counts waiting, too */

static void on_self(struct trap *t)
{
    (void)t;
    taken++;
    lapic_eoi();
}

static void on_there(struct trap *t)
{
    (void)t;
    lapic_eoi();
    lapic_ipi(cpu_apic_id(0), ICR_FIXED | ICR_ASSERT | VECTOR_BACK);
}

static void on_back(struct trap *t)
{
    (void)t;
    answered++;
    lapic_eoi();
}

static void ap(unsigned index)
{
    (void)index;
    irq_on();
    for (;;) {
        while (!halting)
            pause();
        irq_wait();
    }
}

static void round_trip(void)
{
    uint32_t before = answered;

    lapic_ipi(cpu_apic_id(1), ICR_FIXED | ICR_ASSERT | VECTOR_THERE);
    while (answered == before)
        pause();
}

/* A row, by the plugin's count and by the TSC, which counts instructions with -icount: both have to say the same. */
#define MEASURE(row, operation)                                                                                        \
    do {                                                                                                               \
        mark_begin(row);                                                                                               \
        uint64_t begin = rdtsc();                                                                                      \
                                                                                                                       \
        for (unsigned i = 0; i < REPEATS; i++)                                                                         \
            operation;                                                                                                 \
        ticks[row] = rdtsc() - begin;                                                                                  \
        mark_end();                                                                                                    \
    } while (0)

static void self_ipi(void)
{
    uint32_t before = taken;

    lapic_ipi(0, ICR_SELF | ICR_FIXED | ICR_ASSERT | VECTOR_SELF);
    while (taken == before)
        pause();
}

static void one_cpu(void)
{
    MEASURE(ROW_NOTHING, __asm__ volatile("nop"));
    MEASURE(ROW_CPUID, (void)cpuid(0, 0));
    MEASURE(ROW_RDMSR, (void)rdmsr(MSR_APICBASE));
    MEASURE(ROW_EOI, lapic_eoi());
    MEASURE(ROW_PORT, (void)in32(PM_TMR));
    MEASURE(ROW_DEVICE_PORT, (void)in8(COM1 + 5));
    MEASURE(ROW_SELF_IPI, self_ipi());
}

static void two_cpus(void)
{
    smp_start(ap);
    round_trip();
    MEASURE(ROW_IPI, round_trip());
    halting = true;
    round_trip();
    for (unsigned i = 0; i < REPEATS; i++) {
        delay_us(200);
        mark_begin(ROW_IPI_HALTED);
        round_trip();
        mark_end();
    }
}

void guest_main(void)
{
    trap_set(VECTOR_SELF, on_self);
    trap_set(VECTOR_THERE, on_there);
    trap_set(VECTOR_BACK, on_back);
    lapic_init(true);
    irq_on();
    one_cpu();
    if (guest_option("cpus", 1) > 1)
        two_cpus();
    irq_off();
    for (unsigned row = 1; row < ROWS; row++)
        if (ticks[row])
            print("marked: row %u: %lu\n", row, ticks[row]);
}
