/*
 * Groups of entities. A guest is a group.
 *
 * Weight: the weight belongs to the group. The group's runnable entities, on all CPUs, share the weight evenly: if a
 * group has weight w and n runnable entities, each of them counts as an entity of weight w / n. So a guest with many
 * vCPUs gets as much as a guest with few, as far as it can use it. A vCPU that sleeps leaves its part to the others.
 *
 * Clock: a group decides which of its entities run, but it gains nothing by that. On each run queue a group has a
 * clock, the mean of its entities' virtual times there. All run time of its entities on that queue advances the clock.
 * No entity is more than L / SCHED_CREDIT_PART of run time behind the clock. So vCPUs that run in turns, each for a
 * short time after a rest, get together no more than one vCPU that runs all the time.
 *
 * Limit: a group may have a limit, in percent of one CPU. In the long run, its entities together run no longer than
 * that. At a time, they may run at most SCHED_LIMIT_BURST latencies more; afterwards all of them are held for it. Time
 * that the group has not used is kept for one latency, and no longer.
 *
 * The fields with _Atomic are written by all CPUs on which the group's entities are.
 */
#ifndef SCHED_GROUP_H
#define SCHED_GROUP_H

#include <stdatomic.h>

#include "abi/abi.h"

struct sched_group {
    uint32_t id;     /* 0..SCHED_GROUPS - 1; two groups that exist at the same time have different ones */
    uint32_t number; /* counts all groups that ever were: never used twice */
    uint32_t weight;
    _Atomic bool ending;       /* sched_group_end() was called */
    uint32_t limit;            /* percent of one CPU; SCHED_NO_LIMIT */
    _Atomic uint32_t runnable; /* entities, without those that wait on their CPU (sched_stop) */
    /* Groups with a limit: while this tick is not in the future, the group has not run more than its limit. Each charge
     * moves it on by ticks * 100 / limit. It never goes back. */
    _Atomic uint64_t paid_until;
    _Atomic uint64_t held_until; /* nobody of the group runs before that tick */
    _Atomic uint64_t bill;       /* ticks that others have worked for the group: part of its next charge */
};

#define SCHED_GROUPS   (ABI_MAX_VMS + 1) /* and control's */
#define SCHED_NO_LIMIT ((uint32_t)ABI_NO_CPU_LIMIT)
/* How many latencies a group with a limit may be ahead of it. */
#define SCHED_LIMIT_BURST 2

/* Only one thread may call this at a time. weight: 1..SCHED_MAX_WEIGHT. limit: 1..ABI_MAX_CPU_LIMIT percent, or
 * SCHED_NO_LIMIT. */
void sched_group_init(struct sched_group *g, uint32_t id, uint32_t weight, uint32_t limit);

/* The group's entities have nothing left to do but to end, and others wait for that. From now on the group counts as
 * one with the greatest weight and no limit. Any CPU may call this; afterwards, call sched_expedite() on each CPU. */
static inline void sched_group_end(struct sched_group *g)
{
    atomic_store_explicit(&g->ending, true, memory_order_relaxed);
}

/* From here on: for sched/ only. */

/* How many entities share the weight; at least 1. */
static inline uint32_t group_shares(const struct sched_group *g)
{
    uint32_t n = atomic_load_explicit(&g->runnable, memory_order_relaxed);

    return n ? n : 1;
}

static inline bool group_ending(const struct sched_group *g)
{
    return atomic_load_explicit(&g->ending, memory_order_relaxed);
}

/* Only for a group with a limit: one of its entities has run for so many ticks, until now. burst: by how many ticks the
 * group may be ahead of its limit. */
void group_spend(struct sched_group *g, uint64_t now, uint64_t ticks, uint64_t burst);

/* Only for a group with a limit: for how many ticks one of its entities may run on, as things stand now. burst: as
 * above. */
uint64_t group_allowance(const struct sched_group *g, uint64_t now, uint64_t burst);

static inline bool group_held(const struct sched_group *g, uint64_t now)
{
    return g->limit != SCHED_NO_LIMIT && now < atomic_load_explicit(&g->held_until, memory_order_relaxed) &&
           !group_ending(g);
}

#endif
