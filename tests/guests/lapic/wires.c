/*
 * The IOAPIC and the 8259s beside the LAPICs: 82093AA, 8259A, SDM Vol. 3, 11.1, 11.5.1, 11.8.4, 11.8.5, APM Vol. 2,
 * 16. The line is COM1's IRQ 4, at input 4 of both: enabling its transmitter interrupt raises it, disabling it lets it
 * fall.
 */
#include "tests/guests/lapic/lapic.h"

#define COM1_IER   0x3f9
#define COM1_IIR   0x3fa
#define COM1_MCR   0x3fc
#define COM1_LSR   0x3fd
#define LSR_IDLE   0x40
#define PIN        4
#define PIN_EXTINT 0 /* the 8259s' INTR */

#define PIC1      0x20
#define PIC2      0xa0
#define PIC_BASE  0x70
#define PIC_EOI   0x20
#define PIC_LINE4 (PIC_BASE + 4)

#define RTE_VECTOR     0x61
#define RTE_LOWEST     0x100
#define RTE_NMI        0x400
#define RTE_EXTINT     0x700
#define RTE_LOGICAL    0x800
#define RTE_PENDING    0x1000
#define RTE_REMOTE_IRR 0x4000
#define RTE_LEVEL      0x8000
#define RTE_MASKED     0x10000

static const char *name; /* of the case, and its section */
static const char *section;

static void begin(const char *case_name, const char *case_section)
{
    name = case_name;
    section = case_section;
}

static void line(bool level)
{
    while (!(in8(COM1_LSR) & LSR_IDLE))
        pause();
    out8(COM1_IER, level ? 2 : 0);
}

static void entry(unsigned pin, unsigned destination, uint32_t low)
{
    ioapic_entry(pin, (uint64_t)destination << 56 | low);
}

static bool remote_irr(void)
{
    return ioapic_read(0x10 + 2 * PIN) & RTE_REMOTE_IRR;
}

static void takes(unsigned cpu, int vector)
{
    expect(name, section, "interrupt", (uint64_t)vector, (uint64_t)machine_take(cpu, true));
}

static void quiet(unsigned cpu)
{
    expect(name, section, "no interrupt", (uint64_t)NO_VECTOR, (uint64_t)machine_take(cpu, false));
}

static uint32_t reg(unsigned cpu, uint32_t offset)
{
    uint32_t value = 0;

    machine_read(cpu, offset, &value);
    return value;
}

static void end(unsigned cpu)
{
    machine_write(cpu, APIC_EOI, 0);
}

static void tmr_is(unsigned cpu, bool level)
{
    expect(name, section, "TMR", level ? 1 << RTE_VECTOR % 32 : 0, reg(cpu, 0x180 + RTE_VECTOR / 32 * 16));
}

static void edge(void)
{
    begin("RTE fixed, edge", "82093AA 3.2.4");
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        entry(PIN, cpu, RTE_VECTOR);
        line(true);
        tmr_is(cpu, false);
        takes(cpu, RTE_VECTOR);
        expect(name, section, "Remote IRR", false, remote_irr());
        end(cpu);
        quiet(cpu);
        line(false);
    }
    begin("RTE fixed, edge, logical destination", "82093AA 3.2.4, 11.6.2.2");
    entry(PIN, 0x0a, RTE_LOGICAL | RTE_VECTOR);
    line(true);
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        if (0x0a >> cpu & 1) {
            takes(cpu, RTE_VECTOR);
            end(cpu);
        }
        quiet(cpu);
    }
    line(false);
    begin("RTE lowest priority", "82093AA 3.2.4, 11.6.2.4");
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        machine_write(cpu, APIC_TPR, cpu == 2 ? 0 : 0x20);
    entry(PIN, 0x0f, RTE_LOGICAL | RTE_LOWEST | RTE_VECTOR);
    line(true);
    takes(2, RTE_VECTOR);
    end(2);
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        quiet(cpu);
        machine_write(cpu, APIC_TPR, 0);
    }
    line(false);
    begin("RTE masked, edge", "82093AA 3.2.4");
    entry(PIN, 1, RTE_MASKED | RTE_VECTOR);
    line(true);
    quiet(1);
    line(false);
    begin("RTE: NMI", "82093AA 3.2.4");
    uint32_t before = machine_nmis(3, 0);
    entry(PIN, 3, RTE_NMI | RTE_VECTOR);
    line(true);
    expect(name, section, "NMIs", before + 1, machine_nmis(3, before + 1));
    quiet(3);
    line(false);
}

