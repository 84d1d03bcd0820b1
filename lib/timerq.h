/* A queue of absolute deadlines. The caller does the locking, and sets the hardware timer. */
#ifndef LIB_TIMERQ_H
#define LIB_TIMERQ_H

#include "lib/rbtree.h"

/* One deadline; embedded in the structure that waits for it. All zero: not queued. */
struct timer_node {
    struct rb_node node;
    uint64_t deadline; /* in the caller's ticks (TSC) */
    bool queued;
};

/* All zero: an empty queue. */
struct timerq {
    struct rb_tree tree;
};

/*
 * Queue the timer for deadline. A timer that is in this queue already is moved. Every deadline is allowed; all
 * deadlines of 2^63 - 1 or later are the same, "never". O(log n).
 */
void timerq_insert(struct timerq *queue, struct timer_node *timer, uint64_t deadline);

/* Take the timer out of this queue. False: the timer was not queued, and nothing happened. O(log n). */
bool timerq_remove(struct timerq *queue, struct timer_node *timer);

/* The timer with the earliest deadline; of equals, the one queued first. NULL: none. The timer stays queued. O(1). */
struct timer_node *timerq_first(const struct timerq *queue);

/* If the first timer's deadline is now or earlier, take that timer out of the queue and return it; otherwise NULL.
 * now < 2^63 - 1. */
struct timer_node *timerq_pop_expired(struct timerq *queue, uint64_t now);

#endif
