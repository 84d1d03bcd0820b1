/* The policy `fair`: see sched/sched.h for the rule. Virtual time is in ticks of an entity of greatest weight. */
#include "sched/sched.h"

#define RATE_SHIFT 10
#define RATE_ONE   (SCHED_MAX_WEIGHT << RATE_SHIFT) /* rate of weight 1 */

static_assert((uint64_t)RATE_ONE * (ABI_MAX_VCPUS + 1) <= UINT32_MAX, "a rate fits 32 bits");

/* One charge counts at most so many ticks. Otherwise a key could move so far that it seems to be in the past. Only an
 * entity that was alone for minutes can have run for longer, and then no other entity's share is measured by that. */
#define LONGEST BIT(38)

/* ticks: at most LONGEST (each latency is less). The answer is below 2^60. */
static uint64_t virtual_time(uint64_t ticks, uint32_t rate)
{
    return (uint64_t)((unsigned __int128)ticks * rate >> RATE_SHIFT);
}

static struct sched_entity *first_queued(const struct sched_rq *rq)
{
    struct rb_node *first = rb_first(&rq->tree);

    return first ? CONTAINER_OF(first, struct sched_entity, node) : NULL;
}

/* The floor follows the entity that is furthest behind. It does not go back to a sleeper that just woke. */
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

/* Compute the entity's part of its group's weight, if so many entities share that weight. */
static void set_shares(struct sched_entity *se, uint32_t shares)
{
    uint32_t weight = group_ending(se->group) ? SCHED_MAX_WEIGHT : se->group->weight;

    se->shares = shares;
    se->weight = MAX(weight * SCHED_UNIT / shares, 1u);
    se->rate = RATE_ONE * shares / weight;
}

/* As set_shares(), for an entity that is in the queue's load. */
static void follow_shares(struct sched_rq *rq, struct sched_entity *se, uint32_t shares)
{
    rq->load -= se->weight;
    set_shares(se, shares);
    rq->load += se->weight;
}

/* By how many ticks a group may be ahead of its limit. */
static uint64_t burst(const struct sched_rq *rq)
{
    return SCHED_LIMIT_BURST * rq->latency;
}

static uint64_t take_bill(struct sched_group *g)
{
    if (!atomic_load_explicit(&g->bill, memory_order_relaxed))
        return 0;
    return atomic_exchange_explicit(&g->bill, 0, memory_order_relaxed);
}

/* Advance the entity's virtual time, and with it the mean of its group's. */
static void advance(struct sched_entity *se, uint64_t time)
{
    struct sched_clock *clock = se->clock;

    se->node.key += time;
    clock->key += clock->here > 1 ? time / clock->here : time;
}

/* For an entity that is about to be queued: it may be no more than L / SCHED_CREDIT_PART of run time behind its group's
 * mean. */
static void follow_group(struct sched_rq *rq, struct sched_entity *se)
{
    uint64_t mean = se->clock->key, least;

    if (!rb_key_before(se->node.key, mean) || group_ending(se->group))
        return;

    least = mean - virtual_time(rq->latency / SCHED_CREDIT_PART, se->rate);
    if (rb_key_before(se->node.key, least))
        se->node.key = least;
}

static void charge_current(struct sched_rq *rq, uint64_t now)
{
    struct sched_entity *se = rq->current;
    struct sched_group *group = se->group;
    uint32_t shares;
    uint64_t ticks;

    now = rq->stopped ? rq->stopped : now;
    if (now <= rq->charged)
        return;

    ticks = now - rq->charged;
    rq->charged = now;
    se->run_ticks += ticks;
    ticks += take_bill(group);

    /* The number of shares may have changed since the last charge. The greater of the two numbers counts, so an entity
     * gains nothing by sleeping while others are charged. */
    shares = group_shares(group);
    if (shares > se->shares)
        follow_shares(rq, se, shares);
    advance(se, virtual_time(MIN(ticks, LONGEST), se->rate));
    if (shares < se->shares)
        follow_shares(rq, se, shares);

    if (group->limit != SCHED_NO_LIMIT)
        group_spend(group, now, ticks, burst(rq));
    raise_floor(rq);
}