static void level(void)
{
    begin("RTE fixed, level: Remote IRR until the EOI", "82093AA 3.2.4, 11.8.5");
    entry(PIN, 1, RTE_LEVEL | RTE_VECTOR);
    line(true);
    expect(name, section, "Remote IRR", true, remote_irr());
    tmr_is(1, true);
    takes(1, RTE_VECTOR);
    expect(name, section, "Remote IRR", true, remote_irr());
    quiet(1);
    end(1);
    takes(1, RTE_VECTOR); /* the line is still high */
    line(false);
    expect(name, section, "Remote IRR", true, remote_irr());
    end(1);
    expect(name, section, "Remote IRR", false, remote_irr());
    quiet(1);

    begin("EOI of an edge-triggered interrupt is no broadcast", "11.8.5");
    line(true);
    takes(1, RTE_VECTOR);
    lapic_ipi(2, ICR_ASSERT | ICR_FIXED | RTE_VECTOR); /* the same vector on another CPU */
    takes(2, RTE_VECTOR);
    end(2);
    expect(name, section, "Remote IRR", true, remote_irr());
    lapic_ipi(1, ICR_ASSERT | ICR_FIXED | 0x91); /* another vector on the same CPU */
    takes(1, 0x91);
    end(1);
    expect(name, section, "Remote IRR", true, remote_irr());
    line(false);
    end(1);
    expect(name, section, "Remote IRR", false, remote_irr());

    begin("TMR follows each acceptance", "11.8.4");
    lapic_ipi(1, ICR_ASSERT | ICR_FIXED | RTE_VECTOR);
    tmr_is(1, false);
    takes(1, RTE_VECTOR);
    end(1);

    begin("RTE masked, level", "82093AA 3.2.4");
    entry(PIN, 1, RTE_LEVEL | RTE_MASKED | RTE_VECTOR);
    line(true);
    quiet(1);
    expect(name, section, "Remote IRR", false, remote_irr());
    entry(PIN, 1, RTE_LEVEL | RTE_VECTOR);
    takes(1, RTE_VECTOR);
    line(false);
    end(1);
    quiet(1);
    entry(PIN, 0, RTE_MASKED);
}

