#include "kernel/threads/timer.h"

#include "kernel/base/percpu.h"
#include "kernel/base/spinlock.h"
#include "kernel/base/time.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/trap.h"
#include "kernel/memory/mem.h"

struct cpu_timers {
    struct spinlock lock;
    struct timerq queue;
    /* TSC ticks, both used by this CPU only. */
    uint64_t slice; /* when the scheduler wants to be asked */
    uint64_t armed; /* the hardware timer: not after `slice` or any deadline. 0: it has fired and was not set anew */
};
static struct cpu_timers *timers[ABI_MAX_CPUS];
static void (*slice_ended)(uint64_t now);
static void (*every_interrupt)(void);
static void (*served)(struct sched_group *payer, uint64_t begin);

/* For this CPU's own timers, with t->lock held. */
static void arm(struct cpu_timers *t)
{
    struct timer_node *first = timerq_first(&t->queue);
    uint64_t next = first ? first->deadline : NEVER;

    next = MIN(next, t->slice);
    if (next == t->armed)
        return;
    t->armed = next;
    apic_timer_set(next);
}

/* With t->lock held. */
static struct timer *expired(struct cpu_timers *t, uint64_t now)
{
    struct timer_node *node = timerq_pop_expired(&t->queue, now);
    struct timer *timer = node ? CONTAINER_OF(node, struct timer, node) : NULL;
    if (timer)
        timer->busy++;
    return timer;
}

static void interrupt(void)
{
    struct cpu_timers *t = timers[this_cpu()->index];
    t->armed = 0; /* timer_set_slice() leaves the hardware timer alone until all is served */
    uint64_t now = tsc_now(), begin = now;

    /*
     * slice_ended() sets the next slice, or sees to it that schedule() does. The old one must not stay: a slice in the
     * past would interrupt at once, again and again.
     */
    if (t->slice <= now) {
        t->slice = NEVER;
        slice_ended(now);
    }

    every_interrupt();

    spin_lock(&t->lock);
    for (struct timer *timer; (timer = expired(t, now)); begin = tsc_now()) {
        spin_unlock(&t->lock);
        served(timer->fired(timer), begin);
        atomic_fetch_sub_explicit(&timer->busy, 1, memory_order_release);
        spin_lock(&t->lock);
    }
    arm(t);
    spin_unlock(&t->lock);
}

void timer_init(void (*on_slice_end)(uint64_t now), void (*every)(void),
                void (*on_fired)(struct sched_group *payer, uint64_t begin))
{
    slice_ended = on_slice_end;
    every_interrupt = every;
    served = on_fired;
    irq_register(VECTOR_TIMER, interrupt);
}

bool timer_init_cpu(void)
{
    static_assert(sizeof(struct cpu_timers) <= PAGE_SIZE, "fits a page");
    struct cpu_timers *t = page_alloc(0);
    if (!t)
        return false;

    t->slice = t->armed = NEVER;
    timers[this_cpu()->index] = t;
    return true;
}

static void take_out(struct timer *timer)
{
    struct cpu_timers *t = timers[timer->cpu];

    spin_lock(&t->lock);
    timerq_remove(&t->queue, &timer->node);
    spin_unlock(&t->lock);
}

void timer_set(struct timer *timer, uint64_t deadline)
{
    struct cpu_timers *t = timers[this_cpu()->index];

    /* The timer's CPU may be just about to take the timer out. Only its lock tells that it has. */
    if (timer->cpu != this_cpu()->index)
        take_out(timer);

    spin_lock(&t->lock);
    timer->cpu = this_cpu()->index;
    timerq_insert(&t->queue, &timer->node, deadline);
    arm(t);
    spin_unlock(&t->lock);
}

void timer_cancel(struct timer *timer)
{
    /* Only the caller puts the timer into a queue, and only this CPU takes it out of this CPU's: no lock is needed. */
    if (timer->cpu != this_cpu()->index || timer->node.queued)
        take_out(timer);

    while (atomic_load_explicit(&timer->busy, memory_order_acquire))
        cpu_pause();
}

void timer_set_slice(uint64_t deadline)
{
    struct cpu_timers *t = timers[this_cpu()->index];
    t->slice = deadline;

    /* If the hardware timer comes early enough, it stays as it is: slices change all the time and seldom end. */
    if (t->armed <= deadline)
        return;
    t->armed = deadline;
    apic_timer_set(deadline);
}
