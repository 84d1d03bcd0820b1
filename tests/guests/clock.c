/*
 * KVM's paravirtual clock on two CPUs (Linux' Documentation/virt/kvm/x86/msr.rst): one base and one scale, no step back
 * from CPU to CPU, none when a page is written again, and a pause shows on both CPUs. With pauses=N it waits for so
 * many from outside.
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "clock";

#define MSR_SYSTEM_TIME 0x4b564d01
#define ENABLED         1
#define STABLE          1
#define STOPPED         2
#define CPUS            2
#define ROUNDS          2000
#define REWRITES        50
#define WAIT_MS         5000

static _Alignas(64) volatile struct time_info {
    uint32_t version, pad0;
    uint64_t tsc_timestamp, system_time;
    uint32_t mul;
    int8_t shift;
    uint8_t flags, pad[2];
    uint8_t rest[32];
} pages[CPUS];

static volatile uint32_t turn, seen;
static volatile uint64_t latest;
static volatile uint32_t pauses;

static uint64_t ns_at(const volatile struct time_info *t, uint64_t tsc)
{
    uint64_t delta = tsc - t->tsc_timestamp, high;

    delta = t->shift < 0 ? delta >> -t->shift : delta << t->shift;
    __asm__("mul %2" : "+a"(delta), "=d"(high) : "r"((uint64_t)t->mul) : "cc");
    return t->system_time + (delta >> 32 | high << 32);
}

static uint64_t now(unsigned cpu)
{
    uint64_t ns;
    uint32_t version;

    do {
        version = pages[cpu].version;
        ns = ns_at(&pages[cpu], rdtsc());
    } while (version != pages[cpu].version || version % 2);
    return ns;
}

static void enable(unsigned cpu)
{
    wrmsr(MSR_SYSTEM_TIME, (uint64_t)&pages[cpu] | ENABLED);
}

/* CPUs read by turns: each reading is later than the one before, which the other CPU has made. */
static void read_by_turns(unsigned cpu)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint64_t ns;

        while (turn != round * CPUS + cpu)
            pause();
        ns = now(cpu);
        if (ns < latest)
            fail("a clock behind the other CPU's", latest, ns);
        latest = ns;
        if (round % (ROUNDS / REWRITES) == 0)
            enable(cpu);
        turn = turn + 1;
    }
}

/* Each CPU has to find out by itself, and takes the flag back. */
static void see_pauses(unsigned cpu, uint32_t count)
{
    for (uint32_t i = 1; i <= count; i++) {
        uint64_t begin = now(cpu);

        while (!(pages[cpu].flags & STOPPED)) {
            uint64_t ns = now(cpu);

            if (ns < begin)
                fail("a clock that goes back", begin, ns);
            begin = ns;
            pause();
        }
        pages[cpu].flags = (uint8_t)(pages[cpu].flags & ~STOPPED);
        __atomic_fetch_add(&seen, 1, __ATOMIC_SEQ_CST);
        while (seen < i * CPUS)
            pause();
        if (cpu == 0)
            print("clock: pause %u seen\n", i);
    }
}

static void ap(unsigned index)
{
    (void)index;
    enable(1);
    turn = 0;
    read_by_turns(1);
    see_pauses(1, pauses);
    __atomic_fetch_add(&seen, 1, __ATOMIC_SEQ_CST);
}

void guest_main(void)
{
    uint64_t tsc;

    pauses = (uint32_t)guest_option("pauses", 0);
    lapic_init(false);
    turn = UINT32_MAX;
    enable(0);
    check("number of CPUs", CPUS, smp_start(ap));
    read_by_turns(0);
    while (turn != ROUNDS * CPUS)
        pause();
    tsc = rdtsc();
    for (uint64_t day = 0; day < 10; day++)
        check("the same on both CPUs", ns_at(&pages[0], tsc + (day << 48)), ns_at(&pages[1], tsc + (day << 48)));
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        check("flags", STABLE, pages[cpu].flags);
    print("clock: runs\n");
    see_pauses(0, pauses);
    check("all has been seen", true, wait_for(&seen, pauses * CPUS + 1, WAIT_MS));
}
