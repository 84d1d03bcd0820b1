/* sched/fair.c, call by call. What follows from it for whole workloads is in test_sched_sim.c. */
// links: sched/fair.c sched/group.c sched/balance.c lib/rbtree.c
#include "sched/sched.h"

#include "tests/unit/test.h"

#define L 6000000ull /* latency */

static struct sched_rq rq;
static struct sched_entity a, b, c;
static struct sched_group group_a, group_b, group_c;

static void start(uint32_t weight_a, uint32_t weight_b, uint32_t weight_c)
{
    sched_rq_init(&rq, L);
    sched_group_init(&group_a, 0, weight_a, SCHED_NO_LIMIT);
    sched_group_init(&group_b, 1, weight_b, SCHED_NO_LIMIT);
    sched_group_init(&group_c, 2, weight_c, SCHED_NO_LIMIT);
    sched_entity_init(&a, &group_a, NULL);
    sched_entity_init(&b, &group_b, NULL);
    sched_entity_init(&c, &group_c, NULL);
}

TEST(empty_queue_idles)
{
    start(1, 1, 1);
    CHECK(sched_pick(&rq, 5) == NULL);
    CHECK_EQ(sched_load(&rq), 0);
    CHECK_EQ(rq.queued, 0);
    CHECK(!sched_should_preempt(&rq, 5));
    CHECK_EQ(sched_slice_end(&rq, 5), NEVER);
}

TEST(counts_and_loads)
{
    start(100, 50, 7);
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    CHECK(sched_should_preempt(&rq, 0)); /* nobody is current, and someone waits */
    CHECK_EQ(sched_slice_end(&rq, 9), 9);
    sched_enqueue(&rq, 0, &b, SCHED_NEW);
    CHECK_EQ(rq.queued, 2);
    CHECK_EQ(sched_load(&rq), 150 * SCHED_UNIT);
    CHECK(sched_pick(&rq, 0) == &a); /* of equals the first come */
    CHECK(rq.current == &a);
    CHECK_EQ(rq.queued, 1);
    CHECK_EQ(sched_load(&rq), 150 * SCHED_UNIT);
    sched_dequeue(&rq, 0, &b);
    CHECK_EQ(rq.queued, 0);
    CHECK_EQ(sched_load(&rq), 100 * SCHED_UNIT);
    CHECK_EQ(sched_slice_end(&rq, 10), NEVER); /* alone: no tick */
    sched_put(&rq, 1000, true);
    CHECK_EQ(rq.queued, 1);
    CHECK_EQ(sched_load(&rq), 100 * SCHED_UNIT);
    CHECK(sched_pick(&rq, 1000) == &a);
    sched_put(&rq, 3000, false);
    CHECK_EQ(a.run_ticks, 3000);
    CHECK_EQ(sched_load(&rq), 0);
    CHECK(sched_pick(&rq, 3000) == NULL);
}

TEST(slices_are_parts_of_the_latency_by_weight)
{
    uint64_t end;

    start(100, 200, 1);
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    sched_enqueue(&rq, 0, &b, SCHED_NEW);
    CHECK(sched_pick(&rq, 0) == &a);
    end = sched_slice_end(&rq, 0);
    CHECK(end >= L / 3 && end <= L / 3 + 2);
    CHECK(!sched_should_preempt(&rq, L / 8));
    CHECK_EQ(sched_slice_end(&rq, end - 2) > end - 2, true);
    CHECK_EQ(sched_slice_end(&rq, end), end);
    CHECK(sched_should_preempt(&rq, end));
    sched_put(&rq, end, true);
    CHECK(sched_pick(&rq, end) == &b);
    /* Catches up with a (2/3 L) and has its own slice (2/3 L), but is asked again after L. */
    CHECK_EQ(sched_slice_end(&rq, end), end + L);
}

TEST(the_shortest_slice_has_a_bound)
{
    uint64_t end;

    start(1, 10000, 10000);
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    sched_enqueue(&rq, 0, &b, SCHED_NEW);
    CHECK(sched_pick(&rq, 0) == &a);
    end = sched_slice_end(&rq, 0);
    CHECK(end >= L / 8 && end <= L / 8 + 2);
}

TEST(a_woken_sleeper_runs_soon_but_not_for_long)
{
    uint64_t now = 0, ran = 0;

    start(100, 100, 100);
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    sched_enqueue(&rq, 0, &b, SCHED_NEW);
    CHECK(sched_pick(&rq, now) == &a);
    sched_put(&rq, now += 1000, false); /* a sleeps for an hour of 3 GHz */
    CHECK(sched_pick(&rq, now) == &b);
    now += 3600 * 3000000000ull;
    sched_enqueue(&rq, now, &a, SCHED_WAKE);
    CHECK(sched_should_preempt(&rq, now));
    sched_put(&rq, now, true);
    while (sched_pick(&rq, now) == &a && ran < 100 * L) {
        uint64_t end = sched_slice_end(&rq, now);

        ran += end - now;
        sched_put(&rq, now = end, true);
    }
    CHECK(ran >= L / 2);
    CHECK(ran <= L + 4); /* credit and slice: half a latency each */
}