/* Most calls come at a tick up to which current has been charged already. */
static inline void charge(struct sched_rq *rq, uint64_t now)
{
    if (rq->current && now > rq->charged)
        charge_current(rq, now);
}

void sched_charge(struct sched_rq *rq, uint64_t now)
{
    charge(rq, now);
}

static void insert(struct sched_rq *rq, uint64_t now, struct sched_entity *se)
{
    se->since = now;
    rb_insert(&rq->tree, &se->node);
    rq->queued++;
}

static void erase(struct sched_rq *rq, struct sched_entity *se)
{
    rb_erase(&rq->tree, &se->node);
    rq->queued--;
}

/* The entity leaves this queue: keep what is needed to place it on another one. */
static void leave(struct sched_rq *rq, struct sched_entity *se)
{
    rq->load -= se->weight;
    se->clock->here--;
    se->clock->floor = rq->floor;
    se->home = rq;
    se->floor = rq->floor;
    se->ahead = (int64_t)(se->node.key - rq->floor);
}

/* As leave(), and the entity no longer shares its group's weight. */
static void sleep(struct sched_rq *rq, struct sched_entity *se)
{
    leave(rq, se);
    atomic_fetch_sub_explicit(&se->group->runnable, 1, memory_order_relaxed);
}

/* The group is over its limit, so the entity has to wait in rq->held. Before the call it is in the queue's load, but
 * not in the tree. */
static void hold(struct sched_rq *rq, struct sched_entity *se)
{
    sleep(rq, se);
    se->node.key = atomic_load_explicit(&se->group->held_until, memory_order_relaxed);
    rb_insert(&rq->held, &se->node);
}

/* How far behind the floor an entity that slept may start, in virtual time. The entity is in rq->load already, but not
 * in the tree. */
static int64_t most_credit(const struct sched_rq *rq, const struct sched_entity *se)
{
    uint32_t entities = rq->queued + (rq->current ? 1 : 0) + 1;
    uint64_t average_rate = (uint64_t)RATE_ONE * SCHED_UNIT * entities / rq->load;

    return (int64_t)virtual_time(rq->latency / SCHED_CREDIT_PART, (uint32_t)MIN(se->rate, average_rate));
}

/* Has the queue's floor moved by `distance` or more since it was at `floor`? The comparison is unsigned, so the answer
 * is right even if the floor has moved by more than 2^63 during a long sleep. */
static bool has_passed(const struct sched_rq *rq, uint64_t floor, int64_t distance)
{
    return distance <= 0 || rq->floor - floor >= (uint64_t)distance;
}

/* Where an entity that slept starts: its distance to the floor of rq, negative if it is behind. */
static int64_t ahead_after_sleep(const struct sched_rq *rq, const struct sched_entity *se, int64_t credit)
{
    int64_t ahead = se->ahead;

    if (se->home == rq)
        ahead = has_passed(rq, se->floor, ahead + credit) ? -credit : ahead - (int64_t)(rq->floor - se->floor);
    return MAX(ahead, -credit);
}

static uint64_t slice(const struct sched_rq *rq, const struct sched_entity *se)
{
    return MAX(rq->latency * se->weight / rq->load, rq->latency / SCHED_MIN_SLICE_PART);
}

void sched_rq_init(struct sched_rq *rq, uint64_t latency)
{
    *rq = (struct sched_rq){.latency = latency, .again = NEVER};
}

void sched_entity_init(struct sched_entity *se, struct sched_group *group, const uint64_t *cpus)
{
    *se = (struct sched_entity){.group = group};
    set_shares(se, 1);
    for (unsigned i = 0; cpus && i < ARRAY_SIZE(se->cpus); i++)
        se->cpus[i] = cpus[i];
}

