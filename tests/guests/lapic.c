/*
 * The local APIC, as the manual has it: the cases of tests/lapic/ in xAPIC and in x2APIC mode, and what only a guest
 * can ask: INIT, SIPI and NMI (lapic/startup.c), the IOAPIC and the 8259s (lapic/wires.c). With bsp=1 the BSP sends
 * itself an INIT, which restarts it at the reset vector, where there is nothing. timers=0: without the timer's cases.
 */
#include "tests/guests/lapic/lapic.h"

const char guest_name[] = "lapic";

static unsigned checks, failures;

void expect(const char *name, const char *section, const char *what, uint64_t expected, uint64_t got)
{
    checks++;
    if (expected == got)
        return;
    failures++;
    print("lapic: %s (%s): %s: expected 0x%lx, got 0x%lx\n", name, section, what, expected, got);
}

static void tables(unsigned mode)
{
    unsigned failed = 0;

    checks += lapic_run(mode, guest_option("timers", 1), &failed);
    failures += failed;
}

/* Every CPU, as smp_start() left it. */
static void change_mode(bool x2apic)
{
    for (unsigned cpu = 1; cpu < CPUS; cpu++) {
        uint64_t base = 0;

        machine_rdmsr(cpu, MSR_APICBASE, &base);
        base &= ~(uint64_t)(APICBASE_ENABLE | APICBASE_X2APIC);
        machine_wrmsr(cpu, MSR_APICBASE, base);
        machine_wrmsr(cpu, MSR_APICBASE, base | APICBASE_ENABLE);
        if (x2apic)
            machine_wrmsr(cpu, MSR_APICBASE, base | APICBASE_ENABLE | APICBASE_X2APIC);
        machine_write(cpu, APIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
    }
    wrmsr(MSR_APICBASE, rdmsr(MSR_APICBASE) & ~(uint64_t)(APICBASE_ENABLE | APICBASE_X2APIC));
    lapic_init(x2apic);
}

static void all(bool x2apic)
{
    unsigned before = checks;

    change_mode(x2apic);
    tables(x2apic ? MODE_X2 : MODE_X);
    change_mode(x2apic);
    wire_checks();
    if (!x2apic)
        moved_checks();
    startup_checks(x2apic);
    print("lapic: %s: %u checks\n", x2apic ? "x2APIC" : "xAPIC", checks - before);
}

/* What a PC's firmware leaves on the BSP, and nothing else of it (MultiProcessor Specification 1.4, 3.6.2.2). */
static void virtual_wire(void)
{
    static const uint32_t left[][2] = {{APIC_SVR, 0x1ff}, {APIC_TPR, 0},       {APIC_LVTT, 0x10000}, {0x330, 0x10000},
                                       {0x340, 0x10000},  {APIC_LINT0, 0x700}, {APIC_LINT1, 0x400},  {0x370, 0x10000}};

    for (unsigned n = 0; n < sizeof left / sizeof left[0]; n++)
        expect("as firmware leaves it", "3.6.2.2", "register", left[n][1], lapic_read(left[n][0]));
}

void guest_main(void)
{
    tsc_hz();
    virtual_wire();
    remote_init();
    lapic_init(false);
    if (guest_option("bsp", 0)) {
        print("lapic: INIT to the BSP\n");
        lapic_ipi(lapic_id(), ICR_ASSERT | ICR_INIT);
        fail("what came behind an INIT", 0, 1);
    }
    check("number of CPUs", CPUS, smp_start(remote_ap));
    all(false);
    if (x2apic_offered())
        all(true);
    print("lapic: %u checks passed\n", checks - failures);
    check("failed checks", 0, failures);
}
