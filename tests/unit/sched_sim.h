/*
 * A machine of several CPUs with a simulated clock that runs threads by sched/, calling it as root does. Threads are
 * hogs, which always want to run, or sleepers, which run for a burst and then sleep. Ticks are nanoseconds.
 */
#ifndef TESTS_UNIT_SCHED_SIM_H
#define TESTS_UNIT_SCHED_SIM_H

#include "sched/sched.h"
#include "tests/unit/test.h"

#define US          1000ull
#define MS          1000000ull
#define S           1000000000ull
#define LATENCY     (6 * MS)
#define SIM_CPUS    8
#define SIM_THREADS 64
#define SIM_KICK    (2 * US) /* from sending an interrupt to serving it */

enum sim_state { SIM_SLEEPING, SIM_WAITING, SIM_RUNNING };

struct sim_thread {
    struct sched_entity se;
    struct sched_group own;        /* if it is in none that it shares */
    uint64_t burst_min, burst_max; /* burst_min 0: a hog */
    uint64_t sleep_min, sleep_max;
    enum sim_state state;
    uint32_t cpu;
    uint64_t since;          /* in this state */
    uint64_t left;           /* of the burst */
    uint64_t wake_at;        /* while sleeping */
    struct sim_thread *next; /* wakes when this one goes to sleep; NULL: nobody */
    uint64_t max_wait;       /* the longest time from runnable to running */
    uint64_t max_wake;       /* the longest from a wake-up to running */
    bool woken;
};

struct sim {
    uint64_t now, seed;
    uint64_t lateness; /* ticks come up to so much after their time */
    uint32_t cpus;
    int threads;
    struct sim_thread thread[SIM_THREADS];
    struct sched_rq rq[SIM_CPUS];
    uint32_t loads[SIM_CPUS];
    uint64_t tick[SIM_CPUS]; /* NEVER: none */
    bool resched[SIM_CPUS];
    bool offers[SIM_CPUS];
    uint64_t kick[SIM_CPUS]; /* when an idle CPU's comes; NEVER: none */
    uint64_t waste_since;    /* a CPU idles while a thread waits that it could run; 0: no */
    uint64_t max_waste;
    uint64_t switches, migrations, kicks;
};

static inline uint64_t sim_between(struct sim *sim, uint64_t min, uint64_t max)
{
    return min + test_random(&sim->seed) % (max - min + 1);
}

static inline void sim_init(struct sim *sim, uint32_t cpus, uint64_t seed)
{
    memset(sim, 0, sizeof(*sim));
    sim->cpus = cpus;
    sim->seed = seed;
    sim->now = 1000 * S;
    for (uint32_t cpu = 0; cpu < cpus; cpu++) {
        sched_rq_init(&sim->rq[cpu], LATENCY);
        sim->tick[cpu] = sim->kick[cpu] = NEVER;
    }
}

static inline struct sim_thread *sim_of(struct sched_entity *se) { return CONTAINER_OF(se, struct sim_thread, se); }

static inline void sim_set_state(struct sim *sim, struct sim_thread *t, enum sim_state state)
{
    uint64_t waited = sim->now - t->since;

    if (t->state == SIM_WAITING && state == SIM_RUNNING) {
        t->max_wait = MAX(t->max_wait, waited);
        t->max_wake = MAX(t->max_wake, t->woken ? waited : 0);
        t->woken = false;
    }
    t->state = state;
    t->since = sim->now;
}

static inline void sim_enqueue(struct sim *sim, struct sim_thread *t, uint32_t cpu, enum sched_why why);

static inline void sim_migrate(struct sim *sim, struct sim_thread *t, uint32_t to)
{
    sched_dequeue(&sim->rq[t->cpu], sim->now, &t->se);
    sim->loads[t->cpu] = sched_load(&sim->rq[t->cpu]);
    sim->migrations++;
    sim_enqueue(sim, t, to, SCHED_MIGRATE);
}

/* There is use for a thread, on an idle CPU. */
static inline void sim_ask(struct sim *sim, uint32_t self)
{
    uint32_t cpu = sched_ask(self, sim->loads, sim->offers, sim->cpus);

    if (cpu == UINT32_MAX)
        return;
    sim->offers[cpu] = false;
    sim->kick[cpu] = MIN(sim->kick[cpu], sim->now + SIM_KICK);
    sim->kicks++;
}

/* This CPU gives a thread to one that idles. */
static inline void sim_give(struct sim *sim, uint32_t cpu)
{
    uint32_t target;
    struct sched_entity *se = sched_give(&sim->rq[cpu], sim->now, cpu, sim->loads, sim->cpus, &target);

    if (se) {
        CHECK(target != cpu && target < sim->cpus && sched_allowed(se, target));
        sim_migrate(sim, sim_of(se), target);
    } else if (sched_any_idle(sim->loads, sim->cpus)) {
        sim_ask(sim, cpu);
    }
}

