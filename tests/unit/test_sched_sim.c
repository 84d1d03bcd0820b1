/* What sched/sched.h promises, shown for whole workloads on a simulated machine, many of them random with a seed. */
// links: sched/fair.c sched/group.c sched/balance.c lib/rbtree.c
#include "tests/unit/sched_sim.h"

static struct sim sim;

static uint64_t slice_of(uint32_t weight, uint64_t total)
{
    return MAX(LATENCY * weight / total, LATENCY / SCHED_MIN_SLICE_PART);
}

/* run is within `slack` ticks and a thousandth of expected. */
static bool near(uint64_t run, uint64_t expected, uint64_t slack)
{
    uint64_t off = run > expected ? run - expected : expected - run;

    return off <= slack + expected / 1000;
}

/*
 * Hogs of these weights on one CPU, for long enough that the lightest has some turns: shares go by weight to within a
 * slice and the lateness of ticks, and nobody waits longer than promised.
 */
static void check_shares(const uint32_t *weights, int count, uint64_t lateness, uint64_t floor, uint64_t seed)
{
    uint64_t total = 0, slices = 0, lightest = SCHED_MAX_WEIGHT, time;

    sim_init(&sim, 1, seed);
    sim.lateness = lateness;
    sim.rq[0].floor = floor;
    for (int i = 0; i < count; i++) {
        sim_add_hog(&sim, 0, weights[i]);
        total += weights[i];
        lightest = MIN(lightest, weights[i]);
    }
    for (int i = 0; i < count; i++)
        slices += slice_of(weights[i], total) + lateness;
    time = LATENCY * total / lightest * 3 + 100 * LATENCY;
    sim_run(&sim, time);
    sim_settle(&sim);
    for (int i = 0; i < count; i++) {
        struct sim_thread *t = &sim.thread[i];
        uint64_t own = slice_of(t->own.weight, total) + lateness;

        CHECK(near(t->se.run_ticks, time * t->own.weight / total, own + slices * t->own.weight / total));
        CHECK(t->max_wait <= own * total / t->own.weight + slices);
    }
    CHECK_EQ(sim.max_waste, 0);
}

TEST(shares_are_proportional_to_weights)
{
    check_shares((uint32_t[]){100}, 1, 0, 0, 1);
    check_shares((uint32_t[]){100, 100}, 2, 0, 0, 1);
    check_shares((uint32_t[]){100, 200, 300, 400}, 4, 0, 0, 1);
    check_shares((uint32_t[]){1, 10000}, 2, 0, 0, 1);
    check_shares((uint32_t[]){1, 1, 1, 10000, 10000}, 5, 10 * US, 0, 1);
    check_shares((uint32_t[]){50, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 700}, 16, 0, 0,
                 1);
}

TEST(shares_of_random_weights)
{
    uint64_t seed = 1;

    for (int round = 0; round < 25; round++) {
        uint32_t weights[12];
        int count = 2 + (int)(test_random(&seed) % 11);
        /* Weights of every order of magnitude, within two of each other, so that the test is short. */
        uint32_t magnitude = (uint32_t)(test_random(&seed) % 100) + 1;

        for (int i = 0; i < count; i++)
            weights[i] = magnitude + (uint32_t)(test_random(&seed) % (99 * magnitude));
        check_shares(weights, count, test_random(&seed) % 2 ? 50 * US : 0, test_random(&seed), (uint64_t)round);
    }
}

TEST(virtual_time_may_wrap_around)
{
    static const uint64_t edges[] = {UINT64_MAX, 1ull << 63, 0};

    for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
        /* The floor passes the edge within the first 20 ms and, for weight 1, with a large step. */
        check_shares((uint32_t[]){100, 300, 50}, 3, 0, edges[i] - 1000 * MS, 1);
        check_shares((uint32_t[]){1, 1, 2}, 3, 0, edges[i] - 1000 * MS, 1);
    }
}

