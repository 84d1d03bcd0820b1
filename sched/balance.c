/* Which CPU should run which entity. Shares are fair if the loads are equal; sched/sched.h says what is promised. */
#include "sched/sched.h"

#define NO_CPU UINT32_MAX

bool sched_allowed(const struct sched_entity *se, uint32_t cpu)
{
    uint64_t any = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(se->cpus); i++)
        any |= se->cpus[i];
    return !any || (se->cpus[cpu / 64] & BIT(cpu % 64));
}

/* Another CPU may write its load at the same time. */
static uint32_t read_load(const uint32_t *loads, uint32_t cpu)
{
    return __atomic_load_n(&loads[cpu], __ATOMIC_RELAXED);
}

/* Does any other CPU have less load than this one? */
static bool any_has_less(const struct sched_rq *rq, uint32_t self, const uint32_t *loads, uint32_t cpu_count)
{
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        if (cpu != self && read_load(loads, cpu) < rq->load)
            return true;
    return false;
}

/* The least loaded of all CPUs that the entity may use, except `self`. Of equals: the next one after `self`. NO_CPU:
 * there is none. */
static uint32_t least_loaded(const struct sched_entity *se, uint32_t self, const uint32_t *loads, uint32_t cpu_count)
{
    uint32_t best = NO_CPU, best_load = UINT32_MAX, cpu = self;

    for (uint32_t i = 1; i < cpu_count; i++) {
        uint32_t load;

        cpu = cpu + 1 < cpu_count ? cpu + 1 : 0;
        load = read_load(loads, cpu);
        if (load < best_load && sched_allowed(se, cpu)) {
            best = cpu;
            best_load = load;
        }
    }
    return best;
}

uint32_t sched_wake_cpu(const struct sched_entity *se, uint32_t prev, const uint32_t *loads, uint32_t cpu_count)
{
    uint32_t other = least_loaded(se, prev, loads, cpu_count);

    if (other == NO_CPU || (sched_allowed(se, prev) && read_load(loads, prev) <= read_load(loads, other)))
        return prev;
    return other;
}

/* A candidate for sched_push, and what its move would leave behind. */
struct push {
    struct sched_entity *se;
    uint32_t target;
    uint64_t imbalance; /* between the two CPUs afterwards */
};

static bool better(const struct push *a, const struct push *b)
{
    if (!b->se || a->imbalance != b->imbalance)
        return !b->se || a->imbalance < b->imbalance;
    if (a->se->weight != b->se->weight)
        return a->se->weight < b->se->weight;

    /* The one that has been on this queue for longest: so all take turns. */
    return a->se->arrived < b->se->arrived;
}

/*
 * Add to rq->surplus: how much more load this CPU has than another one, times the ticks for which that was so. most:
 * the greatest such difference now. The sum starts anew when an entity is given away, and when there is no difference.
 */
static void sum_up(struct sched_rq *rq, uint64_t now, int64_t most)
{
    uint64_t ticks = MIN(now - rq->looked, rq->latency);

    rq->looked = now;

    /* A greater difference needs no sum: the entity is given away at once, if another CPU may take it. */
    most = MIN(most, (int64_t)SCHED_MAX_WEIGHT * SCHED_UNIT);
    rq->surplus = most > 0 ? MIN(rq->surplus + (uint64_t)most * ticks, BIT(62)) : 0;
}

/*
 * The queued entity to be given away, if any, and its new CPU.
 *   wait    only an entity that has waited for so many ticks is chosen
 *   *most   by how much this CPU's load exceeds that of another one, at most; 0: it does not
 *   *when   the first tick at which another candidate will have waited for long enough; NEVER: there is none
 */
static inline __attribute__((always_inline)) struct push choose(struct sched_rq *rq, uint64_t now, uint64_t wait,
                                                                uint32_t self, const uint32_t *loads,
                                                                uint32_t cpu_count, int64_t *most, uint64_t *when)
{
    struct push best = {.se = NULL};
    struct rb_node *node = rb_first(&rq->tree);

    *most = 0;
    *when = NEVER;
    for (unsigned i = 0; node && i < SCHED_PUSH_SCAN; i++, node = rb_next(node)) {
        struct push push = {.se = CONTAINER_OF(node, struct sched_entity, node)};
        int64_t weight = push.se->weight, load, gap, after;

        push.target = least_loaded(push.se, self, loads, cpu_count);
        if (push.target == NO_CPU)
            continue;

        load = read_load(loads, push.target);
        gap = (int64_t)rq->load - load;
        *most = MAX(*most, gap);

        if (gap < 2 * weight && (load || gap < weight) &&
            (gap <= 0 || rq->current || rq->surplus / SCHED_TURN / rq->latency < (uint64_t)weight))
            continue;

        if (wait && now < push.se->since + wait) {
            *when = MIN(*when, push.se->since + wait);
            continue;
        }

        after = gap - 2 * weight;
        push.imbalance = (uint64_t)(after < 0 ? -after : after);
        if (better(&push, &best))
            best = push;
    }
    return best;
}

struct sched_entity *sched_push(struct sched_rq *rq, uint64_t now, uint32_t self, const uint32_t *loads,
                                uint32_t cpu_count, uint32_t *target)
{
    struct push best = {.se = NULL};
    uint64_t when;
    int64_t most = 0;

    if (rq->queued + (rq->current ? 1 : 0) >= 2 && any_has_less(rq, self, loads, cpu_count))
        best = choose(rq, now, 0, self, loads, cpu_count, &most, &when);

    sum_up(rq, now, best.se ? 0 : most);
    if (best.se)
        *target = best.target;
    return best.se;
}

uint32_t sched_ask(uint32_t self, const uint32_t *loads, const bool *offers, uint32_t cpu_count)
{
    uint32_t best = NO_CPU, best_load = 0, cpu = self;

    for (uint32_t i = 1; i < cpu_count; i++) {
        uint32_t load;

        cpu = cpu + 1 < cpu_count ? cpu + 1 : 0;
        load = read_load(loads, cpu);
        if (load > best_load && __atomic_load_n(&offers[cpu], __ATOMIC_RELAXED)) {
            best = cpu;
            best_load = load;
        }
    }
    return best;
}

bool sched_any_idle(const uint32_t *loads, uint32_t cpu_count)
{
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        if (!read_load(loads, cpu))
            return true;
    return false;
}

struct sched_entity *sched_give(struct sched_rq *rq, uint64_t now, uint32_t self, const uint32_t *loads,
                                uint32_t cpu_count, uint32_t *target)
{
    struct push best;
    uint64_t when;
    int64_t most;

    rq->again = NEVER;

    sched_set_aside(rq, now);
    if (!rq->queued || !sched_any_idle(loads, cpu_count))
        return NULL;

    best = choose(rq, now, rq->latency / SCHED_MOVE_PART, self, loads, cpu_count, &most, &when);
    if (!best.se) {
        rq->again = MIN(when, now + rq->latency);
        return NULL;
    }

    sum_up(rq, now, 0);
    *target = best.target;
    return best.se;
}