static inline void sim_set_tick(struct sim *sim, uint32_t cpu)
{
    struct sched_rq *rq = &sim->rq[cpu];
    uint64_t end;

    while (sched_offers(rq) && sched_any_idle(sim->loads, sim->cpus) && rq->current)
        sim_give(sim, cpu);
    sim->offers[cpu] = sched_offers(rq);
    end = sched_slice_end(rq, sim->now);
    CHECK(end == NEVER || (end >= sim->now && (end <= sim->now + LATENCY || !rq->queued)));
    sim->tick[cpu] = end == NEVER ? NEVER : MAX(end, sim->now + 1) + sim_between(sim, 0, sim->lateness);
}

static inline void sim_enqueue(struct sim *sim, struct sim_thread *t, uint32_t cpu, enum sched_why why)
{
    struct sched_rq *rq = &sim->rq[cpu];

    t->cpu = cpu;
    sched_enqueue(rq, sim->now, &t->se, why);
    sim->loads[cpu] = sched_load(rq);
    if (sched_should_preempt(rq, sim->now))
        sim->resched[cpu] = true;
    else
        sim_set_tick(sim, cpu);
}

/* A thread of that group that starts on that CPU. burst_min 0: a hog. */
static inline struct sim_thread *sim_add_to(struct sim *sim, uint32_t cpu, struct sched_group *group,
                                            uint64_t burst_min, uint64_t burst_max, uint64_t sleep_min,
                                            uint64_t sleep_max)
{
    struct sim_thread *t = &sim->thread[sim->threads++];

    sched_entity_init(&t->se, group, NULL);
    t->burst_min = burst_min;
    t->burst_max = burst_max;
    t->sleep_min = sleep_min;
    t->sleep_max = sleep_max;
    t->left = burst_min ? sim_between(sim, burst_min, burst_max) : UINT64_MAX;
    t->since = sim->now;
    t->state = SIM_WAITING;
    sim_enqueue(sim, t, cpu, SCHED_NEW);
    return t;
}

static inline struct sim_thread *sim_add(struct sim *sim, uint32_t cpu, uint32_t weight, uint64_t burst_min,
                                         uint64_t burst_max, uint64_t sleep_min, uint64_t sleep_max)
{
    struct sched_group *own = &sim->thread[sim->threads].own;

    sched_group_init(own, (uint32_t)sim->threads, weight, SCHED_NO_LIMIT);
    return sim_add_to(sim, cpu, own, burst_min, burst_max, sleep_min, sleep_max);
}

static inline struct sim_thread *sim_add_hog(struct sim *sim, uint32_t cpu, uint32_t weight)
{
    return sim_add(sim, cpu, weight, 0, 0, 0, 0);
}

static inline void sim_wake(struct sim *sim, struct sim_thread *t)
{
    t->left = sim_between(sim, t->burst_min, t->burst_max);
    t->woken = true;
    sim_set_state(sim, t, SIM_WAITING);
    sim_enqueue(sim, t, sched_wake_cpu(&t->se, t->cpu, sim->loads, sim->cpus), SCHED_WAKE);
}

/* The CPU's current thread stops; another one, or the same, goes on. */
static inline void sim_switch(struct sim *sim, uint32_t cpu)
{
    struct sched_rq *rq = &sim->rq[cpu];
    struct sched_entity *se = rq->current;
    uint32_t target;

    sim->resched[cpu] = false;
    sim->switches++;
    sched_release(rq, sim->now);
    if (se) {
        struct sim_thread *t = sim_of(se);

        if (t->left > 0) {
            sim_set_state(sim, t, SIM_WAITING);
        } else {
            sim_set_state(sim, t, SIM_SLEEPING);
            t->wake_at = sim->now + sim_between(sim, t->sleep_min, t->sleep_max);
            if (t->next && t->next->state == SIM_SLEEPING)
                t->next->wake_at = sim->now;
        }
        sched_put(rq, sim->now, t->left > 0);
        sim->loads[cpu] = sched_load(rq);
    }
    se = sched_push(rq, sim->now, cpu, sim->loads, sim->cpus, &target);
    if (se) {
        CHECK(target != cpu && target < sim->cpus && sched_allowed(se, target));
        sim_migrate(sim, sim_of(se), target);
    }
    se = sched_pick(rq, sim->now);
    sim->loads[cpu] = sched_load(rq);
    if (se)
        sim_set_state(sim, sim_of(se), SIM_RUNNING);
    else
        sim_ask(sim, cpu);
    sim_set_tick(sim, cpu);
}

