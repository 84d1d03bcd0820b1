/*
 * INIT, SIPI and NMI: SDM Vol. 3, 9.4, 11.4.7.3, 11.6.1, 6.7.1. CPU 1 is started in real mode at one of two pages
 * (lapic.asm), reports which, and in the end goes back to the other CPUs' work.
 */
#include "tests/guests/lapic/lapic.h"

#define VICTIM            1
#define FIRST             0x09 /* SIPI vectors: the pages that it starts at */
#define SECOND            0x0a
#define TRAMPOLINE        0x08 /* where smp_start() has put its own */
#define REPORT            0x7000
#define WAIT_MS           3000
#define CR0_ET            BIT(4)
#define CR4_MCE           BIT(6) /* root's on SVM, where QEMU has no intercept for MOV from CR4 */
#define MSR_MTRR_BASE0    0x200
#define MSR_MTRR_DEF_TYPE 0x2ff
#define MSR_PAT           0x277
#define QUIET_US          3000 /* what is wrong would have come by then */

enum { ORDER_SPIN, ORDER_HLT, ORDER_HLT_OPEN, ORDER_CACHE };

struct report {
    uint32_t starts, start, beats, order, nmis, woken, inside, hold, cr0, flags, debugs;
};

extern const char probe[], probe_end[], probe_saved[];

static volatile struct report *const report = (volatile struct report *)REPORT;

static void init(void)
{
    lapic_ipi(VICTIM, ICR_ASSERT | ICR_INIT);
}

static void sipi(uint32_t page)
{
    lapic_ipi(VICTIM, ICR_ASSERT | ICR_STARTUP | page);
}

static void nmi(void)
{
    lapic_ipi(VICTIM, ICR_ASSERT | ICR_NMI);
}

static void forget(uint32_t order)
{
    memset((void *)REPORT, 0, sizeof(struct report));
    report->order = order;
}

static bool reaches(const volatile uint32_t *value, uint32_t wanted)
{
    return wait_for(value, wanted, WAIT_MS);
}

/* INIT and SIPI; it is there. */
static void start(const char *name, uint32_t page, uint32_t order)
{
    forget(order);
    init();
    sipi(page);
    expect(name, "9.4.4", "start", true, reaches(&report->starts, 1));
}

static bool runs(void)
{
    uint32_t before = report->beats;
    uint64_t begin = rdtsc();

    while (report->beats == before && rdtsc() - begin < tsc_hz() / 1000 * WAIT_MS)
        pause();
    return report->beats != before;
}

/* True: it does not go on. What was under way may take a while, where CPUs share one. */
static bool rests(void)
{
    for (unsigned tries = 0; tries < 100; tries++) {
        uint32_t before = report->beats;

        delay_us(QUIET_US);
        if (report->beats == before && tries > 2)
            return true;
    }
    return false;
}

/* What INIT leaves of a CPU and its LAPIC, seen when it works again: the rest smp_start()'s code has written since. */
static void revive(const char *name, bool x2apic)
{
    uint32_t value = 0;
    uint64_t base = 0;

    remote_expect_start(VICTIM);
    init();
    sipi(TRAMPOLINE);
    expect(name, "9.4.4", "CPU works again", true, remote_alive(VICTIM));
    machine_rdmsr(VICTIM, MSR_APICBASE, &base);
    expect(name, "11.12.5.1", "IA32_APIC_BASE", LAPIC_BASE | APICBASE_ENABLE | (x2apic ? APICBASE_X2APIC : 0), base);
    machine_read(VICTIM, APIC_ID, &value);
    expect(name, "11.4.7.3", "APIC ID", x2apic ? VICTIM : VICTIM << 24, value);
}