/* The credit of a light sleeper must not hold up a heavy one, that of a heavy one must do against light ones. */
TEST(credit_is_bounded_by_the_average_weight)
{
    uint64_t end;

    start(1, 10000, 1);
    sched_enqueue(&rq, 0, &b, SCHED_NEW);
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    CHECK(sched_pick(&rq, 0) == &b);
    sched_dequeue(&rq, 0, &a);
    sched_enqueue(&rq, L / 16, &a, SCHED_WAKE);
    sched_put(&rq, 100 * L, true);
    CHECK(sched_pick(&rq, 100 * L) == &a);
    end = sched_slice_end(&rq, 100 * L);
    CHECK(end <= 100 * L + L / 4);

    start(10000, 1, 1);
    sched_enqueue(&rq, 0, &b, SCHED_NEW);
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    CHECK(sched_pick(&rq, 0) == &b);
    sched_dequeue(&rq, 0, &a);
    CHECK(!sched_should_preempt(&rq, L / 16));
    sched_enqueue(&rq, 100 * L, &a, SCHED_WAKE);
    CHECK(sched_should_preempt(&rq, L / 16));
}

TEST(credit_is_bounded_by_the_own_weight)
{
    start(10000, 1, 1);
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    sched_enqueue(&rq, 0, &b, SCHED_NEW);
    sched_enqueue(&rq, 0, &c, SCHED_NEW);
    CHECK(sched_pick(&rq, 0) == &a);
    sched_put(&rq, 0, false);
    CHECK(sched_pick(&rq, 0) == &b);
    sched_put(&rq, 50 * L, true);
    CHECK(sched_pick(&rq, 50 * L) == &c);
    sched_put(&rq, 100 * L, true);
    sched_enqueue(&rq, 100 * L, &a, SCHED_WAKE);
    CHECK(sched_pick(&rq, 100 * L) == &a);
    CHECK(sched_slice_end(&rq, 101 * L) > 101 * L);
    CHECK(sched_should_preempt(&rq, 101 * L + L / 2 + 4)); /* half a latency of credit, a slice of almost one */
}

/* What was earned among light ones must not be spent among heavy ones. */
TEST(credit_is_bounded_where_the_sleeper_wakes)
{
    struct sched_rq other;

    start(1, 1, 10000);
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    sched_enqueue(&rq, 0, &b, SCHED_NEW);
    CHECK(sched_pick(&rq, 0) == &a);
    sched_put(&rq, 0, false);
    CHECK(sched_pick(&rq, 0) == &b);
    sched_enqueue(&rq, 100 * L, &a, SCHED_WAKE);
    sched_put(&rq, 100 * L, true);
    CHECK(sched_pick(&rq, 100 * L) == &a);
    sched_put(&rq, 100 * L, false);
    sched_rq_init(&other, L);
    sched_enqueue(&other, 0, &c, SCHED_NEW);
    sched_enqueue(&other, 0, &a, SCHED_WAKE);
    CHECK(sched_pick(&other, 0) == &a);
    CHECK(sched_slice_end(&other, 0) <= L / 4);
}

TEST(only_who_just_woke_preempts_within_a_slice)
{
    start(100, 100, 100);
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    sched_enqueue(&rq, 0, &b, SCHED_NEW);
    CHECK(sched_pick(&rq, 0) == &a);
    sched_put(&rq, 0, false);
    CHECK(sched_pick(&rq, 0) == &b);
    sched_enqueue(&rq, L / 4, &a, SCHED_WAKE); /* b is a quarter L ahead */
    CHECK(sched_should_preempt(&rq, L / 4));
    sched_put(&rq, L / 4, true);
    CHECK(sched_pick(&rq, L / 4) == &a);
    sched_yield_current(&rq, L / 4);
    sched_put(&rq, L / 4, true);
    CHECK(sched_pick(&rq, L / 4) == &b);
    CHECK(!sched_should_preempt(&rq, L / 2)); /* b is a quarter L ahead again, but a has run since it woke */
}

