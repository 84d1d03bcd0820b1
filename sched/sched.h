/*
 * Run queues as pure logic: no locks, no clock, no CPU. Times are ticks of the host's TSC, given by the caller, below
 * 2^63; on one CPU they should not go back (if they do, nothing is charged).
 *
 * A run queue belongs to one CPU, and only that CPU touches it and the entities on it, with interrupts off. What other
 * CPUs may know of it is its load, and whether somebody waits there whom it could give away (sched_offers): the owner
 * publishes them in arrays, others read them without order; so decisions about other CPUs are made on stale numbers,
 * and a wrong one costs time, nothing else.
 *
 * The policy is `fair`. Every entity has a weight: its part of its group's (sched/group.h), which follows the number of
 * runnable entities there, as of when the entity is next charged. It has a virtual time that advances while it runs,
 * the slower the greater its weight; who is furthest behind runs next. The virtual time of the queue (`floor`) is that
 * of the entity furthest behind and never goes back. This rule was chosen over EEVDF because it needs one ordered tree
 * and no augmentation, and gives the same shares; EEVDF's separate latency knob would have no user here. What follows
 * from it, with L = latency ticks:
 *   - Share: while the set of runnable entities stays the same, each gets time in proportion to its weight, to within
 *     one slice. A slice is the entity's part of L, but at least L / SCHED_MIN_SLICE_PART.
 *   - Starvation: a runnable entity of weight w among a total of W waits no longer than its own last slice times W / w
 *     (what is owed to the others for it) plus one slice of each other one.
 *   - Sleepers: who slept continues where it stopped, but at most L / SCHED_CREDIT_PART of run time (its own or that of
 *     an average entity here, whichever is less) behind the floor. So an entity that sleeps most of the time runs
 *     almost at once when it wakes, and one that slept for an hour can't take that hour now.
 *   - Groups: of a group that runs all the time, no entity is more than that behind the mean of them here, either.
 *   - Migration: an entity takes its distance to the floor along, not its virtual time.
 * Virtual times are compared modulo 2^64. Everything is O(log n) in the length of the queue, except as said.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include "abi/abi.h"
#include "lib/rbtree.h"
#include "sched/group.h"

#define SCHED_MAX_WEIGHT     ((uint32_t)ABI_MAX_WEIGHT)
#define SCHED_USUAL_WEIGHT   100u
#define SCHED_MIN_SLICE_PART 8    /* shortest slice, and the advance that a woken entity needs to preempt: L / 8 */
#define SCHED_CREDIT_PART    2    /* most that a sleeper keeps: L / 2 of its own run time */
#define SCHED_UNIT           256u /* an entity's weight and all loads are in this part of a group's weight */

struct sched_rq;
struct sched_clock;

/* What can be on a run queue; embedded in a thread. The fields are the scheduler's own; others may read run_ticks. */
struct sched_entity {
    struct rb_node node; /* key: virtual time, valid while on a run queue or current */
    struct sched_group *group;
    uint32_t shares;           /* the group's runnable entities, when these two were computed: */
    uint32_t weight;           /* in SCHED_UNITs */
    uint32_t rate;             /* virtual time per 1024 ticks */
    uint64_t run_ticks;        /* it has run in all, as of the last charge */
    bool woken;                /* since it was last picked */
    uint64_t arrived;          /* the queue's count of arrivals when it came to it */
    uint64_t since;            /* tick from which it waits in the tree */
    struct sched_clock *clock; /* its group's on that queue */
    /* While on no run queue: */
    const struct sched_rq *home;      /* where it was last; NULL: nowhere yet */
    uint64_t floor;                   /* home's when it left */
    int64_t ahead;                    /* its virtual time minus that floor */
    uint64_t cpus[ABI_MAX_CPUS / 64]; /* CPUs that it may run on; all zero: any */
};

/* A group's on one queue. */
struct sched_clock {
    uint64_t floor;  /* the queue's when one of them left */
    uint64_t key;    /* virtual time: the mean of those of its entities here */
    uint32_t here;   /* so many of them are in the queue's load */
    uint32_t number; /* the group's: whoever has its id later starts anew */
};

