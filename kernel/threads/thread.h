/* Kernel threads: preemptive in ring 3 and in guests, at chosen points in root. */
#ifndef KERNEL_THREADS_THREAD_H
#define KERNEL_THREADS_THREAD_H

#include "kernel/base/percpu.h"
#include "kernel/threads/timer.h"
#include "sched/sched.h"

struct thread;
struct world;

/* What the owner of a thread has to do about it; each may be NULL. */
struct thread_owner {
    /* It leaves the CPU, and stays runnable or sleeps: what it has in registers goes with it. Interrupts off. */
    void (*left)(struct thread *t, bool runnable);
    /* The timer has interrupted it in ring 3. Interrupts off. */
    void (*watch)(struct thread *t);
    /* The last thread that t->alive counts is off its stack for good. */
    void (*all_gone)(void);
};

struct thread {
    uint64_t
        user_rsp0; /* where a trap from ring 3 begins; 0: it is not in ring 3. kernel/worlds/user.asm knows this and: */
    struct vcpu *vcpu;
    struct sched_entity se;
    uint64_t rsp; /* saved, while it does not run */
    uint64_t kstack;
    uint64_t cr3;
    _Atomic uint32_t state; /* enum thread_state */
    _Atomic bool on_cpu;
    _Atomic uint32_t cpu; /* where it runs, or ran last */
    struct thread *_Atomic wake_next;
    struct thread *mutex_next;
    enum sched_why why; /* it is on its way to a run queue */
    struct timer deadline;
    struct world *world; /* NULL: a thread of root's own */
    uint32_t slot;
    _Atomic bool interrupted;         /* a park in ring 3 ends with E_INTR */
    bool leave;                       /* it has to leave ring 3 for good */
    uint64_t ready_since;             /* TSC when it became runnable without running; 0: it runs or sleeps */
    uint64_t billed_ticks;            /* control's: of se.run_ticks, what somebody has paid */
    uint64_t waited_ticks;            /* in all, runnable without a CPU */
    uint64_t upcall_ticks;            /* se.run_ticks when its upcall began; of a worker: when it parked last */
    _Atomic uint32_t *alive;          /* counts threads of its owner; falls when this one is gone */
    const struct thread_owner *owner; /* NULL: nobody */
    void (*main)(void *);
    void *arg;
};
enum thread_state { THREAD_RUNNING, THREAD_PERMIT, THREAD_BLOCKED, THREAD_DEAD };

/* A blocked thread that will run main(arg) once woken; NULL: no memory. cpus NULL: any. */
struct thread *thread_create(void (*main)(void *), void *arg, struct sched_group *group,
                             const uint64_t *cpus) MUST_CHECK;
/* One that is dead, or has never run. */
void thread_destroy(struct thread *t);
/* Makes it run, or its next thread_park return at once. Any CPU, any context in root. */
void thread_wake(struct thread *t);
/* Wakes it out of ring 3's PARK with E_INTR, and makes it pass user_return() soon if it is in ring 3. */
void thread_poke(struct thread *t);
/* The calling thread sleeps until woken. */
void thread_park(void);
/* The same, at most until that TSC tick (NEVER: no limit): OK or E_TIMEDOUT. */
int thread_park_until(uint64_t deadline);
_Noreturn void thread_exit(void);
/* A point where long work in root lets interrupts and other threads in. */
void thread_preempt_point(void);
/* A preemption point of a thread that cannot use the CPU now: whoever waits here comes first. */
void thread_yield(void);
/* Has somebody with a better claim come? Then thread_preempt_point() switches. Who was woken by another CPU comes with
 * its interrupt. */
static inline bool thread_should_yield(void) { return this_cpu()->resched; }

/* Each CPU: a run queue; then the CPU's idle loop. */
bool schedule_init_cpu(void) MUST_CHECK;
_Noreturn void schedule_start(void);

#endif
