/* What a group of entities has run, against its limit: see sched/group.h. */
#include "sched/group.h"

void sched_group_init(struct sched_group *g, uint32_t id, uint32_t weight, uint32_t limit)
{
    static uint32_t number;

    number++;
    *g = (struct sched_group){.id = id, .number = number, .weight = weight, .limit = limit};
}

/* Ticks of a CPU as time at the limit's pace, and back. No product wraps: who ran that long is held long enough. */
static uint64_t at_limit(const struct sched_group *g, uint64_t ticks)
{
    return MIN(ticks, BIT(50)) * 100 / g->limit;
}

static uint64_t at_full_pace(const struct sched_group *g, uint64_t time)
{
    return MIN(time, BIT(48)) * g->limit / 100;
}

void group_spend(struct sched_group *g, uint64_t now, uint64_t ticks, uint64_t burst)
{
    uint64_t old, paid;

    old = atomic_load_explicit(&g->paid_until, memory_order_relaxed);
    /* What was not used before is not kept, but for a latency: so long others may have run and not been charged yet. */
    do
        paid = MAX(old, now - MIN(now, MAX(ticks, burst / SCHED_LIMIT_BURST))) + at_limit(g, ticks);
    while (
        !atomic_compare_exchange_weak_explicit(&g->paid_until, &old, paid, memory_order_relaxed, memory_order_relaxed));
    if (paid >= now + burst)
        atomic_store_explicit(&g->held_until, paid, memory_order_relaxed);
}

uint64_t group_allowance(const struct sched_group *g, uint64_t now, uint64_t burst)
{
    uint64_t paid, least = burst / 64;

    paid = MAX(atomic_load_explicit(&g->paid_until, memory_order_relaxed), now);
    if (paid >= now + burst)
        return least;
    /* All that run may do so at once. */
    return MAX(at_full_pace(g, now + burst - paid) / group_shares(g), least);
}