struct sched_rq {
    struct rb_tree tree; /* runnable entities except the current one */
    struct rb_tree held; /* those of groups that are over their limit, by when they may go on; no part of load */
    struct sched_entity *current;
    uint32_t queued; /* entities in tree */
    uint32_t load;   /* sum of weights, current's included */
    uint64_t latency;
    uint64_t floor;
    uint64_t charged; /* current has been charged up to this tick */
    uint64_t stopped; /* since when current waits; 0: it does not */
    uint64_t arrivals;
    uint64_t surplus; /* load above the least loaded CPU's, times ticks, since sched_push gave something away */
    uint64_t looked;  /* tick of the last sched_push */
    uint64_t again;   /* when to look whether an idle CPU has use for who waits here: sched_give; NEVER: when asked */
    struct sched_clock clock[SCHED_GROUPS];
};

enum sched_why {
    SCHED_NEW,     /* for the first time */
    SCHED_WAKE,    /* it slept: left its queue by sched_put(..., false) */
    SCHED_MIGRATE, /* it left another CPU's queue by sched_dequeue */
};

/* An empty queue. latency: L, the ticks in which everybody should have a turn, 2^10..2^36; 6 ms is usual. */
void sched_rq_init(struct sched_rq *rq, uint64_t latency);

/* cpus: where it may run, ABI_MAX_CPUS bits; NULL or all zero: anywhere. The group outlives it. */
void sched_entity_init(struct sched_entity *se, struct sched_group *group, const uint64_t *cpus);

/* Make an entity that is on no queue runnable on this one. Ask sched_should_preempt afterwards. */
void sched_enqueue(struct sched_rq *rq, uint64_t now, struct sched_entity *se, enum sched_why why);

/* Take an entity that is queued here, and not current, out: to be enqueued elsewhere (SCHED_MIGRATE) or destroyed. */
void sched_dequeue(struct sched_rq *rq, uint64_t now, struct sched_entity *se);

/* Take the next entity out of the queue and make it current, which nobody is. NULL: none may run, the CPU idles. Who is
 * held is set aside: O(log n) for each, once until it may go on. */
struct sched_entity *sched_pick(struct sched_rq *rq, uint64_t now);

/* Current stops running: charge it; if it is runnable, queue it again, otherwise it sleeps, on no queue. */
void sched_put(struct sched_rq *rq, uint64_t now, bool runnable);

/* Bring current's run_ticks up to date, if somebody is current. The other calls do so where they need it. */
void sched_charge(struct sched_rq *rq, uint64_t now);

/* Current waits from now on and does not use the CPU: until it goes on it is charged for what it ran before, no more.
 * No put and no pick meanwhile. */
static inline void sched_stop(struct sched_rq *rq, uint64_t now)
{
    rq->stopped = now;
    atomic_fetch_sub_explicit(&rq->current->group->runnable, 1, memory_order_relaxed);
}
/* So many of the ticks that current runs now are somebody else's affair: it is not charged for them. */
static inline void sched_forgive(struct sched_rq *rq, uint64_t ticks) { rq->charged += ticks; }
static inline bool sched_stopped(const struct sched_rq *rq) { return rq->stopped; }
static inline void sched_go_on(struct sched_rq *rq, uint64_t now)
{
    atomic_fetch_add_explicit(&rq->current->group->runnable, 1, memory_order_relaxed);
    rq->charged += now - rq->stopped;
    rq->stopped = 0;
}

/* Who is queued and held is set aside, as sched_pick would do: among the SCHED_PUSH_SCAN entities furthest behind. */
void sched_set_aside(struct sched_rq *rq, uint64_t now);

/* Who was held and may go on is queued again; as often as it is called. Ask sched_should_preempt afterwards. */
void sched_release_due(struct sched_rq *rq, uint64_t now);
static inline bool sched_holds(const struct sched_rq *rq) { return rb_first(&rq->held); }
static inline void sched_release(struct sched_rq *rq, uint64_t now)
{
    if (sched_holds(rq))
        sched_release_due(rq, now);
}

/* Entities of groups that are ending (sched_group_end) have waited long enough: they are next. O(n log n). Ask
 * sched_should_preempt afterwards. */
void sched_expedite(struct sched_rq *rq, uint64_t now);

/*
 * Current can't use the CPU now (it spins on something another one holds): before sched_put(..., true), let it stand
 * behind the first one queued. It pays for that with what it was owed compared to that one.
 */
void sched_yield_current(struct sched_rq *rq, uint64_t now);

