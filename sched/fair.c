/* The policy `fair`: see sched/sched.h for the rule. Virtual time is in ticks of an entity of greatest weight. */
#include "sched/sched.h"

#define RATE_SHIFT 10
#define RATE_ONE   (SCHED_MAX_WEIGHT << RATE_SHIFT) /* rate of weight 1 */

/*
 * For 2^40 ticks or more the product wraps, and the result is too small, but less than 2^54 whatever happens. That is
 * good enough: it can only be the charge of one who was alone for minutes, and then no other's share is measured by it.
 */
static_assert(RATE_ONE < BIT(24), "rate * 2^40 fits 64 bits");

static uint64_t virtual_time(uint64_t ticks, uint32_t rate) { return ticks * rate >> RATE_SHIFT; }

static struct sched_entity *first_queued(const struct sched_rq *rq)
{
    struct rb_node *first = rb_first(&rq->tree);

    return first ? CONTAINER_OF(first, struct sched_entity, node) : NULL;
}

/* The floor follows whoever is furthest behind, but not back to a sleeper that just woke. */
static void raise_floor(struct sched_rq *rq)
{
    const struct sched_entity *first = first_queued(rq);
    uint64_t lowest;

    if (!rq->current && !first)
        return;
    lowest = rq->current ? rq->current->node.key : first->node.key;
    if (first && rb_key_before(first->node.key, lowest))
        lowest = first->node.key;
    if (rb_key_before(rq->floor, lowest))
        rq->floor = lowest;
}

void sched_charge(struct sched_rq *rq, uint64_t now)
{
    struct sched_entity *se = rq->current;

    now = rq->stopped ? rq->stopped : now;
    if (!se || now <= rq->charged)
        return;
    se->run_ticks += now - rq->charged;
    se->node.key += virtual_time(now - rq->charged, se->rate);
    rq->charged = now;
    raise_floor(rq);
}

static void insert(struct sched_rq *rq, struct sched_entity *se)
{
    rb_insert(&rq->tree, &se->node);
    rq->queued++;
}

static void erase(struct sched_rq *rq, struct sched_entity *se)
{
    rb_erase(&rq->tree, &se->node);
    rq->queued--;
}

/* The entity is on this queue no more: keep what it needs to be placed on another one. */
static void leave(struct sched_rq *rq, struct sched_entity *se)
{
    rq->load -= se->weight;
    se->home = rq;
    se->floor = rq->floor;
    se->ahead = (int64_t)(se->node.key - rq->floor);
}

/* How far behind the floor a sleeper may start. The entity is in rq->load already, but not in the tree. */
static int64_t most_credit(const struct sched_rq *rq, const struct sched_entity *se)
{
    uint32_t entities = rq->queued + (rq->current ? 1 : 0) + 1;
    uint32_t average_rate = (uint32_t)((uint64_t)RATE_ONE * entities / rq->load);

    return (int64_t)virtual_time(rq->latency / SCHED_CREDIT_PART, MIN(se->rate, average_rate));
}

static int64_t ahead_after_sleep(const struct sched_rq *rq, const struct sched_entity *se)
{
    int64_t credit = most_credit(rq, se);
    int64_t ahead = se->ahead;

    /* Unsigned, so that a floor that moved by more than 2^63 in a long sleep counts as that. */
    if (se->home == rq) {
        uint64_t moved = rq->floor - se->floor;

        ahead = ahead + credit <= 0 || moved >= (uint64_t)(ahead + credit) ? -credit : ahead - (int64_t)moved;
    }
    return MAX(ahead, -credit);
}

static uint64_t slice(const struct sched_rq *rq, const struct sched_entity *se)
{
    return MAX(rq->latency * se->weight / rq->load, rq->latency / SCHED_MIN_SLICE_PART);
}

void sched_rq_init(struct sched_rq *rq, uint64_t latency) { *rq = (struct sched_rq){.latency = latency}; }

void sched_entity_init(struct sched_entity *se, uint32_t weight, const uint64_t *cpus)
{
    *se = (struct sched_entity){.weight = weight, .rate = RATE_ONE / weight};
    for (unsigned i = 0; cpus && i < ARRAY_SIZE(se->cpus); i++)
        se->cpus[i] = cpus[i];
}

void sched_enqueue(struct sched_rq *rq, uint64_t now, struct sched_entity *se, enum sched_why why)
{
    int64_t ahead = 0;

    sched_charge(rq, now); /* the floor is where current is now: it may have run for hours */
    rq->load += se->weight;
    if (why == SCHED_WAKE)
        ahead = ahead_after_sleep(rq, se);
    else if (why == SCHED_MIGRATE)
        ahead = se->ahead;
    se->node.key = rq->floor + (uint64_t)ahead;
    se->arrived = rq->arrivals++;
    se->woken = why == SCHED_WAKE;
    insert(rq, se);
}

void sched_dequeue(struct sched_rq *rq, uint64_t now, struct sched_entity *se)
{
    sched_charge(rq, now);
    erase(rq, se);
    leave(rq, se);
}

struct sched_entity *sched_pick(struct sched_rq *rq, uint64_t now)
{
    struct sched_entity *se = first_queued(rq);

    if (se) {
        erase(rq, se);
        se->woken = false;
    }
    rq->current = se;
    rq->charged = now;
    return se;
}

void sched_put(struct sched_rq *rq, uint64_t now, bool runnable)
{
    struct sched_entity *se = rq->current;

    sched_charge(rq, now);
    rq->current = NULL;
    if (runnable)
        insert(rq, se);
    else
        leave(rq, se);
}

void sched_yield_current(struct sched_rq *rq, uint64_t now)
{
    const struct sched_entity *first = first_queued(rq);

    sched_charge(rq, now);
    if (first && rb_key_before(rq->current->node.key, first->node.key))
        rq->current->node.key = first->node.key;
    raise_floor(rq);
}

uint64_t sched_slice_end(struct sched_rq *rq, uint64_t now)
{
    const struct sched_entity *se = rq->current, *first = first_queued(rq);
    int64_t left;

    if (!first)
        return NEVER;
    if (!se)
        return now;
    sched_charge(rq, now);
    left = (int64_t)(first->node.key + virtual_time(slice(rq, se), se->rate) - se->node.key);
    if (left <= 0)
        return now;
    if ((uint64_t)left >= virtual_time(rq->latency, se->rate))
        return now + rq->latency;
    return now + ((uint64_t)left << RATE_SHIFT) / se->rate + 1;
}

bool sched_should_preempt(struct sched_rq *rq, uint64_t now)
{
    const struct sched_entity *first = first_queued(rq);
    uint64_t least;

    if (!first || !rq->current)
        return first != NULL;
    if (sched_slice_end(rq, now) <= now)
        return true;
    least = first->node.key + virtual_time(rq->latency / SCHED_MIN_SLICE_PART, first->rate);
    return first->woken && rb_key_before(least, rq->current->node.key);
}
