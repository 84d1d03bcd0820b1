/*
 * One CPU at a time. Root's files are compiled with -fsanitize=thread and linked with what follows instead of its
 * runtime: each memory access of theirs calls here, and at each atomic one, and some others, the host thread may go to
 * another CPU. The order is sequentially consistent: what the hardware may reorder, `soak` looks for.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/core/core.h"

#define CPU_STACK  (256ull << 10)
#define KEPT       50
#define STEP_TICKS 40
#define GIVE_UP    300000 /* steps in which everything must have come to an end, once control winds up */

static struct core_cpu *current = &cpus[0];
static uint64_t steps, operations, jumped, main_rsp, choices;
static uint32_t change_odds, hold_odds, hold_length, plain_odds;
static bool running;
static uint8_t *stacks;
static const char *program;

static struct kept {
    uint64_t step, old, new;
    const volatile void *address;
    void *site;
    const char *what;
    uint32_t cpu, size;
    char thread[24];
} kept[KEPT];
static uint64_t kept_count;

struct core_cpu *me(void)
{
    return current;
}

void core_be(struct core_cpu *c)
{
    current = c;
}

uint64_t core_steps(void)
{
    return steps;
}

bool core_exact(void)
{
    return true;
}

uint64_t rdtsc(void)
{
    return 1000000 + steps * STEP_TICKS + jumped;
}

/* Even the second after which a thread that runs alone is looked at comes within a run. */
uint64_t tsc_from_us(uint64_t us)
{
    return MIN(us * 2, 20000ull);
}

void core_switch_fiber(struct thread *from, struct thread *to)
{
    (void)from, (void)to;
}

void core_stack_made(void *stack)
{
    *(struct core_stack *)stack = (struct core_stack){.saved = true};
}

void core_stack_gone(void *stack)
{
    if (!((struct core_stack *)stack)->saved)
        core_fail("the stack of a thread that runs is freed");
}

/* ---- Whose turn it is */

static uint64_t choose(uint64_t n)
{
    uint64_t z = choices += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (z ^ z >> 31) % n;
}

static void go_to(struct core_cpu *to)
{
    struct core_cpu *from = current;
    if (to == from)
        return;
    current = to;
    context_switch(&from->host_rsp, to->host_rsp);
}

/* A CPU that can go on: held ones only if there is no other. NULL: none can. */
static struct core_cpu *candidate(bool held)
{
    uint32_t first = (uint32_t)choose(plan.cpus);
    for (uint32_t i = 0; i < plan.cpus; i++) {
        struct core_cpu *c = &cpus[(first + i) % plan.cpus];
        if ((!c->waits || irq_pending(c)) && (held || c->held_until <= steps))
            return c;
    }
    return NULL;
}

/* Nobody can go on: the clock moves to the first timer. False: there is none. */
static bool jump(void)
{
    uint64_t first = NEVER;
    for (uint32_t i = 0; i < plan.cpus; i++)
        first = MIN(first, atomic_load(&cpus[i].timer));
    if (first == NEVER)
        return false;
    if (first > rdtsc())
        jumped += first - rdtsc();
    return true;
}

static void change_cpu(void)
{
    struct core_cpu *to = candidate(false);
    to = to ? to : candidate(true);
    while (!to) {
        running = false;
        ghost_idle();
        running = true;
        if (!jump()) {
            if (!control_done)
                core_fail("nobody can go on, and control has not finished");
            running = false;
            context_switch(&current->host_rsp, main_rsp);
        }
        to = candidate(true);
    }
    go_to(to);
}

void core_point(void)
{
    if (!running)
        return;
    steps++;
    if (steps > plan.steps + GIVE_UP)
        core_fail("it does not come to an end");
    if (choose(hold_odds) == 0) {
        current->held_until = steps + 1 + choose(hold_length);
        change_cpu();
    } else if (choose(change_odds) == 0) {
        change_cpu();
    }
}

void cpu_pause(void)
{
    if (!running)
        core_fail("a lock is held, and nobody runs who might free it");
    steps++;
    current->held_until = steps + 2;
    change_cpu();
}

