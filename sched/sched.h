/*
 * Run queues as pure logic: no locks, no clock, no CPU. Times are ticks of the host's TSC, given by the caller, below
 * 2^63. On one CPU they should not go back; if they do, nothing is charged.
 *
 * A run queue belongs to one CPU. Only that CPU touches the queue and the entities on it, with interrupts off. Other
 * CPUs know two things about a queue: its load, and whether an entity waits there that its CPU could give away
 * (sched_offers). The owner publishes both in arrays; other CPUs read the arrays without order. So a decision about
 * another CPU is made on stale numbers. A wrong decision costs time, and nothing else.
 *
 * The policy is `fair`. Every entity has a weight: its part of its group's weight (sched/group.h). When the number of
 * the group's runnable entities changes, the entity's weight follows at its next charge. Every entity has a virtual
 * time, which advances while the entity runs: the greater its weight, the slower. The entity that is furthest behind
 * runs next. The virtual time of the queue (`floor`) is that of the entity furthest behind, and it never goes back.
 * This rule was chosen over EEVDF because it needs one ordered tree and no augmentation, and gives the same shares.
 * EEVDF's separate latency knob would have no user here.
 *
 * What follows from the rule, with L = latency ticks:
 *   - Share: while the set of runnable entities stays the same, each gets time in proportion to its weight, to within
 *     one slice. A slice is the entity's part of L, but at least L / SCHED_MIN_SLICE_PART.
 *   - Starvation: a runnable entity of weight w among a total of W waits no longer than its own last slice times W / w
 *     (the time that it owes the others for that slice) plus one slice of each other entity.
 *   - Sleepers: an entity that slept continues where it stopped, but at most L / SCHED_CREDIT_PART of run time behind
 *     the floor (its own run time, or that of an average entity here, whichever is less). So an entity that sleeps most
 *     of the time runs almost at once when it wakes. One that slept for an hour can't take that hour now.
 *   - Groups: in a group that runs all the time, no entity is further than that behind the mean of the group's entities
 *     on this queue, either.
 *   - Migration: an entity takes along its distance to the floor, not its virtual time.
 * Virtual times are compared modulo 2^64. Everything is O(log n) in the length of the queue, except as said.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include "abi/abi.h"
#include "lib/rbtree.h"
#include "sched/group.h"

#define SCHED_MAX_WEIGHT     ((uint32_t)ABI_MAX_WEIGHT)
#define SCHED_USUAL_WEIGHT   100u
#define SCHED_MIN_SLICE_PART 8    /* L / 8: the shortest slice, and the advance that a woken entity needs to preempt */
#define SCHED_CREDIT_PART    2    /* L / 2 of its own run time: the most that a sleeper keeps */
#define SCHED_UNIT           256u /* an entity's weight, and each load, is in 1/256 of a group's weight */

struct sched_rq;
struct sched_clock;

/* What can be on a run queue; embedded in a thread. Only the scheduler uses the fields; others may read run_ticks. */
struct sched_entity {
    struct rb_node node; /* key: virtual time, valid while on a run queue or current */
    struct sched_group *group;
    uint32_t shares;           /* the group's runnable entities when weight and rate were computed */
    uint32_t weight;           /* in SCHED_UNITs */
    uint32_t rate;             /* virtual time per 1024 ticks */
    uint64_t run_ticks;        /* all ticks that it has run, as of the last charge */
    bool woken;                /* it has slept since it was last picked */
    uint64_t arrived;          /* the queue's count of arrivals when this entity came to it */
    uint64_t since;            /* tick from which it waits in the tree */
    struct sched_clock *clock; /* its group's clock on that queue */
    /* While on no run queue: */
    const struct sched_rq *home;      /* the queue where it was last; NULL: it was on none yet */
    uint64_t floor;                   /* home's floor when it left */
    int64_t ahead;                    /* its virtual time minus that floor */
    uint64_t cpus[ABI_MAX_CPUS / 64]; /* CPUs that it may run on; all zero: any */
};

/* A group's clock on one queue. */
struct sched_clock {
    uint64_t floor;  /* the queue's floor when an entity of the group last left */
    uint64_t key;    /* the mean of the virtual times of the group's entities here */
    uint32_t here;   /* how many of the group's entities are in the queue's load */
    uint32_t number; /* the group's number: a later group with the same id starts anew */
};

