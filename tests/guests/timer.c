/* Timers: the LAPIC's three modes, channel 0 of the 8254 by 8259 and by IOAPIC, the RTC; HLT wakes for each of them. */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "timer";

#define PIC1        0x20
#define PIC2        0xa0
#define PIC_EOI     0x20
#define PIT_CH0     0x40
#define PIT_MODE    0x43
#define PIT_HZ      1193182
#define PIT_TICKS   11932 /* 10 ms */
#define RTC_INDEX   0x70
#define RTC_DATA    0x71
#define RTC_A       0xa
#define RTC_B       0xb
#define RTC_C       0xc
#define RTC_RATE    0x26 /* 32768 Hz base, 1024 Hz */
#define RTC_24H     0x02
#define RTC_PIE     0x40
#define RTC_PF      0x40
#define RTC_RATE_HZ 1024

#define PERIODS    20
#define RATE_TRIES 5
#define WAIT_MS    5000

/* What an emulator on a busy host may be off by: late, never early. */
#define LATE_MS 1500

enum { VECTOR_LAPIC = 0x50, VECTOR_PIT = 0x51, VECTOR_RTC = 0x52, VECTOR_PIC = 0x60 };
enum { IRQ_PIT = 0, GSI_PIT = 2, IRQ_RTC = 8 };

static volatile uint32_t ticks;
static volatile uint64_t first, last; /* TSC at the first tick and at the last */
static volatile uint8_t rtc_flags;

static void tick(void)
{
    last = rdtsc();
    if (ticks == 0)
        first = last;
    ticks++;
}

static void on_lapic(struct trap *t)
{
    (void)t;
    tick();
    lapic_eoi();
}

static void on_pic(struct trap *t)
{
    (void)t;
    tick();
    out8(PIC1, PIC_EOI);
}

static uint8_t rtc_read(uint8_t index)
{
    out8(RTC_INDEX, index);
    return in8(RTC_DATA);
}

static void rtc_write(uint8_t index, uint8_t value)
{
    out8(RTC_INDEX, index);
    out8(RTC_DATA, value);
}

/* Reading register C lets the next interrupt come (MC146818A). */
static void on_rtc(struct trap *t)
{
    (void)t;
    tick();
    rtc_flags |= rtc_read(RTC_C);
    lapic_eoi();
}

/* What came late from the timer before does not count. */
static void start_counting(void)
{
    irq_on();
    pause();
    irq_off();
    ticks = 0;
}

/* Sleep until so many ticks came. The limit is only looked at when something wakes this CPU. */
static void sleep_until(const char *what, uint32_t wanted)
{
    while (ticks < wanted)
        irq_wait();
    if (ticks != wanted)
        print("timer: %s: %u ticks at once\n", what, ticks - wanted + 1);
}

/* It took at least us microseconds, less the rounding of the measured TSC rate, and not much more. */
static void took(const char *what, uint64_t begin, uint64_t end, uint64_t us)
{
    uint64_t got = (end - begin) / (tsc_hz() / 1000000);

    print("timer: %s: %lu us, %lu wanted\n", what, got, us);
    if (got + us / 50 + 20 < us)
        fail(what, us, got);
    if (got > us + 1000ull * LATE_MS)
        fail(what, us, got);
}

/* Counts of the LAPIC's timer in 10 ms, undivided: the least of some tries, for what disturbs one only adds to it. */
static uint32_t lapic_rate(void)
{
    uint32_t least = UINT32_MAX;

    lapic_write(APIC_LVTT, LVT_MASKED | VECTOR_LAPIC);
    lapic_write(APIC_TDCR, TDCR_1);
    for (unsigned i = 0; i < RATE_TRIES; i++) {
        uint32_t before, counts;

        lapic_write(APIC_TMICT, UINT32_MAX);
        before = lapic_read(APIC_TMCCT);
        delay_us(10000);
        counts = before - lapic_read(APIC_TMCCT);
        least = counts < least ? counts : least;
    }
    lapic_write(APIC_TMICT, 0);
    check("current count of a stopped timer", 0, lapic_read(APIC_TMCCT));
    return least;
}

