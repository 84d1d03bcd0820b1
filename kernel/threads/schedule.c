#include "kernel/threads/schedule.h"

#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/base/time.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/trap.h"
#include "kernel/memory/paging.h"

#define LATENCY_US 6000
/* A thread that runs alone needs no tick; a device world does get one now and then, to see whether it hangs. */
#define WATCH_US 1000000

/* What an interrupt or a switch of threads costs whoever causes it: as was measured, within these bounds; the first until
 * then. A thread that does something else before it enters its guest makes no price. */
#define PRICE_US      1
#define PRICE_MOST_US 10

struct schedule {
    struct sched_rq rq;
    struct thread idle;
    uint64_t watch;    /* WATCH_US in ticks */
    uint64_t price;    /* in ticks */
    uint64_t switched; /* TSC when the current thread was switched to */
    uint64_t least;    /* from there to the guest's next instruction, ever */
    /* By other CPUs, latest first; WAITING: nobody, and any interrupt makes this one look. */
    struct thread *_Atomic woken;
    _Atomic bool expedite; /* asked for by another CPU: schedule_end() */
    _Atomic bool asked;    /* for a thread, by one that idles */
    bool crowded;          /* somebody waits, as of the last follow_queue() */
};
#define WAITING ((struct thread *)1)

static uint32_t loads[ABI_MAX_CPUS];
static bool offers[ABI_MAX_CPUS]; /* sched_offers() */
static _Atomic uint32_t offered;  /* offers that are true; never less than that for long enough to matter */
static uint32_t online;           /* CPUs that take threads: the first so many */

void thread_switch(uint64_t *save_rsp, uint64_t rsp);

static struct schedule *mine(void)
{
    return this_cpu()->schedule;
}

static void publish(struct schedule *s)
{
    __atomic_store_n(&loads[this_cpu()->index], sched_load(&s->rq), __ATOMIC_RELAXED);
}

/* Whoever takes an offer back, its own or another CPU's, does so once. Each of these is a full fence: see ask(). */
static bool take_offer(uint32_t cpu)
{
    if (!__atomic_exchange_n(&offers[cpu], false, __ATOMIC_SEQ_CST))
        return false;
    atomic_fetch_sub(&offered, 1);
    return true;
}

static void make_offer(uint32_t cpu)
{
    if (__atomic_exchange_n(&offers[cpu], true, __ATOMIC_SEQ_CST))
        return;
    atomic_fetch_add(&offered, 1);
}

static void follow_queue(struct schedule *s, uint64_t now);

static void set_slice(struct schedule *s, uint64_t now)
{
    if ((s->rq.queued != 0) != s->crowded)
        follow_queue(s, now);
    uint64_t end = sched_slice_end(&s->rq, now);
    this_cpu()->unwatched = end == NEVER && sched_stopped(&s->rq);
    if (end == NEVER && s->rq.current && !sched_stopped(&s->rq))
        end = now + s->watch;
    timer_set_slice(end);
}

static void enqueue(struct schedule *s, struct thread *t, uint64_t now)
{
    t->cpu = this_cpu()->index;
    /* The waker cannot tell: the CPU that the thread sleeps on may be just leaving it. */
    sched_enqueue(&s->rq, now, &t->se, t->se.home ? t->why : SCHED_NEW);
    if (!s->rq.current || sched_should_preempt(&s->rq, now))
        this_cpu()->resched = true;
    else
        set_slice(s, now);
    publish(s);
}

/* Hand a runnable thread to a CPU: one interrupt for as many threads as come before it is served. */
static void hand_over(struct thread *t, uint32_t cpu)
{
    struct schedule *s = percpu_of(cpu)->schedule;
    struct thread *head = atomic_load_explicit(&s->woken, memory_order_relaxed);
    do
        atomic_store_explicit(&t->wake_next, head == WAITING ? NULL : head, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&s->woken, &head, t));
    if (!head || head == WAITING)
        apic_ipi(cpu, head ? VECTOR_WAKE : VECTOR_RESCHEDULE); /* who waits looks by itself */
}

