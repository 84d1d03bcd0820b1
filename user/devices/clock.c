#include "user/devices/clock.h"

#include "lib/muldiv.h"
#include "user/devices/bus.h"

static struct timerq timers;
static uint64_t tsc_rate;

void clock_init(uint64_t tsc_hz)
{
    timers = (struct timerq){0};
    tsc_rate = tsc_hz;
}

uint64_t clock_hz(void)
{
    return tsc_rate;
}

uint64_t clock_units(uint64_t ticks, uint64_t unit_hz)
{
    return mul_div(ticks, unit_hz, tsc_rate);
}

uint64_t clock_ticks(uint64_t units, uint64_t unit_hz)
{
    uint64_t ticks = mul_div(units, tsc_rate, unit_hz);

    if (ticks == UINT64_MAX)
        return ticks;
    return clock_units(ticks, unit_hz) < units ? ticks + 1 : ticks;
}

void clock_timer_set(struct clock_timer *timer, uint64_t deadline)
{
    if (deadline == CLOCK_NEVER) {
        /* bus_due need not be set: if the worker wakes for the old deadline, it looks again. */
        timerq_remove(&timers, &timer->node);
    } else {
        timerq_insert(&timers, &timer->node, deadline);
        bus_due = true;
    }
}

uint64_t clock_next_deadline(void)
{
    struct timer_node *first = timerq_first(&timers);

    return first ? first->deadline : CLOCK_NEVER;
}

void clock_run(uint64_t now)
{
    struct timer_node *due[8];
    unsigned n = 0;

    /* All due timers are taken out before the first callback. Otherwise a callback that sets its timer into the past
     * would make this loop endless. */
    while (n < ARRAY_SIZE(due) && (due[n] = timerq_pop_expired(&timers, now)) != NULL)
        n++;

    for (unsigned i = 0; i < n; i++)
        CONTAINER_OF(due[i], struct clock_timer, node)->fire(now);
}
