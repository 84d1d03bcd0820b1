/* The xAPIC page at another address: IA32_APIC_BASE, SDM Vol. 3, 11.4.4, 11.4.5. Every CPU's is its own. */
#include "tests/guests/lapic/lapic.h"

#define NAME    "the page is moved"
#define SECTION "11.4.5"
#define NOBODY  0xffffffffu

static void is(const char *what, uint64_t expected, uint64_t got)
{
    expect(NAME, SECTION, what, expected, got);
}

/* Where nothing else is, in the hole of VGA, over the IOAPIC, beside the default. */
static const uint32_t bases[] = {0xfd000000, 0xa0000, IOAPIC_BASE, 0xfee01000};

static void move(unsigned cpu, uint32_t base)
{
    is("WRMSR", true, machine_wrmsr(cpu, MSR_APICBASE, base | APICBASE_ENABLE));
}

static void reaches(unsigned cpu)
{
    lapic_ipi(cpu, ICR_ASSERT | ICR_FIXED | 0x41);
    is("interrupt", 0x41, (uint64_t)machine_take(cpu, true));
    machine_write(cpu, APIC_EOI, 0);
    is("no interrupt", (uint64_t)NO_VECTOR, (uint64_t)machine_take(cpu, false));
}

void moved_checks(void)
{
    uint32_t bits = cpuid(0x80000008, 0).eax & 0xff;

    for (unsigned i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        uint32_t other = bases[(i + 1) % (sizeof(bases) / sizeof(bases[0]))];

        move(1, bases[i]);
        move(2, other);
        is("APIC ID of 1", 1 << 24, remote_peek(1, bases[i] + APIC_ID));
        is("APIC ID of 2", 2 << 24, remote_peek(2, other + APIC_ID));
        is("APIC ID of 3, not moved", 3 << 24, remote_peek(3, LAPIC_BASE + APIC_ID));
        is("the old place", NOBODY, remote_peek(1, LAPIC_BASE + APIC_ID));
        if (bases[i] == IOAPIC_BASE)
            is("reserved, and not IOREGSEL", 0, remote_peek(1, IOAPIC_BASE));
        else
            is("another CPU there", NOBODY, remote_peek(3, bases[i] + APIC_ID));
        reaches(1);
        reaches(2);
    }
    move(1, LAPIC_BASE);
    move(2, LAPIC_BASE);
    machine_write(1, 0x280, 0);
    is("APIC ID of 1, back again", 1 << 24, remote_peek(1, LAPIC_BASE + APIC_ID));
    is("above 4 GiB", true, machine_wrmsr(1, MSR_APICBASE, BIT(32) | APICBASE_ENABLE));
    is("the old place", NOBODY, remote_peek(1, LAPIC_BASE + APIC_ID));
    is("beyond MAXPHYADDR", false, machine_wrmsr(1, MSR_APICBASE, BIT(bits) | APICBASE_ENABLE));
    move(1, LAPIC_BASE);
    reaches(1);
}