static void take_woken(struct schedule *s, uint64_t now)
{
    struct thread *t = atomic_exchange(&s->woken, NULL);
    while (t && t != WAITING) {
        struct thread *next = atomic_load_explicit(&t->wake_next, memory_order_relaxed);
        enqueue(s, t, now);
        t = next;
    }
}

void schedule_wake(struct thread *t)
{
    t->why = SCHED_WAKE;
    uint64_t now = tsc_now();
    t->ready_since = now;
    uint32_t self = this_cpu()->index;
    /* Still on its stack: only the CPU that is about to leave it may queue it. */
    uint32_t cpu = atomic_load(&t->on_cpu) ? t->cpu : sched_wake_cpu(&t->se, t->cpu, loads, online);
    if (cpu == self)
        enqueue(mine(), t, now);
    else
        hand_over(t, cpu);
}

static void move(struct schedule *s, uint64_t now, struct thread *t, uint32_t target)
{
    sched_dequeue(&s->rq, now, &t->se);
    publish(s);
    /* It idles no more, to others. It publishes its load itself when it has taken the thread. */
    uint32_t load = __atomic_load_n(&loads[target], __ATOMIC_RELAXED);
    __atomic_store_n(&loads[target], load + t->se.weight, __ATOMIC_RELAXED);
    t->why = SCHED_MIGRATE;
    hand_over(t, target);
}

static __attribute__((noinline)) void push_surplus(struct schedule *s, uint64_t now)
{
    uint32_t target;
    struct sched_entity *se = sched_push(&s->rq, now, this_cpu()->index, loads, online, &target);
    if (!se)
        return;
    struct thread *t = CONTAINER_OF(se, struct thread, se);
    if (!atomic_load(&t->on_cpu)) /* or its context is not saved yet */
        move(s, now, t, target);
}

/*
 * A CPU idles, this one perhaps: one that offers is asked for a thread. This one has published its load before, and a
 * full fence is between that and its look at `offered`; who makes an offer has one between that and its look at the
 * loads. So one of them sees the other.
 */
static __attribute__((noinline)) void ask(void)
{
    for (uint32_t i = 0; i < online; i++) { /* others may be faster, but not for ever */
        uint32_t cpu = sched_ask(this_cpu()->index, loads, offers, online);
        if (cpu >= online)
            return;
        if (!take_offer(cpu))
            continue;
        atomic_store(&percpu_of(cpu)->schedule->asked, true);
        apic_ipi(cpu, VECTOR_RESCHEDULE);
        return;
    }
}

/* A CPU idles: it gets a thread that waits here, which pays the price, or else another CPU is asked. */
static void give(struct schedule *s, uint64_t now, uint64_t price)
{
    uint32_t target;
    struct sched_entity *se = sched_give(&s->rq, now, this_cpu()->index, loads, online, &target);
    if (!se) {
        if (sched_any_idle(loads, online))
            ask();
        return;
    }
    struct thread *t = CONTAINER_OF(se, struct thread, se);
    ASSERT(!atomic_load(&t->on_cpu)); /* who has waited for that long is off its stack */
    atomic_fetch_add_explicit(&se->group->bill, price, memory_order_relaxed);
    move(s, now, t, target);
    if (sched_any_idle(loads, online))
        s->rq.again = now; /* that one in its turn, after an interrupt */
}

/* Somebody waits here and nobody did, or the other way round; or what is offered may have changed. */
static __attribute__((noinline)) void follow_queue(struct schedule *s, uint64_t now)
{
    s->crowded = s->rq.queued != 0;
    if (online < 2)
        return;
    uint32_t self = this_cpu()->index;
    if (sched_offers(&s->rq)) {
        make_offer(self);
        if (sched_any_idle(loads, online))
            give(s, now, 0);
    }
    if (!sched_offers(&s->rq))
        take_offer(self);
}

/* By one that idles. What that costs, whoever runs here does not pay, but the thread that gets a CPU by it. */
static __attribute__((noinline)) void asked(struct schedule *s, uint64_t now)
{
    atomic_store(&s->asked, false);
    if (s->rq.current)
        sched_forgive(&s->rq, s->price);
    give(s, now, s->price);
    follow_queue(s, now);
    if (s->rq.current)
        set_slice(s, now);
}

