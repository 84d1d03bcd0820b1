/*
 * The cases' steps in a guest: CPU 0 says what is to be done, and the CPU that the step is of does it, with interrupts
 * off, so that none comes but when a step takes it. A CPU without a step sleeps, and an NMI of CPU 0 wakes it: that
 * changes nothing but the ICR of CPU 0. Where several CPUs share one, waiting in a loop would take very long.
 */
#include "tests/guests/lapic/lapic.h"

#define WAIT_SECONDS 5
#define SETTLE_MS    5000
#define NMI_MS       2000

enum command { IDLE, READ, WRITE, RDMSR, WRMSR, TAKE_ONE, SET_CR8, READ_CR8, SEND, PEEK };

static struct mailbox {
    volatile uint32_t command; /* set by CPU 0, IDLE by the CPU itself when it is done */
    uint32_t reg;
    uint64_t value;
    bool good;
    volatile uint32_t starts, nmis, deaf,
        waking; /* deaf: its LAPIC is disabled; waking: an NMI that no case has sent */
} boxes[CPUS];

static volatile int taken[CPUS];

void remote_wait(const volatile uint32_t *command);
extern const char remote_hlt[];

/* Until there is a command. An NMI between the look and HLT begins it anew: on_nmi(). */
__asm__(".text\n"
        "remote_wait: cmpl $0, (%rdi)\n"
        "jne 1f\n"
        "remote_hlt: hlt\n"
        "jmp remote_wait\n"
        "1: ret\n");

static unsigned own_number(void)
{
    return cpu_apic_id(cpu_index()) % CPUS;
}

/* One interrupt at a time: the next one waits until a step takes it. */
static void on_interrupt(struct trap *t)
{
    taken[own_number()] = (int)t->vector;
    t->rflags &= ~RFLAGS_IF;
}

static void on_nmi(struct trap *t)
{
    struct mailbox *box = &boxes[own_number()];

    if (box->waking)
        box->waking = 0;
    else
        box->nmis++;
    if (t->rip >= (uint64_t)remote_wait && t->rip <= (uint64_t)remote_hlt)
        t->rip = (uint64_t)remote_wait;
}

void remote_init(void)
{
    trap_set(VECTOR_NMI, on_nmi);
    trap_set(0x10, on_interrupt);
    trap_set(0x1f, on_interrupt);
    for (unsigned vector = 0x20; vector < 0x100; vector++)
        trap_set(vector, on_interrupt);
}

static bool in_x2apic_mode(void)
{
    return rdmsr(MSR_APICBASE) & APICBASE_X2APIC;
}

/* Of the CPU that asks: where its LAPIC is now. */
static volatile uint32_t *page(uint32_t reg)
{
    return (volatile uint32_t *)((rdmsr(MSR_APICBASE) & ~0xfffull) + reg);
}

static void read_register(struct mailbox *box)
{
    if (in_x2apic_mode()) {
        box->good = try_rdmsr(0x800 + box->reg / 16, &box->value) == NO_TRAP;
        return;
    }
    box->value = *page(box->reg);
    box->good = true;
}

static void write_register(struct mailbox *box)
{
    if (in_x2apic_mode()) {
        box->good = try_wrmsr(0x800 + box->reg / 16, box->value) == NO_TRAP;
        return;
    }
    *page(box->reg) = (uint32_t)box->value;
    box->good = true;
}

/* CPUID leaves a guest always, so what was posted before it is taken behind it, if it can be. */
static void take(struct mailbox *box)
{
    unsigned number = own_number();
    uint64_t begin = rdtsc(), ticks = tsc_hz() * WAIT_SECONDS;

    taken[number] = NO_VECTOR;
    do {
        irq_on();
        cpuid(0, 0);
        irq_off();
    } while (taken[number] == NO_VECTOR && box->value && rdtsc() - begin < ticks);
    box->value = (uint64_t)taken[number];
}

static void execute(struct mailbox *box)
{
    switch (box->command) {
    case READ:
        read_register(box);
        break;
    case WRITE:
        write_register(box);
        break;
    case RDMSR:
        box->good = try_rdmsr(box->reg, &box->value) == NO_TRAP;
        break;
    case WRMSR:
        box->good = try_wrmsr(box->reg, box->value) == NO_TRAP;
        break;
    case TAKE_ONE:
        take(box);
        break;
    case SET_CR8:
        write_cr8(box->value);
        break;
    case READ_CR8:
        box->value = read_cr8();
        break;
    case PEEK:
        box->value = *(volatile uint32_t *)(uint64_t)box->reg;
        break;
    case SEND:
        box->command = IDLE;
        lapic_ipi((uint32_t)box->value, box->reg);
        break;
    default:
        break;
    }
    box->deaf = !(rdmsr(MSR_APICBASE) & APICBASE_ENABLE);
    box->command = IDLE;
}

