/* The APIC timer: SDM Vol. 3, 11.5.4. */
// links: lapic/lapic.c lapic/access.c lapic/ipi.c lapic/timer.c
#include "tests/unit/test_lapic.h"

#define VECTOR       0xec
#define ONE_SHOT     VECTOR
#define PERIODIC     (0x20000u | VECTOR)
#define TSC_DEADLINE (0x40000u | VECTOR)
#define MASKED       0x10000u

static uint64_t now;
static struct lapic *const l = &rig_lapic[0];

static void set(uint32_t offset, uint32_t value)
{
    CHECK_EQ(lapic_mmio_write(l, offset, value, now), OK);
}

static uint32_t get(uint32_t offset)
{
    uint32_t value = 0;
    CHECK_EQ(lapic_mmio_read(l, offset, now, &value), OK);
    return value;
}

static void set_deadline(uint64_t value)
{
    CHECK_EQ(lapic_msr_write(l, MSR_IA32_TSC_DEADLINE, value, now), OK);
}

static uint64_t get_deadline(void)
{
    uint64_t value = 1;
    CHECK_EQ(lapic_msr_read(l, MSR_IA32_TSC_DEADLINE, now, &value), OK);
    return value;
}

static void start(uint64_t time, uint32_t lvt)
{
    rig_start(1);
    now = time;
    set(APIC_DCR, 0xb);
    set(APIC_LVT_TIMER, lvt);
    rig_forget();
}

/* Interrupts that came, at most one: the IRR has one bit for it. */
static unsigned int fired(void)
{
    unsigned int n = 0;
    for (int vector; (vector = rig_take(0)) != LAPIC_NONE; n++) {
        CHECK_EQ(vector, VECTOR);
        set(APIC_EOI, 0);
    }
    return n;
}

static const struct {
    uint32_t dcr, divisor;
} dividers[] = {{0x0, 2}, {0x1, 4}, {0x2, 8}, {0x3, 16}, {0x8, 32}, {0x9, 64}, {0xa, 128}, {0xb, 1}};

static const uint32_t counts[] = {1, 2, 3, 999, 0x7fffffff, 0x80000000, 0xffffffff};
static const uint64_t times[] = {1, 12345, 0xffffffff, 0x123456789abcdef};

/* Figure 11-10, with every divisor, count and time: current count on the way, and the end to the tick. */
TEST(one_shot)
{
    for (unsigned int t = 0; t < ARRAY_SIZE(times); t++)
        for (unsigned int d = 0; d < ARRAY_SIZE(dividers); d++)
            for (unsigned int c = 0; c < ARRAY_SIZE(counts); c++) {
                uint64_t end = times[t] + (uint64_t)counts[c] * dividers[d].divisor;
                start(times[t], ONE_SHOT);
                set(APIC_DCR, dividers[d].dcr);
                CHECK_EQ(get(APIC_DCR), dividers[d].dcr);
                CHECK_EQ(lapic_timer_deadline(l), NEVER);
                set(APIC_INITIAL, counts[c]);
                CHECK_EQ(rig_log[0].timer_changes, 1);
                CHECK_EQ(lapic_timer_deadline(l), end);
                CHECK_EQ(get(APIC_CURRENT), counts[c]);
                now += dividers[d].divisor - 1;
                CHECK_EQ(get(APIC_CURRENT), counts[c]);
                now += 1;
                if (counts[c] > 1) /* else that is the end */
                    CHECK_EQ(get(APIC_CURRENT), counts[c] - 1);
                now = end - 1;
                CHECK_EQ(get(APIC_CURRENT), 1);
                lapic_timer_expire(l, now);
                CHECK_EQ(fired(), 0);
                now = end;
                CHECK_EQ(get(APIC_CURRENT), 0);
                lapic_timer_expire(l, now);
                CHECK_EQ(fired(), 1);
                CHECK_EQ(lapic_timer_deadline(l), NEVER);
                CHECK_EQ(rig_log[0].timer_changes, 2);
                CHECK_EQ(get(APIC_CURRENT), 0);
                CHECK_EQ(get(APIC_INITIAL), counts[c]);
                now += 1ull << 40;
                lapic_timer_expire(l, now);
                CHECK_EQ(fired(), 0);
            }
}