/* On the new thread's stack: the one before is off its own now. */
static void finish_switch(struct thread *before)
{
    bool dead = atomic_load(&before->state) == THREAD_DEAD;
    _Atomic uint32_t *alive = before->alive;
    const struct thread_owner *owner = before->owner;
    atomic_store_explicit(&before->on_cpu, false, memory_order_release);
    if (dead && alive && atomic_fetch_sub(alive, 1) == 1)
        owner->all_gone();
}

static void wait_for_woken(struct schedule *s)
{
    struct thread *nobody = NULL;
    if (!atomic_compare_exchange_strong(&s->woken, &nobody, WAITING))
        return;
    if (atomic_load(&offered))
        ask();
    irq_wait();
}

bool schedule_alone(void)
{
    return !mine()->rq.queued;
}

bool schedule_wait(void)
{
    struct schedule *s = mine();
    struct thread *nobody = NULL;
    if (!schedule_alone())
        return false;
    __atomic_store_n(&loads[this_cpu()->index], 0, __ATOMIC_RELAXED); /* who wakes a thread finds this CPU idle */
    if (!atomic_compare_exchange_strong(&s->woken, &nobody, WAITING)) {
        publish(s);
        return false;
    }
    sched_stop(&s->rq, tsc_now());
    if (sched_holds(&s->rq)) /* who came while it looked may have asked for a switch, and for no tick */
        set_slice(s, tsc_now());
    if (atomic_load(&offered))
        ask();
    irq_wait();
    uint64_t now = tsc_now();
    sched_go_on(&s->rq, now);
    publish(s);
    take_woken(s, now);
    return true;
}

/* The least time is the work itself: no thread can make others' prices rise, by whatever it does between. */
void schedule_entered(void)
{
    struct schedule *s = mine();
    uint64_t ticks = tsc_now() - s->switched;

    if (ticks >= s->least)
        return;
    s->least = ticks;
    s->price = MAX(ticks, tsc_from_us(PRICE_US));
}

void schedule_watch(void)
{
    set_slice(mine(), tsc_now());
}

static struct thread *switched_from[ABI_MAX_CPUS];

void schedule_begin(void)
{
    finish_switch(switched_from[this_cpu()->index]);
}

void schedule(bool runnable)
{
    struct percpu *cpu = this_cpu()->self;
    struct schedule *s = cpu->schedule;
    struct thread *before = cpu->current;
    uint64_t now = tsc_now();
    /* Who sleeps pays for the switch, not the next one, if there is one. */
    uint64_t paid = runnable || !s->rq.queued ? now : now + s->price;
    if (before != &s->idle)
        sched_put(&s->rq, paid, runnable);
    take_woken(s, now);
    sched_release(&s->rq, now);
    if (s->rq.queued > 1 && online > 1)
        push_surplus(s, now);
    struct sched_entity *se = sched_pick(&s->rq, paid);
    publish(s);
    this_cpu()->resched = false;
    set_slice(s, now);
    struct thread *next = se ? CONTAINER_OF(se, struct thread, se) : &s->idle;
    if (next->ready_since)
        next->waited_ticks += now - next->ready_since;
    next->ready_since = 0;
    if (next == before)
        return;
    if (runnable)
        before->ready_since = now;
    if (before->owner && before->owner->left)
        before->owner->left(before, runnable);
    kstack_sync();
    if (next->cr3 != before->cr3)
        write_cr3(next->cr3);
    atomic_store_explicit(&next->cpu, cpu->index, memory_order_relaxed);
    atomic_store(&next->on_cpu, true); /* thread_poke() sees it, or the thread sees what it is poked for */
    cpu->current = next;
    cpu->kernel_rsp = cpu->tss.rsp[0] = next->user_rsp0;
    switched_from[cpu->index] = before;
    s->switched = now;
    thread_switch(&before->rsp, next->rsp);
    schedule_begin();
}

void thread_yield(void)
{
    struct schedule *s = mine();
    irq_window();
    take_woken(s, tsc_now());
    if (!s->rq.queued)
        return;
    sched_yield_current(&s->rq, tsc_now());
    schedule(true);
}

