/*
 * What the BSP's work costs in TSC ticks, while the APs are in each of the states in which they are parked. One line a
 * row and state, "cost: STATE ROW TICKS": of a batch of ITERATIONS, and the least of BATCHES. Nothing is printed before
 * the last was measured, so that no console is drained meanwhile.
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "cost";

#define ITERATIONS 200
#define BATCHES    5
#define WAIT_MS    60000
#define COM1       0x3f8
#define IER_THRE   2
#define MCR        0x0b /* OUT2 lets the interrupt out (PC/AT) */
#define PIC1       0x20
#define PIC1_DATA  0x21
#define PIC_EOI    0x20
#define PIN_COM1   4
#define IDLE_TICKS 100000

enum { VECTOR_WORK = 0x40, VECTOR_TIMER = 0x41, VECTOR_PIN = 0x42, VECTOR_PIC = 0x50, VECTOR_AP = 0x60 };
enum { UNINITIALIZED, WAIT_FOR_SIPI, HALTED_MASKED, HALTED, STATES };

static const char *const states[STATES] = {"uninitialized", "wait-for-SIPI", "halted-masked", "halted"};
static volatile uint32_t taken, working, nmis;
static volatile uint64_t late; /* the sum of what lay between a deadline and the handler */
static uint64_t deadline;
static uint32_t logical_id;
static volatile bool masked = true;

static void on_work(struct trap *t)
{
    (void)t;
    taken++;
    lapic_eoi();
}

static void on_timer(struct trap *t)
{
    late += rdtsc() - deadline;
    on_work(t);
}

/* Reading the IIR ends the THRE interrupt, which IER raises anew (16550, 8.6.2). */
static void on_pin(struct trap *t)
{
    (void)in8(COM1 + 2);
    out8(COM1 + 1, 0);
    on_work(t);
}

static void on_pic(struct trap *t)
{
    (void)t;
    (void)in8(COM1 + 2);
    out8(COM1 + 1, 0);
    out8(PIC1, PIC_EOI);
    taken++;
}

static void await(uint32_t wanted)
{
    while (taken != wanted)
        pause();
}

static void do_nothing(void)
{
    __asm__ volatile("nop");
}

/* No exit at all: what a wake-up now and then would make longer. */
static void do_compute(void)
{
    uint64_t n = 20000;

    __asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
}

static void do_cpuid(void)
{
    (void)cpuid(0, 0);
}

static void do_rdmsr(void)
{
    (void)rdmsr(MSR_APICBASE);
}

static void do_uart(void)
{
    (void)in8(COM1 + 5);
}

static void do_pit(void)
{
    (void)in8(0x42);
}

static void do_ioapic(void)
{
    (void)*(volatile uint32_t *)IOAPIC_BASE;
}

static void do_eoi(void)
{
    lapic_eoi();
}

static void interrupt_by(uint32_t destination, uint32_t low)
{
    uint32_t before = taken;

    lapic_ipi(destination, ICR_ASSERT | low);
    await(before + 1);
}

static void do_self_ipi(void)
{
    interrupt_by(0, ICR_SELF | ICR_FIXED | VECTOR_WORK);
}

static void do_physical_ipi(void)
{
    interrupt_by(0, ICR_FIXED | VECTOR_WORK);
}

static void do_logical_ipi(void)
{
    interrupt_by(logical_id, ICR_LOGICAL | ICR_FIXED | VECTOR_WORK);
}

static void do_pin(void)
{
    uint32_t before = taken;

    out8(COM1 + 1, IER_THRE);
    await(before + 1);
}

static void do_timer(void)
{
    uint32_t before = taken;

    lapic_write(APIC_TMICT, 1);
    await(before + 1);
}

static void do_deadline(void)
{
    uint32_t before = taken;

    wrmsr(MSR_DEADLINE, rdtsc());
    await(before + 1);
}

/* How late it is: the time asleep does not count. */
static void do_sleep(void)
{
    irq_off();
    deadline = rdtsc() + IDLE_TICKS;
    wrmsr(MSR_DEADLINE, deadline);
    irq_wait();
    irq_on();
}

static void to_pin(void)
{
    ioapic_entry(PIN_COM1, VECTOR_PIN);
}

static void to_pic(void)
{
    ioapic_entry(PIN_COM1, LVT_MASKED);
    out8(PIC1_DATA, (uint8_t)~BIT(PIN_COM1));
    lapic_write(APIC_LINT0, LVT_EXTINT);
}