/* What its target cannot take waits in the IOAPIC until it can. */
static void pending(bool level_triggered)
{
    uint32_t trigger = level_triggered ? RTE_LEVEL : 0;
    uint64_t base = 0;

    begin(level_triggered ? "RTE level, target is software-disabled" : "RTE edge, target is software-disabled",
          "82093AA 3.2.4, 11.4.7.2");
    machine_write(1, APIC_SVR, SPURIOUS_VECTOR);
    entry(PIN, 1, trigger | RTE_VECTOR);
    line(true);
    expect(name, section, "Delivery Status, Remote IRR", RTE_PENDING,
           ioapic_read(0x10 + 2 * PIN) & (RTE_PENDING | RTE_REMOTE_IRR));
    quiet(1);
    machine_write(1, APIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
    takes(1, RTE_VECTOR);
    expect(name, section, "Delivery Status", 0, ioapic_read(0x10 + 2 * PIN) & RTE_PENDING);
    line(false);
    end(1);
    quiet(1);

    begin(level_triggered ? "RTE level, nobody there" : "RTE edge, nobody there", "82093AA 3.2.4");
    entry(PIN, 0x60, trigger | RTE_VECTOR);
    line(true);
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        quiet(cpu);
    ioapic_write(0x11 + 2 * PIN, 2u << 24);
    takes(2, RTE_VECTOR);
    line(false);
    end(2);
    quiet(2);

    begin(level_triggered ? "RTE level, target is disabled" : "RTE edge, target is disabled", "82093AA 3.2.4, 11.4.3");
    machine_rdmsr(1, MSR_APICBASE, &base);
    machine_wrmsr(1, MSR_APICBASE, base & ~(uint64_t)(APICBASE_ENABLE | APICBASE_X2APIC));
    entry(PIN, 1, trigger | RTE_VECTOR);
    line(true);
    machine_wrmsr(1, MSR_APICBASE, (base & ~(uint64_t)APICBASE_X2APIC) | APICBASE_ENABLE);
    machine_wrmsr(1, MSR_APICBASE, base);
    quiet(1);
    machine_write(1, APIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
    takes(1, RTE_VECTOR);
    line(false);
    end(1);
    quiet(1);
    if (!(base & APICBASE_X2APIC)) {
        begin(level_triggered ? "RTE level, logical ID comes later" : "RTE edge, logical ID comes later", "11.6.2.2");
        entry(PIN, 2, RTE_LOGICAL | trigger | RTE_VECTOR);
        line(true); /* the LDR is 0 behind the reset */
        quiet(1);
        machine_write(1, 0xd0, 1u << 25);
        takes(1, RTE_VECTOR);
        line(false);
        end(1);
        quiet(1);
    }
    entry(PIN, 0, RTE_MASKED);
}

static void pic_init(uint8_t mask)
{
    out8(PIC1, 0x11);
    out8(PIC1 + 1, PIC_BASE);
    out8(PIC1 + 1, 4);
    out8(PIC1 + 1, 1);
    out8(PIC1 + 1, mask);
    out8(PIC2 + 1, 0xff);
}

/* An interrupt of the 8259s: not in the LAPIC's ISR, and ended at the 8259. */
static void takes_8259(unsigned cpu)
{
    takes(cpu, PIC_LINE4);
    expect(name, section, "ISR", 0, reg(cpu, APIC_ISR + PIC_LINE4 / 32 * 16));
    out8(PIC1, PIC_EOI);
}

static void virtual_wire(void)
{
    pic_init((uint8_t)~BIT(PIN));
    begin("LINT0 masked", "11.5.1");
    line(true);
    quiet(0);
    line(false);
    begin("virtual wire: ExtINT by LINT0", "11.5.1");
    machine_write(0, APIC_LINT0, LVT_EXTINT);
    line(true);
    takes_8259(0);
    quiet(0);
    line(false);
    begin("ExtINT does not mind the TPR", "11.8.3.1");
    machine_write(0, APIC_TPR, 0xff);
    line(true);
    takes_8259(0);
    line(false);
    machine_write(0, APIC_TPR, 0);
    begin("a masked 8259 input", "8259A, OCW1");
    out8(PIC1 + 1, 0xff);
    line(true);
    quiet(0);
    out8(PIC1 + 1, (uint8_t)~BIT(PIN));
    takes_8259(0);
    line(false);
    begin("LINT0 fixed, edge", "11.5.1");
    machine_write(0, APIC_LINT0, 0x66);
    line(true);
    takes(0, 0x66);
    expect(name, section, "ISR", 1 << 6, reg(0, APIC_ISR + 0x30));
    end(0);
    quiet(0);
    line(false);
    pic_init((uint8_t)~BIT(PIN)); /* nobody has acknowledged */
    begin("LINT0: NMI", "11.5.1");
    machine_write(0, APIC_LINT0, 0x400);
    uint32_t before = machine_nmis(0, 0);
    line(true);
    expect(name, section, "NMIs", before + 1, machine_nmis(0, before + 1));
    quiet(0);
    line(false);
    pic_init((uint8_t)~BIT(PIN));
    machine_write(0, APIC_LINT0, LVT_MASKED);
}

/* ExtINT by the IOAPIC goes to any CPU, whose 8259 cycle it asks for; and a disabled LAPIC is out of the way. */
static void other_wires(void)
{
    uint64_t base = 0;

    begin("RTE: ExtINT", "82093AA 3.2.4");
    entry(PIN_EXTINT, 2, RTE_EXTINT);
    line(true);
    takes_8259(2);
    quiet(0);
    quiet(2);
    line(false);
    entry(PIN_EXTINT, 0, RTE_MASKED);
    begin("RTE masked: ExtINT", "82093AA 3.2.4");
    line(true);
    quiet(0);
    quiet(2);
    line(false);
    begin("a disabled LAPIC passes INTR on", "11.4.3");
    machine_rdmsr(0, MSR_APICBASE, &base);
    machine_wrmsr(0, MSR_APICBASE, base & ~(uint64_t)(APICBASE_ENABLE | APICBASE_X2APIC));
    line(true);
    takes(0, PIC_LINE4);
    out8(PIC1, PIC_EOI);
    quiet(0);
    line(false);
    lapic_init(base & APICBASE_X2APIC);
    pic_init(0xff);
}

void wire_checks(void)
{
    out8(COM1_MCR, 0x0b); /* OUT2: the UART's interrupt goes out */
    in8(COM1_IIR);
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        if (!(rdmsr(MSR_APICBASE) & APICBASE_X2APIC))
            machine_write(cpu, 0xd0, 1u << (24 + cpu));
    edge();
    level();
    pending(false);
    pending(true);
    virtual_wire();
    other_wires();
}