void remote_ap(unsigned index)
{
    struct mailbox *box = &boxes[cpu_apic_id(index) % CPUS];

    box->command = IDLE;
    box->deaf = box->waking = 0;
    box->starts++;
    for (;;) {
        while (box->deaf && box->command == IDLE)
            pause();
        remote_wait(&box->command);
        execute(box);
    }
}

/* From whatever mode the last case has left. */
static void wake(unsigned cpu)
{
    uint32_t low = ICR_ASSERT | ICR_NMI;

    boxes[cpu].waking = 1;
    if (in_x2apic_mode()) {
        wrmsr(0x830, (uint64_t)cpu << 32 | low);
        return;
    }
    *page(APIC_ICR2) = cpu << 24;
    *page(APIC_ICR) = low;
}

static void finish(unsigned cpu)
{
    if (!boxes[cpu].deaf)
        wake(cpu);
    if (!wait_for(&boxes[cpu].command, IDLE, SETTLE_MS))
        fail("a CPU does not answer", IDLE, cpu);
    /* It may have seen the command before the NMI came: one that comes behind the next one would be counted as a
     * case's. One that has sent itself an INIT takes none. */
    if (!boxes[cpu].deaf && !wait_for(&boxes[cpu].waking, 0, NMI_MS))
        boxes[cpu].waking = 0;
}

static struct mailbox *give(unsigned cpu, enum command command, uint32_t reg, uint64_t value)
{
    struct mailbox *box = &boxes[cpu];

    box->reg = reg;
    box->value = value;
    box->command = command;
    if (cpu == 0)
        execute(box);
    else
        finish(cpu);
    return box;
}

void remote_expect_start(unsigned cpu)
{
    boxes[cpu].starts = 0;
}

bool remote_alive(unsigned cpu)
{
    return wait_for(&boxes[cpu].starts, 1, SETTLE_MS);
}

void remote_send(unsigned cpu, uint32_t destination, uint32_t low)
{
    give(cpu, SEND, low, destination);
}

bool machine_read(unsigned cpu, uint32_t reg, uint32_t *value)
{
    const struct mailbox *box = give(cpu, READ, reg, 0);

    *value = (uint32_t)box->value;
    return box->good;
}

bool machine_write(unsigned cpu, uint32_t reg, uint32_t value)
{
    return give(cpu, WRITE, reg, value)->good;
}

bool machine_rdmsr(unsigned cpu, uint32_t msr, uint64_t *value)
{
    const struct mailbox *box = give(cpu, RDMSR, msr, 0);

    *value = box->value;
    return box->good;
}

bool machine_wrmsr(unsigned cpu, uint32_t msr, uint64_t value)
{
    return give(cpu, WRMSR, msr, value)->good;
}

uint32_t remote_peek(unsigned cpu, uint32_t address)
{
    return (uint32_t)give(cpu, PEEK, address, 0)->value;
}

int machine_take(unsigned cpu, bool due)
{
    return (int)give(cpu, TAKE_ONE, 0, due)->value;
}

/* The NMI that wakes must not fall together with one that is counted: first those that are due, then a moment for one
 * that is not. */
uint32_t machine_nmis(unsigned cpu, uint32_t due)
{
    if (cpu && due && !wait_for(&boxes[cpu].nmis, due, NMI_MS))
        return boxes[cpu].nmis;
    delay_us(100);
    give(cpu, RDMSR, MSR_APICBASE, 0);
    return boxes[cpu].nmis;
}

void machine_wait(uint64_t ticks)
{
    uint64_t begin = rdtsc();

    while (rdtsc() - begin < ticks)
        pause();
}

uint64_t machine_tsc(void)
{
    return rdtsc();
}

void machine_set_cr8(unsigned cpu, uint8_t value)
{
    give(cpu, SET_CR8, 0, value);
}

uint8_t machine_get_cr8(unsigned cpu)
{
    return (uint8_t)give(cpu, READ_CR8, 0, 0)->value;
}

void machine_failed(const struct lapic_case *c, unsigned step, const char *what, uint64_t expected, uint64_t got)
{
    print("lapic: %s (SDM Vol. 3, %s), step %u: %s: expected 0x%lx, got 0x%lx\n", c->name, c->section, step, what,
          expected, got);
}

void machine_progress(unsigned checks, const char *name)
{
    print("lapic: %u checks; next: %s\n", checks, name);
}
