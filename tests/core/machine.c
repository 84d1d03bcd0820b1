/* CPUs, interrupts and the switch between stacks. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/base/asm.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/time.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/trap.h"
#include "kernel/threads/schedule.h"
#include "kernel/vm/bill.h"
#include "kernel/worlds/control.h"
#include "tests/core/core.h"

struct core_cpu cpus[CORE_CPUS];
struct core_plan plan;
static void (*handlers[IRQS])(void);
static struct sched_group control_group;

void thread_begin(struct thread *t);
void core_thread_begin(struct thread *t);
void thread_switch(uint64_t *save_rsp, uint64_t rsp);

/* As kernel/worlds/user.asm has them. */
__asm__(".text\n"
        ".globl context_switch\n"
        "context_switch:\n"
        "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "  mov %rsp, (%rdi)\n"
        "  mov %rsi, %rsp\n"
        "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "  ret\n"
        ".globl thread_start_stub\n"
        "thread_start_stub:\n"
        "  mov %rbx, %rdi\n"
        "  sub $8, %rsp\n" /* root uses no SSE, and needs no such alignment */
        "  xor %ebp, %ebp\n"
        "  call core_thread_begin\n"
        "  ud2\n");

uint64_t core_random(void)
{
    uint64_t z = me()->random += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

struct percpu *percpu_areas[ABI_MAX_CPUS];

struct percpu *this_cpu(void)
{
    return &me()->percpu;
}

uint32_t cpu_count(void)
{
    return plan.cpus;
}

/* ---- Interrupts */

static unsigned irq_of(uint8_t vector)
{
    switch (vector) {
    case VECTOR_KICK:
        return IRQ_KICK;
    case VECTOR_WAKE:
        return IRQ_WAKE;
    default:
        return vector == VECTOR_RESCHEDULE ? IRQ_RESCHEDULE : IRQ_TIMER;
    }
}

void irq_register(uint8_t vector, void (*handler)(void))
{
    handlers[irq_of(vector)] = handler;
}

void apic_ipi(uint32_t cpu, uint8_t vector)
{
    if (cpu >= plan.cpus)
        core_fail("an IPI to CPU %u, which is not there", cpu);
    if (vector == VECTOR_KICK)
        ghost_kick(cpu);
    core_point();
    atomic_fetch_or(&cpus[cpu].irqs, 1u << irq_of(vector));
}

void apic_timer_set(uint64_t deadline)
{
    atomic_store(&me()->timer, deadline);
}

bool irq_pending(struct core_cpu *c)
{
    uint64_t timer = atomic_load(&c->timer);
    if (timer <= tsc_now()) {
        atomic_store(&c->timer, NEVER);
        atomic_fetch_or(&c->irqs, 1u << IRQ_TIMER);
    }
    return atomic_load(&c->irqs);
}

void irq_window(void)
{
    ghost_settled();
    core_point();
    if (!irq_pending(me()))
        return;
    uint32_t irqs = atomic_exchange(&me()->irqs, 0);
    for (unsigned i = 0; i < IRQS; i++)
        if (irqs >> i & 1 && handlers[i])
            handlers[i]();
    ghost_settled();
}

void irq_wait(void)
{
    ghost_settled();
    uint64_t since = tsc_now();
    core_wait_irq();
    me()->waited_ticks += tsc_now() - since;
    irq_window();
}

/* ---- Threads */

static void settle(void)
{
    struct core_stack *stack = core_stack_of(me()->switched_from);
    if (stack)
        stack->saved = true;
}

void thread_switch(uint64_t *save_rsp, uint64_t rsp)
{
    struct core_cpu *c = me();
    struct thread *from = CONTAINER_OF(save_rsp, struct thread, rsp), *to = c->percpu.current;
    struct core_stack *stack = core_stack_of(to);
    ghost_settled();
    if (stack && !stack->saved)
        core_fail("thread %s runs on two CPUs", core_thread_name(to));
    if (stack)
        stack->saved = false;
    c->switched_from = from;
    core_switch_fiber(from, to);
    context_switch(save_rsp, rsp);
    settle();
}

void core_thread_begin(struct thread *t)
{
    settle();
    thread_begin(t);
}

static const struct thread_owner control_owner = {.left = bill_control};

void machine_init(void)
{
    memset(cpus, 0, sizeof cpus);
    schedule_init();
    timer_init(schedule_tick, schedule_look, schedule_served);
    schedule_set_online(plan.cpus);
    for (uint32_t i = 0; i < plan.cpus; i++) {
        core_be(&cpus[i]);
        cpus[i].percpu.self = &cpus[i].percpu;
        cpus[i].percpu.index = i;
        percpu_areas[i] = &cpus[i].percpu;
        atomic_store(&cpus[i].timer, NEVER);
        cpus[i].random = plan.seed * CORE_CPUS + i;
        if (!schedule_init_cpu())
            core_fail("no memory for a CPU");
    }
    core_be(&cpus[0]);
    sched_group_init(&control_group, ABI_MAX_VMS, 100, SCHED_NO_LIMIT);
    control_thread = thread_create(control_main, NULL, &control_group, NULL);
    control_world = world_create(NULL, 0);
    control_world->worker = control_thread;
    control_thread->owner = &control_owner;
    control_done = false;
    thread_wake(control_thread);
}

/* ---- What root finds below it */

void control_wake(void)
{
    if (control_world)
        thread_wake(control_world->worker);
}

uint64_t tsc_hz(void)
{
    return 1ull << 56; /* no device world is ever taken for one that hangs */
}

void log_line(enum log_level level, const char *fmt, ...)
{
    (void)level, (void)fmt;
}

void log_vm_line(uint32_t vm, enum log_level level, const char *fmt, ...)
{
    (void)vm, (void)level, (void)fmt;
}

void log_world_end(uint32_t vm, const char *name, const struct log_budget *budget)
{
    (void)vm, (void)name, (void)budget;
}

void panic_with(const struct trap_frame *frame, panic_details *details, const void *what, const char *fmt, ...)
{
    char text[300];
    va_list args;
    (void)frame, (void)details, (void)what;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    core_fail("root panics: %s", text);
}
