/* Operations between two vCPUs, the sender and the AP. */
#include "tests/guests/bench/bench.h"

#define AP_BLOB     0x9000 /* where the rows of SIPI start the AP */
#define BLOB_TSC    0x100  /* offset of the TSC at the AP's first instruction */
#define BLOB_BEGAN  0x108
#define SETTLE      10 /* instructions PAUSE in which who is about to halt does */
#define IDLE_TICKS  200000
#define START_TRIES 1000

#define ITERATIONS 200
#define FEW        2 /* of operations that last as long as a time slice */

enum { VECTOR_PING = 0x61, VECTOR_PONG = 0x62 };
enum state { SPINNING, HALTING, CHANGING };

extern const char blob[], blob_end[];

static volatile uint32_t pings, changes;
static volatile enum state wanted;
static volatile bool new_mode, answers;

/* In real mode: its TSC, and that it has begun. */
__asm__(".text\n.code16\n"
        "blob: rdtsc\n"
        "mov %eax, %cs:0x100\n"
        "mov %edx, %cs:0x104\n"
        "movl $1, %cs:0x108\n"
        "1: cli; hlt; jmp 1b\n"
        "blob_end:\n.code64\n");

static void on_ping(struct trap *t)
{
    (void)t;
    lapic_eoi();
    pings++;
    if (answers)
        lapic_ipi(cpu_apic_id(0), ICR_ASSERT | ICR_FIXED | VECTOR_PONG);
}

/* The BSP first: its mode is what the other functions of apic.h go by. */
static void change(void)
{
    irq_off();
    changes++;
    while (wanted == CHANGING)
        pause();
    lapic_init(new_mode);
    irq_on();
    changes++;
}

static void await_changes(uint32_t number)
{
    while (changes != number)
        pause();
}

static void ap(unsigned index)
{
    (void)index;
    irq_on();
    for (;;) {
        if (wanted == CHANGING)
            change();
        if (wanted == HALTING) {
            irq_off();
            if (wanted == HALTING)
                irq_wait();
            irq_on();
        }
        pause();
    }
}

static void ping(void)
{
    lapic_ipi(cpu_apic_id(1), ICR_ASSERT | ICR_FIXED | VECTOR_PING);
}

static void do_ping(void)
{
    uint32_t before = pings;

    ping();
    while (pings == before)
        pause();
}

static void settle(void)
{
    for (unsigned i = 0; i < SETTLE; i++)
        pause();
}

/* The AP's way to HLT is part of it. */
static void do_ping_halted(void)
{
    do_ping();
    settle();
}

/* Each halts until the other's IPI comes. */
static void do_switch(void)
{
    uint32_t before = taken;

    irq_off();
    ping();
    while (taken == before)
        irq_wait();
    irq_on();
}

static void to_spinning(void)
{
    answers = false;
    wanted = SPINNING;
    do_ping();
}

static void to_halting(void)
{
    wanted = HALTING;
    do_ping();
    settle();
}

static void to_switching(void)
{
    answers = true;
    wanted = HALTING;
    do_switch();
}

static void change_mode(bool x2apic)
{
    uint32_t before = changes;

    answers = false;
    new_mode = x2apic;
    wanted = CHANGING;
    ping();
    await_changes(before + 1);
    lapic_init(x2apic);
    wanted = SPINNING;
    await_changes(before + 2);
}

static void to_xapic(void)
{
    change_mode(false);
}

static void to_x2apic(void)
{
    change_mode(true);
}

/* From the SIPI to the AP's first instruction; behind INIT the AP waits for it (SDM Vol. 3, 9.4.4.1). */
static void do_sipi(void)
{
    volatile uint32_t *began = (volatile uint32_t *)(uintptr_t)(AP_BLOB + BLOB_BEGAN);
    volatile uint64_t *tsc = (volatile uint64_t *)(uintptr_t)(AP_BLOB + BLOB_TSC);
    uint64_t begin;

    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_INIT);
    sleep_ticks(IDLE_TICKS); /* so that the AP gets the CPU that both share */
    *began = 0;
    interval_begin();
    begin = rdtsc();
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_STARTUP | AP_BLOB >> 12);
    while (!*began)
        pause();
    interval_end(*tsc - begin);
}

static void to_sipi(void)
{
    memcpy((void *)(uintptr_t)AP_BLOB, blob, (size_t)(blob_end - blob));
}

static const struct row sipi_row = {
    .name = "sipi", .operation = do_sipi, .prepare = to_sipi, .operations = ITERATIONS, .way = INTERVAL};

static const struct row one_cpu_rows[] = {
    {.name = "switch-and-back", .operation = do_switch, .prepare = to_switching, .operations = ITERATIONS},
    {.name = "ipi-preempted", .operation = do_ping, .prepare = to_spinning, .operations = FEW},
};

static const struct row two_cpus_rows[] = {
    {.name = "ipi-running", .operation = do_ping, .prepare = to_spinning, .operations = ITERATIONS},
    {.name = "ipi-halted",
     .operation = do_ping_halted,
     .prepare = to_halting,
     .operations = ITERATIONS,
     .empty = settle},
    {.name = "ipi-running-xapic", .operation = do_ping, .prepare = to_xapic, .operations = ITERATIONS},
};

/* Asleep, where smp_start() spins: with two CPUs, QEMU takes long for each PAUSE. */
static void init(void)
{
    trap_set(VECTOR_PING, on_ping);
    trap_set(VECTOR_PONG, on_work);
    smp_prepare(ap);
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_INIT);
    sleep_ticks(IDLE_TICKS);
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_STARTUP | AP_CODE >> 12);
    for (unsigned i = 0; i < START_TRIES && !*smp_started(); i++)
        sleep_ticks(IDLE_TICKS);
    check("APs", 1, *smp_started());
}

void pairs_on_one_cpu(void)
{
    rows_measure(&sipi_row, 1);
    init();
    rows_measure(one_cpu_rows, ARRAY_SIZE(one_cpu_rows));
}

void pairs_on_two_cpus(void)
{
    init();
    rows_measure(two_cpus_rows, ARRAY_SIZE(two_cpus_rows));
    to_x2apic();
}
