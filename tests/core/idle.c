/* Threads; and when all CPUs idle, nothing may be left that should have woken somebody. */
#include <stdio.h>
#include <string.h>

#include "kernel/base/spinlock.h"
#include "kernel/base/time.h"
#include "kernel/threads/schedule.h"
#include "lapic/internal.h"
#include "tests/core/core.h"

#define THREADS 256

static struct thread *threads[THREADS];
static uint64_t run_ticks;    /* of those that are gone */
static const uint32_t *loads; /* as the CPUs publish them */
static const struct sched_rq *queues[CORE_CPUS];
static struct spinlock lock; /* of who is in this table */

void ghost_threads_init(void)
{
    memset(threads, 0, sizeof threads);
    run_ticks = 0;
}

struct thread *__real_thread_create(void (*main)(void *), void *arg, struct sched_group *group, const uint64_t *cpus);
struct thread *__wrap_thread_create(void (*main)(void *), void *arg, struct sched_group *group, const uint64_t *cpus);
struct thread *__wrap_thread_create(void (*main)(void *), void *arg, struct sched_group *group, const uint64_t *allowed)
{
    struct thread *t = __real_thread_create(main, arg, group, allowed);
    spin_lock(&lock);
    uint32_t i = 0;
    while (i < THREADS - 1 && threads[i])
        i++;
    threads[i] = t;
    spin_unlock(&lock);
    return t;
}

void __real_thread_destroy(struct thread *t);
void __wrap_thread_destroy(struct thread *t);
void __wrap_thread_destroy(struct thread *t)
{
    spin_lock(&lock);
    for (uint32_t i = 0; t && i < THREADS; i++)
        if (threads[i] == t)
            threads[i] = NULL;
    run_ticks += t ? t->se.run_ticks : 0;
    spin_unlock(&lock);
    __real_thread_destroy(t);
}

uint32_t __real_sched_wake_cpu(const struct sched_entity *se, uint32_t prev, const uint32_t *all, uint32_t count);
uint32_t __wrap_sched_wake_cpu(const struct sched_entity *se, uint32_t prev, const uint32_t *all, uint32_t count);
uint32_t __wrap_sched_wake_cpu(const struct sched_entity *se, uint32_t prev, const uint32_t *all, uint32_t count)
{
    __atomic_store_n(&loads, all, __ATOMIC_RELAXED);
    return __real_sched_wake_cpu(se, prev, all, count);
}

void __real_sched_rq_init(struct sched_rq *rq, uint64_t latency);
void __wrap_sched_rq_init(struct sched_rq *rq, uint64_t latency);
void __wrap_sched_rq_init(struct sched_rq *rq, uint64_t latency)
{
    queues[me()->percpu.index] = rq;
    __real_sched_rq_init(rq, latency);
}

static bool queued(const struct thread *t);
static bool some_held(void)
{
    for (uint32_t i = 0; i < THREADS; i++)
        if (threads[i] && queued(threads[i]) && threads[i]->se.group->limit != SCHED_NO_LIMIT)
            return true;
    return false;
}

/* The one that was set before it waited may come, and no other, unless for somebody held: waiting costs nothing. */
void __real_schedule_tick(uint64_t now);
void __wrap_schedule_tick(uint64_t now);
void __wrap_schedule_tick(uint64_t now)
{
    const struct vcpu *v = current_thread()->vcpu;
    struct core_cpu *c = me();
    if (v && word_where(atomic_load(&v->word)) == WHERE_WAITING && schedule_alone()) {
        if (c->ticked && !some_held())
            core_fail("CPU %u has a tick again while vCPU %u waits", c->percpu.index, v->index);
        c->ticked = true;
    }
    __real_schedule_tick(now);
}

bool ghost_counts_as_idle(uint32_t cpu)
{
    const uint32_t *all = __atomic_load_n(&loads, __ATOMIC_RELAXED);
    return all && !__atomic_load_n(&all[cpu], __ATOMIC_RELAXED);
}

/* All threads are destroyed, elapsed ticks after the CPUs began. */
void ghost_over(uint64_t elapsed)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < plan.cpus; i++)
        used += elapsed - cpus[i].waited_ticks;
    /* Who sleeps pays the price of a switch ahead, and the next thread may have run for less than that. */
    if (run_ticks > used + used / 50)
        core_fail("threads are charged for %lu ticks, and CPUs have not waited for %lu", run_ticks, used);
}

const char *core_thread_name(const struct thread *t)
{
    static _Thread_local char texts[4][40];
    static _Thread_local unsigned turn;
    char *text = texts[turn++ % 4];
    if (t == control_thread)
        return "control";
    if (!t || !t->kstack)
        return "idle";
    if (t->vcpu)
        snprintf(text, sizeof texts[0], "vm %u vCPU %u", t->vcpu->vm->id, t->vcpu->index);
    else
        snprintf(text, sizeof texts[0], "vm %u world", t->world && t->world->vm ? t->world->vm->id : 99);
    return text;
}

/* ---- All CPUs idle */

static void idle_lapic(struct vcpu *v, uint64_t w)
{
    struct lapic *l = v->lapic;
    bool pending = w & BIT(REQ_EVENT);
    for (unsigned i = 0; i < 4; i++)
        if (atomic_load(&l->pir[i]) && !atomic_load(&l->on))
            core_fail("vCPU %u: something is posted, and nobody has been told", v->index);
    if (atomic_load(&l->on) && !pending)
        core_fail("vCPU %u: what is posted is announced, and no EVENT is pending", v->index);
}