void schedule_tick(uint64_t now)
{
    struct schedule *s = mine();
    take_woken(s, now);
    sched_release(&s->rq, now);
    sched_charge(&s->rq, now); /* a thread that runs alone, too: its owner watches that */
    if (s->rq.again <= now) {
        give(s, now, 0);
        follow_queue(s, now);
    }
    if (sched_should_preempt(&s->rq, now))
        this_cpu()->resched = true;
    else
        set_slice(s, now);
}

void schedule_end(struct sched_group *group)
{
    sched_group_end(group);
    for (uint32_t cpu = 0; cpu < online; cpu++)
        if (!atomic_exchange(&percpu_of(cpu)->schedule->expedite, true))
            apic_ipi(cpu, VECTOR_RESCHEDULE);
}

static __attribute__((noinline)) void expedite(struct schedule *s, uint64_t now)
{
    atomic_store(&s->expedite, false);
    sched_expedite(&s->rq, now);
    publish(s);
    if (sched_should_preempt(&s->rq, now))
        this_cpu()->resched = true;
    else
        set_slice(s, now);
}

/* Somebody else than that group runs here, who is not to pay for what is done for it. For what is its own, the current
 * thread is charged anyway; while it waits, or on an idle CPU, nobody is. */
static bool has_victim(const struct schedule *s, const struct sched_group *payer)
{
    const struct sched_entity *current = s->rq.current;

    return current && current->group != payer && !sched_stopped(&s->rq);
}

static void pay(struct schedule *s, struct sched_group *payer, uint64_t ticks)
{
    atomic_fetch_add_explicit(&payer->bill, ticks, memory_order_relaxed);
    sched_forgive(&s->rq, ticks);
}

void schedule_served(struct sched_group *payer, uint64_t begin)
{
    struct schedule *s = mine();

    if (has_victim(s, payer))
        pay(s, payer, tsc_now() - begin + s->price);
}

/* Threads that another CPU has woken interrupt the current one: it is not charged for that, they are. */
static void reschedule(void)
{
    struct schedule *s = mine();
    if (atomic_load_explicit(&s->expedite, memory_order_relaxed))
        expedite(s, tsc_now());
    if (atomic_load_explicit(&s->asked, memory_order_relaxed))
        asked(s, tsc_now());
    if (!s->rq.current) /* the CPU waits for an interrupt, and looks by itself */
        return;
    struct thread *t = atomic_exchange(&s->woken, NULL);
    while (t && t != WAITING) {
        struct thread *next = atomic_load_explicit(&t->wake_next, memory_order_relaxed);
        if (has_victim(s, t->se.group))
            pay(s, t->se.group, s->price);
        enqueue(s, t, tsc_now());
        t = next;
    }
}

void schedule_set_online(uint32_t cpus)
{
    online = cpus;
}

void schedule_look(void)
{
    struct thread *t = current_thread();

    if (t->user_rsp0 && t->owner && t->owner->watch)
        t->owner->watch(t);
}

uint64_t schedule_price(void)
{
    return mine()->price;
}

void schedule_init(void)
{
    irq_register(VECTOR_RESCHEDULE, reschedule);
}

bool schedule_init_cpu(void)
{
    static_assert(sizeof(struct schedule) <= PAGE_SIZE, "fits a page");
    struct schedule *s = page_alloc(0);
    if (!s || !timer_init_cpu())
        return false;
    sched_rq_init(&s->rq, tsc_from_us(LATENCY_US));
    s->watch = tsc_from_us(WATCH_US);
    s->price = tsc_from_us(PRICE_US);
    s->least = tsc_from_us(PRICE_MOST_US);
    s->idle.cr3 = paging_root().v;
    s->idle.cpu = this_cpu()->index;
    s->idle.on_cpu = true;
    this_cpu()->current = &s->idle;
    this_cpu()->schedule = s;
    return true;
}

void schedule_start(void)
{
    struct schedule *s = mine();
    for (;;) {
        uint64_t now = tsc_now();
        take_woken(s, now);
        sched_release(&s->rq, now);
        if (s->rq.queued) {
            schedule(true);
            continue;
        }
        if (sched_holds(&s->rq))
            set_slice(s, now);
        wait_for_woken(s);
    }
}