static void lapic_one_shot(uint32_t rate)
{
    uint64_t begin;

    start_counting();
    lapic_write(APIC_LVTT, VECTOR_LAPIC);
    begin = rdtsc();
    lapic_write(APIC_TMICT, 2 * rate);
    sleep_until("LAPIC one-shot", 1);
    took("LAPIC one-shot", begin, last, 20000);
    irq_on();
    delay_us(50000);
    irq_off();
    check("ticks of a one-shot timer", 1, ticks);
    check("current count behind it", 0, lapic_read(APIC_TMCCT));
}

static void lapic_periodic(uint32_t rate)
{
    uint64_t begin;

    start_counting();
    lapic_write(APIC_LVTT, TIMER_PERIODIC | VECTOR_LAPIC);
    begin = rdtsc();
    lapic_write(APIC_TMICT, rate);
    sleep_until("LAPIC periodic", PERIODS);
    took("LAPIC periodic", begin, last, 10000 * PERIODS);
    lapic_write(APIC_TMICT, 0);
    lapic_write(APIC_LVTT, LVT_MASKED | VECTOR_LAPIC);
}

/* A masked timer counts, and is silent (SDM Vol. 3, 11.5.4). */
static void lapic_masked(uint32_t rate)
{
    start_counting();
    lapic_write(APIC_LVTT, LVT_MASKED | VECTOR_LAPIC);
    lapic_write(APIC_TMICT, rate);
    irq_on();
    delay_us(30000);
    irq_off();
    check("ticks of a masked timer", 0, ticks);
}

static void lapic_deadline(void)
{
    uint64_t begin, deadline, hz = tsc_hz();

    if (!(cpuid(1, 0).ecx & BIT(24))) {
        print("timer: no TSC-deadline mode\n");
        return;
    }
    start_counting();
    lapic_write(APIC_LVTT, TIMER_DEADLINE | VECTOR_LAPIC);
    __asm__ volatile("mfence" : : : "memory"); /* the LVT first (SDM Vol. 3, 11.5.4.1) */
    begin = rdtsc();
    deadline = begin + hz / 50;
    wrmsr(MSR_DEADLINE, deadline);
    check("deadline MSR", deadline, rdmsr(MSR_DEADLINE));
    sleep_until("TSC deadline", 1);
    if (last < deadline)
        fail("TSC at its deadline", deadline, last);
    took("TSC deadline", begin, last, 20000);
    check("deadline MSR when it is over", 0, rdmsr(MSR_DEADLINE));
    wrmsr(MSR_DEADLINE, begin); /* in the past: at once */
    sleep_until("TSC deadline in the past", 2);
    wrmsr(MSR_DEADLINE, rdtsc() + hz / 20);
    wrmsr(MSR_DEADLINE, 0); /* taken back */
    irq_on();
    delay_us(100000);
    irq_off();
    check("ticks of a deadline taken back", 2, ticks);
    lapic_write(APIC_LVTT, LVT_MASKED | VECTOR_LAPIC);
}

/* A deadline just before the TSC begins again: root looks when it has (SDM Vol. 3, 11.5.4.1 and 18.17.3). */
static void deadline_before_the_end(void)
{
    static const uint64_t before[] = {0, 1, 100};
    uint64_t begin = rdtsc(), ahead = tsc_hz() / 200, behind = tsc_hz() / 20;

    if (!(cpuid(1, 0).ecx & BIT(24)))
        return;
    lapic_write(APIC_LVTT, TIMER_DEADLINE | VECTOR_LAPIC);
    for (unsigned i = 0; i < ARRAY_SIZE(before); i++) {
        start_counting();
        wrmsr(MSR_TSC, 0 - ahead);
        wrmsr(MSR_DEADLINE, ~0ull - before[i]);
        irq_on();
        while (rdtsc() + ahead < ahead + behind)
            pause();
        irq_off();
        check("ticks of a deadline before the TSC's end", 1, ticks);
        check("deadline MSR behind the TSC's end", 0, rdmsr(MSR_DEADLINE));
    }
    lapic_write(APIC_LVTT, LVT_MASKED | VECTOR_LAPIC);
    wrmsr(MSR_TSC, begin + (tsc_hz() / 4));
}