TEST(stop_and_restart)
{
    start(1000, ONE_SHOT);
    set(APIC_INITIAL, 500);
    now += 100;
    set(APIC_INITIAL, 700);
    CHECK_EQ(lapic_timer_deadline(l), 1800);
    set(APIC_INITIAL, 0);
    CHECK_EQ(lapic_timer_deadline(l), NEVER);
    CHECK_EQ(get(APIC_CURRENT), 0);
    now += 10000;
    lapic_timer_expire(l, now);
    CHECK_EQ(fired(), 0);
    set(APIC_INITIAL, 5);
    now += 5; /* due, but expire() not called yet: a new count does not swallow it */
    set(APIC_INITIAL, 100);
    CHECK_EQ(fired(), 1);
    CHECK_EQ(lapic_timer_deadline(l), now + 100);
}

/* The grid of the first expiry holds however late the host is, and what was missed is one interrupt. */
TEST(periodic)
{
    static const uint64_t late[] = {0, 1, 999, 29999, 30000, 30001, 59999, 60000, 30000ull * 1000000 + 17, 1ull << 50};
    start(5000, PERIODIC);
    set(APIC_INITIAL, 30000);
    uint64_t grid = 5000 + 30000;
    for (unsigned int n = 0; n < 3 * ARRAY_SIZE(late); n++) {
        CHECK_EQ(lapic_timer_deadline(l), grid);
        now = grid + late[n % ARRAY_SIZE(late)];
        CHECK_EQ(get(APIC_CURRENT), 30000 - late[n % ARRAY_SIZE(late)] % 30000);
        lapic_timer_expire(l, now);
        lapic_timer_expire(l, now);
        CHECK_EQ(fired(), 1);
        while (grid <= now)
            grid += (now - grid) / 30000 * 30000 + 30000;
        CHECK_EQ(get(APIC_CURRENT), grid - now);
    }
    CHECK_EQ(rig_log[0].timer_changes, 1 + 3 * ARRAY_SIZE(late));
}

TEST(periodic_longest)
{
    start(7, PERIODIC);
    set(APIC_DCR, 0xa);
    set(APIC_INITIAL, 0xffffffff);
    uint64_t period = 0xffffffffull * 128;
    CHECK_EQ(lapic_timer_deadline(l), 7 + period);
    now = 7 + 3 * period - 1;
    CHECK_EQ(get(APIC_CURRENT), 1);
    lapic_timer_expire(l, now);
    CHECK_EQ(fired(), 1);
    CHECK_EQ(lapic_timer_deadline(l), 7 + 3 * period);
    now++;
    CHECK_EQ(get(APIC_CURRENT), 0xffffffff);
    CHECK_EQ(fired(), 1);
}

/* A period too short for anybody: the CPU is not lost in it, the grid is kept, the current count goes round. */
TEST(periodic_storm)
{
    static const uint32_t periods[] = {1, 2, 7, 19999, LAPIC_TIMER_MIN_GAP};
    for (unsigned int p = 0; p < ARRAY_SIZE(periods); p++) {
        start(100, PERIODIC);
        set(APIC_INITIAL, periods[p]);
        for (int n = 0; n < 10; n++) {
            now = lapic_timer_deadline(l);
            CHECK_EQ((now - 100) % periods[p], 0);
            lapic_timer_expire(l, now);
            CHECK_EQ(fired(), 1);
            CHECK(lapic_timer_deadline(l) - now >= LAPIC_TIMER_MIN_GAP);
            CHECK(lapic_timer_deadline(l) - now <= LAPIC_TIMER_MIN_GAP + 2 * periods[p]);
            CHECK_EQ(get(APIC_CURRENT), periods[p]);
            now += periods[p] - 1;
            CHECK_EQ(get(APIC_CURRENT), 1);
        }
    }
}