/* Count the entity, whose key is set, in its group's clock on this queue. If none of the group's entities was here
 * before, its clock has stood still: then it goes forward to `credit` behind the floor, if it is not there already. */
static void join_group(struct sched_rq *rq, struct sched_entity *se, int64_t credit)
{
    struct sched_clock *clock = &rq->clock[se->group->id];

    se->clock = clock;
    if (clock->number != se->group->number)
        *clock = (struct sched_clock){.number = se->group->number, .key = se->node.key};
    else if (!clock->here && has_passed(rq, clock->floor, (int64_t)(clock->key - clock->floor) + credit))
        clock->key = rq->floor - (uint64_t)credit;
    clock->here++;
}

void sched_enqueue(struct sched_rq *rq, uint64_t now, struct sched_entity *se, enum sched_why why)
{
    struct sched_group *group = se->group;
    int64_t ahead = 0, credit;
    uint32_t shares;

    /* The floor must be where current is now: current may have run for hours. */
    charge(rq, now);

    if (why == SCHED_MIGRATE)
        shares = group_shares(group);
    else
        shares = atomic_fetch_add_explicit(&group->runnable, 1, memory_order_relaxed) + 1;
    if (shares != se->shares || group_ending(group))
        set_shares(se, shares);
    rq->load += se->weight;

    credit = most_credit(rq, se);
    if (why == SCHED_WAKE)
        ahead = ahead_after_sleep(rq, se, credit);
    else if (why == SCHED_MIGRATE)
        ahead = se->ahead;
    if (group_ending(group))
        ahead = 0;

    se->node.key = rq->floor + (uint64_t)ahead;
    join_group(rq, se, credit);
    follow_group(rq, se);

    se->arrived = rq->arrivals++;
    se->woken = why == SCHED_WAKE;
    if (group_held(group, now))
        hold(rq, se);
    else
        insert(rq, now, se);
}

void sched_set_aside(struct sched_rq *rq, uint64_t now)
{
    struct rb_node *node = rb_first(&rq->tree), *next;

    for (unsigned i = 0; node && i < SCHED_PUSH_SCAN; i++, node = next) {
        struct sched_entity *se = CONTAINER_OF(node, struct sched_entity, node);

        next = rb_next(node);
        if (!group_held(se->group, now))
            continue;
        erase(rq, se);
        hold(rq, se);
    }
}

void sched_release_due(struct sched_rq *rq, uint64_t now)
{
    struct rb_node *node;

    while ((node = rb_first(&rq->held)) && node->key <= now) {
        struct sched_entity *se = CONTAINER_OF(node, struct sched_entity, node);

        rb_erase(&rq->held, node);
        /* If others of the group ran meanwhile, this holds the entity again, for longer. */
        sched_enqueue(rq, now, se, SCHED_WAKE);
    }
}

static void expedite_held(struct sched_rq *rq, uint64_t now)
{
    struct rb_node *node, *next;

    for (node = rb_first(&rq->held); node; node = next) {
        struct sched_entity *se = CONTAINER_OF(node, struct sched_entity, node);

        next = rb_next(node);
        if (!group_ending(se->group))
            continue;
        rb_erase(&rq->held, node);
        sched_enqueue(rq, now, se, SCHED_WAKE);
    }
}

void sched_expedite(struct sched_rq *rq, uint64_t now)
{
    struct rb_node *node, *next;

    charge(rq, now);
    for (node = rb_first(&rq->tree); node; node = next) {
        struct sched_entity *se = CONTAINER_OF(node, struct sched_entity, node);

        next = rb_next(node);
        if (!group_ending(se->group) || !rb_key_before(rq->floor, node->key))
            continue;
        erase(rq, se);
        follow_shares(rq, se, group_shares(se->group));
        node->key = rq->floor;
        insert(rq, now, se);
    }
    expedite_held(rq, now);
}

