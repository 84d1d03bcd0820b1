/* Deadlines in TSC ticks, kept by each CPU. */
#ifndef KERNEL_THREADS_TIMER_H
#define KERNEL_THREADS_TIMER_H

#include <stdatomic.h>

#include "lib/timerq.h"

struct sched_group;

/* fired() runs on the CPU where the timer was set, interrupts off, short. It says who pays for it: not who is
 * interrupted. Zeroed but for fired, it is not set. */
struct timer {
    struct timer_node node;
    struct sched_group *(*fired)(struct timer *);
    uint32_t cpu;          /* in whose queue it is or was */
    _Atomic uint32_t busy; /* fired() is running so many times: set anew meanwhile, it may fire on another CPU too */
};

/* One owner sets and cancels a timer; both work from any CPU. timer_set moves one that is set already. Every deadline
 * is allowed: one in the past, 0 too, fires at once; NEVER does not fire. */
void timer_set(struct timer *t, uint64_t deadline);
/* When it returns, fired() is not running and will not run. */
void timer_cancel(struct timer *t);

/* The scheduler's share of this CPU's hardware timer: it wants to be asked at that tick, or NEVER. */
void timer_set_slice(uint64_t deadline);
bool timer_init_cpu(void) MUST_CHECK;
/* on_slice_end(now): the tick that timer_set_slice() wanted. every(): each interrupt of the timer, behind that.
 * on_fired(payer, begin): since begin (TSC) a timer was served, for which payer pays. All on
 * the CPU that it is for, interrupts off. Once. */
void timer_init(void (*on_slice_end)(uint64_t now), void (*every)(void),
                void (*on_fired)(struct sched_group *payer, uint64_t begin));

#endif