struct sched_rq {
    struct rb_tree tree; /* runnable entities except the current one */
    struct rb_tree held; /* entities of groups over their limit, by the tick when they may go on; not in load */
    struct sched_entity *current;
    uint32_t queued; /* entities in tree */
    uint32_t load;   /* sum of weights, current's included */
    uint64_t latency;
    uint64_t floor;
    uint64_t charged; /* current has been charged up to this tick */
    uint64_t stopped; /* tick from which current waits (sched_stop); 0: it does not wait */
    uint64_t arrivals;
    uint64_t surplus; /* load above the least loaded CPU's, times ticks, since an entity was last given away */
    uint64_t looked;  /* tick when surplus was last brought up to date */
    uint64_t again;   /* when to call sched_give, for an idle CPU may have use for who waits; NEVER: when asked */
    struct sched_clock clock[SCHED_GROUPS];
};

enum sched_why {
    SCHED_NEW,     /* for the first time */
    SCHED_WAKE,    /* it slept: it left its queue by sched_put(..., false) */
    SCHED_MIGRATE, /* it left another CPU's queue by sched_dequeue */
};

/* An empty queue. latency: L, the ticks in which everybody should have a turn, 2^10..2^36; 6 ms is usual. */
void sched_rq_init(struct sched_rq *rq, uint64_t latency);

/* cpus: where the entity may run, ABI_MAX_CPUS bits; NULL or all zero: anywhere. The group must outlive the entity. */
void sched_entity_init(struct sched_entity *se, struct sched_group *group, const uint64_t *cpus);

/* Make an entity that is on no queue runnable on this one. Ask sched_should_preempt afterwards. */
void sched_enqueue(struct sched_rq *rq, uint64_t now, struct sched_entity *se, enum sched_why why);

/* Take an entity out of the queue, to enqueue it elsewhere (SCHED_MIGRATE) or to destroy it. It must be queued here,
 * and must not be current. */
void sched_dequeue(struct sched_rq *rq, uint64_t now, struct sched_entity *se);

/* Take the next entity out of the queue and make it current; nobody may be current before. NULL: none may run, the CPU
 * idles. Entities that are held are set aside on the way: O(log n) for each, once until it may go on. */
struct sched_entity *sched_pick(struct sched_rq *rq, uint64_t now);

/* Current stops running: charge it. If it is runnable, queue it again; otherwise it sleeps, on no queue. */
void sched_put(struct sched_rq *rq, uint64_t now, bool runnable);

/* Bring current's run_ticks up to date, if somebody is current. The other calls do this where they need it. */
void sched_charge(struct sched_rq *rq, uint64_t now);

/* Current waits from now on and does not use the CPU. Until sched_go_on, it is charged only for what it ran before.
 * Meanwhile sched_put and sched_pick must not be called. */
static inline void sched_stop(struct sched_rq *rq, uint64_t now)
{
    rq->stopped = now;
    atomic_fetch_sub_explicit(&rq->current->group->runnable, 1, memory_order_relaxed);
}

/* So many of the ticks that current runs now are not its own work: it is not charged for them. */
static inline void sched_forgive(struct sched_rq *rq, uint64_t ticks) { rq->charged += ticks; }

static inline bool sched_stopped(const struct sched_rq *rq) { return rq->stopped; }

static inline void sched_go_on(struct sched_rq *rq, uint64_t now)
{
    atomic_fetch_add_explicit(&rq->current->group->runnable, 1, memory_order_relaxed);
    rq->charged += now - rq->stopped;
    rq->stopped = 0;
}

/* Set aside queued entities whose groups are held, as sched_pick would. Looks only at the SCHED_PUSH_SCAN entities
 * furthest behind. */
void sched_set_aside(struct sched_rq *rq, uint64_t now);

/* Queue again the entities that were held and may go on now. May be called at any time. Ask sched_should_preempt
 * afterwards. */
void sched_release_due(struct sched_rq *rq, uint64_t now);

static inline bool sched_holds(const struct sched_rq *rq) { return rb_first(&rq->held); }

static inline void sched_release(struct sched_rq *rq, uint64_t now)
{
    if (sched_holds(rq))
        sched_release_due(rq, now);
}

/* Move entities of groups that are ending (sched_group_end) to the front: they have waited long enough. O(n log n). Ask
 * sched_should_preempt afterwards. */
void sched_expedite(struct sched_rq *rq, uint64_t now);

/*
 * Current can't use the CPU now: it spins on something that another entity holds. Let current stand behind the first
 * queued entity; call this before sched_put(..., true). Current gives up what it was owed compared to that entity.
 */
void sched_yield_current(struct sched_rq *rq, uint64_t now);

/*
 * Should current give way now: to an entity just enqueued, because its slice is over, or because it is held? Also true
 * if nobody is current and somebody waits.
 */
bool sched_should_preempt(struct sched_rq *rq, uint64_t now);