void sched_dequeue(struct sched_rq *rq, uint64_t now, struct sched_entity *se)
{
    charge(rq, now);
    erase(rq, se);
    leave(rq, se);
}

struct sched_entity *sched_pick(struct sched_rq *rq, uint64_t now)
{
    struct sched_entity *se;

    while ((se = first_queued(rq))) {
        erase(rq, se);
        if (!group_held(se->group, now))
            break;
        hold(rq, se);
    }

    if (se) {
        uint32_t shares = group_shares(se->group);

        se->woken = false;
        if (shares != se->shares)
            follow_shares(rq, se, shares);
    }

    rq->current = se;
    rq->charged = now;
    return se;
}

void sched_put(struct sched_rq *rq, uint64_t now, bool runnable)
{
    struct sched_entity *se = rq->current;

    charge(rq, now);

    rq->current = NULL;
    if (!runnable)
        sleep(rq, se);
    else if (group_held(se->group, now))
        hold(rq, se);
    else {
        follow_group(rq, se);
        insert(rq, now, se);
    }
}

void sched_yield_current(struct sched_rq *rq, uint64_t now)
{
    const struct sched_entity *first = first_queued(rq);

    charge(rq, now);
    if (first && rb_key_before(rq->current->node.key, first->node.key))
        rq->current->node.key = first->node.key;
    raise_floor(rq);
}

/* For how much virtual time current may still run while `first` waits; 0 or less: current's turn is over. */
static int64_t turn_left(const struct sched_rq *rq, const struct sched_entity *first)
{
    const struct sched_entity *se = rq->current;

    return (int64_t)(first->node.key + virtual_time(slice(rq, se), se->rate) - se->node.key);
}

/* When current's turn ends because others wait. */
static inline uint64_t turn_end(struct sched_rq *rq, uint64_t now)
{
    const struct sched_entity *se = rq->current, *first = first_queued(rq);
    int64_t left;

    if (!first)
        return NEVER;
    if (!se)
        return now;

    charge(rq, now);
    left = turn_left(rq, first);
    if (left <= 0)
        return now;
    if ((uint64_t)left >= virtual_time(rq->latency, se->rate))
        return now + rq->latency;
    return now + ((uint64_t)left << RATE_SHIFT) / se->rate + 1;
}

/* When current's turn ends because its group has a limit. */
static __attribute__((noinline)) uint64_t limit_end(struct sched_rq *rq, uint64_t now)
{
    charge(rq, now);
    return now + group_allowance(rq->current->group, now, burst(rq));
}

uint64_t sched_slice_end(struct sched_rq *rq, uint64_t now)
{
    const struct rb_node *held = rb_first(&rq->held);
    const struct sched_entity *se = rq->current;
    uint64_t end = turn_end(rq, now);

    if (held)
        end = MIN(end, MAX(held->key, now));
    if (se && se->group->limit != SCHED_NO_LIMIT && !rq->stopped)
        end = MIN(end, limit_end(rq, now));

    if (rq->again >= end)
        return end;
    if (rq->queued)
        return MAX(rq->again, now);

    /* No entity waits any more. */
    rq->again = NEVER;
    return end;
}

bool sched_should_preempt(struct sched_rq *rq, uint64_t now)
{
    const struct sched_entity *se = rq->current, *first = first_queued(rq);
    uint64_t least;

    /* After sched_stop, current does not use the CPU, and gives way by itself when another entity may run. */
    if (se && group_held(se->group, now) && !rq->stopped)
        return true;
    if (!first || !se)
        return first != NULL;

    charge(rq, now);
    if (first->woken) {
        least = first->node.key + virtual_time(rq->latency / SCHED_MIN_SLICE_PART, first->rate);
        if (rb_key_before(least, se->node.key))
            return true;
    }
    return turn_left(rq, first) <= 0;
}