void core_wait_irq(void)
{
    struct core_cpu *c = current;
    core_point();
    if (irq_pending(c))
        return;
    c->waits = true;
    change_cpu();
    c->waits = false;
}

/* ---- What root's code does to memory */

static void keep(const char *what, const volatile void *address, uint64_t old, uint64_t new, uint32_t size, void *site)
{
    struct kept *k = &kept[kept_count++ % KEPT];
    *k = (struct kept){.step = steps,
                       .old = old,
                       .new = new,
                       .address = address,
                       .site = site,
                       .what = what,
                       .cpu = current->percpu.index,
                       .size = size};
    if (current->percpu.current)
        snprintf(k->thread, sizeof k->thread, "%s", core_thread_name(current->percpu.current));
}

static bool tracing;

static void touch(const volatile void *address)
{
    if (memory_is_freed((const void *)address))
        core_fail("freed memory at %p is used", address);
}

static void before_atomic(const volatile void *address)
{
    touch(address);
    if (!running)
        return;
    operations++;
    core_point();
    touch(address);
}

static void after_atomic(const char *what, const volatile void *address, uint64_t old, uint64_t new, uint32_t size,
                         void *site)
{
    if (!running)
        return;
    if (tracing)
        keep(what, address, old, new, size, site);
    if (size == 8)
        ghost_word(address, old, new);
}

#define SITE __builtin_return_address(0)

