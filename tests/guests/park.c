/*
 * APs are sent all that an AP can be sent while they are parked, by the BSP and by a pin of the IOAPIC; none of it may
 * run one, and an INIT makes all of it forgotten. Then they are started, by one broadcast, and work. Between the steps
 * the BSP waits for a key, and whoever gives it looks at the hypervisor's counters. Options: x2apic=1, of the BSP and
 * then of all; few=1, only broadcasts and two APs are tried.
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "park";

#define COM1      0x3f8
#define IER_THRE  2
#define MCR       0x0b /* OUT2 lets the interrupt out (PC/AT) */
#define LSR_DATA  1
#define PIN_COM1  4
#define RTE_LEVEL 0x8000
#define PIC1      0x20
#define REAL_CODE 0x7000
#define REAL_NMIS 0x7100
#define IVT_NMI   8
#define WAIT_MS   60000
#define SETTLE_US 20000 /* for who was woken to be parked again */

enum { VECTOR_STRAY = 0x50, VECTOR_PIN = 0x51, VECTOR_WORK = 0x60, VECTOR_PIC = 0x70 };

static unsigned cpus;
static volatile uint32_t nmis[MAX_CPUS], strays[MAX_CPUS], had_id[MAX_CPUS];
static volatile uint32_t pins, worked, began, nmis_of_all, ids_twice;
static volatile bool masked;

/*
 * Where the SIPI of real_mode() leads: cli; hlt, for ever. Behind it the handler of NMIs there: lock inc word
 * cs:[0x100]; iret.
 */
static const uint8_t real_code[] = {0xfa, 0xf4, 0xeb, 0xfd, 0xf0, 0x2e, 0xff, 0x06, 0x00, 0x01, 0xcf};
enum { REAL_NMI = 4 };

static void on_nmi(struct trap *t)
{
    (void)t;
    nmis[cpu_index()]++;
    __atomic_add_fetch(&nmis_of_all, 1, __ATOMIC_SEQ_CST);
}

static void on_stray(struct trap *t)
{
    (void)t;
    strays[cpu_index()]++;
    lapic_eoi();
}

static void on_pin(struct trap *t)
{
    (void)t;
    lapic_eoi();
    __atomic_add_fetch(&pins, 1, __ATOMIC_SEQ_CST);
}

static void on_work(struct trap *t)
{
    (void)t;
    lapic_eoi();
    __atomic_add_fetch(&worked, 1, __ATOMIC_SEQ_CST);
}

/* The one who looks from outside gives a key when it has. */
static void step(const char *name)
{
    delay_us(SETTLE_US);
    print("park: step %s\n", name);
    while (!(in8(COM1 + 5) & LSR_DATA))
        pause();
    (void)in8(COM1);
}

/* An edge at COM1's pin, by the interrupt that IER enables. */
static void pin_edge(void)
{
    out8(COM1 + 1, IER_THRE);
    (void)in8(COM1 + 2);
    out8(COM1 + 1, 0);
}

static void pin_to(uint32_t destination, uint32_t low)
{
    ioapic_entry(PIN_COM1, (uint64_t)destination << 56 | low);
    pin_edge();
    ioapic_entry(PIN_COM1, LVT_MASKED);
}

static unsigned next_ap(unsigned id)
{
    return guest_option("few", 0) && id == 1 && cpus > 2 ? cpus - 1 : id + 1;
}

/* To each AP, by itself, and to all of them at once. */
static void send(uint32_t low)
{
    for (unsigned id = 1; id < cpus; id = next_ap(id))
        lapic_ipi(id, ICR_ASSERT | low);
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | low);
}