/* What falls due behind the mask is lost; the clock goes on; root is not asked to wake for it. */
TEST(masked)
{
    start(0x1000, PERIODIC | MASKED);
    set(APIC_INITIAL, 100000);
    CHECK_EQ(lapic_timer_deadline(l), NEVER);
    CHECK_EQ(rig_log[0].timer_changes, 0);
    now += 250000;
    CHECK_EQ(get(APIC_CURRENT), 50000);
    set(APIC_LVT_TIMER, PERIODIC);
    CHECK_EQ(rig_log[0].timer_changes, 1);
    CHECK_EQ(fired(), 0);
    CHECK_EQ(lapic_timer_deadline(l), 0x1000 + 300000);
    set(APIC_LVT_TIMER, PERIODIC | MASKED);
    CHECK_EQ(rig_log[0].timer_changes, 2);
    lapic_timer_expire(l, now + 1000000);
    CHECK_EQ(fired(), 0);

    start(0x1000, ONE_SHOT | MASKED);
    set(APIC_INITIAL, 1000);
    now += 1000;
    set(APIC_LVT_TIMER, ONE_SHOT);
    CHECK_EQ(fired(), 0);
    CHECK_EQ(lapic_timer_deadline(l), NEVER);

    start(0x1000, ONE_SHOT); /* masked when it was due already, and nobody had looked: it came before the mask */
    set(APIC_INITIAL, 1000);
    now += 1000;
    set(APIC_LVT_TIMER, ONE_SHOT | MASKED);
    CHECK_EQ(fired(), 1);

    start(0x1000, TSC_DEADLINE | MASKED);
    set_deadline(0x2000);
    CHECK_EQ(get_deadline(), 0x2000);
    now = 0x2000;
    CHECK_EQ(get_deadline(), 0);
    set(APIC_LVT_TIMER, TSC_DEADLINE);
    CHECK_EQ(fired(), 0);
    CHECK_EQ(lapic_timer_deadline(l), NEVER);
    set(APIC_LVT_TIMER, TSC_DEADLINE | MASKED);
    set_deadline(0x3000);
    set(APIC_LVT_TIMER, TSC_DEADLINE);
    CHECK_EQ(lapic_timer_deadline(l), 0x3000);
}

/* A running count goes on at the new pace. */
TEST(divide_change)
{
    start(0, ONE_SHOT);
    now = 1000;
    set(APIC_INITIAL, 100);
    now += 40;
    set(APIC_DCR, 0x3);
    CHECK_EQ(get(APIC_CURRENT), 60);
    CHECK_EQ(lapic_timer_deadline(l), 1040 + 60 * 16);
    now += 16 * 10 + 7;
    set(APIC_DCR, 0x3); /* no change, no phase lost */
    CHECK_EQ(lapic_timer_deadline(l), 1040 + 60 * 16);
    set(APIC_DCR, 0xb);
    CHECK_EQ(get(APIC_CURRENT), 50);
    CHECK_EQ(lapic_timer_deadline(l), now + 50);
    set(APIC_LVT_TIMER, PERIODIC);
    set(APIC_INITIAL, 40000);
    now += 100;
    set(APIC_DCR, 0x0);
    CHECK_EQ(lapic_timer_deadline(l), now + 39900 * 2);
    now += 39900 * 2;
    lapic_timer_expire(l, now);
    CHECK_EQ(fired(), 1);
    CHECK_EQ(lapic_timer_deadline(l), now + 80000);
}

/* 11.5.4.1: TSC-deadline mode. */
TEST(tsc_deadline)
{
    start(5000, ONE_SHOT);
    set_deadline(9000); /* another mode: ignored, reads 0 */
    CHECK_EQ(get_deadline(), 0);
    CHECK_EQ(lapic_timer_deadline(l), NEVER);
    set(APIC_LVT_TIMER, TSC_DEADLINE);
    set_deadline(9000);
    CHECK_EQ(get_deadline(), 9000);
    CHECK_EQ(lapic_timer_deadline(l), 9000);
    CHECK_EQ(rig_log[0].timer_changes, 1);
    set(APIC_INITIAL, 77); /* ignored, as is the current count */
    CHECK_EQ(get(APIC_INITIAL), 0);
    CHECK_EQ(get(APIC_CURRENT), 0);
    set(APIC_DCR, 0x0); /* the divider does not matter */
    CHECK_EQ(lapic_timer_deadline(l), 9000);
    now = 8999;
    lapic_timer_expire(l, now);
    CHECK_EQ(fired(), 0);
    now = 9000;
    lapic_timer_expire(l, now);
    CHECK_EQ(fired(), 1);
    CHECK_EQ(get_deadline(), 0);
    CHECK_EQ(lapic_timer_deadline(l), NEVER);
    set_deadline(10000);
    set_deadline(12000); /* a new one replaces the old */
    CHECK_EQ(lapic_timer_deadline(l), 12000);
    set_deadline(0); /* disarms */
    CHECK_EQ(lapic_timer_deadline(l), NEVER);
    now = 20000;
    lapic_timer_expire(l, now);
    CHECK_EQ(fired(), 0);
    static const uint64_t past[] = {1, 19999, 20000};
    for (unsigned int n = 0; n < ARRAY_SIZE(past); n++) {
        rig_forget();
        set_deadline(past[n]); /* fires at once */
        CHECK_EQ(fired(), 1);
        CHECK_EQ(get_deadline(), 0);
        CHECK_EQ(rig_log[0].timer_changes, 0);
    }
    set_deadline(~0ull);
    CHECK_EQ(lapic_timer_deadline(l), 0); /* a tick later, for ~0 is NEVER */
    CHECK_EQ(get_deadline(), ~0ull);
    CHECK_EQ(fired(), 0);
}