/* Of the CPU that was started at FIRST, as it began there (SDM Vol. 3, table 10-1; APM Vol. 2, table 14-1). */
static void registers(const char *name)
{
    enum { CR4 = 15 };
    const struct {
        const char *name;
        uint32_t value;
    } reset[] = {
        {"EAX", 0},          {"EBX", 0},        {"ECX", 0},       {"EDX", cpuid(1, 0).eax},
        {"ESI", 0},          {"EDI", 0},        {"EBP", 0},       {"ESP", 0},
        {"DS", 0},           {"ES", 0},         {"FS", 0},        {"GS", 0},
        {"SS", 0},           {"CR2", 0},        {"CR3", 0},       {"CR4", 0},
        {"DR6", 0xffff0ff0}, {"DR7", 0x400},    {"GDTR", 0xffff}, {"GDTR's end", 0},
        {"IDTR", 0xffff},    {"IDTR's end", 0},
    };
    const volatile uint32_t *saved = (const volatile uint32_t *)((FIRST << 12) + (probe_saved - probe));

    for (unsigned i = 0; i < ARRAY_SIZE(reset); i++)
        expect(name, "table 10-1", reset[i].name, reset[i].value, saved[i] & ~(i == CR4 ? (uint32_t)CR4_MCE : 0));
}

/* CR0.CD and NW stay, the rest of CR0 does not. */
static void cache_bits(void)
{
    static const char name[] = "INIT with CR0.CD and NW";

    start(name, FIRST, ORDER_CACHE);
    expect(name, "table 10-1", "CPU runs", true, runs() && runs());
    start(name, FIRST, ORDER_SPIN);
    expect(name, "table 10-1, note 2", "CR0", CR0_CD | CR0_NW | CR0_ET, report->cr0);
    registers(name);
}

static const uint32_t kept_msrs[] = {MSR_PAT, MSR_MTRR_BASE0, MSR_MTRR_DEF_TYPE};
#define KEPT_PAT  0x0007040600070401ull
#define KEPT_MTRR 0xc0000006ull
#define KEPT_TYPE 0xc00ull

static void init_keeps(bool x2apic)
{
    static const uint64_t values[ARRAY_SIZE(kept_msrs)] = {KEPT_PAT, KEPT_MTRR, KEPT_TYPE};
    uint64_t before[ARRAY_SIZE(kept_msrs)];

    for (unsigned i = 0; i < ARRAY_SIZE(kept_msrs); i++) {
        machine_rdmsr(VICTIM, kept_msrs[i], &before[i]);
        expect("INIT leaves MSRs", "table 10-1", "WRMSR", true, machine_wrmsr(VICTIM, kept_msrs[i], values[i]));
    }
    revive("INIT leaves MSRs", x2apic);
    for (unsigned i = 0; i < ARRAY_SIZE(kept_msrs); i++) {
        uint64_t value = 0;

        machine_rdmsr(VICTIM, kept_msrs[i], &value);
        expect("INIT leaves MSRs", "table 10-1", i ? "MTRRs" : "PAT", values[i], value);
        machine_wrmsr(VICTIM, kept_msrs[i], before[i]);
    }
}

static void sipi_without_init(void)
{
    uint64_t value = 0;

    forget(ORDER_SPIN);
    sipi(FIRST);
    delay_us(QUIET_US);
    expect("SIPI without INIT", "9.4.2", "CPU goes on", true, machine_rdmsr(VICTIM, MSR_APICBASE, &value));
    expect("SIPI without INIT", "9.4.2", "starts", 0, report->starts);
}

static void sipis(void)
{
    start("SIPI", FIRST, ORDER_SPIN);
    expect("SIPI", "9.4.4", "CS", FIRST << 8, report->start);
    expect("SIPI", "table 9-1", "CR0.PE, PG", 0, report->cr0 & (CR0_PE | CR0_PG));
    expect("SIPI", "table 9-1", "RFLAGS", RFLAGS_FIXED, report->flags & 0x3f7fd7);
    registers("SIPI");
    sipi(SECOND);
    expect("a second SIPI", "9.4.4", "CPU goes on", true, runs());
    delay_us(QUIET_US);
    expect("a second SIPI", "9.4.4", "starts", 1, report->starts);
    expect("a second SIPI", "9.4.4", "CS", FIRST << 8, report->start);
    for (unsigned i = 0; i < 10; i++) { /* each behind an INIT that may not have been served yet */
        forget(ORDER_SPIN);
        init();
        sipi(SECOND);
        sipi(FIRST);
        expect("INIT, SIPI, SIPI at once", "9.4.4", "start", true, reaches(&report->starts, 1));
        expect("INIT, SIPI, SIPI at once", "9.4.4", "CS", SECOND << 8, report->start);
        expect("INIT, SIPI, SIPI at once", "9.4.4", "CPU goes on", true, runs());
        expect("INIT, SIPI, SIPI at once", "9.4.4", "starts", 1, report->starts);
    }
}

