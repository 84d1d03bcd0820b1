/*
 * Groups of entities: a guest is one. The group has the weight, and its entities that are runnable, on whatever CPUs,
 * share it evenly: an entity of a group of weight w of which n are runnable counts as one of weight w / n. So a guest
 * with many vCPUs gets what one with few gets, as far as it can use it, and a vCPU that sleeps leaves its part to the
 * others.
 *
 * Who of a group runs is its own affair, and nothing is gained by it: on each run queue a group has a clock, the mean
 * of its entities' virtual times, which all that they run there makes advance. No entity is more than
 * L / SCHED_CREDIT_PART of run time behind it, so that vCPUs that run one after the other, each shortly and rested, get
 * no more together than one that runs all the time.
 *
 * A group may have a limit, in percent of one CPU. Its entities together then run no longer than that in the long run;
 * at most SCHED_LIMIT_BURST latencies more than that at a time, for which all of them are held afterwards. What it has
 * not used it may use within a latency, and not later.
 *
 * The fields with _Atomic are written by all CPUs on which the group's entities are.
 */
#ifndef SCHED_GROUP_H
#define SCHED_GROUP_H

#include <stdatomic.h>

#include "abi/abi.h"

struct sched_group {
    uint32_t id;     /* 0..SCHED_GROUPS - 1: no two groups that are there at a time have the same */
    uint32_t number; /* of the group among all that ever were */
    uint32_t weight;
    _Atomic bool ending;       /* its entities only have to end: below */
    uint32_t limit;            /* percent of one CPU; SCHED_NO_LIMIT */
    _Atomic uint32_t runnable; /* entities, those that wait for an interrupt on their CPU not counted */
    /* With a limit: run so far is in order if this is not later than now. Grows by ticks * 100 / limit, and not
     * back. */
    _Atomic uint64_t paid_until;
    _Atomic uint64_t held_until; /* nobody of the group runs before that tick */
    _Atomic uint64_t bill;       /* ticks that others have worked for the group: charged with its next own ones */
};

#define SCHED_GROUPS   (ABI_MAX_VMS + 1) /* and control's */
#define SCHED_NO_LIMIT ((uint32_t)ABI_NO_CPU_LIMIT)
/* How many latencies a group with a limit may be ahead of it. */
#define SCHED_LIMIT_BURST 2

/* One thread at a time. weight: 1..SCHED_MAX_WEIGHT. limit: 1..ABI_MAX_CPU_LIMIT percent, or SCHED_NO_LIMIT. */
void sched_group_init(struct sched_group *g, uint32_t id, uint32_t weight, uint32_t limit);

/* What is left for its entities to do is to end, and others wait for that: as if the group had the greatest weight and
 * no limit. Any CPU; sched_expedite() on each then. */
static inline void sched_group_end(struct sched_group *g)
{
    atomic_store_explicit(&g->ending, true, memory_order_relaxed);
}

/* For sched/ only, from here on. Entities that share the weight: 1 or more. */
static inline uint32_t group_shares(const struct sched_group *g)
{
    uint32_t n = atomic_load_explicit(&g->runnable, memory_order_relaxed);

    return n ? n : 1;
}

static inline bool group_ending(const struct sched_group *g)
{
    return atomic_load_explicit(&g->ending, memory_order_relaxed);
}

/* An entity of the group, which has a limit, has run for so many ticks, until now. burst: ticks that it may be
 * ahead. */
void group_spend(struct sched_group *g, uint64_t now, uint64_t ticks, uint64_t burst);

/* For so many ticks one entity of the group may run on, as things stand, of a group with a limit. */
uint64_t group_allowance(const struct sched_group *g, uint64_t now, uint64_t burst);

static inline bool group_held(const struct sched_group *g, uint64_t now)
{
    return g->limit != SCHED_NO_LIMIT && now < atomic_load_explicit(&g->held_until, memory_order_relaxed) &&
           !group_ending(g);
}

#endif