#define FETCH(bits, name, operation)                                                                                   \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *a, uint##bits##_t v, int order);              \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *a, uint##bits##_t v, int order)               \
    {                                                                                                                  \
        (void)order;                                                                                                   \
        before_atomic(a);                                                                                              \
        uint##bits##_t old = *a;                                                                                       \
        *a = (uint##bits##_t)(operation);                                                                              \
        after_atomic(#name, a, old, *a, bits / 8, SITE);                                                               \
        return old;                                                                                                    \
    }

#define COMPARE(bits, strength)                                                                                        \
    bool __tsan_atomic##bits##_compare_exchange_##strength(volatile uint##bits##_t *a, uint##bits##_t *expected,       \
                                                           uint##bits##_t v, int order, int failure);                  \
    bool __tsan_atomic##bits##_compare_exchange_##strength(volatile uint##bits##_t *a, uint##bits##_t *expected,       \
                                                           uint##bits##_t v, int order, int failure)                   \
    {                                                                                                                  \
        (void)order, (void)failure;                                                                                    \
        before_atomic(a);                                                                                              \
        uint##bits##_t old = *a;                                                                                       \
        bool same = old == *expected;                                                                                  \
        *a = same ? v : old;                                                                                           \
        *expected = old;                                                                                               \
        after_atomic(same ? "compare_exchange" : "compare, differs", a, old, *a, bits / 8, SITE);                      \
        return same;                                                                                                   \
    }

#define ATOMICS(bits)                                                                                                  \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *a, int order);                            \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *a, int order)                             \
    {                                                                                                                  \
        (void)order;                                                                                                   \
        before_atomic(a);                                                                                              \
        uint##bits##_t now = *a;                                                                                       \
        after_atomic("load", a, now, now, bits / 8, SITE);                                                             \
        return now;                                                                                                    \
    }                                                                                                                  \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *a, uint##bits##_t v, int order);                         \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *a, uint##bits##_t v, int order)                          \
    {                                                                                                                  \
        (void)order;                                                                                                   \
        before_atomic(a);                                                                                              \
        ghost_plain_write(a);                                                                                          \
        uint##bits##_t old = *a;                                                                                       \
        *a = v;                                                                                                        \
        after_atomic("store", a, old, v, bits / 8, SITE);                                                              \
    }                                                                                                                  \
    FETCH(bits, exchange, v)                                                                                           \
    FETCH(bits, fetch_add, old + v)                                                                                    \
    FETCH(bits, fetch_sub, old - v)                                                                                    \
    FETCH(bits, fetch_and, old &v)                                                                                     \
    FETCH(bits, fetch_or, old | v)                                                                                     \
    COMPARE(bits, strong)                                                                                              \
    COMPARE(bits, weak)

ATOMICS(8)
ATOMICS(32)
ATOMICS(64)

/* Where two plain accesses conflict, it shows only if somebody comes between. */
static void plain(const volatile void *address)
{
    touch(address);
    if (running && plain_odds && choose(plain_odds) == 0)
        core_point();
    touch(address);
}

#define PLAIN(name)                                                                                                    \
    void __tsan_##name(void *a);                                                                                       \
    void __tsan_##name(void *a)                                                                                        \
    {                                                                                                                  \
        plain(a);                                                                                                      \
    }
#define PLAIN_WRITE(name)                                                                                              \
    void __tsan_##name(void *a);                                                                                       \
    void __tsan_##name(void *a)                                                                                        \
    {                                                                                                                  \
        if (running)                                                                                                   \
            ghost_plain_write(a);                                                                                      \
        plain(a);                                                                                                      \
    }
PLAIN(read1)
PLAIN(read2)
PLAIN(read4)
PLAIN(read8)
PLAIN(read16)
PLAIN(unaligned_read2)
PLAIN(unaligned_read4)
PLAIN(unaligned_read8)
PLAIN(unaligned_read16)
PLAIN(write1)
PLAIN(write2)
PLAIN(write4)
PLAIN_WRITE(write8)
PLAIN(write16)
PLAIN(unaligned_write2)
PLAIN(unaligned_write4)
PLAIN(unaligned_write8)
PLAIN(unaligned_write16)

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_func_entry(void *a);
void __tsan_func_entry(void *a)
{
    (void)a;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

void __tsan_read_range(void *a, uint64_t size);
void __tsan_read_range(void *a, uint64_t size)
{
    (void)size;
    touch(a);
}

void __tsan_write_range(void *a, uint64_t size);
void __tsan_write_range(void *a, uint64_t size)
{
    (void)size;
    touch(a);
}

/* ---- Runs */

static const char *word_text(uint64_t w)
{
    static char texts[2][160];
    static unsigned turn;
    static const char *const where[] = {"ROOT", "GUEST", "PARKED", "WAITING"};
    static const char *const mp[] = {
        "RUNNABLE", "UNINITIALIZED", "WAIT_FOR_SIPI", "HALTED", "HALTED_MASKED", "PAUSED", "?", "?"};
    static const char *const names[] = {
#define X(name, wakes, waited) #name,
        REQUEST_TABLE(X)
#undef X
    };
    char *text = texts[turn++ % 2];
    int n = snprintf(text, 160, "%s %s", where[word_where(w)], mp[word_mp(w)]);
    if (word_mp(w) == MP_PAUSED)
        n += snprintf(text + n, 160 - (size_t)n, "(%s)", mp[word_mp_behind(w)]);
    for (unsigned r = 0; r < REQUESTS; r++)
        if (w & BIT(r))
            n += snprintf(text + n, 160 - (size_t)n, " %s", names[r]);
    if (w & WORD_ACK)
        snprintf(text + n, 160 - (size_t)n, " ACK");
    return text;
}

static void print_kept(void)
{
    char command[4096];
    int n = snprintf(command, sizeof command, "addr2line -s -f -p -e %s", program);
    uint64_t first = kept_count > KEPT ? kept_count - KEPT : 0;
    for (uint64_t i = first; i < kept_count; i++)
        n += snprintf(command + n, sizeof command - (size_t)n, " %p", (void *)((uint64_t)kept[i % KEPT].site - 1));
    FILE *sites = popen(command, "r");
    for (uint64_t i = first; i < kept_count; i++) {
        const struct kept *k = &kept[i % KEPT];
        char site[200] = "?\n";
        if (sites && !fgets(site, sizeof site, sites))
            site[0] = '\n';
        printf("%7lu CPU %u %-14s %-16s ", k->step, k->cpu, k->thread, k->what);
        if (ghost_is_word(k->address) && k->old != k->new)
            printf("%s -> %s", word_text(k->old), word_text(k->new));
        else if (ghost_is_word(k->address))
            printf("%s", word_text(k->old));
        else
            printf("%p: %lx -> %lx", (const void *)k->address, k->old, k->new);
        printf(", %s", site);
    }
}

/* A run that fails is made again from the start, with a record of what it does: it does the same. */
void core_fail(const char *fmt, ...)
{
    va_list args;
    running = false;
    if (!tracing) {
        char seed[32], length[32];
        snprintf(seed, sizeof seed, "%lu", plan.seed);
        snprintf(length, sizeof length, "%lu", plan.steps);
        fflush(stdout);
        execl(program, program, "--seed", seed, "--steps", length, "--trace", NULL);
    }
    if (kept_count)
        print_kept();
    printf("core: seed %lu, step %lu, CPU %u, %s: ", plan.seed, steps, current->percpu.index,
           core_thread_name(current->percpu.current));
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\nagain: %s --seed %lu --steps %lu\n", program, plan.seed, plan.steps);
    fflush(stdout);
    _exit(EXIT_FAILURE);
}

/* A bad pointer, or what the undefined-behaviour sanitizer traps. */
static void on_signal(int number)
{
    core_fail("signal %d: %s", number, strsignal(number));
}

static void catch_signals(void)
{
    static uint8_t stack[64 << 10];
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++)
        sigaction(numbers[i], &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER}, NULL);
}

static void cpu_main(void)
{
    schedule_start();
}

static void one_run(void)
{
    choices = plan.seed * 0x2545f4914f6cdd1dull;
    static const uint32_t odds[] = {2, 3, 8, 30}, holds[] = {16, 50, 200, 1000}, lengths[] = {4, 30, 200, 1500};
    plan.cpus = 1 + (uint32_t)choose(CORE_CPUS);
    change_odds = odds[choose(4)];
    hold_odds = holds[choose(4)];
    hold_length = lengths[choose(4)];
    plain_odds = choose(2) ? 0 : 20;
    steps = jumped = kept_count = 0;
    uint64_t start = rdtsc();
    memory_init();
    ghost_init();
    machine_init();
    for (uint32_t i = 0; i < plan.cpus; i++) {
        uint64_t *top = (uint64_t *)(stacks + (i + 1) * CPU_STACK);
        top[-2] = (uint64_t)cpu_main; /* context_switch() returns to it, six registers further */
        cpus[i].host_rsp = (uint64_t)(top - 8);
    }
    current = &cpus[0];
    running = true;
    context_switch(&main_rsp, cpus[0].host_rsp);
    thread_destroy(control_thread);
    ghost_over(rdtsc() - start);
}

int main(int argc, char **argv)
{
    uint64_t runs = 1, total = 0, taken = 0;
    program = "/proc/self/exe";
    char path[4096];
    ssize_t length = readlink(program, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    program = path;
    plan = (struct core_plan){.seed = 1, .steps = 2000};
    for (int i = 1; i < argc; i++) {
        uint64_t value = i + 1 < argc ? strtoull(argv[i + 1], NULL, 0) : 0;
        if (!strcmp(argv[i], "--trace"))
            tracing = true;
        else if (!strcmp(argv[i], "--seed"))
            plan.seed = value, i++;
        else if (!strcmp(argv[i], "--steps"))
            plan.steps = value, i++;
        else if (!strcmp(argv[i], "--runs"))
            runs = value, i++;
    }
    stacks = mmap(NULL, CORE_CPUS * CPU_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    catch_signals();
    uint64_t first = plan.seed;
    for (uint64_t n = 0; n < runs; n++) {
        plan.seed = first + n;
        one_run();
        total += steps;
    }
    taken = guest_interrupts();
    printf("seeds %lu to %lu, %lu steps, %lu atomic operations, guests took %lu events\n", first, plan.seed, total,
           operations, taken);
    return EXIT_SUCCESS;
}
