/* Operations of one vCPU that needs no other. */
#include "tests/guests/bench/bench.h"

#define COM1        0x3f8
#define IER_THRE    2
#define MCR         0x0b /* OUT2 lets the interrupt out (PC/AT) */
#define PIC1        0x20
#define PIC1_DATA   0x21
#define PIC_EOI     0x20
#define PIN_COM1    4
#define PIT_CH2     0x42
#define PIT_CONTROL 0x43
#define PORT_B      0x61 /* bit 0: counter 2's gate */
#define RTC_INDEX   0x70
#define PM_TMR      0x608 /* ACPI 4.8.3.3; the FADT says that it is there */
#define MTRR_BASE0  0x200
#define IDLE_TICKS  100000
#define MANY_PAUSES 1000000 /* no interrupt takes as long */
#define FAR_AHEAD   BIT(50)
#define UNTOUCHED   0x1800000u
#define PAGE_SIZE   4096u

#define ITERATIONS 200
#define NESTED     12 /* interrupts in service at once: one of each priority class from NEST_FIRST on */
#define NEST_FIRST 0x38

volatile uint32_t taken;
static uint64_t deadline, woken;
static uint32_t logical_id;
static bool intel;

void on_work(struct trap *t)
{
    (void)t;
    taken++;
    lapic_eoi();
}

