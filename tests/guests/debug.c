/*
 * Debug traps and faults at instructions that exit (SDM Vol. 3, 18.2 and 18.3; APM Vol. 2, 13.1): a breakpoint on a
 * port, a single step, a breakpoint on the instruction itself, and RF in what an exception pushes.
 */
#include "tests/guests/lib/guest.h"

const char guest_name[] = "debug";

#define PORT_POST     0x80
#define PORT_PM_TIMER 0x608
#define PORT_COM1_LSR 0x3fd
#define MSR_MTRR_BASE 0x200
#define MSR_NONE      0x1fff

#define RFLAGS_RF        BIT(16)
#define DR6_BS           BIT(14)
#define DR6_CAUSE        0xe00fu
#define DR7_FIXED        0x400u
#define DR7_GD           BIT(13)
#define DR7_LOCAL(n)     (1ull << 2 * (n))
#define DR7_RW(n, rw)    ((uint64_t)(rw) << (16 + 4 * (n)))
#define DR7_LENGTH(n, l) ((uint64_t)(l) << (18 + 4 * (n)))
#define RW_EXECUTE       0
#define RW_IO            2
#define LENGTH_1         0
#define LENGTH_4         3
#define TOO_MANY         10

/* What #DB has told: the first one's, and how many there were. */
static struct {
    unsigned count;
    uint64_t rip, dr6, rflags;
} seen;

static inline uint64_t read_dr6(void)
{
    uint64_t value;
    __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    return value;
}

static inline uint64_t read_dr7(void)
{
    uint64_t value;
    __asm__ volatile("mov %%dr7, %0" : "=r"(value));
    return value;
}

static inline void write_dr6(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr6" : : "r"(value));
}

static inline void write_dr7(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr7" : : "r"(value) : "memory");
}

static inline void write_dr0(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr0" : : "r"(value));
}

static inline void write_dr1(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr1" : : "r"(value));
}

/* Goes on behind it: single steps end, breakpoints on instructions are passed by RF. */
static void on_db(struct trap *t)
{
    if (!seen.count++) {
        seen.rip = t->rip;
        seen.rflags = t->rflags;
        seen.dr6 = read_dr6() & DR6_CAUSE;
    }
    write_dr6(0);
    t->rflags &= ~(uint64_t)RFLAGS_TF;
    t->rflags |= RFLAGS_RF;
    if (seen.count > TOO_MANY)
        write_dr7(DR7_FIXED);
}

static void forget(void)
{
    memset(&seen, 0, sizeof seen);
    write_dr6(0);
}

/* One instruction; where it is, and where the next one is. */
struct probe {
    const char *name;
    void (*run)(void);
    const char *begin, *end;
};
#define PROBE(name, registers, ...)                                                                                    \
    extern const char begin_##name[], end_##name[];                                                                    \
    static __attribute__((noinline, noclone)) void run_##name(void)                                                    \
    {                                                                                                                  \
        __asm__ volatile(registers "pushfq; orl %[step], (%%rsp); popfq\n"                                             \
                                   "begin_" #name ": " __VA_ARGS__ "\nend_" #name ": nop"                              \
                         :                                                                                             \
                         : [step] "r"((uint32_t)stepping)                                                              \
                         : "rax", "rbx", "rcx", "rdx", "rsi", "memory", "cc");                                         \
    }
static uint64_t stepping; /* RFLAGS_TF: with a single step */

PROBE(cpuid, "xor %%eax, %%eax; xor %%ecx, %%ecx;", "cpuid")
PROBE(out, "mov $0x80, %%edx; xor %%eax, %%eax;", "outb %%al, %%dx")
PROBE(in, "mov $0x3fd, %%edx;", "inb %%dx, %%al")
PROBE(pm_timer, "mov $0x608, %%edx;", "inl %%dx, %%eax")
PROBE(rdmsr, "mov $0x1b, %%ecx;", "rdmsr")
PROBE(wrmsr, "mov $0x200, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx;", "wrmsr")
PROBE(wbinvd, "", "wbinvd")
PROBE(nothing, "", "nop")

static const struct probe probes[] = {
#define ENTRY(name)                                                                                                    \
    {                                                                                                                  \
#name, run_##name, begin_##name, end_##name                                                                    \
    }
    ENTRY(nothing), ENTRY(cpuid), ENTRY(out), ENTRY(in), ENTRY(pm_timer), ENTRY(rdmsr), ENTRY(wrmsr), ENTRY(wbinvd),
};

static void check_db(const char *what, const struct probe *p, unsigned count, const char *rip, uint64_t dr6)
{
    if (seen.count != count || (count && (seen.rip != (uintptr_t)rip || seen.dr6 != dr6)))
        print("debug: %s: %u #DB, RIP 0x%lx (0x%lx to 0x%lx), DR6 0x%lx\n", p->name, seen.count, seen.rip,
              (uint64_t)(uintptr_t)p->begin, (uint64_t)(uintptr_t)p->end, seen.dr6);
    check(what, count, seen.count);
    if (!count)
        return;
    check(what, (uintptr_t)rip, seen.rip);
    check(what, dr6, seen.dr6);
    check("RF that a trap or a breakpoint pushes", 0, seen.rflags & RFLAGS_RF);
}