TEST(a_short_sleep_earns_nothing)
{
    start(100, 100, 100);
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    sched_enqueue(&rq, 0, &b, SCHED_NEW);
    CHECK(sched_pick(&rq, 0) == &a);
    sched_put(&rq, L / 4, false);
    CHECK(sched_pick(&rq, L / 4) == &b);
    sched_enqueue(&rq, L / 4 + 10, &a, SCHED_WAKE); /* a quarter L ahead of b */
    CHECK(!sched_should_preempt(&rq, L / 4 + 10));
    CHECK(!sched_should_preempt(&rq, L / 2 - 10));
    sched_put(&rq, L / 2 - 10, true);
    CHECK(sched_pick(&rq, L / 2 - 10) == &b);
    sched_put(&rq, L / 2 + 10, true);
    CHECK(sched_pick(&rq, L / 2 + 10) == &a);
}

/* As if the time between did not exist: no charge, not even by who asks for one, no advance of the floor, the same
 * slice. What it ran before is charged to it meanwhile as ever. */
TEST(stopped)
{
    for (uint64_t wait = 2; wait < 100 * L; wait *= 3)
        for (unsigned asked = 0; asked < 2; asked++) {
            start(100, 50, 7);
            sched_enqueue(&rq, 0, &a, SCHED_NEW);
            CHECK(sched_pick(&rq, 0) == &a);
            CHECK(!sched_stopped(&rq));
            sched_stop(&rq, 1000);
            CHECK(sched_stopped(&rq));
            for (uint64_t at = 1000 + wait / 2; asked && at < 1000 + wait; at += 1 + wait / 4) {
                sched_charge(&rq, at);
                CHECK_EQ(a.run_ticks, 1000);
            }
            sched_enqueue(&rq, 1000 + wait / 2, &b, SCHED_NEW);
            CHECK_EQ(b.node.key, a.node.key);
            sched_go_on(&rq, 1000 + wait);
            CHECK(!sched_stopped(&rq));
            CHECK(!sched_should_preempt(&rq, 1000 + wait));
            CHECK_EQ(a.run_ticks, 1000);
            sched_put(&rq, 1500 + wait, false);
            CHECK_EQ(a.run_ticks, 1500);
            CHECK_EQ(sched_load(&rq), 50 * SCHED_UNIT);
        }
}

/* It waits whenever the scheduler looks, and is charged for what it ran all the same: else it would pay for all of it
 * once another one comes, who would run alone for as long. */
TEST(stopped_at_every_tick)
{
    uint64_t now = 0, run = 0;

    start(100, 100, 100);
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    CHECK(sched_pick(&rq, 0) == &a);
    for (unsigned tick = 0; tick < 1000; tick++) {
        now += L / 3;
        run += L / 3;
        sched_stop(&rq, now);
        sched_charge(&rq, now += 77);
        CHECK_EQ(a.run_ticks, run);
        sched_go_on(&rq, now += L);
    }
    sched_stop(&rq, now += 10);
    sched_enqueue(&rq, now, &b, SCHED_NEW);
    sched_go_on(&rq, now += L);
    CHECK_EQ(b.node.key, a.node.key);
    CHECK(sched_slice_end(&rq, now) > now + L / 4);
    sched_put(&rq, now, false);
    CHECK(sched_pick(&rq, now) == &b);
    sched_enqueue(&rq, now, &a, SCHED_WAKE);
    CHECK(sched_slice_end(&rq, now) <= now + L);
    CHECK(sched_should_preempt(&rq, now + L));
}

/* The floor passes through all 64 bits in the long run, and while someone sleeps. */
TEST(sleeps_of_every_length)
{
    /* With weight 1, a tick is 10000 units of virtual time, so one step moves the floor by more than 2^49. */
    static const uint32_t steps[] = {0, 1, 2, 1000, 1u << 13, (1u << 13) + 1, 1u << 14, (1u << 15) + 77};

    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
        uint64_t now = 0;

        start(1, 1, 1);
        rq.floor = UINT64_MAX - 1000;
        sched_enqueue(&rq, 0, &a, SCHED_NEW);
        sched_enqueue(&rq, 0, &b, SCHED_NEW);
        CHECK(sched_pick(&rq, now) == &a);
        sched_put(&rq, now += 100, false);
        CHECK(sched_pick(&rq, now) == &b);
        for (uint32_t step = 0; step < steps[i]; step++) {
            sched_put(&rq, now += 1ull << 36, true);
            CHECK(sched_pick(&rq, now) == &b);
        }
        sched_enqueue(&rq, now, &a, SCHED_WAKE);
        CHECK_EQ(sched_should_preempt(&rq, now), steps[i] > 0);
        CHECK(sched_slice_end(&rq, now) <= now + L);
        /* However long it slept, both have their turns from now on. */
        for (int turn = 0; turn < 40; turn++) {
            uint64_t end = MAX(sched_slice_end(&rq, now), now + 1);

            sched_put(&rq, now = end, true);
            sched_pick(&rq, now);
            if (turn == 10)
                a.run_ticks = b.run_ticks = 0;
        }
        CHECK(a.run_ticks > 0 && a.run_ticks < 3 * b.run_ticks);
        CHECK(b.run_ticks > 0 && b.run_ticks < 3 * a.run_ticks);
    }
}

