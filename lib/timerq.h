/* A queue of absolute deadlines. Pure: locking and the hardware timer are the caller's. */
#ifndef LIB_TIMERQ_H
#define LIB_TIMERQ_H

#include "lib/rbtree.h"

/* One deadline; embedded in what waits for it. Zeroed, it is not queued. */
struct timer_node {
    struct rb_node node;
    uint64_t deadline; /* in the caller's ticks (TSC) */
    bool queued;
};

/* Zeroed, it is an empty queue. */
struct timerq {
    struct rb_tree tree;
};

/*
 * Queue the timer for deadline; one that is in this queue already is moved there. Every deadline is allowed; those of
 * 2^63 - 1 or later are all the same, "never". O(log n).
 */
void timerq_insert(struct timerq *queue, struct timer_node *timer, uint64_t deadline);

/* Take the timer out of this queue. False: it was not queued, and nothing happens. O(log n). */
bool timerq_remove(struct timerq *queue, struct timer_node *timer);

/* The timer with the earliest deadline, of equals the one queued first; NULL: none. It stays queued. O(1). */
struct timer_node *timerq_first(const struct timerq *queue);

/* The first timer if its deadline is now or earlier, taken out of the queue; otherwise NULL. now < 2^63 - 1. */
struct timer_node *timerq_pop_expired(struct timerq *queue, uint64_t now);

#endif