static void inits(void)
{
    start("INIT", FIRST, ORDER_SPIN);
    init();
    expect("INIT", "9.4.2", "CPU waits for a SIPI", true, rests());
    expect("INIT", "9.4.2", "starts", 1, report->starts);
    init();
    init();
    delay_us(QUIET_US);
    sipi(SECOND);
    expect("INIT while waiting for a SIPI", "9.4.4", "start", true, reaches(&report->starts, 2));
    expect("INIT while waiting for a SIPI", "9.4.4", "CS", SECOND << 8, report->start);

    forget(ORDER_SPIN);
    init();
    sipi(FIRST);
    init();
    expect("INIT behind a SIPI", "9.4.2", "CPU waits for a SIPI", true, rests());
    report->starts = 0;
    sipi(SECOND);
    expect("INIT behind a SIPI", "9.4.4", "start", true, reaches(&report->starts, 1));
    expect("INIT behind a SIPI", "9.4.4", "CS", SECOND << 8, report->start);

    for (uint32_t order = ORDER_HLT; order <= ORDER_HLT_OPEN; order++) {
        start("INIT while halted", FIRST, order);
        expect("INIT while halted", "9.4.2", "HLT", true, rests());
        report->order = ORDER_SPIN;
        init();
        expect("INIT while halted", "9.4.2", "CPU waits for a SIPI", true, rests());
        expect("INIT while halted", "9.4.2", "HLT ended", 0, report->woken);
        sipi(SECOND);
        expect("INIT while halted", "9.4.4", "start", true, reaches(&report->starts, 2));
        expect("INIT while halted", "9.4.4", "CS", SECOND << 8, report->start);
    }
}

/* With an interrupt in service, one pending, and registers that only software changes. */
static void init_resets(bool x2apic)
{
    uint32_t value = 1;

    machine_write(VICTIM, APIC_LVTT + 0x50, 0xe1);
    machine_write(VICTIM, APIC_TDCR, 3);
    lapic_ipi(VICTIM, ICR_ASSERT | ICR_FIXED | 0x91);
    lapic_ipi(VICTIM, ICR_ASSERT | ICR_FIXED | 0x41);
    expect("INIT resets the LAPIC", "11.8.4", "interrupt", 0x91, (uint64_t)machine_take(VICTIM, true));
    revive("INIT resets the LAPIC", x2apic);
    machine_read(VICTIM, APIC_LVTT + 0x50, &value);
    expect("INIT resets the LAPIC", "11.4.7.3", "LVT error", LVT_MASKED, value);
    machine_read(VICTIM, APIC_TDCR, &value);
    expect("INIT resets the LAPIC", "11.4.7.3", "divide configuration", 0, value);
    machine_read(VICTIM, APIC_ISR + 0x40, &value);
    expect("INIT resets the LAPIC", "11.4.7.3", "ISR", 0, value);
    machine_read(VICTIM, APIC_IRR + 0x20, &value);
    expect("INIT resets the LAPIC", "11.4.7.3", "IRR", 0, value);
    machine_read(VICTIM, 0xd0, &value);
    expect("INIT resets the LAPIC", "11.4.7.3, 11.12.10.2", "LDR", x2apic ? 1 << VICTIM : 0, value);
}

static void self_init(bool x2apic)
{
    remote_expect_start(VICTIM);
    forget(ORDER_SPIN);
    remote_send(VICTIM, VICTIM, ICR_ASSERT | ICR_INIT);
    delay_us(QUIET_US);
    sipi(FIRST);
    expect("INIT to itself", "9.4.4", "start", true, reaches(&report->starts, 1));
    expect("INIT to itself", "9.4.4", "CS", FIRST << 8, report->start);
    revive("INIT to itself", x2apic);
}