/* Nobody needs a tick while it is alone, so it may be charged for hours or years at once. */
TEST(alone_for_any_time)
{
    for (unsigned shift = 10; shift < 63; shift++) {
        uint64_t now = 1ull << shift;

        start(1, 1, 1);
        sched_enqueue(&rq, 0, &a, SCHED_NEW);
        CHECK(sched_pick(&rq, 0) == &a);
        sched_enqueue(&rq, now, &b, SCHED_NEW);
        CHECK(sched_slice_end(&rq, now) >= now + L / 2);
        CHECK(sched_slice_end(&rq, now) <= now + L / 2 + 2);
        now += L;
        sched_put(&rq, now, true);
        CHECK(sched_pick(&rq, now) == &b);
        CHECK_EQ(a.run_ticks, now);
    }
}

/* The distance counts from where the floor is when the entity leaves, not from where it was at the last switch. */
TEST(migration_takes_the_distance_of_that_moment)
{
    start(10000, 10000, 10000); /* a tick is a unit of virtual time */
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    sched_enqueue(&rq, 0, &b, SCHED_NEW);
    sched_enqueue(&rq, 0, &c, SCHED_NEW);
    CHECK(sched_pick(&rq, 0) == &a);
    sched_put(&rq, 1000, true);
    CHECK(sched_pick(&rq, 1000) == &b);
    sched_put(&rq, 1000 + 500, true);
    CHECK(sched_pick(&rq, 1500) == &c);
    sched_dequeue(&rq, 1500 + 400, &a); /* the furthest behind is c, at 400 */
    CHECK_EQ(a.ahead, 600);
}

/* Who comes from a queue with another virtual time is as far ahead on the new one as it was on the old one. */
TEST(migration_keeps_the_distance)
{
    struct sched_rq other;

    start(100, 100, 100);
    sched_rq_init(&other, L);
    other.floor = 1ull << 63;
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    sched_enqueue(&rq, 0, &b, SCHED_NEW);
    CHECK(sched_pick(&rq, 0) == &a);
    sched_put(&rq, L / 4, true);
    sched_dequeue(&rq, L / 4, &a); /* a quarter L ahead */
    sched_enqueue(&other, 0, &c, SCHED_NEW);
    sched_enqueue(&other, 0, &a, SCHED_MIGRATE);
    CHECK(sched_pick(&other, 0) == &c);
    CHECK(!sched_should_preempt(&other, L / 4 - 10));
    sched_put(&other, L / 4 - 10, true);
    CHECK(sched_pick(&other, L / 4 - 10) == &c);
    sched_put(&other, L / 4 + 10, true);
    CHECK(sched_pick(&other, L / 4 + 10) == &a);
    /* One that slept elsewhere brings its distance too, not the virtual time of that queue. */
    sched_put(&other, L / 4 + 20, false);
    sched_enqueue(&rq, 0, &a, SCHED_WAKE);
    CHECK(sched_pick(&rq, 0) == &b);
}

TEST(yield_lets_the_next_one_run)
{
    start(10000, 1, 1);
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    sched_enqueue(&rq, 0, &b, SCHED_NEW);
    CHECK(sched_pick(&rq, 0) == &a);
    sched_put(&rq, 10, true);
    CHECK(sched_pick(&rq, 10) == &b);
    sched_put(&rq, L, true); /* b is far ahead now */
    CHECK(sched_pick(&rq, L) == &a);
    sched_put(&rq, L + 10, true);
    CHECK(sched_pick(&rq, L + 10) == &a);
    sched_yield_current(&rq, L + 20);
    sched_put(&rq, L + 20, true);
    CHECK(sched_pick(&rq, L + 20) == &b);
    sched_put(&rq, L + 30, true);
    CHECK(sched_pick(&rq, L + 30) == &a);
    sched_put(&rq, L + 30, false);
    CHECK(sched_pick(&rq, L + 30) == &b);
    sched_yield_current(&rq, L + 40); /* alone: nothing happens */
    sched_put(&rq, L + 40, true);
    CHECK(sched_pick(&rq, L + 40) == &b);
}

/* A clock read that is older than the last one given must not charge 2^64 ticks. */
TEST(time_does_not_run_backwards)
{
    start(100, 100, 100);
    sched_enqueue(&rq, 0, &a, SCHED_NEW);
    CHECK(sched_pick(&rq, 1000) == &a);
    CHECK(!sched_should_preempt(&rq, 900));
    sched_put(&rq, 900, true);
    CHECK_EQ(a.run_ticks, 0);
}
