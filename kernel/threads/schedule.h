/* Between the threads and the policy in sched/: which thread runs on this CPU. */
#ifndef KERNEL_THREADS_SCHEDULE_H
#define KERNEL_THREADS_SCHEDULE_H

#include "kernel/threads/thread.h"

/* The current thread gives the CPU up: it stays runnable, or sleeps. Returns when it runs again. */
void schedule(bool runnable);
/* Is no other thread runnable here? */
bool schedule_alone(void);
/* If so, the current thread stays where it is until an interrupt has come, and is charged for nothing meanwhile:
 * interrupts off, but served. False, at once: one is. Before it goes on for good it asks for its tick, if it is
 * unwatched. */
bool schedule_wait(void);
void schedule_watch(void);
/* A thread that was blocked or is new becomes runnable somewhere. */
void schedule_wake(struct thread *t);
/* What an interrupt of another CPU, or a switch of threads, costs whoever causes it on this CPU, in TSC ticks. */
uint64_t schedule_price(void);
/* The group's threads only have to end, and others wait for that: they run soon, whatever their weight and limit. Any
 * CPU. */
void schedule_end(struct sched_group *group);
/* The current thread is about to enter its guest, for the first time since it was switched to: so long has that taken,
 * with its extended state and all. */
void schedule_entered(void);
/* From an interrupt: what this CPU did since begin (TSC), it did for that group. It pays for that, and for an
 * interrupt, and not whoever runs here. */
void schedule_served(struct sched_group *payer, uint64_t begin);
/* For timer_init(): a slice is over; the timer has interrupted the current thread, which its owner may watch. */
void schedule_tick(uint64_t now);
void schedule_look(void);
void schedule_init(void);
/* The first so many CPUs take threads; before any thread is woken. */
void schedule_set_online(uint32_t cpus);
/* First thing on a new thread's stack. */
void schedule_begin(void);

#endif
