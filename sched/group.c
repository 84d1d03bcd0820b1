/* What a group of entities has run, against its limit: see sched/group.h. */
#include "sched/group.h"

void sched_group_init(struct sched_group *g, uint32_t id, uint32_t weight, uint32_t limit)
{
    static uint32_t number;

    number++;
    *g = (struct sched_group){.id = id, .number = number, .weight = weight, .limit = limit};
}

/* How long a group at its limit takes to run so many ticks. A greater number of ticks counts as 2^50: the product does
 * not wrap, and a group that ran for so long is held long enough anyhow. */
static uint64_t at_limit(const struct sched_group *g, uint64_t ticks)
{
    return MIN(ticks, BIT(50)) * 100 / g->limit;
}

/* The inverse: how many ticks a group at its limit runs in that time. A greater time counts as 2^48. */
static uint64_t at_full_pace(const struct sched_group *g, uint64_t time)
{
    return MIN(time, BIT(48)) * g->limit / 100;
}

void group_spend(struct sched_group *g, uint64_t now, uint64_t ticks, uint64_t burst)
{
    uint64_t old, paid;

    old = atomic_load_explicit(&g->paid_until, memory_order_relaxed);

    /* Unused time is kept for one latency only. For so long, others may have run without having been charged yet. */
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

    /* Divided by the number of runnable entities, since all of them may run at the same time. */
    return MAX(at_full_pace(g, now + burst - paid) / group_shares(g), least);
}
