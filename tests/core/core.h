/*
 * A machine on the host for the vCPU core: the C files of root that decide about vCPUs, threads, timers and LAPICs are
 * linked as they are, and what stands below them (CPUs, interrupts, memory, back end, device world) is made up here.
 *
 * A CPU is whatever runs root's code at one time; root's threads are stacks that it switches between, by root's own
 * schedule(). Two programs are made of it. `core`: all CPUs share one host thread, and at each memory access of root's
 * code a generator that the seed starts may give the host thread to another CPU, so that a seed is a run (by_turns.c).
 * `soak`: each CPU is a host thread under ThreadSanitizer, delayed at random at each atomic access (by_threads.c).
 */
#ifndef TESTS_CORE_CORE_H
#define TESTS_CORE_CORE_H

#include "kernel/base/percpu.h"
#include "kernel/threads/thread.h"
#include "kernel/vm/vcpu.h"

#define CORE_HIDDEN BIT(23) /* of CR4 and EFER: no guest may set it */
#define CORE_CPUS   4
#define CORE_VMS    2
#define CORE_VCPUS  4

enum { IRQ_TIMER, IRQ_RESCHEDULE, IRQ_KICK, IRQ_WAKE, IRQS };

struct core_cpu {
    struct percpu percpu;
    uint64_t random;
    _Atomic uint32_t irqs;        /* pending: bits of IRQ_* */
    _Atomic uint64_t timer;       /* when this CPU's timer interrupts, or NEVER */
    struct thread *switched_from; /* its context is not saved before the next one runs */
    bool waits;                   /* for an interrupt */
    uint64_t held_until;          /* core: this CPU does not run before that step */
    uint64_t host_rsp;            /* core: while another CPU has the host thread */
    struct vcpu *in_guest;        /* whose guest it runs */
    struct vcpu *owed;            /* whoever asked it must now deliver: */
    enum asked owes;              /* what */
    uint32_t owed_cpu;            /* KICK: where */
    struct vcpu *starts;          /* word_start() runs here */
    bool pokes;                   /* thread_poke() runs here */
    bool ticked;                  /* since it entered a guest, while that vCPU waited */
    uint64_t operations;
    uint64_t waited_ticks; /* for interrupts, in root */
};

/* What one run is made of. */
struct core_plan {
    uint64_t seed;
    uint64_t steps; /* control winds up when so many have been made */
    uint32_t cpus;
};
extern struct core_plan plan;
extern struct core_cpu cpus[CORE_CPUS];

/* ---- by_turns.c, by_threads.c */
struct core_cpu *me(void);
uint64_t core_steps(void);        /* of this run, all CPUs */
void core_point(void);            /* other CPUs may run now */
void core_wait_irq(void);         /* returns when an interrupt is pending on this CPU */
bool core_exact(void);            /* all CPUs stand still while the caller looks */
void core_be(struct core_cpu *c); /* before the CPUs run: the caller is that one */
void core_switch_fiber(struct thread *from, struct thread *to);
/* The first bytes of a thread's stack. */
struct core_stack {
    bool saved; /* its context may be switched to */
    void *fiber;
};
struct core_stack *core_stack_of(const struct thread *t); /* NULL: a CPU's idle thread */
void core_stack_made(void *stack);
void core_stack_gone(void *stack);
_Noreturn void core_fail(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* ---- machine.c */
uint64_t core_random(void); /* this CPU's generator */
static inline bool one_in(uint64_t n) { return core_random() % n == 0; }
void machine_init(void); /* of a run; all CPUs stand still */
void context_switch(uint64_t *save, uint64_t rsp);
bool irq_pending(struct core_cpu *c); /* looks at the clock too */

/* ---- memory.c */
void memory_init(void);
bool memory_is_freed(const void *address);
uint64_t memory_pages(void); /* in use */

/* ---- ghost.c: what must hold */
void ghost_init(void);
void ghost_vcpu_made(struct vcpu *v);
void ghost_vcpu_gone(struct vcpu *v);
/* A word has changed, by the CPU that calls. */
void ghost_word(const volatile void *address, uint64_t old, uint64_t new);
void ghost_plain_write(const volatile void *address);
bool ghost_is_word(const volatile void *address);
void ghost_enters(struct vcpu *v);
void ghost_in_guest(struct vcpu *v);
void ghost_leaves(struct vcpu *v);
void ghost_released(const struct vcpu *v); /* its thread gives the CPU up */
void ghost_kick(uint32_t cpu);
void ghost_settled(void); /* this CPU owes nobody a kick or a wake */
void ghost_paused(struct vm *vm, bool paused);

/* Calls look for each vCPU, with what has been asked of it since it last took it. All CPUs stand still. */
void ghost_each(void (*look)(struct vcpu *v, uint32_t asked));

/* ---- idle.c: the same, of threads and of CPUs that idle */
void ghost_threads_init(void);
void ghost_idle(void); /* no CPU can go on without an interrupt: nothing may be left to do */
void ghost_over(uint64_t elapsed);
bool ghost_counts_as_idle(uint32_t cpu); /* to who wakes a thread */
const char *core_thread_name(const struct thread *t);

/* ---- guest.c */
void guest_upcall(struct vcpu *v);
bool guest_interruptible(struct vcpu *v); /* its exit is HLT with interrupts on */
uint64_t guest_interrupts(void);          /* that guests have taken, in all */

/* ---- actors.c */
void control_main(void *arg);
void device_world(struct vm *vm);
extern _Atomic bool control_done;
extern _Atomic uint64_t control_turns;
extern struct thread *control_thread;

#endif