static void to_one_shot(void)
{
    out8(PIC1_DATA, 0xff);
    lapic_write(APIC_LINT0, LVT_MASKED);
    lapic_write(APIC_TDCR, TDCR_1);
    lapic_write(APIC_LVTT, VECTOR_TIMER);
}

static void to_deadline(void)
{
    lapic_write(APIC_LVTT, TIMER_DEADLINE | VECTOR_TIMER);
}

static const struct row {
    const char *name;
    void (*operation)(void), (*prepare)(void);
    bool lateness;
} rows[] = {
    {"an-empty-loop", do_nothing, NULL, false},
    {"computing", do_compute, NULL, false},
    {"CPUID", do_cpuid, NULL, false},
    {"RDMSR", do_rdmsr, NULL, false},
    {"EOI", do_eoi, NULL, false},
    {"port-read,-UART", do_uart, NULL, false},
    {"port-read,-8254", do_pit, NULL, false},
    {"MMIO-read,-IOAPIC", do_ioapic, NULL, false},
    {"IPI-to-self-by-shorthand", do_self_ipi, NULL, false},
    {"IPI-to-self-by-APIC-id", do_physical_ipi, NULL, false},
    {"IPI-to-self-by-logical-id", do_logical_ipi, NULL, false},
    {"IOAPIC-pin", do_pin, to_pin, false},
    {"8259-by-LINT0", do_pin, to_pic, false},
    {"one-shot-timer", do_timer, to_one_shot, false},
    {"TSC-deadline-timer", do_deadline, to_deadline, false},
    {"HLT,-timer-to-handler", do_sleep, to_deadline, true},
};

static uint64_t result[STATES][ARRAY_SIZE(rows)];

static uint64_t batch(const struct row *row)
{
    uint64_t begin = rdtsc();

    late = 0;
    for (unsigned i = 0; i < ITERATIONS; i++)
        row->operation();
    return row->lateness ? late : rdtsc() - begin;
}

static void measure(unsigned state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t least = UINT64_MAX;

        if (rows[i].prepare)
            rows[i].prepare();
        for (unsigned n = 0; n < BATCHES; n++) {
            uint64_t ticks = batch(&rows[i]);

            least = ticks < least ? ticks : least;
        }
        result[state][i] = least;
    }
    lapic_write(APIC_LVTT, LVT_MASKED);
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
    delay_us(20000);
}

static void report(unsigned states_measured)
{
    for (unsigned state = 0; state < states_measured; state++)
        for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
            print("cost: %s %s %lu\n", states[state], rows[i].name, result[state][i]);
}

/* SDM Vol. 3, 9.4.4.1, with a moment between INIT and SIPI in which to measure. */
static void with_aps(unsigned cpus)
{
    uint64_t sent, last = 0;

    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_INIT);
    delay_us(20000);
    measure(WAIT_FOR_SIPI);
    sent = rdtsc();
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_STARTUP | AP_CODE >> 12);
    settle("APs at work", &working, cpus - 1);
    for (unsigned i = 1; i < cpus; i++)
        last = cpu_began(i) > last ? cpu_began(i) : last;
    measure(HALTED_MASKED);
    masked = false;
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_NMI);
    settle("NMIs", &nmis, cpus - 1);
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_FIXED | VECTOR_AP);
    settle("APs that took an interrupt", &working, 2 * (cpus - 1));
    measure(HALTED);
    report(STATES);
    print("cost: from the SIPI to the last AP's first instruction: %lu\n", last - sent);
}

void guest_main(void)
{
    unsigned cpus = (unsigned)guest_option("cpus", 1);

    tsc_hz();
    trap_set(VECTOR_WORK, on_work);
    trap_set(VECTOR_TIMER, on_timer);
    trap_set(VECTOR_PIN, on_pin);
    trap_set(VECTOR_PIC + PIN_COM1, on_pic);
    trap_set(VECTOR_AP, on_ap);
    trap_set(VECTOR_NMI, on_nmi);
    lapic_init(true);
    logical_id = lapic_read(APIC_LDR);
    out8(PIC1, 0x11); /* ICW1 to ICW4 (8259A) */
    out8(PIC1_DATA, VECTOR_PIC);
    out8(PIC1_DATA, 4);
    out8(PIC1_DATA, 1);
    out8(PIC1_DATA, 0xff);
    out8(COM1 + 4, MCR);
    irq_on();
    smp_prepare(ap);
    delay_us(20000);
    measure(UNINITIALIZED);
    if (cpus > 1)
        with_aps(cpus);
    else
        report(1);
    irq_off();
}