/* ICW1 to ICW4 (8259A): edge triggered, cascaded at IRQ 2. */
static void pic_init(void)
{
    static const uint8_t words[2][4] = {{0x11, VECTOR_PIC, 4, 1}, {0x11, VECTOR_PIC + 8, 2, 1}};
    static const uint16_t ports[2] = {PIC1, PIC2};

    for (unsigned i = 0; i < 2; i++) {
        out8(ports[i], words[i][0]);
        for (unsigned k = 1; k < 4; k++)
            out8(ports[i] + 1, words[i][k]);
        out8(ports[i] + 1, 0xff);
    }
}

static void pit_start(void)
{
    out8(PIT_MODE, 0x34); /* channel 0, mode 2 */
    out8(PIT_CH0, PIT_TICKS & 0xff);
    out8(PIT_CH0, PIT_TICKS >> 8);
}

/* Mode 0 with a count that is never written: silent. */
static void pit_stop(void)
{
    out8(PIT_MODE, 0x30);
}

static void run_pit(const char *what)
{
    uint64_t begin = rdtsc();

    start_counting();
    pit_start();
    sleep_until(what, PERIODS);
    took(what, begin, last, 10000 * (PERIODS - 1));
    pit_stop();
}

static void pit_by_pic(void)
{
    pic_init();
    lapic_write(APIC_LINT0, LVT_EXTINT);
    out8(PIC1 + 1, (uint8_t) ~(1u << IRQ_PIT));
    run_pit("8254 by the 8259");
    out8(PIC1 + 1, 0xff);
    lapic_write(APIC_LINT0, LVT_MASKED);
}

static void pit_by_ioapic(void)
{
    ioapic_entry(GSI_PIT, (uint64_t)lapic_id() << 56 | VECTOR_PIT);
    run_pit("8254 by the IOAPIC");
    ioapic_entry(GSI_PIT, LVT_MASKED);
}

static void rtc(void)
{
    uint64_t begin;

    start_counting();
    rtc_flags = 0;
    rtc_write(RTC_A, RTC_RATE);
    ioapic_entry(IRQ_RTC, (uint64_t)lapic_id() << 56 | VECTOR_RTC);
    rtc_read(RTC_C);
    begin = rdtsc();
    rtc_write(RTC_B, RTC_24H | RTC_PIE);
    sleep_until("RTC", PERIODS);
    rtc_write(RTC_B, RTC_24H);
    took("RTC", begin, last, 1000000ull * (PERIODS - 1) / RTC_RATE_HZ);
    check("periodic flag of register C", RTC_PF, rtc_flags & RTC_PF);
    ioapic_entry(IRQ_RTC, LVT_MASKED);
}

/* An AP whose LAPIC timer wakes it, too: each CPU has its own. */
static volatile uint32_t ap_woken;

static void ap(unsigned index)
{
    (void)index;
    lapic_write(APIC_TDCR, TDCR_1);
    lapic_write(APIC_LVTT, VECTOR_LAPIC);
    lapic_write(APIC_TMICT, 1000000);
    irq_wait();
    ap_woken++;
}

static void timers_of_aps(void)
{
    unsigned cpus = smp_start(ap);

    if (!wait_for(&ap_woken, cpus - 1, WAIT_MS))
        fail("APs that their timers woke", cpus - 1, ap_woken);
}

static void lapic_modes(const char *mode)
{
    uint32_t rate = lapic_rate();

    print("timer: %s: %u counts in 10 ms, TSC at %lu kHz\n", mode, rate, tsc_hz() / 1000);
    lapic_one_shot(rate);
    lapic_periodic(rate);
    lapic_masked(rate);
    lapic_deadline();
}

void guest_main(void)
{
    trap_set(VECTOR_LAPIC, on_lapic);
    trap_set(VECTOR_PIC + IRQ_PIT, on_pic);
    trap_set(VECTOR_PIT, on_lapic);
    trap_set(VECTOR_RTC, on_rtc);
    lapic_init(false);
    lapic_write(APIC_LINT0, LVT_MASKED);
    pit_stop();
    lapic_modes("xAPIC");
    deadline_before_the_end();
    pit_by_pic();
    pit_by_ioapic();
    rtc();
    timers_of_aps();
    if (x2apic_offered()) {
        lapic_init(true);
        lapic_modes("x2APIC");
    }
}