/* One that wakes up for 200 us every 10 ms among hogs of equal weight: the promise that makes a terminal pleasant. */
TEST(an_interactive_thread_runs_almost_at_once)
{
    static const uint32_t weights[] = {1, 100, 10000};

    for (size_t i = 0; i < ARRAY_SIZE(weights); i++) {
        for (int hogs = 1; hogs <= 16; hogs *= 2) {
            struct sim_thread *t;

            sim_init(&sim, 1, 1);
            for (int hog = 0; hog < hogs; hog++)
                sim_add_hog(&sim, 0, weights[i]);
            t = sim_add(&sim, 0, weights[i], 100 * US, 200 * US, 9 * MS, 11 * MS);
            sim_run(&sim, 100 * MS); /* it is new at first, and has its turn as all new ones */
            t->max_wake = 0;
            sim_run(&sim, 5 * S);
            CHECK(t->max_wake <= LATENCY / SCHED_MIN_SLICE_PART);
        }
    }
}

/* Heavy ones don't wait for light ones that have slept, even for many. */
TEST(light_sleepers_do_not_hold_up_a_heavy_one)
{
    struct sim_thread *heavy;

    sim_init(&sim, 1, 1);
    for (int i = 0; i < 10; i++)
        sim_add(&sim, 0, 1, 10 * MS, 20 * MS, 100 * MS, 300 * MS);
    heavy = sim_add(&sim, 0, 10000, 1 * MS, 2 * MS, 5 * MS, 10 * MS);
    sim_run(&sim, 100 * MS);
    heavy->max_wake = 0;
    sim_run(&sim, 20 * S);
    CHECK(heavy->max_wake <= 2 * LATENCY);
}

/* Sleeping pays off in latency only: against a hog, nobody gets more than half by any rhythm of sleeping. */
TEST(sleepers_gain_no_time)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t scale, burst, sleep;
        struct sim_thread *hog, *sleeper;

        sim_init(&sim, 1, seed);
        scale = 1ull << sim_between(&sim, 10, 24);
        burst = sim_between(&sim, 1, 8) * scale;
        sleep = sim_between(&sim, 1, 8) * scale / 16 + 1;
        hog = sim_add_hog(&sim, 0, 100);
        sleeper = sim_add(&sim, 0, 100, burst, 2 * burst, 1, sleep);
        sim_run(&sim, 20 * S);
        sim_settle(&sim);
        CHECK(sleeper->se.run_ticks <= hog->se.run_ticks * 101 / 100 + LATENCY);
        CHECK(hog->se.run_ticks >= 10 * S - 100 * MS - LATENCY);
    }
}

/* How long a CPU idles while a thread waits that it may run: until the move is worth it, and the interrupts to it. */
#define WASTE (LATENCY / SCHED_MOVE_PART + SIM_CPUS * SIM_KICK)

/* `count` hogs of equal weight that all start on the first of `cpus` CPUs have equal shares after a while. */
static void check_equal_shares(uint32_t cpus, int count, uint64_t lateness)
{
    const uint64_t time = 30 * S;
    uint64_t expected = MIN(time * cpus / (uint64_t)count, time);

    sim_init(&sim, cpus, 1);
    sim.lateness = lateness;
    for (int i = 0; i < count; i++)
        sim_add_hog(&sim, 0, 100);
    sim_run(&sim, time);
    sim_settle(&sim);
    for (int i = 0; i < count; i++) {
        CHECK(near(sim.thread[i].se.run_ticks, expected, expected / 50));
        CHECK(sim.thread[i].max_wait <= LATENCY * (uint64_t)(count + 1));
    }
    CHECK(sim.max_waste <= WASTE + lateness);
}

TEST(equal_threads_get_equal_shares_of_several_cpus)
{
    check_equal_shares(2, 1, 0);
    check_equal_shares(2, 2, 0);
    check_equal_shares(2, 3, 0);
    check_equal_shares(2, 3, 100 * US);
    check_equal_shares(2, 5, 100 * US);
    check_equal_shares(2, 16, 100 * US);
    check_equal_shares(2, 17, 100 * US);
    check_equal_shares(4, 5, 100 * US);
    check_equal_shares(4, 7, 100 * US);
    check_equal_shares(8, 12, 100 * US);
}

/* Once spread, threads that fit evenly stay where they are. */
TEST(even_loads_do_not_migrate)
{
    uint64_t before;

    sim_init(&sim, 2, 1);
    for (int i = 0; i < 16; i++)
        sim_add_hog(&sim, 0, 100);
    sim_run(&sim, 1 * S);
    before = sim.migrations;
    sim_run(&sim, 10 * S);
    CHECK_EQ(sim.migrations, before);
}

