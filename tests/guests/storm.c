/*
 * All that one CPU can do to another, all at once, for ms= milliseconds: fixed IPIs, NMIs, INIT and SIPI, HLT with
 * interrupts on and off, the timer, LAPICs switched off and on. The BSP sees to it that every AP gets on, however few
 * host CPUs there are and however often it is paused. APs of an odd index run 64-bit code, the others run in real mode
 * and are started anew again and again.
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "storm";

/* Rounds of the BSP in which an AP gets on. Not a time: a guest may be paused. Each takes some milliseconds where CPUs
 * are shared, and one in eight wakes those that halt with interrupts off. */
#define PATIENCE 200

enum { VECTOR_IPI = 0x40, VECTOR_TIMER = 0x41 };

static unsigned cpus;
static volatile uint32_t turns[MAX_CPUS], ipis, nmis, ticks, restarts, offs;
static bool in_x2apic;

static uint64_t random_of(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static bool in_real_mode(unsigned index)
{
    return index % 2 == 0;
}

/* ---- APs in real mode: each has a page for its code, which counts in the page */

#define REAL_PAGE(index) (0x10 + (index))
#define REAL_COUNT       0x100

/* mov ax, cs; mov ds, ax; next: inc dword [REAL_COUNT]; pause; jmp next */
static const uint8_t real_code[] = {0x8c, 0xc8, 0x8e, 0xd8, 0x66, 0xff, 0x06, 0x00, 0x01, 0xf3, 0x90, 0xeb, 0xf7};

static volatile uint32_t *real_count(unsigned index)
{
    return (volatile uint32_t *)(uintptr_t)((REAL_PAGE(index) << 12) + REAL_COUNT);
}

/* What comes behind a SIPI is lost on it, a second INIT is not (SDM Vol. 3, 9.4.4.1). */
static void restart(unsigned index, uint64_t random)
{
    uint32_t id = cpu_apic_id(index);

    lapic_ipi(id, ICR_ASSERT | ICR_INIT);
    if (random & 1)
        lapic_ipi(id, ICR_ASSERT | ICR_INIT);
    if (random & 2)
        delay_us(random >> 8 & 127);
    lapic_ipi(id, ICR_ASSERT | ICR_STARTUP | REAL_PAGE(index));
    if (random & 4)
        lapic_ipi(id, ICR_ASSERT | ICR_STARTUP | REAL_PAGE(index));
    restarts++;
}

/* ---- APs in 64-bit mode */

static void on_ipi(struct trap *t)
{
    (void)t;
    __atomic_add_fetch(&ipis, 1, __ATOMIC_RELAXED);
    lapic_eoi();
}

static void on_timer(struct trap *t)
{
    (void)t;
    __atomic_add_fetch(&ticks, 1, __ATOMIC_RELAXED);
    lapic_eoi();
}

static void on_nmi(struct trap *t)
{
    (void)t;
    __atomic_add_fetch(&nmis, 1, __ATOMIC_RELAXED);
}

/* Off and on: all registers are as after a reset then (SDM Vol. 3, 11.4.3). */
static void off_and_on(void)
{
    uint64_t base = rdmsr(MSR_APICBASE);

    wrmsr(MSR_APICBASE, base & ~(APICBASE_ENABLE | APICBASE_X2APIC));
    __atomic_add_fetch(&offs, 1, __ATOMIC_RELAXED);
    wrmsr(MSR_APICBASE, (base & ~APICBASE_X2APIC) | APICBASE_ENABLE);
    lapic_init(in_x2apic);
}

static void start_timer(uint64_t random)
{
    lapic_write(APIC_TDCR, TDCR_1);
    lapic_write(APIC_LVTT, VECTOR_TIMER);
    lapic_write(APIC_TMICT, (uint32_t)(1000 + random % 2000000));
}

/* To a CPU in 64-bit mode: an NMI in real mode would be lost in the vector table there. */
static unsigned other(uint64_t random)
{
    unsigned index = (unsigned)(random % cpus);

    return index && in_real_mode(index) ? index - 1 : index;
}

static void turn(uint64_t random)
{
    switch (random % 16) {
    case 0:
        lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_FIXED | VECTOR_IPI);
        break;
    case 1:
    case 2:
        lapic_ipi(cpu_apic_id(other(random >> 8)), ICR_ASSERT | ICR_NMI);
        break;
    case 3:
        off_and_on();
        break;
    case 4: /* the BSP's NMIs end it */
        __asm__ volatile("cli; hlt" : : : "memory");
        break;
    case 5:
    case 6:
        start_timer(random >> 16);
        irq_wait();
        break;
    case 7:
        irq_on();
        delay_us(random >> 8 & 63);
        irq_off();
        break;
    default:
        lapic_ipi(cpu_apic_id(other(random >> 8)), ICR_ASSERT | ICR_FIXED | VECTOR_IPI);
        irq_on();
        pause();
        irq_off();
    }
}

static void ap(unsigned index)
{
    uint64_t random = index;

    while (!cpus)
        pause();
    if (in_real_mode(index)) /* until the BSP sends the INIT */
        for (;;)
            __asm__ volatile("cli; hlt");
    for (;;) {
        turn(random_of(&random));
        turns[index]++;
    }
}

/* ---- The BSP */

static uint64_t milliseconds(void)
{
    return rdtsc() / (tsc_hz() / 1000);
}

static uint32_t progress(unsigned index)
{
    return in_real_mode(index) ? *real_count(index) : turns[index];
}

/* An AP that slept through an NMI just before its HLT is woken by the next. */
static void rouse(void)
{
    for (unsigned i = 1; i < cpus; i++)
        if (!in_real_mode(i))
            lapic_ipi(cpu_apic_id(i), ICR_ASSERT | ICR_NMI);
}

void guest_main(void)
{
    static uint32_t last[MAX_CPUS];
    static uint64_t moved[MAX_CPUS]; /* round */
    uint64_t ms = guest_option("ms", 5000), random = guest_option("seed", 1);

    trap_set(VECTOR_IPI, on_ipi);
    trap_set(VECTOR_TIMER, on_timer);
    trap_set(VECTOR_NMI, on_nmi);
    in_x2apic = guest_option("x2apic", 0);
    lapic_init(in_x2apic);
    unsigned found = smp_start(ap);
    for (unsigned i = 1; i < found; i++)
        memcpy((void *)(uintptr_t)(REAL_PAGE(i) << 12), real_code, sizeof real_code);
    cpus = found;
    print("storm: %u CPUs\n", cpus);
    uint64_t end = milliseconds() + ms, round = 0;
    for (; milliseconds() < end || round < 2 * PATIENCE; round++) {
        unsigned index = 1 + (unsigned)(random_of(&random) % (cpus - 1));

        if (!in_real_mode(index))
            turn(random_of(&random) & ~4ull ? 8 : 7); /* not HLT: nobody rouses the BSP */
        else if (random_of(&random) % 4 == 0)
            restart(index, random_of(&random));
        if (round % 8 == 0)
            rouse();
        delay_us(200);
        for (unsigned i = 1; i < cpus; i++) {
            if (progress(i) != last[i])
                moved[i] = round;
            last[i] = progress(i);
            if (round > moved[i] + PATIENCE)
                fail("an AP that gets on", i, progress(i));
        }
    }
    print("storm: %lu rounds, %u IPIs, %u NMIs, %u timer ticks, %u restarts, %u LAPICs off and on\n", round, ipis, nmis,
          ticks, restarts, offs);
    check("some of each", 1, (uint64_t)(ipis && nmis && ticks && (restarts || cpus < 3) && offs));
}