/* word_where() is not ROOT: no CPU runs root's code. */
static void idle_vcpu(struct vcpu *v, uint32_t asked)
{
    uint64_t w = atomic_load(&v->word);
    uint32_t counted = BIT(REQ_TEARDOWN) | BIT(REQ_INIT) | BIT(REQ_APIC) | BIT(REQ_TIMER) | BIT(REQ_NMI) |
                       BIT(REQ_EVENT) | BIT(REQ_CLOCK);
    if (atomic_load(&v->thread->state) == THREAD_DEAD)
        return;
    if (asked & ~w & counted)
        core_fail("vCPU %u: of requests 0x%x some are lost, 0x%lx", v->index, asked, w);
    if (word_where(w) == WHERE_GUEST && (w & (WORD_REQUESTS | WORD_ACK)))
        core_fail("vCPU %u: in the guest with requests, and no interrupt comes: 0x%lx", v->index, w);
    if (word_where(w) == WHERE_ROOT)
        core_fail("vCPU %u: in root, and nobody runs it: 0x%lx", v->index, w);
    if (v->lapic)
        idle_lapic(v, w);
    if (word_where(w) == WHERE_PARKED && (word_mp(w) == MP_HALTED || word_mp(w) == MP_HALTED_MASKED) &&
        vcpu_has_wakeup(v))
        core_fail("vCPU %u: parked in HLT with something that ends it", v->index);
    if (word_where(w) == WHERE_WAITING && cpus[word_cpu(w)].percpu.current != v->thread)
        core_fail("vCPU %u: waits on a CPU that runs another thread: 0x%lx", v->index, w);
    if (word_where(w) == WHERE_WAITING && (v->event.valid || v->nmi_pending || lapic_pending(v->lapic) != LAPIC_NONE))
        core_fail("vCPU %u: waits in HLT with something that ends it", v->index);
    if (word_where(w) == WHERE_GUEST && vcpu_has_wakeup(v))
        core_fail("vCPU %u: in the guest, and what is on its way does not come", v->index);
}

static bool idles(const struct core_cpu *c)
{
    const struct vcpu *v = c->percpu.current->vcpu;
    return !core_stack_of(c->percpu.current) || (v && word_where(atomic_load(&v->word)) == WHERE_WAITING);
}

static void idle_cpu(const struct core_cpu *c)
{
    bool waits = idles(c);
    if (c->in_guest && atomic_load(&c->timer) == NEVER)
        core_fail("CPU %u runs a guest, and will never look whether a device world hangs", c->percpu.index);
    if (waits && loads && !ghost_counts_as_idle(c->percpu.index))
        core_fail("CPU %u waits, and counts as one that has something to do", c->percpu.index);
}

static void idle_vm(struct vm *vm)
{
    uint32_t odd = 0;
    for (uint32_t i = 0; i < vm->config.vcpus; i++)
        odd += vm->vcpus[i]->odd_mode;
    if (vm->inhibits.count[INHIBIT_MODE] != odd || !(vm->inhibits.mask >> INHIBIT_MODE & 1) != !odd)
        core_fail("vm %u: %u LAPICs out of place, counted %u", vm->id, odd, vm->inhibits.count[INHIBIT_MODE]);
    if (atomic_load(&vm->broadcast.owner))
        core_fail("vm %u: the broadcast lock is held, and nobody runs", vm->id);
    if (atomic_load(&vm->acks))
        core_fail("vm %u: %u acknowledgements do not come", vm->id, vm->acks);
}

/* The thread is neither asleep nor on a CPU. */
static bool queued(const struct thread *t)
{
    for (uint32_t c = 0; c < plan.cpus; c++)
        if (cpus[c].percpu.current == t)
            return false;
    return atomic_load(&t->state) != THREAD_BLOCKED && atomic_load(&t->state) != THREAD_DEAD;
}

/* It waits behind a guest that computes, on a CPU that will not look for another one soon. */
static void idle_elsewhere(const struct thread *t)
{
    const struct sched_rq *rq = queues[t->cpu];
    bool will_look = rq->again != NEVER && atomic_load(&cpus[t->cpu].timer) <= rq->again;
    if (will_look || group_held(t->se.group, tsc_now()))
        return;
    for (uint32_t i = 0; i < plan.cpus; i++)
        if (idles(&cpus[i]) && sched_allowed(&t->se, i))
            core_fail("CPU %u idles, and CPU %u does not give it thread %s", i, t->cpu, core_thread_name(t));
}

void ghost_idle(void)
{
    bool some_queued = false;
    for (uint32_t i = 0; i < THREADS; i++) {
        const struct thread *t = threads[i];
        if (!t || !queued(t))
            continue;
        /* Behind a guest that computes, whose slice will end; or over its limit, for a while. */
        if ((!cpus[t->cpu].in_guest && t->se.group->limit == SCHED_NO_LIMIT) ||
            atomic_load(&cpus[t->cpu].timer) == NEVER)
            core_fail("thread %s is runnable, and no CPU will run it", core_thread_name(t));
        idle_elsewhere(t);
        some_queued = true;
    }
    if (some_queued)
        return;
    for (uint32_t i = 0; i < plan.cpus; i++)
        idle_cpu(&cpus[i]);
    ghost_each(idle_vcpu);
    for (uint32_t i = 0; i < CORE_VMS; i++)
        if (vm_find(i))
            idle_vm(vm_find(i));
}
