/* sched/balance.c: where entities go. */
// links: sched/fair.c sched/group.c sched/balance.c lib/rbtree.c
#include "sched/sched.h"

#include "tests/unit/test.h"

#define L      6000000ull
#define NOBODY 999u

static struct sched_rq rq;
static struct sched_entity entities[4];
static struct sched_group groups[4];

/* One CPU's queue with entities of these weights (0: none more). */
static void queue_up(const uint32_t *weights)
{
    sched_rq_init(&rq, L);
    for (int i = 0; i < 4 && weights[i]; i++) {
        sched_group_init(&groups[i], i, weights[i], SCHED_NO_LIMIT);
        sched_entity_init(&entities[i], &groups[i], NULL);
        sched_enqueue(&rq, 0, &entities[i], SCHED_NEW);
    }
}
#define QUEUE(...) queue_up((const uint32_t[4]){__VA_ARGS__})

/* Which entity this CPU (0) would push, given the loads of CPUs 1, 2; where to is checked. */
static unsigned push(uint64_t now, uint32_t load1, uint32_t load2, uint32_t to)
{
    uint32_t loads[] = {sched_load(&rq), load1 * SCHED_UNIT, load2 * SCHED_UNIT}, target = NOBODY;
    struct sched_entity *se = sched_push(&rq, now, 0, loads, 3, &target);

    CHECK_EQ(target, to);
    return se ? (unsigned)(se - entities) : NOBODY;
}

/* The same, at each switch until then. */
static unsigned push_by(uint64_t now, uint32_t load1, uint32_t load2, uint32_t to)
{
    uint32_t loads[] = {sched_load(&rq), load1 * SCHED_UNIT, load2 * SCHED_UNIT}, target;

    while (rq.looked + L / 2 < now)
        CHECK(!sched_push(&rq, rq.looked + L / 2, 0, loads, 3, &target));
    return push(now, load1, load2, to);
}

TEST(wakes_on_an_idle_cpu)
{
    struct sched_entity se;
    uint32_t loads[] = {0, 0, 100, 0, 50};

    sched_group_init(&groups[0], 0, 100, SCHED_NO_LIMIT);
    sched_entity_init(&se, &groups[0], NULL);
    CHECK_EQ(sched_wake_cpu(&se, 0, loads, 5), 0);
    CHECK_EQ(sched_wake_cpu(&se, 1, loads, 5), 1); /* where it was, if that is idle */
    CHECK_EQ(sched_wake_cpu(&se, 2, loads, 5), 3); /* else the next idle one */
    CHECK_EQ(sched_wake_cpu(&se, 4, loads, 5), 0); /* round the end */
    loads[0] = loads[1] = loads[3] = 60;
    CHECK_EQ(sched_wake_cpu(&se, 2, loads, 5), 4); /* else the least loaded */
    loads[4] = 60;
    CHECK_EQ(sched_wake_cpu(&se, 3, loads, 5), 3);
    CHECK_EQ(sched_wake_cpu(&se, 2, loads, 5), 3);
    CHECK_EQ(sched_wake_cpu(&se, 0, loads, 1), 0);
}

TEST(wakes_where_it_may_run)
{
    uint64_t cpus[ABI_MAX_CPUS / 64] = {0};
    uint32_t loads[ABI_MAX_CPUS] = {0};
    struct sched_entity se;

    cpus[0] = BIT(2) | BIT(4);
    cpus[3] = BIT(63);
    sched_group_init(&groups[0], 0, 100, SCHED_NO_LIMIT);
    sched_entity_init(&se, &groups[0], cpus);
    for (uint32_t cpu = 0; cpu < ABI_MAX_CPUS; cpu++)
        CHECK_EQ(sched_allowed(&se, cpu), cpu == 2 || cpu == 4 || cpu == 255);
    CHECK_EQ(sched_wake_cpu(&se, 0, loads, 256), 2);
    CHECK_EQ(sched_wake_cpu(&se, 2, loads, 256), 2);
    CHECK_EQ(sched_wake_cpu(&se, 5, loads, 256), 255);
    loads[255] = 1;
    CHECK_EQ(sched_wake_cpu(&se, 5, loads, 256), 2);
    loads[2] = loads[4] = 5;
    CHECK_EQ(sched_wake_cpu(&se, 3, loads, 5), 4); /* 255 does not exist here */
    CHECK_EQ(sched_wake_cpu(&se, 1, loads, 2), 1); /* none exists: documented fallback */
}

