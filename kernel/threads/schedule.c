#include "kernel/threads/schedule.h"

#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/base/time.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/trap.h"
#include "kernel/memory/paging.h"

#define LATENCY_US 6000

/*
 * A thread that runs alone has no slice that could end. Its CPU gets a tick this often all the same, so that the
 * thread's owner can see whether a device world hangs.
 */
#define WATCH_US 1000000

/*
 * The price of an interrupt or of a switch of threads, which the causer pays: PRICE_US until it has been measured
 * (schedule_entered()), and never less than that. A measurement above PRICE_MOST_US does not count: that thread has done
 * something else before it entered its guest.
 */
#define PRICE_US      1
#define PRICE_MOST_US 40

struct schedule {
    struct sched_rq rq;
    struct thread idle;
    uint64_t watch;    /* WATCH_US in ticks */
    uint64_t price;    /* of an interrupt or a switch of threads, in ticks */
    uint64_t switched; /* TSC when the current thread was switched to */
    uint64_t least;    /* shortest time ever from a switch to the entry of a guest, in ticks */
    /*
     * Threads that other CPUs have handed over to this one, the latest first. WAITING: there are none, and this CPU
     * waits for an interrupt. After any interrupt it looks here.
     */
    struct thread *_Atomic woken;
    _Atomic bool expedite; /* schedule_end() was called, on any CPU */
    _Atomic bool asked;    /* a CPU idles and wants a thread from here: ask() */
    bool crowded;          /* threads waited in the queue at the last follow_queue() */
};
#define WAITING ((struct thread *)1)

static uint32_t loads[ABI_MAX_CPUS];
static bool offers[ABI_MAX_CPUS]; /* what sched_offers() has said of each CPU's queue */
/* How many `offers` are true. The count follows the array, so it can be too low, but only for an instant. */
static _Atomic uint32_t offered;
static uint32_t online; /* CPUs below this index take threads */

void thread_switch(uint64_t *save_rsp, uint64_t rsp);

static struct schedule *mine(void)
{
    return this_cpu()->schedule;
}

static void publish(struct schedule *s)
{
    __atomic_store_n(&loads[this_cpu()->index], sched_load(&s->rq), __ATOMIC_RELAXED);
}

/*
 * Takes back the offer of that CPU, which may be this CPU or another one. True for one caller only, if two try. The
 * exchange is a full fence, here and in make_offer(): see ask().
 */
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

    /*
     * A thread without a home is new. Its waker cannot tell: the CPU that the thread ran on may be just leaving it, and
     * that sets its home.
     */
    sched_enqueue(&s->rq, now, &t->se, t->se.home ? t->why : SCHED_NEW);

    if (!s->rq.current || sched_should_preempt(&s->rq, now))
        this_cpu()->resched = true;
    else
        set_slice(s, now);
    publish(s);
}

/* Hands a runnable thread to a CPU. The CPU gets one interrupt for all threads that come before it serves that one. */
static void hand_over(struct thread *t, uint32_t cpu)
{
    struct schedule *s = percpu_of(cpu)->schedule;
    struct thread *head = atomic_load_explicit(&s->woken, memory_order_relaxed);

    do
        atomic_store_explicit(&t->wake_next, head == WAITING ? NULL : head, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&s->woken, &head, t));

    /* A CPU that waits looks at `woken` by itself after any interrupt: its vector needs no handler. */
    if (!head || head == WAITING)
        apic_ipi(cpu, head ? VECTOR_WAKE : VECTOR_RESCHEDULE);
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

    /* A CPU may still be on the thread's stack. Then only that CPU, which is about to leave the stack, may queue it. */
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

    /* Other CPUs must not take the target for idle any more. It publishes its load itself when it takes the thread. */
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

    /* The context of a thread that is on a CPU may not be saved yet. */
    if (!atomic_load(&t->on_cpu))
        move(s, now, t, target);
}

/*
 * A CPU idles, this one or another one. Asks a CPU that offers for a thread.
 *
 * A CPU that becomes idle publishes its load. A full fence stands between that and its look at `offered`. A CPU that
 * makes an offer has a full fence between the offer and its look at the loads. So at least one of the two sees the
 * other.
 */
static __attribute__((noinline)) void ask(void)
{
    /* Another CPU may take the same offer first. Then this one tries the next offer, but not for ever. */
    for (uint32_t i = 0; i < online; i++) {
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

/*
 * A CPU idles. Gives it a thread that waits here. The group of that thread pays `price` ticks. If there is no such
 * thread, another CPU is asked.
 */
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
    ASSERT(!atomic_load(&t->on_cpu)); /* it has waited for L / SCHED_MOVE_PART, so no CPU is on its stack any more */
    atomic_fetch_add_explicit(&se->group->bill, price, memory_order_relaxed);
    move(s, now, t, target);

    /* One more CPU idles: it has its turn after an interrupt. */
    if (sched_any_idle(loads, online))
        s->rq.again = now;
}

/* For when the queue has become empty or is not empty any more, and when this CPU's offer may have changed. */
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

/*
 * A CPU that idles has asked for a thread (ask()). The thread that gets a CPU by this pays for it. The thread that
 * runs here does not.
 */
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

/* Runs on the new thread's stack: no CPU is on the stack of the thread before any more. */
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

    /* A CPU that wakes a thread is to find this CPU idle. */
    __atomic_store_n(&loads[this_cpu()->index], 0, __ATOMIC_RELAXED);
    if (!atomic_compare_exchange_strong(&s->woken, &nobody, WAITING)) {
        publish(s);
        return false;
    }

    sched_stop(&s->rq, tsc_now());
    /* For a thread that came just now and is held, enqueue() may have asked for a switch, and set no tick. */
    if (sched_holds(&s->rq))
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

/*
 * The price follows the shortest time, which is the work itself. A thread that makes its own way to the guest longer
 * does not raise the price for others.
 */
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

    /* If threads wait here, the thread that goes to sleep pays for the switch, and the next thread does not. */
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
    atomic_store(&next->on_cpu, true); /* thread_poke() sees this, or the thread sees what it is poked for */
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
    sched_charge(&s->rq, now); /* also a thread that runs alone: its owner watches how much it has run */

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

/*
 * Does a thread of another group than `payer` run here, which must not pay for what is done for `payer`? A current
 * thread of `payer` itself is charged anyway. While the current thread waits, and on an idle CPU, nobody is charged.
 */
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

/* Threads that another CPU has woken interrupt the current thread. Their groups pay for that, and it does not. */
static void reschedule(void)
{
    struct schedule *s = mine();

    if (atomic_load_explicit(&s->expedite, memory_order_relaxed))
        expedite(s, tsc_now());
    if (atomic_load_explicit(&s->asked, memory_order_relaxed))
        asked(s, tsc_now());

    /* An idle CPU waits for an interrupt, and looks at `woken` by itself. */
    if (!s->rq.current)
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
