/* All CPUs: a lock that they share, IPIs round all of them, broadcasts and NMIs, in both modes of the LAPIC. */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "smp";

#define ROUNDS     2000
#define IPI_ROUNDS 50
#define WAIT_MS    20000

enum { VECTOR_NEXT = 0x40, VECTOR_ALL = 0x41, VECTOR_SELF = 0x42 };
enum { TASK_COUNT = 1, TASK_MODE };

static unsigned cpus;
static volatile uint32_t task, task_done; /* a task's number; how many CPUs are through with it */
static volatile uint32_t counter_lock;
static volatile uint64_t counter; /* under the lock */
static volatile uint32_t hops, broadcasts, selfs, nmis;
static bool new_mode;

static void count(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        lock_take(&counter_lock);
        counter++;
        lock_release(&counter_lock);
    }
}

/* An AP spins for tasks with interrupts on, so that IPIs come in between. */
static void ap(unsigned index)
{
    uint32_t seen = 0;

    (void)index;
    irq_on();
    for (;;) {
        while (task >> 8 == seen)
            pause();
        seen = task >> 8;
        if ((task & 0xff) == TASK_COUNT)
            count();
        if ((task & 0xff) == TASK_MODE) {
            irq_off();
            lapic_init(new_mode);
            irq_on();
        }
        __atomic_add_fetch(&task_done, 1, __ATOMIC_SEQ_CST);
    }
}

static void give(uint32_t number)
{
    task_done = 0;
    task = ((task >> 8) + 1) << 8 | number;
}

static void finish(const char *what)
{
    if (!wait_for(&task_done, cpus - 1, WAIT_MS))
        fail(what, cpus - 1, task_done);
}

/* The interrupt goes from each CPU to the next; the last one sends it back to the BSP. */
static void on_next(struct trap *t)
{
    unsigned next = (cpu_index() + 1) % cpus;

    (void)t;
    lapic_eoi();
    if (__atomic_add_fetch(&hops, 1, __ATOMIC_SEQ_CST) < IPI_ROUNDS * cpus)
        lapic_ipi(cpu_apic_id(next), ICR_ASSERT | ICR_FIXED | VECTOR_NEXT);
}

static void on_all(struct trap *t)
{
    (void)t;
    lapic_eoi();
    __atomic_add_fetch(&broadcasts, 1, __ATOMIC_SEQ_CST);
}

static void on_self(struct trap *t)
{
    (void)t;
    check("ISR in a handler", 1, lapic_bit(APIC_ISR, VECTOR_SELF));
    lapic_eoi();
    check("ISR behind the EOI", 0, lapic_bit(APIC_ISR, VECTOR_SELF));
    __atomic_add_fetch(&selfs, 1, __ATOMIC_SEQ_CST);
}

static void on_nmi(struct trap *t)
{
    (void)t;
    __atomic_add_fetch(&nmis, 1, __ATOMIC_SEQ_CST);
}

static void await(const char *what, const volatile uint32_t *value, uint32_t wanted)
{
    if (!wait_for(value, wanted, WAIT_MS))
        fail(what, wanted, *value);
}

static void counting(void)
{
    counter = 0;
    give(TASK_COUNT);
    count();
    finish("CPUs that counted");
    check("counter", (uint64_t)ROUNDS * cpus, counter);
}

static void interrupts(void)
{
    hops = broadcasts = selfs = nmis = 0;
    irq_on();
    lapic_ipi(cpu_apic_id(1 % cpus), ICR_ASSERT | ICR_FIXED | VECTOR_NEXT);
    await("hops of an IPI round the CPUs", &hops, IPI_ROUNDS * cpus);
    for (uint32_t i = 1; i <= IPI_ROUNDS; i++) {
        lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_FIXED | VECTOR_ALL);
        await("IPIs to all but self", &broadcasts, i * (cpus - 1));
    }
    broadcasts = 0;
    lapic_ipi(0, ICR_ALL | ICR_ASSERT | ICR_FIXED | VECTOR_ALL);
    await("IPIs to all", &broadcasts, cpus);
    lapic_ipi(0, ICR_SELF | ICR_ASSERT | ICR_FIXED | VECTOR_SELF);
    await("IPIs to self", &selfs, 1);
    irq_off();
    for (unsigned i = 1; i < cpus; i++) {
        lapic_ipi(cpu_apic_id(i), ICR_ASSERT | ICR_NMI);
        await("NMIs", &nmis, i);
    }
}

/* A higher TPR holds an interrupt back in the IRR, and lets it through when it falls (SDM Vol. 3, 11.8.3.1). */
static void priorities(void)
{
    uint32_t before = selfs;

    write_cr8(VECTOR_SELF >> 4);
    check("TPR by CR8", VECTOR_SELF >> 4 << 4, lapic_read(APIC_TPR));
    lapic_ipi(0, ICR_SELF | ICR_ASSERT | ICR_FIXED | VECTOR_SELF);
    irq_on();
    delay_us(100);
    check("interrupts below the TPR", before, selfs);
    check("IRR", 1, lapic_bit(APIC_IRR, VECTOR_SELF));
    write_cr8(0);
    await("interrupts when the TPR falls", &selfs, before + 1);
    irq_off();
}

static void all(const char *mode)
{
    counting();
    interrupts();
    priorities();
    print("smp: %u CPUs, %s: counter, IPIs, NMIs\n", cpus, mode);
}

void guest_main(void)
{
    trap_set(VECTOR_NEXT, on_next);
    trap_set(VECTOR_ALL, on_all);
    trap_set(VECTOR_SELF, on_self);
    trap_set(VECTOR_NMI, on_nmi);
    lapic_init(false);
    cpus = smp_start(ap);
    check("number of CPUs", guest_option("cpus", cpus), cpus);
    for (unsigned i = 0; i < cpus; i++)
        for (unsigned k = 0; k < i; k++)
            if (cpu_apic_id(i) == cpu_apic_id(k))
                fail("two CPUs have the LAPIC id", i, cpu_apic_id(i));
    all("xAPIC");
    if (!x2apic_offered())
        return;
    new_mode = true;
    lapic_init(true);
    give(TASK_MODE);
    finish("CPUs that went to x2APIC mode");
    all("x2APIC");
}