TEST(pushes_to_an_idle_cpu)
{
    QUEUE(100, 100);
    CHECK_EQ(push(0, 0, 0, 1), 0);
    CHECK_EQ(push(0, 100, 0, 2), 0);
    CHECK(sched_pick(&rq, 0) == &entities[0]);
    CHECK_EQ(push(0, 0, 0, 1), 1); /* not the current one */
}

TEST(keeps_the_last_one)
{
    QUEUE(100);
    CHECK_EQ(push(100 * L, 0, 0, NOBODY), NOBODY);
    sched_pick(&rq, 0);
    CHECK_EQ(push(100 * L, 0, 0, NOBODY), NOBODY);
    QUEUE(0);
    CHECK_EQ(push(100 * L, 0, 0, NOBODY), NOBODY);
}

TEST(pushes_only_for_a_greater_share)
{
    QUEUE(100, 100, 100);
    CHECK_EQ(push(0, 100, 500, 1), 0);
    CHECK_EQ(push(0, 101, 500, NOBODY), NOBODY); /* the other one would be the fuller one: in its turn */
    CHECK_EQ(push(0, 300, 500, NOBODY), NOBODY);
    QUEUE(10000, 100);
    CHECK_EQ(push(0, 900, 900, 1), 1); /* the light one, which would have next to nothing here */
    QUEUE(300, 100);
    CHECK_EQ(push(0, 0, 400, 1), 1); /* the loads end up equally unequal: the lighter one */
    QUEUE(10000, 100, 300);
    CHECK_EQ(push(0, 0, 10000, 1), 0); /* the one that makes the loads most equal */
}

TEST(takes_turns_when_shares_are_equal)
{
    QUEUE(100, 100);
    CHECK_EQ(push_by(8 * L, 100, 100, NOBODY), NOBODY); /* not too often */
    CHECK_EQ(push_by(8 * L + 1, 100, 100, 1), 0);       /* who is here longest */
    CHECK_EQ(push_by(9 * L, 100, 100, NOBODY), NOBODY);
    sched_dequeue(&rq, 0, &entities[0]);
    sched_enqueue(&rq, 0, &entities[0], SCHED_MIGRATE);
    CHECK_EQ(push_by(17 * L, 100, 100, 1), 1);
    sched_pick(&rq, 17 * L);
    CHECK_EQ(push_by(32 * L, 100, 100, NOBODY), NOBODY); /* one that runs can't be chosen, so there is no fair turn */
}

/* The fuller of two CPUs gives its surplus away for as long as makes both equal in the mean. */
TEST(turns_are_as_long_as_loads_are_unequal)
{
    QUEUE(75, 75, 75); /* 225 against 175, or 150 against 250: two thirds of the time, and one third */
    CHECK_EQ(push_by(12 * L - 1, 175, 500, NOBODY), NOBODY);
    CHECK_EQ(push_by(12 * L + L / 2, 175, 500, 1), 0);
    QUEUE(75, 75, 100);
    CHECK_EQ(push_by(6 * L - 1, 150, 500, NOBODY), NOBODY);
    CHECK_EQ(push_by(6 * L + L / 2, 150, 500, 1), 0);
    QUEUE(100, 100); /* what is there for a while only does not count */
    CHECK_EQ(push_by(7 * L, 100, 500, NOBODY), NOBODY);
    CHECK_EQ(push_by(8 * L, 200, 500, NOBODY), NOBODY);
    CHECK_EQ(push_by(15 * L, 100, 500, NOBODY), NOBODY);
}

TEST(pushes_where_the_entity_may_run)
{
    uint64_t only_here[ABI_MAX_CPUS / 64] = {BIT(0)}, only_two[ABI_MAX_CPUS / 64] = {BIT(2)};

    QUEUE(100, 100, 100);
    memcpy(entities[0].cpus, only_here, sizeof(only_here));
    memcpy(entities[1].cpus, only_here, sizeof(only_here));
    CHECK_EQ(push(0, 0, 0, 1), 2);
    memcpy(entities[2].cpus, only_two, sizeof(only_two));
    CHECK_EQ(push(0, 0, 0, 2), 2);
    CHECK_EQ(push(0, 0, 200, NOBODY), NOBODY);
}