/* A deadline short of the TSC's end is reached, though the host looks when the TSC has begun again. */
TEST(tsc_deadline_before_the_end)
{
    static const uint64_t before[] = {0, 1, 1000, BIT(40)}, armed[] = {1, 5000, BIT(62)}, late[] = {0, 1, 5, BIT(40)};
    for (unsigned int b = 0; b < ARRAY_SIZE(before); b++)
        for (unsigned int a = 0; a < ARRAY_SIZE(armed); a++)
            for (unsigned int n = 0; n < ARRAY_SIZE(late); n++)
                for (unsigned int how = 0; how < 4; how++) { /* expiry, read, a new mode, the TSC is set */
                    uint64_t deadline = ~0ull - before[b];
                    start(deadline - armed[a], TSC_DEADLINE);
                    set_deadline(deadline);
                    now = deadline - 1;
                    lapic_timer_expire(l, now);
                    CHECK_EQ(fired(), 0);
                    CHECK_EQ(get_deadline(), deadline);
                    now = late[n]; /* behind the end */
                    if (how == 0 || how == 3)
                        lapic_timer_expire(l, now);
                    if (how == 1)
                        CHECK_EQ(get_deadline(), 0);
                    if (how == 2)
                        set(APIC_LVT_TIMER, ONE_SHOT);
                    if (how == 3)
                        lapic_tsc_moved(l, 77, now += 77);
                    CHECK_EQ(fired(), 1);
                    CHECK_EQ(lapic_timer_deadline(l), NEVER);
                    lapic_timer_expire(l, now);
                    CHECK_EQ(fired(), 0);
                }
}

/* The TSC is set while a deadline waits: back, which is not its end; forward beyond it; and to near its end. */
TEST(tsc_deadline_and_a_tsc_that_is_set)
{
    start(BIT(50), TSC_DEADLINE);
    set_deadline(BIT(50) + 1000);
    now = 7;
    lapic_tsc_moved(l, now - BIT(50), now);
    CHECK_EQ(fired(), 0);
    CHECK_EQ(lapic_timer_deadline(l), BIT(50) + 1000);
    now = 5; /* another CPU, whose TSC is behind */
    lapic_timer_expire(l, now);
    CHECK_EQ(fired(), 0);
    CHECK_EQ(get_deadline(), BIT(50) + 1000);
    now = BIT(50) + 1000;
    lapic_timer_expire(l, now);
    CHECK_EQ(fired(), 1);

    start(5000, TSC_DEADLINE);
    set_deadline(0 - 1000ull);
    now = 0 - 5000ull;
    lapic_tsc_moved(l, now - 5000, now);
    CHECK_EQ(fired(), 0);
    now = 3;
    lapic_timer_expire(l, now);
    CHECK_EQ(fired(), 1);

    start(5000, TSC_DEADLINE | MASKED); /* what is due while it is masked is lost, before the end as well */
    set_deadline(0 - 1000ull);
    now = 0 - 2000ull;
    lapic_tsc_moved(l, now - 5000, now);
    now = 3;
    set(APIC_LVT_TIMER, TSC_DEADLINE);
    CHECK_EQ(get_deadline(), 0);
    CHECK_EQ(fired(), 0);
    CHECK_EQ(lapic_timer_deadline(l), NEVER);

    start(0 - 100ull, TSC_DEADLINE); /* a value that is small is the past, and comes at once */
    set_deadline(5);
    CHECK_EQ(fired(), 1);
    start(0 - 100ull, TSC_DEADLINE); /* taken back */
    set_deadline(0 - 50ull);
    set_deadline(0);
    now = 10;
    lapic_timer_expire(l, now);
    CHECK_EQ(fired(), 0);
}