static void on_timer(struct trap *t)
{
    woken = rdtsc();
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

void await_work(uint32_t wanted)
{
    for (unsigned i = 0; i < MANY_PAUSES && taken == wanted - 1; i++)
        pause();
    if (taken != wanted)
        fail("interrupts taken", wanted, taken);
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

/* Prefixes that change nothing: DS and REX.W. RIP is right behind if the next instruction is executed, and CPUID not a
 * second time, with the first one's EAX. */
static struct cpuid prefixed_cpuid(void)
{
    struct cpuid r = {0};
    uint32_t behind = 0;

    __asm__ volatile(".byte 0x3e, 0x48, 0x0f, 0xa2; inc %4"
                     : "+a"(r.eax), "=b"(r.ebx), "+c"(r.ecx), "=d"(r.edx), "+r"(behind));
    if (behind != 1)
        fail("instructions executed behind CPUID", 1, behind);
    return r;
}

static void do_prefixed_cpuid(void)
{
    (void)prefixed_cpuid();
}

static void check_prefixed_cpuid(void)
{
    struct cpuid plain = cpuid(0, 0), prefixed = prefixed_cpuid();

    check("EAX of CPUID with prefixes", plain.eax, prefixed.eax);
    check("EBX of CPUID with prefixes", plain.ebx, prefixed.ebx);
    check("ECX of CPUID with prefixes", plain.ecx, prefixed.ecx);
    check("EDX of CPUID with prefixes", plain.edx, prefixed.edx);
}

/* None is offered: KVM's -KVM_ENOSYS. */
static void do_hypercall(void)
{
    uint64_t number = 0;

    if (intel)
        __asm__ volatile("vmcall" : "+a"(number) : : "memory");
    else
        __asm__ volatile("vmmcall" : "+a"(number) : : "memory");
}

static void do_rdmsr(void)
{
    (void)rdmsr(MSR_APICBASE);
}

static void do_wrmsr(void)
{
    wrmsr(MTRR_BASE0, 0);
}

static void do_arm(void)
{
    wrmsr(MSR_DEADLINE, FAR_AHEAD);
}

static void do_pm_timer(void)
{
    (void)in32(PM_TMR);
}

static void do_uart(void)
{
    (void)in8(COM1 + 5);
}

/* Counter 2 runs: mode 2, both bytes, from the greatest count. */
static void to_pit(void)
{
    out8(PORT_B, in8(PORT_B) | 1);
    out8(PIT_CONTROL, 0xb4);
    out8(PIT_CH2, 0);
    out8(PIT_CH2, 0);
}

static void do_pit(void)
{
    (void)in8(PIT_CH2);
}

static void do_rtc(void)
{
    out8(RTC_INDEX, 0);
}

static void do_ioapic(void)
{
    (void)*(volatile uint32_t *)IOAPIC_BASE;
}

static void interrupt_by(uint32_t destination, uint32_t low)
{
    uint32_t before = taken;

    lapic_ipi(destination, ICR_ASSERT | low);
    await_work(before + 1);
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
    await_work(before + 1);
}

static void do_timer(void)
{
    uint32_t before = taken;

    lapic_write(APIC_TMICT, 1);
    await_work(before + 1);
}

static void do_deadline(void)
{
    uint32_t before = taken;

    wrmsr(MSR_DEADLINE, rdtsc());
    await_work(before + 1);
}

static void to_deadline(void)
{
    lapic_write(APIC_LVTT, TIMER_DEADLINE | VECTOR_TIMER);
}

void sleep_ticks(uint64_t ticks)
{
    uint32_t before = taken;

    irq_off();
    to_deadline();
    wrmsr(MSR_DEADLINE, rdtsc() + ticks);
    while (taken == before)
        irq_wait();
    lapic_write(APIC_LVTT, LVT_MASKED);
    irq_on();
}

/* Its ticks are how late it is: the time asleep does not count. */
static void do_sleep(void)
{
    irq_off();
    deadline = rdtsc() + IDLE_TICKS;
    wrmsr(MSR_DEADLINE, deadline);
    interval_begin();
    irq_wait();
    interval_end(woken - deadline);
    irq_on();
}

/* NESTED interrupts, each in the handler of the one before, and then the batch: each EOI ends one (SDM Vol. 3,
 * 11.8.4). */
static void (*innermost)(void);
static unsigned depth;

static void on_nested(struct trap *t)
{
    (void)t;
    if (++depth == NESTED) {
        innermost();
        return;
    }
    irq_on();
    lapic_ipi(0, ICR_SELF | ICR_ASSERT | ICR_FIXED | (NEST_FIRST + 0x10 * depth));
    while (depth != NESTED)
        pause();
    irq_off();
}

static void nested(void (*batch)(void))
{
    innermost = batch;
    depth = 0;
    lapic_ipi(0, ICR_SELF | ICR_ASSERT | ICR_FIXED | NEST_FIRST);
    while (depth != NESTED)
        pause();
    check("ISR behind the last EOI", 0, lapic_bit(APIC_ISR, NEST_FIRST));
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

/* Pages that nobody has touched before. */
static void do_touch(void)
{
    static volatile uint8_t *page = (volatile uint8_t *)UNTOUCHED;

    *page = 1;
    page += PAGE_SIZE;
}

static void to_xapic(void)
{
    lapic_init(false);
}

const struct row single_rows[] = {
    {.name = "computing", .operation = do_compute, .operations = NESTED},
    {.name = "cpuid", .operation = do_cpuid, .operations = ITERATIONS},
    {.name = "cpuid-prefixed",
     .operation = do_prefixed_cpuid,
     .prepare = check_prefixed_cpuid,
     .operations = ITERATIONS},
    {.name = "hypercall", .operation = do_hypercall, .operations = ITERATIONS},
    {.name = "rdmsr", .operation = do_rdmsr, .operations = ITERATIONS},
    {.name = "wrmsr", .operation = do_wrmsr, .operations = ITERATIONS},
    {.name = "eoi", .operation = lapic_eoi, .within = nested, .operations = NESTED},
    {.name = "port-read-pm-timer", .operation = do_pm_timer, .operations = ITERATIONS},
    {.name = "port-read-uart", .operation = do_uart, .operations = ITERATIONS},
    {.name = "port-read-8254", .operation = do_pit, .prepare = to_pit, .operations = ITERATIONS},
    {.name = "port-write-rtc", .operation = do_rtc, .operations = ITERATIONS},
    {.name = "mmio-read-ioapic", .operation = do_ioapic, .operations = ITERATIONS},
    {.name = "ipi-self", .operation = do_self_ipi, .operations = ITERATIONS},
    {.name = "ipi-self-physical", .operation = do_physical_ipi, .operations = ITERATIONS},
    {.name = "ipi-self-logical", .operation = do_logical_ipi, .operations = ITERATIONS},
    {.name = "pin-ioapic", .operation = do_pin, .prepare = to_pin, .operations = ITERATIONS},
    {.name = "pin-8259", .operation = do_pin, .prepare = to_pic, .operations = ITERATIONS},
    {.name = "timer-one-shot", .operation = do_timer, .prepare = to_one_shot, .operations = ITERATIONS},
    {.name = "timer-deadline-arm", .operation = do_arm, .prepare = to_deadline, .operations = ITERATIONS},
    {.name = "timer-deadline", .operation = do_deadline, .prepare = to_deadline, .operations = ITERATIONS},
    {.name = "hlt", .operation = do_sleep, .prepare = to_deadline, .operations = ITERATIONS, .way = INTERVAL},
};
const unsigned single_count = ARRAY_SIZE(single_rows);

static const struct row once_rows[] = {
    {.name = "first-touch", .operation = do_touch, .operations = ITERATIONS},
    {.name = "ipi-self-xapic", .operation = do_self_ipi, .prepare = to_xapic, .operations = ITERATIONS},
    {.name = "eoi-xapic", .operation = lapic_eoi, .within = nested, .operations = NESTED},
};

void single(void)
{
    rows_measure(single_rows, single_count);
    lapic_write(APIC_LVTT, LVT_MASKED);
    rows_measure(once_rows, ARRAY_SIZE(once_rows));
    lapic_init(true);
}

void single_init(void)
{
    intel = cpuid(0, 0).ebx == 0x756e6547; /* "Genu" */
    trap_set(VECTOR_WORK, on_work);
    trap_set(VECTOR_TIMER, on_timer);
    trap_set(VECTOR_PIN, on_pin);
    trap_set(VECTOR_PIC + PIN_COM1, on_pic);
    for (unsigned i = 0; i < NESTED; i++)
        trap_set(NEST_FIRST + 0x10 * i, on_nested);
    lapic_init(true);
    logical_id = lapic_read(APIC_LDR);
    out8(PIC1, 0x11); /* ICW1 to ICW4 (8259A) */
    out8(PIC1_DATA, VECTOR_PIC);
    out8(PIC1_DATA, 4);
    out8(PIC1_DATA, 1);
    out8(PIC1_DATA, 0xff);
    out8(COM1 + 4, MCR);
    irq_on();
}
