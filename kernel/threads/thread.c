#include "kernel/threads/thread.h"

#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/base/time.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/trap.h"
#include "kernel/memory/paging.h"
#include "kernel/threads/schedule.h"
#include "lib/string.h"

extern const char thread_start_stub[];
_Noreturn void thread_begin(struct thread *t);

static struct sched_group *deadline_fired(struct timer *timer)
{
    struct thread *t = CONTAINER_OF(timer, struct thread, deadline);
    struct sched_group *group = t->se.group;

    thread_wake(t);
    return group;
}

struct thread *thread_create(void (*main)(void *), void *arg, struct sched_group *group, const uint64_t *cpus)
{
    static_assert(sizeof(struct thread) <= PAGE_SIZE, "fits a page");

    struct thread *t = page_alloc(0);
    uint64_t top = t ? kstack_alloc() : 0;
    if (!top) {
        page_free(t, 0);
        return NULL;
    }

    sched_entity_init(&t->se, group, cpus);
    t->kstack = top;
    t->cr3 = paging_root().v;
    t->state = THREAD_BLOCKED;
    t->deadline.fired = deadline_fired;
    t->main = main;
    t->arg = arg;

    while (!sched_allowed(&t->se, t->cpu) && t->cpu + 1 < cpu_count())
        t->cpu++;

    /*
     * The frame that thread_switch() pops: RBX holds the thread, and the return address is the stub. The stack is
     * mapped in every page table, but this CPU may have stale TLB entries for it.
     */
    kstack_sync();
    uint64_t *frame = (uint64_t *)top - 8;
    memset(frame, 0, 8 * sizeof *frame);
    frame[5] = (uint64_t)t;
    frame[6] = (uint64_t)thread_start_stub;
    t->rsp = (uint64_t)frame;
    return t;
}

void thread_destroy(struct thread *t)
{
    if (!t)
        return;
    ASSERT(!atomic_load(&t->on_cpu));
    timer_cancel(&t->deadline);
    kstack_free(t->kstack);
    page_free(t, 0);
}

void thread_begin(struct thread *t)
{
    schedule_begin();
    t->main(t->arg);
    thread_exit();
}

void thread_exit(void)
{
    timer_cancel(&current_thread()->deadline);
    atomic_store(&current_thread()->state, THREAD_DEAD);
    schedule(false);
    panic("a dead thread runs");
}

void thread_wake(struct thread *t)
{
    uint32_t old = atomic_load(&t->state), new;

    do {
        if (old == THREAD_PERMIT || old == THREAD_DEAD)
            return;
        new = old == THREAD_BLOCKED ? THREAD_RUNNING : THREAD_PERMIT;
        /* Pairs with thread_park(): the thread sees the permit, or its waker sees that the thread is blocked. */
    } while (!atomic_compare_exchange_weak(&t->state, &old, new));

    if (old == THREAD_BLOCKED)
        schedule_wake(t);
}

void thread_park(void)
{
    struct thread *t = current_thread();
    uint32_t running = THREAD_RUNNING;

    if (atomic_compare_exchange_strong(&t->state, &running, THREAD_BLOCKED))
        schedule(false);
    else
        atomic_store(&t->state, THREAD_RUNNING);
}

int thread_park_until(uint64_t deadline)
{
    struct thread *t = current_thread();

    if (deadline == NEVER) {
        thread_park();
        return OK;
    }

    timer_set(&t->deadline, deadline);
    thread_park();
    timer_cancel(&t->deadline);
    return tsc_now() >= deadline ? E_TIMEDOUT : OK;
}

void thread_poke(struct thread *t)
{
    atomic_store(&t->interrupted, true);
    thread_wake(t);

    /* The interrupt returns to ring 3 through user_return(). */
    if (atomic_load(&t->on_cpu) && t->cpu != this_cpu()->index)
        apic_ipi(t->cpu, VECTOR_KICK);
}

void thread_preempt_point(void)
{
    irq_window();
    if (thread_should_yield())
        schedule(true);
}