/* What must not wake an AP with interrupts off, and is kept or not. */
static void send_interrupts(void)
{
    send(ICR_FIXED | VECTOR_STRAY);
    send(ICR_LOWEST | VECTOR_STRAY);
    send(ICR_FIXED | 3); /* an illegal vector */
    send(ICR_RESERVED | VECTOR_STRAY);
    send(ICR_EXTINT);
    send(ICR_SMI);
    lapic_ipi(0xffffffff, ICR_LOGICAL | ICR_ASSERT | ICR_FIXED | VECTOR_STRAY);
    for (unsigned bit = 0; bit < 8; bit++)
        lapic_ipi((uint32_t)BIT(bit), ICR_LOGICAL | ICR_ASSERT | ICR_FIXED | VECTOR_STRAY);
    for (unsigned id = 1; id < cpus; id++)
        lapic_ipi(id, ICR_LEVEL | ICR_INIT); /* de-assert: nothing since the Pentium 4 (SDM Vol. 3, 11.6.1) */
    lapic_ipi(0, ICR_ALL | ICR_LEVEL | ICR_INIT);
    for (unsigned id = 1; id < cpus; id = next_ap(id)) {
        pin_to(id, ICR_FIXED | VECTOR_STRAY);
        pin_to(id, ICR_LOWEST | VECTOR_STRAY);
        pin_to(id, ICR_SMI);
        pin_to(id, ICR_RESERVED);
        pin_to(id, ICR_STARTUP | AP_CODE >> 12); /* reserved there */
    }
    pin_to(0xff, ICR_FIXED | VECTOR_STRAY);
    pin_to(0xff, ICR_LOGICAL | ICR_FIXED | VECTOR_STRAY);
}

/* All but INIT, and SIPI where it counts. */
static void send_all(void)
{
    for (unsigned n = 0; n < 3; n++)
        send(ICR_NMI);
    send_interrupts();
    for (unsigned id = 1; id < cpus; id = next_ap(id)) {
        pin_to(id, ICR_NMI);
        pin_to(id, ICR_EXTINT);
        pin_to(id, ICR_NMI | RTE_LEVEL);
    }
    pin_to(0xff, ICR_NMI); /* the BSP's, too */
    irq_on();
    delay_us(1000); /* what the BSP sent to itself is taken */
    irq_off();
}

static void send_init(void)
{
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_INIT);
    delay_us(SETTLE_US);
}

/* The pin works at all: it reaches the BSP. */
static void try_pin(void)
{
    irq_on();
    pin_to(lapic_id(), ICR_FIXED | VECTOR_PIN);
    if (!wait_for(&pins, 1, WAIT_MS))
        fail("interrupts by the IOAPIC's pin", 1, pins);
    irq_off();
}

static uint16_t read_word(uintptr_t at)
{
    uint16_t value;

    __asm__ volatile("movw (%1), %0" : "=r"(value) : "r"(at) : "memory");
    return value;
}

/* NMIs behind the last INIT are latched, once, and come before the AP's first instruction. */
static void real_mode(void)
{
    uint32_t vector = REAL_CODE >> 4 << 16 | REAL_NMI;

    memcpy((void *)(uintptr_t)REAL_CODE, real_code, sizeof(real_code));
    memset((void *)(uintptr_t)REAL_NMIS, 0, 2);
    __asm__ volatile("movl %0, (%1)" : : "r"(vector), "r"((uintptr_t)IVT_NMI) : "memory");
    send_init();
    for (unsigned n = 0; n < 3; n++)
        lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_NMI);
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_STARTUP | REAL_CODE >> 12);
    for (unsigned i = 0; i < 1000 && read_word(REAL_NMIS) != cpus - 1; i++)
        delay_us(10000);
    delay_us(SETTLE_US);
    check("NMIs latched between INIT and SIPI", cpus - 1, read_word(REAL_NMIS));
}

/* INIT before and behind NMIs, and by the pin: three for each AP, four for those that the pin is tried with. */
static void inits(void)
{
    for (unsigned n = 0; n < 3; n++) {
        send_init();
        for (unsigned id = 1; id < cpus; id = next_ap(id))
            lapic_ipi(id, ICR_ASSERT | ICR_NMI);
        lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_NMI);
    }
    for (unsigned id = 1; id < cpus; id = next_ap(id))
        pin_to(id, ICR_INIT);
}

/* Nothing from before its INIT is left, its APIC id is its own, and it does its share. */
static void ap(unsigned index)
{
    uint32_t id = lapic_id();

    for (unsigned v = 0; v < 256; v += 32) {
        check("IRR of an AP that begins", 0, lapic_read(APIC_IRR + v / 2));
        check("ISR of an AP that begins", 0, lapic_read(APIC_ISR + v / 2));
    }
    lapic_write(APIC_ESR, 0);
    check("ESR of an AP that begins", 0, lapic_read(APIC_ESR));
    if (id >= cpus)
        fail("APIC id of an AP", cpus - 1, id);
    if (__atomic_fetch_add(&had_id[id], 1, __ATOMIC_SEQ_CST))
        __atomic_add_fetch(&ids_twice, 1, __ATOMIC_SEQ_CST);
    irq_on();
    delay_us(100); /* anything that is left comes now */
    irq_off();
    check("NMIs of an AP that begins", 0, nmis[index]);
    check("interrupts of an AP that begins", 0, strays[index]);
    __atomic_add_fetch(&began, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        while (masked)
            __asm__ volatile("hlt" : : : "memory");
        irq_wait();
    }
}

