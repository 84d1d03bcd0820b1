/*
 * Each CPU a host thread, under ThreadSanitizer: the same objects as in `core`, where by_turns.c stands, with the real
 * runtime behind them. Its entry points for atomic accesses are wrapped by the linker: a thread may be delayed before
 * each. Delays come from the seed; when the host lets which thread run does not.
 */
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel/threads/schedule.h"
#include "tests/core/core.h"

/* sanitizer/tsan_interface.h */
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);

#define STUCK_SECONDS 120

static _Thread_local struct core_cpu *self;
static void *idle_fibers[CORE_CPUS];

/* Never inlined: the thread that calls may be another host thread's at the next call. */
struct core_cpu *me(void)
{
    return self;
}

void core_be(struct core_cpu *c)
{
    self = c;
}

uint64_t core_steps(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < plan.cpus; i++)
        sum += __atomic_load_n(&cpus[i].operations, __ATOMIC_RELAXED);
    return sum;
}

bool core_exact(void)
{
    return false;
}

uint64_t rdtsc(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t tsc_from_us(uint64_t us)
{
    return us * 5;
}

void core_stack_made(void *stack)
{
    *(struct core_stack *)stack = (struct core_stack){.saved = true, .fiber = __tsan_create_fiber(0)};
}

void core_stack_gone(void *stack)
{
    __tsan_destroy_fiber(((struct core_stack *)stack)->fiber);
}

void core_switch_fiber(struct thread *from, struct thread *to)
{
    struct core_stack *stack = core_stack_of(to);
    (void)from;
    __tsan_switch_to_fiber(stack ? stack->fiber : idle_fibers[me()->percpu.index], 0);
}

void core_point(void)
{
    uint64_t random = core_random();
    if (random % 64 == 0)
        sched_yield();
    else if (random % 4096 == 1)
        usleep((useconds_t)(random >> 32 & 63));
    else if (random % 16 == 2)
        for (volatile uint64_t n = random >> 32 & 255; n > 0; n--)
            ;
}

void cpu_pause(void)
{
    sched_yield();
}

void core_wait_irq(void)
{
    while (!irq_pending(me()))
        usleep(10);
}

void core_fail(const char *fmt, ...)
{
    va_list args;
    printf("soak: seed %lu, CPU %u: ", plan.seed, self ? self->percpu.index : 0);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
    _exit(EXIT_FAILURE);
}

/* ---- Atomic accesses */

static void before(void)
{
    struct core_cpu *c = self;
    if (!c)
        return;
    __atomic_store_n(&c->operations, c->operations + 1, __ATOMIC_RELAXED);
    core_point();
}

#define FETCH(bits, name)                                                                                              \
    uint##bits##_t __real___tsan_atomic##bits##_##name(volatile uint##bits##_t *a, uint##bits##_t v, int order);       \
    uint##bits##_t __wrap___tsan_atomic##bits##_##name(volatile uint##bits##_t *a, uint##bits##_t v, int order);       \
    uint##bits##_t __wrap___tsan_atomic##bits##_##name(volatile uint##bits##_t *a, uint##bits##_t v, int order)        \
    {                                                                                                                  \
        before();                                                                                                      \
        return __real___tsan_atomic##bits##_##name(a, v, order);                                                       \
    }

#define COMPARE(bits, strength)                                                                                        \
    bool __real___tsan_atomic##bits##_compare_exchange_##strength(                                                     \
        volatile uint##bits##_t *a, uint##bits##_t *expected, uint##bits##_t v, int order, int failure);               \
    bool __wrap___tsan_atomic##bits##_compare_exchange_##strength(                                                     \
        volatile uint##bits##_t *a, uint##bits##_t *expected, uint##bits##_t v, int order, int failure);               \
    bool __wrap___tsan_atomic##bits##_compare_exchange_##strength(                                                     \
        volatile uint##bits##_t *a, uint##bits##_t *expected, uint##bits##_t v, int order, int failure)                \
    {                                                                                                                  \
        uint##bits##_t old = *expected;                                                                                \
        before();                                                                                                      \
        bool same = __real___tsan_atomic##bits##_compare_exchange_##strength(a, expected, v, order, failure);          \
        if (same && bits == 64 && self)                                                                                \
            ghost_word(a, old, v);                                                                                     \
        return same;                                                                                                   \
    }

#define ATOMICS(bits)                                                                                                  \
    uint##bits##_t __real___tsan_atomic##bits##_load(const volatile uint##bits##_t *a, int order);                     \
    uint##bits##_t __wrap___tsan_atomic##bits##_load(const volatile uint##bits##_t *a, int order);                     \
    uint##bits##_t __wrap___tsan_atomic##bits##_load(const volatile uint##bits##_t *a, int order)                      \
    {                                                                                                                  \
        before();                                                                                                      \
        if (memory_is_freed((const void *)a))                                                                          \
            core_fail("freed memory at %p is used", (const void *)a);                                                  \
        return __real___tsan_atomic##bits##_load(a, order);                                                            \
    }                                                                                                                  \
    void __real___tsan_atomic##bits##_store(volatile uint##bits##_t *a, uint##bits##_t v, int order);                  \
    void __wrap___tsan_atomic##bits##_store(volatile uint##bits##_t *a, uint##bits##_t v, int order);                  \
    void __wrap___tsan_atomic##bits##_store(volatile uint##bits##_t *a, uint##bits##_t v, int order)                   \
    {                                                                                                                  \
        before();                                                                                                      \
        if (bits == 64)                                                                                                \
            ghost_plain_write(a);                                                                                      \
        __real___tsan_atomic##bits##_store(a, v, order);                                                               \
    }                                                                                                                  \
    FETCH(bits, exchange)                                                                                              \
    FETCH(bits, fetch_add)                                                                                             \
    FETCH(bits, fetch_sub)                                                                                             \
    FETCH(bits, fetch_and)                                                                                             \
    FETCH(bits, fetch_or)                                                                                              \
    COMPARE(bits, strong)                                                                                              \
    COMPARE(bits, weak)

ATOMICS(8)
ATOMICS(32)
ATOMICS(64)

/* ---- The run */

static void *cpu_main(void *cpu)
{
    self = cpu;
    idle_fibers[self->percpu.index] = __tsan_get_current_fiber();
    schedule_start();
}

/* Until control has finished; fails when nothing moves for long. */
static void watch(void)
{
    uint64_t seen = 0, turns = 0, still = 0, seconds = 0;
    while (!control_done) {
        usleep(100000);
        bool moves = control_turns != turns;
        turns = control_turns;
        still = moves ? 0 : still + 1;
        if (still > STUCK_SECONDS * 10)
            core_fail("control is stuck after %lu operations", core_steps());
        if (++seconds % 300 == 0 && core_steps() != seen) {
            seen = core_steps();
            printf("soak: %lu operations, guests took %lu events\n", seen, guest_interrupts());
            fflush(stdout);
        }
    }
}

int main(int argc, char **argv)
{
    plan = (struct core_plan){.seed = 1, .steps = 100000000, .cpus = CORE_CPUS};
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 0);
        if (!strcmp(argv[i], "--seed"))
            plan.seed = value;
        else if (!strcmp(argv[i], "--operations"))
            plan.steps = value;
    }
    printf("soak: seed %lu\n", plan.seed);
    fflush(stdout);
    memory_init();
    ghost_init();
    machine_init();
    core_be(NULL);
    for (uint32_t i = 0; i < plan.cpus; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, cpu_main, &cpus[i]))
            core_fail("no host thread");
    }
    watch();
    printf("soak: seed %lu, %lu atomic operations, %lu turns of control, guests took %lu events\n", plan.seed,
           core_steps(), control_turns, guest_interrupts());
    return EXIT_SUCCESS;
}