/*
 * Should current give way now, to one just enqueued, because its slice is over or because it is held? True as well if
 * nobody is current but someone waits.
 */
bool sched_should_preempt(struct sched_rq *rq, uint64_t now);

/*
 * The tick at which the scheduler wants to be asked again (sched_release, sched_put, sched_push, sched_pick): because
 * others wait, the end of current's slice, now + latency or rq->again, whichever comes first; or what current's limit
 * allows; or when somebody held may go on. NEVER: none of these, and no tick is needed until the next enqueue. Ask
 * again after each enqueue.
 */
uint64_t sched_slice_end(struct sched_rq *rq, uint64_t now);

/* What to publish: the weights of all runnable entities, current's included; 0: idle. */
static inline uint32_t sched_load(const struct sched_rq *rq) { return rq->load; }

/* May the entity run on that CPU? */
bool sched_allowed(const struct sched_entity *se, uint32_t cpu);

/*
 * Where a woken or new entity should run: on the CPU with the least load, so on an idle one if there is one; among
 * equals on prev (< cpu_count), else on the next after it. Only on CPUs below cpu_count that it may use; prev if there
 * are none, which the caller has to rule out. loads[cpu_count]: as published. O(cpu_count).
 */
uint32_t sched_wake_cpu(const struct sched_entity *se, uint32_t prev, const uint32_t *loads, uint32_t cpu_count);

/*
 * Should this CPU (self) give a queued entity to another one? Returns it, still queued here, with *target set (then
 * sched_dequeue, and enqueue there as SCHED_MIGRATE), or NULL. It does so at once if the entity gets a greater share on
 * an idle CPU, or if this CPU has no less than the other one even then. Else, whoever moves makes the other CPU the
 * fuller one: then it does so when the difference of the loads, summed up over time, has come to the entity's weight
 * times SCHED_TURN latencies, and if nobody is current. The other CPU does the same, so that each is the fuller one for
 * as long as makes the loads equal in the mean: what can't be divided evenly among CPUs (three on two) takes turns. Ask
 * between sched_put and sched_pick, when all entities are queued and each may be chosen; asking after an enqueue, too,
 * serves idle CPUs sooner. Looks at the SCHED_PUSH_SCAN entities furthest behind: O(cpu_count).
 */
struct sched_entity *sched_push(struct sched_rq *rq, uint64_t now, uint32_t self, const uint32_t *loads,
                                uint32_t cpu_count, uint32_t *target);
#define SCHED_TURN      8
#define SCHED_PUSH_SCAN 16

/*
 * No CPU idles while a thread that it may run waits elsewhere for longer than the move costs: L / SCHED_MOVE_PART.
 *
 * On whose queue somebody waits, that CPU offers (sched_offers), and publishes it when that changes. Who becomes idle,
 * or begins to wait by sched_stop, asks one that offers (sched_ask): it takes the offer back in its name and interrupts
 * it. Who is asked gives (sched_give); and so does anybody at rq->again, and who begins to offer while a CPU idles
 * (sched_any_idle): the caller orders both sides, so that either this one sees the idle CPU or that one the offer. Who
 * has nothing to give to a CPU that idles asks another one that offers, so asking ends. Who has been moved waits anew:
 * it does not go back at once.
 */
static inline bool sched_offers(const struct sched_rq *rq) { return rq->queued && rq->again == NEVER; }

/* Of those other CPUs that offer the one with the greatest load, of equals the next one after this one (self);
 * UINT32_MAX: nobody offers. Reads both arrays of cpu_count without order. O(cpu_count). */
uint32_t sched_ask(uint32_t self, const uint32_t *loads, const bool *offers, uint32_t cpu_count);

/* O(cpu_count). */
bool sched_any_idle(const uint32_t *loads, uint32_t cpu_count);

/* As sched_push, at any time, but only if a CPU idles, and only who waits for long enough. Sets rq->again: NEVER if
 * nobody waits or no CPU idles, or to when the first one has waited that long; if those that wait may not run on CPUs
 * that idle, a latency from now. */
struct sched_entity *sched_give(struct sched_rq *rq, uint64_t now, uint32_t self, const uint32_t *loads,
                                uint32_t cpu_count, uint32_t *target);
#define SCHED_MOVE_PART 64

#endif
