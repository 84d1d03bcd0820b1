/*
 * The APIC timer (SDM Vol. 3, 11.5.4). The state is only the time at which the timer expires next. The current count is
 * derived from that time, so a period never drifts, and a masked timer needs no timer of the host.
 *
 * An expiry that falls due while the timer is masked is lost, as on hardware. So each change of the settings starts by
 * expiring what is due under the old settings.
 */
#include "lapic/internal.h"

static uint32_t mode(const struct lapic *l)
{
    return l->lvt[LAPIC_LVT_TIMER] & LVT_TIMER_MODE;
}

/* Divide configuration (figure 11-10). Bits 3, 1 and 0 make a number: 0 is for 2, 1 for 4, ... 6 for 128, 7 for 1. */
static unsigned int divide_shift(const struct lapic *l)
{
    return (((l->timer_dcr >> 1 & 4) | (l->timer_dcr & 3)) + 1) & 7;
}

static uint64_t period(const struct lapic *l)
{
    return (uint64_t)l->timer_initial << divide_shift(l);
}

/* A deadline that is the TSC's last value would look like NEVER: the answer is 0, one tick later. */
uint64_t lapic_timer_deadline(const struct lapic *l)
{
    if (!l->timer_armed || (l->lvt[LAPIC_LVT_TIMER] & LVT_MASKED))
        return NEVER;

    return l->timer_next == NEVER ? 0 : l->timer_next;
}

/* Has the TSC begun again at 0 since the deadline was armed? Then it has passed the deadline, even if the deadline is
 * above its new value. A TSC that is only a few ticks below timer_from has not wrapped: it is another CPU's. */
static bool has_wrapped(const struct lapic *l, uint64_t now)
{
    return now < l->timer_from && (int64_t)(now - l->timer_from) > 0;
}

/* TSC-deadline mode: the interrupt comes when the TSC reaches the deadline or is beyond it (11.5.4.1). */
static bool deadline_due(const struct lapic *l, uint64_t now)
{
    return l->timer_next <= now || has_wrapped(l, now);
}

/* A count ends at most 2^39 ticks after it began. So the signed difference is right even if the TSC begins again
 * meanwhile. */
static bool due(const struct lapic *l, uint64_t now)
{
    if (mode(l) == LVT_TIMER_TSC_DEADLINE)
        return deadline_due(l, now);

    return (int64_t)(l->timer_next - now) <= 0;
}

/* Start a count. If its end would be NEVER, it is stored as 0, one tick later. */
static void arm(struct lapic *l, uint64_t end)
{
    l->timer_armed = true;
    l->timer_next = end == NEVER ? 0 : end;
}

void timer_notify(struct lapic *l, uint64_t before)
{
    if (lapic_timer_deadline(l) != before)
        l->domain->timer_changed(l->domain->ctx, l->index);
}

/* The periodic timer's first expiry after now. due: an expiry that is not after now. */
static uint64_t next_on_grid(const struct lapic *l, uint64_t due, uint64_t now)
{
    return due + ((now - due) / period(l) + 1) * period(l);
}

static void expire_and_raise(struct lapic *l, uint64_t now, bool own)
{
    if (!l->timer_armed || !due(l, now))
        return;

    if (mode(l) == LVT_TIMER_PERIODIC) {
        uint64_t next = next_on_grid(l, l->timer_next, now);

        if (period(l) < LAPIC_TIMER_MIN_GAP)
            next += (LAPIC_TIMER_MIN_GAP + period(l) - 1) / period(l) * period(l);
        arm(l, next);
    } else {
        l->timer_armed = false;
    }
    lapic_lvt_raise(l, LAPIC_LVT_TIMER, own);
}

static __attribute__((noinline)) void expire(struct lapic *l, uint64_t now)
{
    expire_and_raise(l, now, true);
}

/* For reads. Software that reads that the time is over must find the interrupt pending, even if the host's timer is
 * late. The interrupt is posted and signalled, since lapic_pending() is not asked after a read. */
static void expire_by_read(struct lapic *l, uint64_t now)
{
    uint64_t before = lapic_timer_deadline(l);

    expire_and_raise(l, now, false);
    timer_notify(l, before);
}

void lapic_timer_expire(struct lapic *l, uint64_t now)
{
    uint64_t before = lapic_timer_deadline(l);

    expire(l, now);
    timer_notify(l, before);
}

/* Entering or leaving TSC-deadline mode disarms the timer (11.5.4.1). Between one-shot and periodic mode a running
 * count goes on. The reserved mode 3 works as one-shot. */
void timer_write_lvt(struct lapic *l, uint32_t value, uint64_t now)
{
    uint64_t before = lapic_timer_deadline(l);

    expire(l, now);

    bool was_deadline = mode(l) == LVT_TIMER_TSC_DEADLINE;
    l->lvt[LAPIC_LVT_TIMER] = value;
    if (was_deadline != (mode(l) == LVT_TIMER_TSC_DEADLINE)) {
        l->timer_armed = false;
        l->timer_initial = 0;
    }

    timer_notify(l, before);
}

void timer_write_initial(struct lapic *l, uint32_t value, uint64_t now)
{
    if (mode(l) == LVT_TIMER_TSC_DEADLINE)
        return;

    uint64_t before = lapic_timer_deadline(l);
    expire(l, now);

    l->timer_initial = value;
    if (value)
        arm(l, now + period(l));
    else
        l->timer_armed = false;

    timer_notify(l, before);
}

/* A running count goes on from its value, at the new pace. */
void timer_write_dcr(struct lapic *l, uint32_t value, uint64_t now)
{
    if (value == l->timer_dcr)
        return;

    uint64_t before = lapic_timer_deadline(l);
    expire(l, now);

    uint64_t count = timer_current(l, now);
    l->timer_dcr = value;
    if (count)
        arm(l, now + (count << divide_shift(l)));

    timer_notify(l, before);
}

uint32_t timer_current(struct lapic *l, uint64_t now)
{
    expire_by_read(l, now);

    uint64_t next = l->timer_next;
    if (!l->timer_armed || mode(l) == LVT_TIMER_TSC_DEADLINE)
        return 0;

    /* The modulo: next may be several short periods away (LAPIC_TIMER_MIN_GAP). */
    uint64_t left = (next - now - 1) % period(l) + 1;
    return (uint32_t)((left + BIT(divide_shift(l)) - 1) >> divide_shift(l));
}

uint64_t timer_read_deadline(struct lapic *l, uint64_t now)
{
    expire_by_read(l, now);
    return mode(l) == LVT_TIMER_TSC_DEADLINE && l->timer_armed ? l->timer_next : 0;
}

void timer_write_deadline(struct lapic *l, uint64_t value, uint64_t now)
{
    if (mode(l) != LVT_TIMER_TSC_DEADLINE)
        return;

    uint64_t before = lapic_timer_deadline(l);
    if (l->timer_armed && deadline_due(l, now))
        expire(l, now);

    l->timer_next = value;
    l->timer_from = now;
    l->timer_armed = value; /* 0 disarms */
    if (value <= now)
        expire(l, now); /* a deadline in the past fires at once */

    timer_notify(l, before);
}

/* A count goes on for as long as it would have without the change. A deadline is a value of the TSC: it stays, so it is
 * nearer or farther in time now. */
void lapic_tsc_moved(struct lapic *l, uint64_t ticks, uint64_t now)
{
    if (l->timer_armed && mode(l) != LVT_TIMER_TSC_DEADLINE)
        arm(l, l->timer_next + ticks);

    l->timer_from = now;
    expire(l, now);
    l->domain->timer_changed(l->domain->ctx, l->index);
}