/* The CPU is interrupted: by its timer, or by one that idles. */
static inline void sim_interrupt(struct sim *sim, uint32_t cpu)
{
    bool tick = sim->tick[cpu] <= sim->now, asked = sim->kick[cpu] <= sim->now;

    if (asked)
        sim->kick[cpu] = NEVER;
    if (asked || sim->rq[cpu].again <= sim->now)
        sim_give(sim, cpu);
    sched_release(&sim->rq[cpu], sim->now);
    sched_charge(&sim->rq[cpu], sim->now);
    if ((tick || asked) && sched_should_preempt(&sim->rq[cpu], sim->now))
        sim->resched[cpu] = true;
    else
        sim_set_tick(sim, cpu);
}

static inline bool sim_is_held(const struct sim *sim, const struct sim_thread *t)
{
    const struct rb_node *node = rb_first(&sim->rq[t->cpu].held);

    while (node && node != &t->se.node)
        node = rb_next((struct rb_node *)node);
    return node;
}

/* The books of all queues are right; note how long CPUs idle while there is work for them. */
static inline void sim_check(struct sim *sim)
{
    uint32_t queued[SIM_CPUS] = {0}, load[SIM_CPUS] = {0};
    bool waste = false;

    for (int i = 0; i < sim->threads; i++) {
        struct sim_thread *t = &sim->thread[i];

        if (t->state == SIM_SLEEPING || sim_is_held(sim, t))
            continue;
        queued[t->cpu] += t->state == SIM_WAITING;
        load[t->cpu] += t->se.weight;
        CHECK(sched_allowed(&t->se, t->cpu));
        CHECK_EQ(sim->rq[t->cpu].current == &t->se, t->state == SIM_RUNNING);
        for (uint32_t cpu = 0; cpu < sim->cpus && t->state == SIM_WAITING; cpu++)
            waste =
                waste || (!sim->rq[cpu].current && sched_allowed(&t->se, cpu) && !group_held(t->se.group, sim->now));
    }
    for (uint32_t cpu = 0; cpu < sim->cpus; cpu++) {
        CHECK_EQ(sim->rq[cpu].queued, queued[cpu]);
        CHECK_EQ(sched_load(&sim->rq[cpu]), load[cpu]);
        CHECK(sim->rq[cpu].current || !queued[cpu]);
    }
    if (sim->waste_since)
        sim->max_waste = MAX(sim->max_waste, sim->now - sim->waste_since);
    sim->waste_since = !waste ? 0 : sim->waste_since ? sim->waste_since : sim->now;
}

static inline uint64_t sim_next_event(const struct sim *sim, uint64_t until)
{
    uint64_t next = until;

    for (int i = 0; i < sim->threads; i++) {
        const struct sim_thread *t = &sim->thread[i];

        if (t->state == SIM_SLEEPING)
            next = MIN(next, t->wake_at);
        else if (t->state == SIM_RUNNING && t->burst_min)
            next = MIN(next, sim->now + t->left);
    }
    for (uint32_t cpu = 0; cpu < sim->cpus; cpu++) {
        if (sim->resched[cpu])
            next = sim->now;
        else
            next = MIN(next, MIN(sim->tick[cpu], sim->kick[cpu]));
    }
    return MAX(next, sim->now);
}

static inline void sim_run(struct sim *sim, uint64_t ticks)
{
    uint64_t until = sim->now + ticks;

    while (sim->now < until) {
        uint64_t next = sim_next_event(sim, until), step = next - sim->now;

        sim->now = next;
        for (int i = 0; i < sim->threads; i++) {
            struct sim_thread *t = &sim->thread[i];

            if (t->state == SIM_RUNNING && t->burst_min) {
                t->left -= step;
                sim->resched[t->cpu] = sim->resched[t->cpu] || t->left == 0;
            } else if (t->state == SIM_SLEEPING && t->wake_at <= sim->now) {
                sim_wake(sim, t);
            }
        }
        for (uint32_t cpu = 0; cpu < sim->cpus; cpu++) {
            if (sim->tick[cpu] <= sim->now || sim->kick[cpu] <= sim->now)
                sim_interrupt(sim, cpu);
            if (sim->resched[cpu])
                sim_switch(sim, cpu);
        }
        /* A CPU that got a thread from a later one is about to switch at this same tick. */
        if (sim_next_event(sim, until) > sim->now)
            sim_check(sim);
    }
}

/* All CPUs charge their current threads, so that run_ticks are up to date. */
static inline void sim_settle(struct sim *sim)
{
    for (uint32_t cpu = 0; cpu < sim->cpus; cpu++)
        sched_charge(&sim->rq[cpu], sim->now);
}

#endif