/*
 * The tick at which the scheduler wants to be asked again (sched_release, sched_put, sched_push, sched_pick). It is the
 * first of:
 *   - if others wait: the end of current's slice, now + latency, or rq->again;
 *   - the end of what the limit of current's group allows;
 *   - the tick when an entity that is held may go on.
 * NEVER: none of these applies, and no tick is needed until the next enqueue. Ask again after each enqueue.
 */
uint64_t sched_slice_end(struct sched_rq *rq, uint64_t now);

/* The load to publish: the sum of the weights of all runnable entities, current's included; 0: idle. */
static inline uint32_t sched_load(const struct sched_rq *rq) { return rq->load; }

/* May the entity run on that CPU? */
bool sched_allowed(const struct sched_entity *se, uint32_t cpu);

/*
 * The CPU on which a woken or new entity should run: the one with the least load, so an idle one if there is one. Among
 * equals: prev (< cpu_count), else the next one after prev. Only CPUs below cpu_count that the entity may use count. If
 * there is none, the answer is prev; the caller has to rule that out. loads[cpu_count]: as published. O(cpu_count).
 */
uint32_t sched_wake_cpu(const struct sched_entity *se, uint32_t prev, const uint32_t *loads, uint32_t cpu_count);

/*
 * Should this CPU (self) give a queued entity to another CPU? Returns the entity, still queued here, with *target set;
 * the caller then calls sched_dequeue, and enqueues it there as SCHED_MIGRATE. NULL: no.
 *
 * An entity is given away at once if it gets a greater share on an idle CPU, or if this CPU's load is not below the
 * other CPU's even after the move. Otherwise a move makes the other CPU the fuller one. Then an entity is given away
 * only if nobody is current, and if the difference of the loads, summed up over time, has come to the entity's weight
 * times SCHED_TURN latencies. The other CPU does the same. So each of the two is the fuller one in turn, for as long as
 * makes the loads equal in the mean: entities that can't be divided evenly among CPUs (three on two) take turns.
 *
 * Ask between sched_put and sched_pick, when all entities are queued and each may be chosen. Asking after an enqueue,
 * too, serves idle CPUs sooner. Looks at the SCHED_PUSH_SCAN entities furthest behind: O(cpu_count).
 */
struct sched_entity *sched_push(struct sched_rq *rq, uint64_t now, uint32_t self, const uint32_t *loads,
                                uint32_t cpu_count, uint32_t *target);
#define SCHED_TURN      8
#define SCHED_PUSH_SCAN 16

/*
 * The rule: no CPU idles while a thread that it may run waits elsewhere for longer than a move costs, which is
 * L / SCHED_MOVE_PART.
 *
 *   - Offer: a CPU on whose queue an entity waits offers (sched_offers). It publishes that when it changes.
 *   - Ask: a CPU that becomes idle, or whose current entity begins to wait by sched_stop, asks a CPU that offers
 *     (sched_ask). It takes the other CPU's offer back on that CPU's behalf, and interrupts that CPU.
 *   - Give: a CPU calls sched_give when it was asked, at rq->again, and when it begins to offer while another CPU idles
 *     (sched_any_idle). The caller orders both sides: either the CPU that offers sees the idle CPU, or the idle CPU
 *     sees the offer.
 *   - Asked in vain: a CPU that was asked and has nothing to give to an idle CPU asks another one that offers. Since
 *     each one asked no longer offers, asking ends.
 *   - An entity that has been moved waits anew, so it does not go back at once.
 */
static inline bool sched_offers(const struct sched_rq *rq) { return rq->queued && rq->again == NEVER; }

/* Of the other CPUs that offer: the one with the greatest load; of equals, the next one after this CPU (self).
 * UINT32_MAX: none offers. Both arrays have cpu_count entries and are read without order. O(cpu_count). */
uint32_t sched_ask(uint32_t self, const uint32_t *loads, const bool *offers, uint32_t cpu_count);

/* Does any CPU idle (load 0)? O(cpu_count). */
bool sched_any_idle(const uint32_t *loads, uint32_t cpu_count);

/*
 * As sched_push, but at any time, only if a CPU idles, and only for an entity that has waited for L / SCHED_MOVE_PART.
 * Sets rq->again:
 *   NEVER               nobody waits, no CPU idles, or an entity is given
 *   a tick              when the first entity will have waited for so long, at most a latency from now
 *   a latency from now  those that wait may not run on the CPUs that idle
 */
struct sched_entity *sched_give(struct sched_rq *rq, uint64_t now, uint32_t self, const uint32_t *loads,
                                uint32_t cpu_count, uint32_t *target);
#define SCHED_MOVE_PART 64

#endif
