/*
 * Time for the device models: host TSC ticks, their conversion to the units of a device, and timers. Everything here
 * belongs to the world's lock.
 */
#ifndef USER_DEVICES_CLOCK_H
#define USER_DEVICES_CLOCK_H

#include "abi/types.h"
#include "lib/timerq.h"

/* A deadline that never comes. */
#define CLOCK_NEVER NEVER

struct clock_timer {
    struct timer_node node;
    /* Called once, at the deadline or later, no longer queued. */
    void (*fire)(uint64_t now);
};

/* No timers; tsc_hz is the rate of the host's TSC, > 0. */
void clock_init(uint64_t tsc_hz);

/* The rate that was given to clock_init. */
uint64_t clock_hz(void);

/* Whole periods of a clock of unit_hz in so many ticks. Exact, rounded down. */
uint64_t clock_units(uint64_t ticks, uint64_t unit_hz);

/* The least number of ticks in which so many periods of a clock of unit_hz are over: clock_units of it is `units`. */
uint64_t clock_ticks(uint64_t units, uint64_t unit_hz);

/* Set, move or (CLOCK_NEVER) stop a timer. deadline in host TSC ticks; one in the past fires at the next clock_run. */
void clock_timer_set(struct clock_timer *timer, uint64_t deadline);

/* The earliest deadline of all timers; CLOCK_NEVER if none is set. */
uint64_t clock_next_deadline(void);

/* Fire what is due. A timer that a callback sets to a time before now fires at the next call. */
void clock_run(uint64_t now);

#endif