static void run(const struct probe *p, uint64_t tf, uint64_t dr7)
{
    forget();
    stepping = tf;
    write_dr7(DR7_FIXED | dr7);
    p->run();
    write_dr7(DR7_FIXED);
}

/* A single step over each: one trap, behind it. */
static void single_steps(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(probes); i++) {
        run(&probes[i], RFLAGS_TF, 0);
        check_db("single step", &probes[i], 1, probes[i].end, DR6_BS);
    }
}

/* A breakpoint on each, and one on the next instruction: each comes once, for RF ends with the first. */
static void breakpoints(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(probes); i++) {
        write_dr0((uintptr_t)probes[i].begin);
        run(&probes[i], 0, DR7_LOCAL(0));
        check_db("breakpoint", &probes[i], 1, probes[i].begin, 1);
        write_dr1((uintptr_t)probes[i].end);
        run(&probes[i], 0, DR7_LOCAL(0) | DR7_LOCAL(1));
        check_db("breakpoint, and one behind it", &probes[i], 2, probes[i].begin, 1);
    }
}

/* An instruction that is executed again after its exit, on Intel: CD is root's there. */
static void mov_cr0(void)
{
    extern const char begin_cd[], begin_restore[];
    uint64_t cr0 = read_cr0();

    forget();
    write_dr0((uintptr_t)begin_cd);
    write_dr1((uintptr_t)begin_restore);
    write_dr7(DR7_FIXED | DR7_LOCAL(0) | DR7_LOCAL(1));
    __asm__ volatile("begin_cd: mov %0, %%cr0\nbegin_restore: mov %1, %%cr0"
                     :
                     : "r"(cr0 | CR0_CD), "r"(cr0)
                     : "memory");
    write_dr7(DR7_FIXED);
    check("breakpoints on MOV CR0", 2, seen.count);
    check("the first of them", (uintptr_t)begin_cd, seen.rip);
}

static void rep_outs(void)
{
    extern const char begin_rep[];
    static uint8_t bytes[9000];
    const void *from = bytes;
    uint64_t count = sizeof bytes;

    forget();
    write_dr0((uintptr_t)begin_rep);
    write_dr7(DR7_FIXED | DR7_LOCAL(0));
    __asm__ volatile("begin_rep: rep outsb" : "+S"(from), "+c"(count) : "d"(PORT_POST) : "memory");
    write_dr7(DR7_FIXED);
    check("breakpoints on REP OUTS", 1, seen.count);
}

/* A breakpoint on a port comes behind IN and OUT, and with a single step as one trap; one beside it does not. */
static void ports(void)
{
    static const struct {
        unsigned probe; /* in probes */
        uint64_t port, length;
        bool hit;
    } lines[] = {
        {2, PORT_POST, LENGTH_1, true},          {2, PORT_POST + 1, LENGTH_1, false},
        {2, PORT_POST + 3, LENGTH_4, true},      {2, PORT_POST + 0x10000, LENGTH_1, false},
        {3, PORT_COM1_LSR, LENGTH_1, true},      {3, PORT_COM1_LSR - 1, LENGTH_1, false},
        {4, PORT_PM_TIMER, LENGTH_4, true},      {4, PORT_PM_TIMER + 3, LENGTH_1, true},
        {4, PORT_PM_TIMER + 4, LENGTH_4, false}, {1, PORT_POST, LENGTH_1, false},
    };

    write_cr4(read_cr4() | CR4_DE);
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        const struct probe *p = &probes[lines[i].probe];
        uint64_t dr7 = DR7_LOCAL(1) | DR7_RW(1, RW_IO) | DR7_LENGTH(1, lines[i].length);

        write_dr1(lines[i].port);
        run(p, 0, dr7);
        check_db("breakpoint on a port", p, lines[i].hit, p->end, 2);
        run(p, RFLAGS_TF, dr7);
        check_db("breakpoint on a port, and a single step", p, 1, p->end, DR6_BS | (lines[i].hit ? 2 : 0));
    }
    write_cr4(read_cr4() & ~CR4_DE);
}

/* #DB clears DR7.GD, whoever raises it. */
static void general_detect(void)
{
    const struct probe *p = &probes[1];

    forget();
    stepping = RFLAGS_TF;
    write_dr7(DR7_FIXED | DR7_GD);
    p->run(); /* the handler's MOV from DR6 would be a #DB of its own */
    check("GD behind a single step", 0, read_dr7() & DR7_GD);
    check_db("single step with GD", p, 1, p->end, DR6_BS);
}

/* A fault that root raises pushes RF, and the next instruction has it no more. */
static void faults(void)
{
    check("WRMSR of no MSR", VECTOR_GP, (uint64_t)try_wrmsr(MSR_NONE, 0));
    check("RF that a fault pushes", RFLAGS_RF, trap_caught()->rflags & RFLAGS_RF);
}

void guest_main(void)
{
    trap_set(VECTOR_DB, on_db);
    single_steps();
    breakpoints();
    mov_cr0();
    rep_outs();
    ports();
    general_detect();
    faults();
}
