/* Guests of several vCPUs on several CPUs: sched/group.h, on the simulated machine. */
// links: sched/fair.c sched/group.c sched/balance.c lib/rbtree.c
#include "tests/unit/sched_sim.h"

#define GUESTS 3

static struct sim sim;
static struct sched_group group[GUESTS];

struct plan {
    uint32_t cpus;
    struct {
        uint32_t vcpus, weight, limit; /* vcpus 0: no such guest */
    } guest[GUESTS];
};

static double wanted[GUESTS]; /* CPUs */

/*
 * What is right: CPUs are divided by weight among the guests, but no guest gets more than one for each vCPU, or than
 * its limit; what it cannot use, the others share by their weights.
 */
static void divide(const struct plan *plan)
{
    double left = plan->cpus;
    bool full[GUESTS] = {false};

    for (bool again = true; again;) {
        double total = 0;

        again = false;
        for (int g = 0; g < GUESTS; g++)
            total += full[g] || !plan->guest[g].vcpus ? 0 : plan->guest[g].weight;
        for (int g = 0; g < GUESTS && !again; g++) {
            double most = MIN(plan->guest[g].vcpus, plan->cpus), limit = plan->guest[g].limit / 100.0;

            if (full[g] || !plan->guest[g].vcpus)
                continue;
            most = plan->guest[g].limit == SCHED_NO_LIMIT ? most : MIN(most, limit);
            wanted[g] = left * plan->guest[g].weight / total;
            if (wanted[g] < most)
                continue;
            wanted[g] = most;
            left -= most;
            full[g] = again = true;
        }
    }
}

static uint64_t ran(int g)
{
    uint64_t ticks = 0;

    for (int i = 0; i < sim.threads; i++)
        ticks += sim.thread[i].se.group == &group[g] ? sim.thread[i].se.run_ticks : 0;
    return ticks;
}

/* All vCPUs are busy; all start on the first CPU. The greatest error, in parts of what is right. */
static double error_of(const struct plan *plan, uint64_t time)
{
    uint64_t before[GUESTS];
    double worst = 0;

    divide(plan);
    sim_init(&sim, plan->cpus, 1);
    sim.lateness = 50 * US;
    for (int g = 0; g < GUESTS; g++) {
        sched_group_init(&group[g], g, plan->guest[g].weight, plan->guest[g].limit);
        for (uint32_t i = 0; i < plan->guest[g].vcpus; i++)
            sim_add_to(&sim, 0, &group[g], 0, 0, 0, 0);
    }
    sim_run(&sim, 1 * S);
    sim_settle(&sim);
    for (int g = 0; g < GUESTS; g++)
        before[g] = ran(g);
    sim_run(&sim, time);
    sim_settle(&sim);
    for (int g = 0; g < GUESTS; g++) {
        double got = (double)(ran(g) - before[g]) / (double)time, off = got - wanted[g];

        if (plan->guest[g].vcpus)
            worst = MAX(worst, (off < 0 ? -off : off) / wanted[g]);
    }
    return worst;
}

/*
 * Where the guests' parts do not go with whole CPUs, a vCPU may have a CPU for itself though its part of its guest's
 * weight is less than that, and its siblings elsewhere are not charged for it: LOOSE. That is Linux' rule for task
 * groups, too.
 */
TEST(a_guest_has_one_weight_however_many_vcpus)
{
    static const uint32_t vcpus[] = {1, 2, 4, 8}, cpus[] = {1, 2, 4}, weights[] = {100, 200, 300, 1000};
    const double tight = 0.04, loose = 0.25;
    int plans = 0, over = 0;

    for (unsigned c = 0; c < ARRAY_SIZE(cpus); c++)
        for (unsigned a = 0; a < ARRAY_SIZE(vcpus); a++)
            for (unsigned b = 0; b < ARRAY_SIZE(vcpus); b++)
                for (unsigned w = 0; w < ARRAY_SIZE(weights); w++) {
                    struct plan plan = {cpus[c],
                                        {{vcpus[a], weights[w], SCHED_NO_LIMIT}, {vcpus[b], 100, SCHED_NO_LIMIT}}};
                    double error = error_of(&plan, 5 * S);

                    CHECK(error < (cpus[c] == 1 || weights[w] <= 200 ? tight : loose));
                    over += error >= tight;
                    plans++;
                }
    CHECK_EQ(plans, 192);
    CHECK(over <= 10);
}

TEST(three_guests)
{
    CHECK(error_of(&(struct plan){1, {{1, 100, SCHED_NO_LIMIT}, {4, 100, SCHED_NO_LIMIT}, {8, 100, SCHED_NO_LIMIT}}},
                   5 * S) < 0.03);
    CHECK(error_of(&(struct plan){2, {{1, 100, SCHED_NO_LIMIT}, {4, 100, SCHED_NO_LIMIT}, {8, 100, SCHED_NO_LIMIT}}},
                   5 * S) < 0.03);
    CHECK(error_of(&(struct plan){2, {{2, 200, SCHED_NO_LIMIT}, {2, 100, SCHED_NO_LIMIT}, {2, 100, SCHED_NO_LIMIT}}},
                   5 * S) < 0.03);
    CHECK(error_of(&(struct plan){4, {{8, 100, SCHED_NO_LIMIT}, {2, 100, SCHED_NO_LIMIT}, {1, 300, SCHED_NO_LIMIT}}},
                   5 * S) < 0.04);
}

