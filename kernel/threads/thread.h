/* Kernel threads. They are preempted anywhere in ring 3 and in guests, and at chosen points in root. */
#ifndef KERNEL_THREADS_THREAD_H
#define KERNEL_THREADS_THREAD_H

#include "kernel/base/percpu.h"
#include "kernel/threads/timer.h"
#include "sched/sched.h"

struct thread;
struct world;

/* What the owner of a thread does when something happens to the thread. Each may be NULL. */
struct thread_owner {
    /*
     * The thread leaves its CPU, and stays runnable or sleeps. What it has in the CPU's registers has to be saved now.
     * Interrupts are off.
     */
    void (*left)(struct thread *t, bool runnable);
    /* The timer has interrupted the thread in ring 3. Interrupts are off. */
    void (*watch)(struct thread *t);
    /* The last of the threads that t->alive counts has left its stack for good. */
    void (*all_gone)(void);
};

struct thread {
    /* kernel/worlds/user.asm knows where these two lie. */
    uint64_t user_rsp0; /* RSP with which a trap from ring 3 begins; 0: the thread is not in ring 3 */
    struct vcpu *vcpu;

    struct sched_entity se;
    uint64_t rsp; /* saved, while the thread does not run */
    uint64_t kstack;
    uint64_t cr3;
    _Atomic uint32_t state; /* enum thread_state */
    _Atomic bool on_cpu;
    _Atomic uint32_t cpu; /* the CPU where it runs, or ran last */
    struct thread *_Atomic wake_next;
    struct thread *mutex_next;
    enum sched_why why; /* why it is on its way to a run queue */
    struct timer deadline;
    struct world *world; /* NULL: a thread of root's own */
    uint32_t slot;
    _Atomic bool interrupted;         /* a park in ring 3 ends with E_INTR */
    bool leave;                       /* it has to leave ring 3 for good */
    uint64_t ready_since;             /* TSC since which it is runnable but does not run; 0: it runs or sleeps */
    uint64_t billed_ticks;            /* of control's thread: the part of se.run_ticks that is billed already */
    uint64_t waited_ticks;            /* all ticks that it was runnable without a CPU */
    uint64_t upcall_ticks;            /* se.run_ticks when its upcall began; of a worker: when it parked last */
    _Atomic uint32_t *alive;          /* count of its owner's threads; goes down when this one is gone */
    const struct thread_owner *owner; /* NULL: nobody */
    void (*main)(void *);
    void *arg;
};
enum thread_state { THREAD_RUNNING, THREAD_PERMIT, THREAD_BLOCKED, THREAD_DEAD };

/*
 * A blocked thread, which runs main(arg) when it has been woken. NULL: no memory. cpus: where it may run, ABI_MAX_CPUS
 * bits; NULL: on any CPU.
 */
struct thread *thread_create(void (*main)(void *), void *arg, struct sched_group *group,
                             const uint64_t *cpus) MUST_CHECK;
/* For a thread that is dead or has never run. NULL: nothing. */
void thread_destroy(struct thread *t);
/*
 * If the thread is blocked, it becomes runnable. If not, its next thread_park() returns at once. Any CPU, any context
 * in root.
 */
void thread_wake(struct thread *t);
/* Ends a PARK of ring 3 with E_INTR. If the thread is in ring 3, it passes user_return() soon. */
void thread_poke(struct thread *t);
/* The calling thread sleeps until it is woken. */
void thread_park(void);
/* The same, but at most until that TSC tick (NEVER: no limit). OK; E_TIMEDOUT: the tick has passed. */
int thread_park_until(uint64_t deadline);
_Noreturn void thread_exit(void);
/* A point where long work in root lets interrupts and other threads in. */
void thread_preempt_point(void);
/* A preemption point of a thread that cannot use the CPU now: a thread that waits here runs first. */
void thread_yield(void);
/*
 * Has a thread with a better claim to this CPU come? Then thread_preempt_point() switches. A thread that another CPU
 * has woken comes only when that CPU's interrupt is served.
 */
static inline bool thread_should_yield(void) { return this_cpu()->resched; }

/* Called by each CPU: makes its run queue. False: no memory. */
bool schedule_init_cpu(void) MUST_CHECK;
/* Called by each CPU: its idle loop. */
_Noreturn void schedule_start(void);

#endif