/* 11.5.4.1: into and out of TSC-deadline mode disarms; between the others a count runs on. */
TEST(mode_switch)
{
    static const uint32_t modes[] = {ONE_SHOT, PERIODIC, TSC_DEADLINE};
    for (unsigned int from = 0; from < 3; from++)
        for (unsigned int to = 0; to < 3; to++) {
            start(1000, modes[from]);
            if (modes[from] == TSC_DEADLINE)
                set_deadline(51000);
            else
                set(APIC_INITIAL, 50000);
            CHECK_EQ(lapic_timer_deadline(l), 51000);
            set(APIC_LVT_TIMER, modes[to]);
            bool disarmed = (modes[from] == TSC_DEADLINE) != (modes[to] == TSC_DEADLINE);
            CHECK_EQ(lapic_timer_deadline(l), disarmed ? NEVER : 51000);
            CHECK_EQ(rig_log[0].timer_changes, disarmed ? 2 : 1);
            CHECK_EQ(get_deadline(), !disarmed && modes[to] == TSC_DEADLINE ? 51000 : 0);
            CHECK_EQ(get(APIC_CURRENT), disarmed || modes[to] == TSC_DEADLINE ? 0 : 50000);
            now = 51000;
            lapic_timer_expire(l, now);
            CHECK_EQ(fired(), !disarmed);
            CHECK_EQ(lapic_timer_deadline(l), !disarmed && modes[to] == PERIODIC ? 101000 : NEVER);
        }
    start(1000, 0x60000 | VECTOR); /* the reserved mode, in xAPIC mode */
    set(APIC_INITIAL, 5);
    lapic_timer_expire(l, 1005);
    CHECK_EQ(fired(), 1);
    CHECK_EQ(lapic_timer_deadline(l), NEVER);
}

/* Through the x2APIC MSRs it is the same timer. */
TEST(x2apic)
{
    rig_start_x2apic(1);
    now = 100;
    CHECK_EQ(lapic_msr_write(l, 0x83e, 0xb, now), OK);
    CHECK_EQ(lapic_msr_write(l, 0x832, PERIODIC, now), OK);
    CHECK_EQ(lapic_msr_write(l, 0x838, 50000, now), OK);
    uint64_t value;
    CHECK_EQ(lapic_msr_read(l, 0x839, now + 1, &value), OK);
    CHECK_EQ(value, 49999);
    CHECK_EQ(lapic_timer_deadline(l), 50100);
}

/* A count of the guest's clock that ends behind that clock's end, at each tick around it: 0 is a time like any
 * other. */
TEST(counts_across_the_end_of_the_clock)
{
    for (uint64_t before = 0; before < 200; before++)
        for (unsigned int periodic = 0; periodic < 2; periodic++) {
            start(0 - before, periodic ? PERIODIC : ONE_SHOT);
            uint64_t period = periodic ? LAPIC_TIMER_MIN_GAP : 100;
            set(APIC_INITIAL, (uint32_t)period);
            CHECK(lapic_timer_deadline(l) != NEVER);
            uint64_t late = now + period == NEVER; /* that is no time: a tick later */
            CHECK_EQ(lapic_timer_deadline(l), now + period + late);
            CHECK_EQ(get(APIC_CURRENT), late ? 1 : period);
            now += period - 1;
            lapic_timer_expire(l, now);
            CHECK_EQ(fired(), 0);
            now += 1 + late;
            lapic_timer_expire(l, now);
            CHECK_EQ(fired(), 1);
            CHECK_EQ(lapic_timer_deadline(l), periodic ? now + period : NEVER);
        }
}