/* Alone, together with another guest, and on several CPUs. */
TEST(limits)
{
    static const uint32_t limits[] = {1, 10, 50, 99, 100, 150, 250}, cpus[] = {1, 2, 4};

    for (unsigned c = 0; c < ARRAY_SIZE(cpus); c++)
        for (unsigned l = 0; l < ARRAY_SIZE(limits); l++)
            for (uint32_t vcpus = 1; vcpus <= 8; vcpus *= 2) {
                struct plan alone = {cpus[c], {{vcpus, 100, limits[l]}}};
                struct plan beside = {cpus[c], {{vcpus, 100, limits[l]}, {cpus[c], 100, SCHED_NO_LIMIT}}};

                CHECK(error_of(&alone, 10 * S) < 0.005);
                CHECK(error_of(&beside, 10 * S) < 0.03);
                CHECK(sim.max_waste <= LATENCY / SCHED_MOVE_PART + sim.lateness + SIM_CPUS * SIM_KICK);
                CHECK(ran(0) <= (uint64_t)(11.3 * S * limits[l] / 100)); /* of 11 s */
            }
}

/* In no 100 ms does it run for more than its limit and the burst. */
TEST(limits_hold_over_short_times)
{
    uint64_t before = 0;

    sim_init(&sim, 2, 1);
    sim.lateness = 50 * US;
    sched_group_init(&group[0], 0, 100, 50);
    for (int i = 0; i < 4; i++)
        sim_add_to(&sim, 0, &group[0], 0, 0, 0, 0);
    for (int i = 0; i < 200; i++) {
        sim_run(&sim, 100 * MS);
        sim_settle(&sim);
        CHECK(ran(0) - before <= 50 * MS + 2 * SCHED_LIMIT_BURST * LATENCY);
        before = ran(0);
    }
    CHECK(before >= 200 * 50 * MS * 97 / 100);
}

/* Three of four vCPUs sleep almost all the time: the fourth has the whole guest's weight. */
TEST(who_sleeps_keeps_no_share)
{
    uint64_t before;

    sim_init(&sim, 1, 1);
    sched_group_init(&group[0], 0, 100, SCHED_NO_LIMIT);
    sched_group_init(&group[1], 1, 100, SCHED_NO_LIMIT);
    sim_add_to(&sim, 0, &group[0], 0, 0, 0, 0);
    for (int i = 0; i < 3; i++)
        sim_add_to(&sim, 0, &group[0], 10 * US, 20 * US, 10 * MS, 20 * MS);
    sim_add_to(&sim, 0, &group[1], 0, 0, 0, 0);
    sim_run(&sim, 1 * S);
    sim_settle(&sim);
    before = ran(0);
    sim_run(&sim, 10 * S);
    sim_settle(&sim);
    CHECK(ran(0) - before > 48 * S / 10);
    CHECK(ran(0) - before < 52 * S / 10);
    CHECK_EQ(group[0].runnable + group[1].runnable >= 2, true);
}

/* Sleeping and waking in any rhythm, on two CPUs, does not get a guest of many vCPUs more than its share. */
TEST(no_rhythm_gains)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        uint64_t scale;

        sim_init(&sim, 2, seed);
        scale = 1ull << sim_between(&sim, 14, 23);
        sched_group_init(&group[0], 0, 100, SCHED_NO_LIMIT);
        sched_group_init(&group[1], 1, 100, SCHED_NO_LIMIT);
        for (int i = 0; i < 6; i++)
            sim_add_to(&sim, 0, &group[0], scale, 4 * scale, 1, scale / 4);
        for (int i = 0; i < 2; i++)
            sim_add_to(&sim, 0, &group[1], 0, 0, 0, 0);
        sim_run(&sim, 10 * S);
        sim_settle(&sim);
        CHECK(ran(1) >= 95 * S / 10);
    }
}

/* What others have worked for a guest is taken from its own time. */
TEST(bills_are_paid)
{
    uint64_t before[2];

    sim_init(&sim, 1, 1);
    for (int g = 0; g < 2; g++) {
        sched_group_init(&group[g], g, 100, SCHED_NO_LIMIT);
        for (int i = 0; i < 2; i++)
            sim_add_to(&sim, 0, &group[g], 0, 0, 0, 0);
    }
    sim_run(&sim, 1 * S);
    sim_settle(&sim);
    before[0] = ran(0), before[1] = ran(1);
    for (int i = 0; i < 1000; i++) { /* 0.2 of the CPU */
        sim_run(&sim, 10 * MS);
        group[0].bill += 2 * MS;
    }
    sim_settle(&sim);
    CHECK(ran(0) - before[0] > 39 * S / 10 && ran(0) - before[0] < 41 * S / 10);
    CHECK(ran(1) - before[1] > 59 * S / 10 && ran(1) - before[1] < 61 * S / 10);
}