/* Threads that are exchanged between CPUs at random keep the shares that they would have had. */
TEST(migration_keeps_shares)
{
    uint64_t total[6] = {0};

    sim_init(&sim, 2, 7);
    for (int i = 0; i < 6; i++)
        sim_add_hog(&sim, i % 2 ? 1 : 0, 100);
    for (int round = 0; round < 10000; round++) {
        struct sim_thread *queued[2] = {NULL, NULL};

        sim_run(&sim, sim_between(&sim, 1 * US, 10 * MS));
        for (int i = 0; i < 6; i++) {
            struct sim_thread *t = &sim.thread[(i + round) % 6];

            if (t->state == SIM_WAITING)
                queued[t->cpu] = t;
        }
        if (queued[0] && queued[1]) {
            sim_migrate(&sim, queued[0], 1);
            sim_migrate(&sim, queued[1], 0);
        }
    }
    sim_settle(&sim);
    for (int i = 0; i < 6; i++)
        total[i] = sim.thread[i].se.run_ticks;
    for (int i = 0; i < 6; i++)
        CHECK(near(total[i], (sim.now - 1000 * S) / 3, sim.now / 3 / 50));
    CHECK(sim.migrations > 10000);
}

/*
 * Hogs and sleepers of all kinds, with weights and masks, on several CPUs: the books are right at each step
 * (sim_check), no CPU idles for long while there is something that it may run, and everybody gets on.
 */
static void churn(uint64_t seed, bool masks)
{
    uint64_t lateness = 100 * US, total = 0;

    sim_init(&sim, 1 + (uint32_t)(seed % 6), seed);
    sim.lateness = lateness;
    for (int i = (int)sim_between(&sim, 1, 20); i > 0; i--) {
        uint32_t weight = (uint32_t)sim_between(&sim, 1, 10) * (sim_between(&sim, 0, 1) ? 100 : 10);
        uint32_t cpu = (uint32_t)sim_between(&sim, 0, sim.cpus - 1);
        struct sim_thread *t;

        if (sim_between(&sim, 0, 2) == 0)
            t = sim_add_hog(&sim, cpu, weight);
        else
            t = sim_add(&sim, cpu, weight, 10 * US, 1ull << sim_between(&sim, 14, 26), 10 * US,
                        1ull << sim_between(&sim, 14, 28));
        if (masks && sim_between(&sim, 0, 1))
            t->se.cpus[0] = BIT(cpu) | test_random(&sim.seed);
        total += weight;
    }
    sim_run(&sim, 3 * S);
    sim_settle(&sim);
    CHECK(sim.max_waste <= WASTE + lateness + (masks ? (uint64_t)sim.cpus * LATENCY : 0));
    for (int i = 0; i < sim.threads; i++) {
        struct sim_thread *t = &sim.thread[i];
        uint64_t bound = (LATENCY + lateness) * total / t->own.weight + 2 * LATENCY * (uint64_t)sim.threads;

        CHECK(t->se.run_ticks > 0);
        CHECK(t->max_wait <= bound);
        CHECK(t->state != SIM_WAITING || sim.now - t->since <= bound);
    }
}

TEST(random_workloads)
{
    for (uint64_t seed = 0; seed < 60; seed++)
        churn(seed, false);
}

TEST(random_workloads_with_affinity)
{
    for (uint64_t seed = 1000; seed < 1060; seed++)
        churn(seed, true);
}

/* One that sleeps now and then leaves its CPU to others for just that time, but where all wait shortly, nobody moves.
 */
TEST(idle_cpus_get_work_if_that_is_worth_a_move)
{
    uint64_t ran = 0;

    sim_init(&sim, 4, 1);
    sim.lateness = 50 * US;
    for (uint32_t i = 0; i < 9; i++)
        sim_add(&sim, i % 4, 100, 20 * MS, 60 * MS, 1 * MS, 5 * MS);
    sim_run(&sim, 10 * S);
    sim_settle(&sim);
    for (int i = 0; i < sim.threads; i++)
        ran += sim.thread[i].se.run_ticks;
    CHECK(ran >= 4 * 10 * S * 99 / 100);

    sim_init(&sim, 4, 1);
    sim.lateness = 50 * US;
    for (uint32_t i = 0; i < 8; i++)
        sim_add(&sim, i % 4, 100, 25 * US, 75 * US, 25 * US, 75 * US);
    sim_run(&sim, 1 * S);
    CHECK(sim.migrations < sim.switches / 100);
    CHECK(sim.kicks < sim.switches / 5);
}