TEST(who_idles_asks_the_fullest_that_offers)
{
    uint32_t loads[] = {0, 300, 500, 500, 900};
    bool offers[] = {false, true, true, true, false};

    CHECK_EQ(sched_ask(0, loads, offers, 5), 2);
    CHECK_EQ(sched_ask(2, loads, offers, 5), 3); /* not itself */
    CHECK_EQ(sched_ask(4, loads, offers, 5), 2); /* of equals the next one */
    offers[2] = offers[3] = false;
    CHECK_EQ(sched_ask(0, loads, offers, 5), 1);
    CHECK_EQ(sched_ask(0, loads, offers, 1), UINT32_MAX);
    offers[1] = false;
    CHECK_EQ(sched_ask(0, loads, offers, 5), UINT32_MAX);
    CHECK(sched_any_idle(loads, 5));
    loads[0] = 1;
    CHECK(!sched_any_idle(loads, 5));
}

/* Which entity this CPU (0) would give away, given the loads of CPUs 1, 2. */
static unsigned give(uint64_t now, uint32_t load1, uint32_t load2, uint32_t to)
{
    uint32_t loads[] = {sched_load(&rq), load1 * SCHED_UNIT, load2 * SCHED_UNIT}, target = NOBODY;
    struct sched_entity *se = sched_give(&rq, now, 0, loads, 3, &target);

    CHECK_EQ(target, to);
    return se ? (unsigned)(se - entities) : NOBODY;
}

TEST(gives_who_has_waited)
{
    const uint64_t move = L / SCHED_MOVE_PART;

    QUEUE(100, 100, 100);
    CHECK(sched_offers(&rq));
    CHECK(sched_pick(&rq, 0) == &entities[0]);
    CHECK(sched_offers(&rq));
    CHECK_EQ(give(move - 1, 100, 0, NOBODY), NOBODY); /* that is not worth a move */
    CHECK_EQ(rq.again, move);
    CHECK(!sched_offers(&rq)); /* it will look itself */
    CHECK_EQ(sched_slice_end(&rq, move - 1), move);
    CHECK(!sched_should_preempt(&rq, move));
    CHECK_EQ(give(move, 100, 0, 2), 1);
    CHECK_EQ(rq.again, NEVER);
    sched_dequeue(&rq, move, &entities[1]);
    CHECK(sched_offers(&rq));
    CHECK_EQ(give(move, 100, 100, NOBODY), NOBODY); /* nobody idles any more */
    CHECK_EQ(rq.again, NEVER);

    sched_enqueue(&rq, move, &entities[1], SCHED_MIGRATE); /* who has come does not go back at once */
    sched_dequeue(&rq, move, &entities[2]);
    CHECK_EQ(give(move + 1, 0, 100, NOBODY), NOBODY);
    CHECK_EQ(rq.again, 2 * move);
    sched_dequeue(&rq, move + 2, &entities[1]);
    CHECK(sched_slice_end(&rq, move + 2) == NEVER); /* nobody waits: no tick for that */
    CHECK_EQ(rq.again, NEVER);
    CHECK(!sched_offers(&rq));
}

TEST(gives_where_the_entity_may_run)
{
    uint64_t only_here[ABI_MAX_CPUS / 64] = {BIT(0)}, only_two[ABI_MAX_CPUS / 64] = {BIT(2)};

    QUEUE(100, 100);
    memcpy(entities[1].cpus, only_here, sizeof(only_here));
    CHECK(sched_pick(&rq, 0) == &entities[0]);
    CHECK_EQ(give(L, 0, 0, NOBODY), NOBODY);
    CHECK(!sched_offers(&rq)); /* asking again and again would cost who runs here */
    CHECK_EQ(rq.again, 2 * L);
    memcpy(entities[1].cpus, only_two, sizeof(only_two));
    CHECK_EQ(give(2 * L, 0, 0, 2), 1);
}

/* Who is over its limit is of no use to an idle CPU. */
TEST(gives_nobody_who_is_held)
{
    QUEUE(100, 100, 100);
    groups[1].limit = 10;
    groups[1].held_until = 3 * L;
    CHECK(sched_pick(&rq, 0) == &entities[0]);
    CHECK_EQ(give(L, 0, 100, 1), 2);
    sched_dequeue(&rq, L, &entities[2]);
    CHECK(sched_holds(&rq));
    CHECK_EQ(rq.queued, 0);
    CHECK_EQ(give(L, 0, 100, NOBODY), NOBODY);
    CHECK_EQ(rq.again, NEVER);
}
