/*
 * Time for the device models: host TSC ticks, their conversion to the units of a device, and timers. The world's lock
 * protects everything here.
 */
#ifndef USER_DEVICES_CLOCK_H
#define USER_DEVICES_CLOCK_H

#include "abi/types.h"
#include "lib/timerq.h"

/* A deadline that never comes. */
#define CLOCK_NEVER NEVER

struct clock_timer {
    struct timer_node node;
    /* Called once, at the deadline or later. The timer is no longer queued then. */
    void (*fire)(uint64_t now);
};

/* Start without timers. tsc_hz: the rate of the host's TSC, > 0. */
void clock_init(uint64_t tsc_hz);

/* The rate that was given to clock_init. */
uint64_t clock_hz(void);

/* The number of whole periods of a clock of unit_hz in so many ticks. Exact, rounded down. */
uint64_t clock_units(uint64_t ticks, uint64_t unit_hz);

/* The least number of ticks after which so many periods of a clock of unit_hz are over: the least one for which
 * clock_units() is `units`. */
uint64_t clock_ticks(uint64_t units, uint64_t unit_hz);

/* Set or move a timer; CLOCK_NEVER: stop it. deadline: host TSC ticks. If it is in the past, the timer fires at the
 * next clock_run. */
void clock_timer_set(struct clock_timer *timer, uint64_t deadline);

/* The earliest deadline of all timers. CLOCK_NEVER: none is set. */
uint64_t clock_next_deadline(void);

/* Fire the timers that are due. If a callback sets a timer to a time before now, it fires at the next call. */
void clock_run(uint64_t now);

#endif
