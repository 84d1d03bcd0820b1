/*
 * Operations between markers, for tests/bench/profile.py, and for the plugin's own test: REPEATS of each, one row each.
 * With two vCPUs there are the IPIs to the other one; the rows of one vCPU are measured before that one starts.
 */
#include "tests/guests/lib/apic.h"
#include "tests/guests/lib/mark.h"

const char guest_name[] = "marked";

#define REPEATS 100
#define COM1    0x3f8
#define PCI     0xcf8

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
    ROW_IPI_HALTED
};

static volatile uint32_t taken, answered;
static volatile bool halting;

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

static void one_cpu(void)
{
    mark_begin(ROW_NOTHING);
    for (unsigned i = 0; i < REPEATS; i++)
        __asm__ volatile("nop");
    mark_begin(ROW_CPUID);
    for (unsigned i = 0; i < REPEATS; i++)
        (void)cpuid(0, 0);
    mark_begin(ROW_RDMSR);
    for (unsigned i = 0; i < REPEATS; i++)
        (void)rdmsr(MSR_APICBASE);
    mark_begin(ROW_EOI);
    for (unsigned i = 0; i < REPEATS; i++)
        lapic_eoi();
    mark_begin(ROW_PORT);
    for (unsigned i = 0; i < REPEATS; i++)
        (void)in32(PCI);
    mark_begin(ROW_DEVICE_PORT);
    for (unsigned i = 0; i < REPEATS; i++)
        (void)in8(COM1 + 5);
    mark_begin(ROW_SELF_IPI);
    for (unsigned i = 0; i < REPEATS; i++) {
        uint32_t before = taken;

        lapic_ipi(0, ICR_SELF | ICR_FIXED | ICR_ASSERT | VECTOR_SELF);
        while (taken == before)
            pause();
    }
    mark_end();
}

static void two_cpus(void)
{
    smp_start(ap);
    round_trip();
    mark_begin(ROW_IPI);
    for (unsigned i = 0; i < REPEATS; i++)
        round_trip();
    mark_end();
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
}