static void nmis(void)
{
    start("NMI while running", FIRST, ORDER_SPIN);
    nmi();
    expect("NMI while running", "6.7", "NMI", true, reaches(&report->nmis, 1));
    expect("NMI while running", "6.7", "CPU goes on", true, runs());

    start("NMI while halted", FIRST, ORDER_HLT);
    expect("NMI while halted", "6.7", "HLT", true, rests());
    lapic_ipi(VICTIM, ICR_ASSERT | ICR_FIXED | 0x40); /* software-disabled, and IF is 0 */
    delay_us(QUIET_US);
    expect("NMI while halted", "6.8.1", "interrupts ended HLT", 0, report->woken);
    report->order = ORDER_SPIN;
    nmi();
    expect("NMI while halted", "6.7", "HLT ended", true, reaches(&report->woken, 1));
    expect("NMI while halted", "6.7", "NMIs", 1, report->nmis);

    start("NMIs inside an NMI", FIRST, ORDER_SPIN);
    report->hold = 1;
    nmi();
    expect("NMIs inside an NMI", "6.7.1", "NMI", true, reaches(&report->inside, 1));
    nmi();
    nmi();
    nmi();
    delay_us(QUIET_US);
    expect("NMIs inside an NMI", "6.7.1", "NMIs", 1, report->nmis);
    report->hold = 0;
    expect("NMIs inside an NMI: one is latched", "6.7.1", "NMI", true, reaches(&report->nmis, 2));
    expect("NMIs inside an NMI: one is latched", "6.7.1", "CPU goes on", true, runs());
    delay_us(QUIET_US);
    expect("NMIs inside an NMI: one is latched", "6.7.1", "NMIs", 2, report->nmis);
}

static void nmi_and_init(void)
{
    report->hold = 1;
    nmi();
    expect("INIT drops a latched NMI", "6.7.1", "inside an NMI", true, reaches(&report->inside, 1));
    nmi();
    delay_us(QUIET_US);
    report->starts = report->nmis = 0; /* but it holds: the first NMI's handler must not end before the INIT */
    init();
    sipi(SECOND);
    expect("INIT drops a latched NMI", "9.4.4", "start", true, reaches(&report->starts, 1));
    expect("INIT drops a latched NMI", "table 9-1", "CPU goes on", true, runs());
    report->hold = 0;
    delay_us(QUIET_US);
    expect("INIT drops a latched NMI", "table 9-1", "NMIs", 0, report->nmis);
    nmi();
    expect("INIT ends the blocking of NMIs", "6.7.1", "NMI", true, reaches(&report->nmis, 1));

    /* The manual leaves open whether one that comes meanwhile is kept, but it starts nothing, and is there once. */
    start("NMI while waiting for a SIPI", FIRST, ORDER_SPIN);
    init();
    expect("NMI while waiting for a SIPI", "9.4.2", "CPU waits", true, rests());
    report->nmis = 0;
    nmi();
    nmi();
    delay_us(QUIET_US);
    expect("NMI while waiting for a SIPI", "9.4.2", "starts", 1, report->starts);
    expect("NMI while waiting for a SIPI", "9.4.2", "NMIs", 0, report->nmis);
    sipi(SECOND);
    expect("NMI while waiting for a SIPI", "9.4.4", "start", true, reaches(&report->starts, 2));
    expect("NMI while waiting for a SIPI", "9.4.4", "CPU goes on", true, runs());
    delay_us(QUIET_US);
    expect("NMI while waiting for a SIPI", "9.4.2", "at most one NMI", true, report->nmis <= 1);
    expect("NMI while waiting for a SIPI", "17.2.3", "#DB", 0, report->debugs);
}

void startup_checks(bool x2apic)
{
    memcpy((void *)(uintptr_t)(FIRST << 12), probe, (size_t)(probe_end - probe));
    memcpy((void *)(uintptr_t)(SECOND << 12), probe, (size_t)(probe_end - probe));
    sipi_without_init();
    init_resets(x2apic);
    init_keeps(x2apic);
    self_init(x2apic);
    sipis();
    cache_bits();
    inits();
    for (unsigned i = 0; i < 3; i++) { /* INIT and NMI come close together in these, each time in another way */
        nmis();
        nmi_and_init();
    }
    revive("INIT from real mode", x2apic);
}