static void await(const char *what, const volatile uint32_t *value, uint32_t wanted)
{
    if (!wait_for(value, wanted, WAIT_MS))
        fail(what, wanted, *value);
}

/* The 8259s have an interrupt that no LINT0 lets through: an ExtINT message that an INIT did not clear would fetch
 * it. */
static void offer_extint(bool on)
{
    static const uint8_t init[] = {VECTOR_PIC, 4, 1};

    lapic_write(APIC_LINT0, LVT_MASKED);
    out8(PIC1, 0x11); /* ICW1, and ICW2 to ICW4 (8259A) */
    for (unsigned i = 0; i < ARRAY_SIZE(init); i++)
        out8(PIC1 + 1, init[i]);
    out8(PIC1 + 1, on ? (uint8_t)~BIT(PIN_COM1) : 0xff);
    out8(COM1 + 1, on ? IER_THRE : 0);
}

/* SDM Vol. 3, 9.4.4.1. */
static void start(void)
{
    uint64_t sent, last = 0;

    send_init();
    smp_prepare(ap);
    offer_extint(true);
    sent = rdtsc();
    for (unsigned i = 0; i < 2; i++) {
        lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_STARTUP | AP_CODE >> 12);
        delay_us(200);
    }
    await("APs that came", smp_started(), cpus - 1);
    await("APs that did their work", &began, cpus - 1);
    offer_extint(false);
    check("NMIs of APs before their first instruction", cpus - 1, read_word(REAL_NMIS));
    for (unsigned i = 1; i < cpus; i++)
        last = cpu_began(i) > last ? cpu_began(i) : last;
    check("APIC ids that two have", 0, ids_twice);
    for (unsigned id = 0; id < cpus; id++)
        check("APs with one APIC id", id != lapic_id(), had_id[id]);
    print("park: %u APs began, the last one %lu ticks behind the SIPI\n", began, last - sent);
}

/* HALTED: one interrupt each, and each wakes. With interrupts off: none wakes but the NMI, and behind it all come. */
static void halted(void)
{
    uint32_t before = nmis_of_all;

    step("halted");
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_FIXED | VECTOR_WORK);
    await("APs that took an interrupt", &worked, cpus - 1);
    step("woken");
    masked = true;
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_FIXED | VECTOR_WORK);
    await("APs that took another one", &worked, 2 * (cpus - 1));
    step("masked");
    send_interrupts();
    step("masked-sent");
    for (unsigned i = 1; i < cpus; i++)
        check("interrupts with IF = 0", 0, strays[i]);
    masked = false;
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_NMI);
    await("NMIs", &nmis_of_all, before + cpus - 1);
    step("unmasked");
    for (unsigned i = 1; i < cpus; i++) {
        check("NMIs of an AP", 1, nmis[i]);
        check("interrupts that waited for IF, and are one", 1, strays[i]);
    }
}

void guest_main(void)
{
    tsc_hz();
    trap_set(VECTOR_NMI, on_nmi);
    trap_set(VECTOR_STRAY, on_stray);
    trap_set(VECTOR_PIC + PIN_COM1, on_stray);
    trap_set(VECTOR_PIN, on_pin);
    trap_set(VECTOR_WORK, on_work);
    cpus = (unsigned)guest_option("cpus", 0);
    lapic_init(guest_option("x2apic", 0));
    out8(COM1 + 4, MCR);
    try_pin();
    step("created");
    send(ICR_STARTUP | REAL_CODE >> 12); /* without an INIT it does not count */
    send_all();
    check("NMIs of the BSP", 1, nmis[0]);
    step("created-sent");
    send_init();
    step("init");
    send_all();
    step("init-sent");
    inits();
    step("inits");
    real_mode();
    step("real-mode");
    send_interrupts();
    step("real-mode-sent");
    send_init();
    send_all();
    start();
    halted();
}
