/* Which thread runs on this CPU: what joins the threads and the policy in sched/. */
#ifndef KERNEL_THREADS_SCHEDULE_H
#define KERNEL_THREADS_SCHEDULE_H

#include "kernel/threads/thread.h"

/* The current thread gives the CPU up, and stays runnable or sleeps. Returns when the thread runs again. */
void schedule(bool runnable);
/* Is no other thread runnable here? */
bool schedule_alone(void);
/*
 * The current thread waits on this CPU for an interrupt, and is not charged while it waits. Interrupts are off before
 * and after, and served meanwhile. True: an interrupt has come. False, at once: another thread is runnable here.
 *
 * A thread that goes on for good after such waits calls schedule_watch() if this_cpu()->unwatched is set: it has no
 * tick then, and schedule_watch() sets one.
 */
bool schedule_wait(void);
void schedule_watch(void);
/* A thread that was blocked or is new becomes runnable somewhere. */
void schedule_wake(struct thread *t);
/*
 * The price of an interrupt from another CPU, or of a switch of threads, on this CPU: what its causer pays, in TSC
 * ticks.
 */
uint64_t schedule_price(void);
/*
 * From now on the group's threads only have to end, and others wait for that. So these threads run soon, whatever their
 * weight and limit. Any CPU.
 */
void schedule_end(struct sched_group *group);
/*
 * The current thread is about to enter its guest, for the first time since the switch to it. The time since the switch,
 * in which its extended state was loaded, too, is a measurement of the price.
 */
void schedule_entered(void);
/*
 * Called in an interrupt. What this CPU has done since begin (TSC), it has done for the group `payer`. That group pays
 * for it, and for one interrupt. The thread that runs here does not.
 */
void schedule_served(struct sched_group *payer, uint64_t begin);
/* For timer_init(): a slice is over at TSC now. */
void schedule_tick(uint64_t now);
/* For timer_init(): the timer has interrupted the current thread, whose owner may want to look at it. */
void schedule_look(void);
void schedule_init(void);
/* CPUs 0 to cpus - 1 take threads. Called before any thread is woken. */
void schedule_set_online(uint32_t cpus);
/* The first call on a new thread's stack. */
void schedule_begin(void);

#endif