/* The TSC is set, either way: a count lasts as long as before, and a deadline is due when the TSC says so. */
TEST(tsc_moved)
{
    static const uint64_t moves[] = {1, 1000000, BIT(63), 0 - 1ull, 0 - 4000ull};
    for (unsigned int i = 0; i < ARRAY_SIZE(moves); i++)
        for (unsigned int periodic = 0; periodic < 2; periodic++) {
            start(5000, periodic ? PERIODIC : ONE_SHOT);
            set(APIC_INITIAL, 100000);
            now += 40000;
            rig_forget();
            now += moves[i];
            lapic_tsc_moved(l, moves[i], now);
            CHECK_EQ(rig_log[0].timer_changes, 1);
            CHECK_EQ(lapic_timer_deadline(l), now + 60000);
            CHECK_EQ(get(APIC_CURRENT), 60000);
            now += 60000;
            lapic_timer_expire(l, now);
            CHECK_EQ(fired(), 1);
        }
    start(5000, TSC_DEADLINE);
    set_deadline(9000);
    rig_forget();
    now += 1000;
    lapic_tsc_moved(l, 1000, now);
    CHECK_EQ(rig_log[0].timer_changes, 1);
    CHECK_EQ(get_deadline(), 9000);
    CHECK_EQ(lapic_timer_deadline(l), now + 3000);
    now -= 2000;
    lapic_tsc_moved(l, 0 - 2000ull, now);
    CHECK_EQ(lapic_timer_deadline(l), now + 5000);
    now += 10000;
    lapic_tsc_moved(l, 10000, now); /* over the deadline */
    CHECK_EQ(fired(), 1);
}

static bool irr(uint32_t vector)
{
    return rig_read(0, APIC_IRR + vector / 32 * 16) >> vector % 32 & 1;
}

static uint32_t current_at(uint64_t now)
{
    uint32_t value = 0xdeadbeef;
    CHECK_EQ(lapic_mmio_read(&rig_lapic[0], APIC_CURRENT, now, &value), OK);
    return value;
}

/* 11.5.4: the host's timer may be late, but who reads that the time is over finds the interrupt, and is signalled. */
TEST(who_reads_the_end_finds_the_interrupt)
{
    uint64_t value = 1;

    rig_start(1);
    rig_write(0, APIC_DCR, 0xb);
    rig_write(0, APIC_LVT_TIMER, 0x71);
    CHECK_EQ(lapic_mmio_write(&rig_lapic[0], APIC_INITIAL, 1000, 0), OK);
    CHECK_EQ(current_at(999), 1);
    CHECK(!irr(0x71));
    CHECK_EQ(current_at(1000), 0);
    CHECK_EQ(rig_log[0].signals[LAPIC_SIGNAL_EVENT], 1);
    CHECK(irr(0x71));
    CHECK_EQ(lapic_timer_deadline(&rig_lapic[0]), NEVER);
    CHECK_EQ(rig_who(0x71), 1);
    lapic_timer_expire(&rig_lapic[0], 1001);
    CHECK_EQ(current_at(1002), 0);
    CHECK_EQ(rig_who(0x71), 0); /* once */

    rig_write(0, APIC_LVT_TIMER, 0x20072); /* periodic: who reads the count that has begun anew */
    CHECK_EQ(lapic_mmio_write(&rig_lapic[0], APIC_INITIAL, 100000, 2000), OK);
    CHECK_EQ(current_at(102000), 100000);
    CHECK(irr(0x72));
    CHECK_EQ(rig_who(0x72), 1);
    CHECK_EQ(lapic_timer_deadline(&rig_lapic[0]), 202000);

    rig_write(0, APIC_LVT_TIMER, 0x40073);
    CHECK_EQ(lapic_msr_write(&rig_lapic[0], MSR_IA32_TSC_DEADLINE, 500000, 300000), OK);
    CHECK_EQ(lapic_msr_read(&rig_lapic[0], MSR_IA32_TSC_DEADLINE, 499999, &value), OK);
    CHECK_EQ(value, 500000);
    CHECK(!irr(0x73));
    CHECK_EQ(lapic_msr_read(&rig_lapic[0], MSR_IA32_TSC_DEADLINE, 500000, &value), OK);
    CHECK_EQ(value, 0);
    CHECK(irr(0x73));
    CHECK_EQ(rig_who(0x73), 1);

    rig_write(0, APIC_LVT_TIMER, 0x10071); /* masked: the count ends, and nothing comes */
    CHECK_EQ(lapic_mmio_write(&rig_lapic[0], APIC_INITIAL, 1000, 600000), OK);
    CHECK_EQ(current_at(601000), 0);
    CHECK_EQ(rig_who(0x71), 0);
}
