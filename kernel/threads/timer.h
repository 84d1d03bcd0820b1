/* Timers. Deadlines are TSC ticks. Each CPU has its own queue of timers. */
#ifndef KERNEL_THREADS_TIMER_H
#define KERNEL_THREADS_TIMER_H

#include <stdatomic.h>

#include "lib/timerq.h"

struct sched_group;

/* A timer that is zeroed, apart from fired, is not set. */
struct timer {
    struct timer_node node;
    /*
     * Runs on the CPU where the timer was set, with interrupts off; has to be short. Returns the group that pays for
     * it, as the thread that is interrupted does not.
     */
    struct sched_group *(*fired)(struct timer *);
    uint32_t cpu; /* in this CPU's queue the timer is, or was last */
    /* How many times fired() is running. More than once: while it ran, the timer was set anew on another CPU. */
    _Atomic uint32_t busy;
};

/*
 * Sets the timer on this CPU. If the timer is set already, it is moved. Every deadline is allowed: one in the past, 0
 * too, fires at once, and NEVER does not fire. A timer has one owner, which alone sets and cancels it, on any CPU.
 */
void timer_set(struct timer *t, uint64_t deadline);
/* When this returns, fired() is not running and will not run. */
void timer_cancel(struct timer *t);

/* The scheduler wants on_slice_end() to be called on this CPU at that tick. NEVER: not at all. */
void timer_set_slice(uint64_t deadline);
/* Called by each CPU. False: no memory. */
bool timer_init_cpu(void) MUST_CHECK;
/*
 * Called once. All three functions are called on the CPU that they are for, with interrupts off:
 *   on_slice_end(now)      the tick of timer_set_slice() has come
 *   every()                each interrupt of the timer, after on_slice_end()
 *   on_fired(payer, begin) since begin (TSC) a timer was served, for which payer pays
 */
void timer_init(void (*on_slice_end)(uint64_t now), void (*every)(void),
                void (*on_fired)(struct sched_group *payer, uint64_t begin));

#endif
