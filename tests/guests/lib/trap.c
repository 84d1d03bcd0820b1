#include "tests/guests/lib/guest.h"

#define CPU_EXCEPTIONS 32
#define ENTRY_SIZE     16
#define GATE           0x8e00 /* present, interrupt gate */
#define TSS_AVAILABLE  0x0000890000000067ull
#define IST_EXCEPTION  1
#define IST_NMI        2
#define IST_SIZE       0x1000

struct gate {
    uint16_t offset_low, selector, flags, offset_middle;
    uint32_t offset_high, reserved;
};

struct __attribute__((packed)) tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map;
};

struct __attribute__((packed)) pointer {
    uint16_t limit;
    uint64_t base;
};

struct catch
{
    uint64_t rsp, rflags; /* offsets known to trap.asm */
};

extern char trap_stubs[], catch_return[];
extern uint64_t gdt[];
extern struct pointer gdt_pointer;
uint8_t cpu_stacks[MAX_CPUS][CPU_STACKS_SIZE] __attribute__((aligned(4096)));

static struct gate idt[256] __attribute__((aligned(16)));
static struct tss tss[MAX_CPUS] __attribute__((aligned(128)));
static trap_handler *handlers[256];
static struct catch *catching[MAX_CPUS];
static struct trap caught[MAX_CPUS];

int catch_call(void (*f)(void *), void *argument, struct catch **slot, struct catch *c);
void trap_dispatch(struct trap *t);

void trap_set(unsigned vector, trap_handler *handler)
{
    handlers[vector] = handler;
}

void trap_load_idt(void)
{
    struct pointer p = {sizeof(idt) - 1, (uintptr_t)idt};

    __asm__ volatile("lidt %0" : : "m"(p));
}

static void idt_fill(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(idt); i++) {
        uint64_t offset = (uintptr_t)trap_stubs + (uint64_t)ENTRY_SIZE * i;
        unsigned ist = i >= CPU_EXCEPTIONS ? 0 : i == VECTOR_NMI ? IST_NMI : IST_EXCEPTION;

        idt[i] = (struct gate){.offset_low = (uint16_t)offset,
                               .selector = SELECTOR_CODE64,
                               .flags = (uint16_t)(GATE | ist),
                               .offset_middle = (uint16_t)(offset >> 16),
                               .offset_high = (uint32_t)(offset >> 32)};
    }
}

/* The first two pages of a CPU's stacks are those of exceptions and of NMIs. */
void trap_init(unsigned index)
{
    uint64_t base = (uintptr_t)&tss[index];
    unsigned slot = SELECTOR_TSS / 8 + 2 * index;
    uint64_t stacks = (uintptr_t)cpu_stacks[index];

    if (index == 0)
        idt_fill();
    tss[index].ist[IST_EXCEPTION - 1] = stacks + IST_SIZE;
    tss[index].ist[IST_NMI - 1] = stacks + 2 * IST_SIZE;
    tss[index].rsp[0] = stacks + CPU_STACKS_SIZE;
    tss[index].io_map = sizeof(struct tss);
    gdt[slot] = TSS_AVAILABLE | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
    gdt[slot + 1] = base >> 32;
    __asm__ volatile("lgdt %0; ltr %w1" : : "m"(gdt_pointer), "r"(SELECTOR_TSS + 16 * index) : "memory");
    trap_load_idt();
}

__attribute__((noreturn)) static void unexpected(const struct trap *t)
{
    print("%s: CPU %u, vector %lu, error code 0x%lx at 0x%lx:0x%lx, RFLAGS 0x%lx, RSP 0x%lx, CR2 0x%lx\n", guest_name,
          cpu_index(), t->vector, t->error_code, t->cs, t->rip, t->rflags, t->rsp, read_cr2());
    fail("exception", 0, t->vector);
}

void trap_dispatch(struct trap *t)
{
    unsigned cpu = cpu_index();
    struct catch *c = catching[cpu];

    if (handlers[t->vector]) {
        handlers[t->vector](t);
        return;
    }
    if (!c || t->vector >= CPU_EXCEPTIONS || t->vector == VECTOR_NMI)
        unexpected(t);
    caught[cpu] = *t;
    t->rip = (uintptr_t)catch_return;
    t->cs = SELECTOR_CODE64;
    t->ss = SELECTOR_DATA;
    t->rsp = c->rsp;
    t->rflags = c->rflags;
    t->rax = t->vector;
}

int catch_trap(void (*f)(void *), void *argument)
{
    struct catch c;

    return catch_call(f, argument, &catching[cpu_index()], &c);
}

const struct trap *trap_caught(void)
{
    return &caught[cpu_index()];
}

struct msr_access {
    uint32_t msr;
    uint64_t value;
};

static void do_rdmsr(void *argument)
{
    struct msr_access *access = argument;

    access->value = rdmsr(access->msr);
}

static void do_wrmsr(void *argument)
{
    const struct msr_access *access = argument;

    wrmsr(access->msr, access->value);
}

int try_rdmsr(uint32_t msr, uint64_t *value)
{
    struct msr_access access = {msr, 0};
    int vector = catch_trap(do_rdmsr, &access);

    *value = access.value;
    return vector;
}

int try_wrmsr(uint32_t msr, uint64_t value)
{
    struct msr_access access = {msr, value};

    return catch_trap(do_wrmsr, &access);
}