/* vCPUs that wake each other, so that always one runs and the others sleep. */
TEST(a_relay_gains_nothing)
{
    static const uint32_t vcpus[] = {2, 4, 8, 32}, weights[] = {10, 100, 1000};
    static const uint64_t bursts[] = {50 * US, 500 * US, 2 * MS, 5 * MS};

    for (unsigned n = 0; n < ARRAY_SIZE(vcpus); n++)
        for (unsigned b = 0; b < ARRAY_SIZE(bursts); b++)
            for (unsigned w = 0; w < ARRAY_SIZE(weights); w++) {
                uint64_t before;
                double right = 100.0 / (100 + weights[w]), got;

                sim_init(&sim, 1, 1);
                sched_group_init(&group[0], 0, weights[w], SCHED_NO_LIMIT);
                sched_group_init(&group[1], 1, 100, SCHED_NO_LIMIT);
                for (uint32_t i = 0; i < vcpus[n]; i++)
                    sim_add_to(&sim, 0, &group[0], bursts[b], bursts[b], 100 * S, 100 * S);
                for (uint32_t i = 0; i < vcpus[n]; i++)
                    sim.thread[i].next = &sim.thread[(i + 1) % vcpus[n]];
                sim_add_to(&sim, 0, &group[1], 0, 0, 0, 0);

                sim_run(&sim, 1 * S);
                sim_settle(&sim);
                before = ran(1);
                sim_run(&sim, 10 * S);
                sim_settle(&sim);
                got = (double)(ran(1) - before) / (10 * S);
                CHECK(got >= right * 0.98 && got <= right * 1.02);
            }
}

/* Who wakes now and then is not held up by a sibling that runs all the time, and the two have their guest's share. */
TEST(siblings_share_what_their_guest_has)
{
    uint64_t hog, sleeper, other;

    sim_init(&sim, 1, 1);
    sched_group_init(&group[0], 0, 100, SCHED_NO_LIMIT);
    sched_group_init(&group[1], 1, 100, SCHED_NO_LIMIT);
    sim_add_to(&sim, 0, &group[0], 0, 0, 0, 0);
    sim_add_to(&sim, 0, &group[0], 3 * MS, 3 * MS, 10 * MS, 10 * MS);
    sim_add_to(&sim, 0, &group[1], 0, 0, 0, 0);
    sim_run(&sim, 1 * S);
    sim_settle(&sim);
    hog = sim.thread[0].se.run_ticks, sleeper = sim.thread[1].se.run_ticks, other = ran(1);

    sim_run(&sim, 10 * S);
    sim_settle(&sim);
    CHECK(ran(1) - other > 48 * S / 10 && ran(1) - other < 52 * S / 10);
    CHECK(sim.thread[1].se.run_ticks - sleeper > 15 * S / 10);
    CHECK(sim.thread[0].se.run_ticks - hog > 24 * S / 10);
}

/* A guest in the place of one that has ended has nothing of its debts. */
TEST(a_new_guest_owes_nothing)
{
    sim_init(&sim, 1, 1);
    sched_group_init(&group[0], 0, 1, SCHED_NO_LIMIT);
    sched_group_init(&group[1], 1, 10000, SCHED_NO_LIMIT);
    sim_add_to(&sim, 0, &group[0], 20 * MS, 20 * MS, 100 * S, 100 * S);
    sim_add_to(&sim, 0, &group[1], 0, 0, 0, 0);
    sim_run(&sim, 1 * S);

    sched_group_init(&group[2], 0, 100, SCHED_NO_LIMIT);
    sim_add_to(&sim, 0, &group[2], 100 * US, 100 * US, 10 * MS, 10 * MS);
    sim_run(&sim, 5 * S);
    CHECK(sim.thread[2].max_wake < 100 * MS);
}

/* The threads of a guest that has ended are gone soon, whatever it weighed and was owed, and whatever its limit is. */
TEST(who_ends_does_not_wait)
{
    static const uint32_t limits[] = {1, SCHED_NO_LIMIT};

    for (unsigned l = 0; l < ARRAY_SIZE(limits); l++) {
        uint64_t before[8];

        sim_init(&sim, 1, 1);
        sched_group_init(&group[0], 0, 1, limits[l]);
        sched_group_init(&group[1], 1, 10000, SCHED_NO_LIMIT);
        for (int i = 0; i < 8; i++)
            sim_add_to(&sim, 0, &group[0], 0, 0, 0, 0);
        sim_add_to(&sim, 0, &group[1], 0, 0, 0, 0);
        sim_run(&sim, 20 * S);
        sim_settle(&sim);
        for (int i = 0; i < 8; i++)
            before[i] = sim.thread[i].se.run_ticks;

        sched_group_end(&group[0]);
        sched_expedite(&sim.rq[0], sim.now);
        sim_set_tick(&sim, 0);
        sim_run(&sim, 50 * MS);
        sim_settle(&sim);
        for (int i = 0; i < 8; i++)
            CHECK(sim.thread[i].se.run_ticks - before[i] >= 500 * US);
    }
}
