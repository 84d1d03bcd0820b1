/* The interpreter of the cases' steps. It knows nothing of what the machine is. */
#include "tests/lapic/steps.h"

#define MSR_BASE     0x1b
#define MSR_DEADLINE 0x6e0
#define MSR_X2APIC   0x800
#define BASE_DEFAULT 0xfee00000ull
#define BASE_BSP     0x100ull
#define BASE_EXTD    0x400ull
#define BASE_EN      0x800ull
#define SVR_ENABLED  0x1ff

struct run {
    const struct lapic_case *c;
    unsigned mode, step, checks, failed;
    uint32_t nmis[4];
};

const struct lapic_case *const lapic_tables[] = {cases_regs,     cases_errors, cases_ipi,   cases_logical,
                                                 cases_priority, cases_mode,   cases_timer, 0};

static void expect(struct run *r, const char *what, uint64_t expected, uint64_t got)
{
    r->checks++;
    if (expected == got)
        return;
    r->failed++;
    machine_failed(r->c, r->step, what, expected, got);
}

static void write(struct run *r, unsigned cpu, uint32_t reg, uint32_t value)
{
    expect(r, "a write took #GP", false, !machine_write(cpu, reg, value));
}

static void reset_cpu(struct run *r, unsigned cpu)
{
    uint64_t base = 0;

    expect(r, "#GP of IA32_APIC_BASE", false, !machine_rdmsr(cpu, MSR_BASE, &base));
    base = BASE_DEFAULT | (base & BASE_BSP);
    expect(r, "#GP of disabling", false, !machine_wrmsr(cpu, MSR_BASE, base));
    expect(r, "#GP of enabling", false, !machine_wrmsr(cpu, MSR_BASE, base | BASE_EN));
    if (r->mode == MODE_X2)
        expect(r, "#GP of x2APIC mode", false, !machine_wrmsr(cpu, MSR_BASE, base | BASE_EN | BASE_EXTD));
    r->nmis[cpu] = machine_nmis(cpu, 0);
    if (r->c->modes & RAW)
        return;
    write(r, cpu, REG_SVR, SVR_ENABLED);
    if (r->mode == MODE_X)
        write(r, cpu, REG_LDR, 1u << (24 + cpu));
}

static void ipi(struct run *r, const struct step *s)
{
    uint64_t base = 0;

    machine_rdmsr(s->cpu, MSR_BASE, &base);
    if (base & BASE_EXTD) {
        uint64_t icr = (uint64_t)s->reg << 32 | s->a;
        expect(r, "#GP at an IPI", false, !machine_wrmsr(s->cpu, MSR_X2APIC + REG_ICR / 16, icr));
        return;
    }
    write(r, s->cpu, REG_ICR2, s->reg << 24);
    write(r, s->cpu, REG_ICR, (uint32_t)s->a);
}

/* The CPUs that have one interrupt of this vector; `due`: those that should, 0: nobody knows who, but one. */
static uint32_t who(struct run *r, uint32_t due, int vector)
{
    uint32_t got = 0;

    for (unsigned cpu = 0; cpu < r->c->cpus; cpu++) {
        int first = machine_take(cpu, due >> cpu & 1);
        if (first == NO_VECTOR)
            continue;
        expect(r, "vector", (uint64_t)vector, (uint64_t)first);
        got |= 1u << cpu;
        write(r, cpu, REG_EOI, 0);
        expect(r, "one more interrupt", (uint64_t)NO_VECTOR, (uint64_t)machine_take(cpu, false));
    }
    return got;
}

static void nmis(struct run *r, uint32_t mask)
{
    for (unsigned cpu = 0; cpu < r->c->cpus; cpu++) {
        uint32_t due = r->nmis[cpu] + (mask >> cpu & 1);
        uint32_t got = machine_nmis(cpu, due);
        expect(r, "NMIs", due, got);
        r->nmis[cpu] = got;
    }
}

static void read(struct run *r, const struct step *s)
{
    uint32_t value = 0;

    expect(r, "a read took #GP", false, !machine_read(s->cpu, s->reg, &value));
    if (s->op == STEP_BITS)
        expect(r, "bits of a register", s->a, value & s->b);
    else if (s->a == s->b)
        expect(r, "register", s->a, value);
    else
        expect(r, value < s->a ? "register, at least" : "register, at most", value < s->a ? s->a : s->b,
               value >= s->a && value <= s->b ? s->b : value);
}

static void msr(struct run *r, const struct step *s)
{
    uint64_t value = 0;

    switch (s->op) {
    case STEP_WRMSR:
    case STEP_WRMSR_GP:
        expect(r, "WRMSR took #GP", s->op == STEP_WRMSR_GP, !machine_wrmsr(s->cpu, s->reg, s->a));
        break;
    case STEP_RDMSR:
        expect(r, "RDMSR took #GP", false, !machine_rdmsr(s->cpu, s->reg, &value));
        expect(r, "MSR", s->a, value);
        break;
    default:
        expect(r, "RDMSR took #GP", true, !machine_rdmsr(s->cpu, s->reg, &value));
    }
}

static void step(struct run *r, const struct step *s)
{
    switch (s->op) {
    case STEP_WRITE:
        write(r, s->cpu, s->reg, (uint32_t)s->a);
        break;
    case STEP_READ:
    case STEP_BITS:
        read(r, s);
        break;
    case STEP_IPI:
        ipi(r, s);
        break;
    case STEP_TAKE:
        expect(r, "interrupt", s->a, (uint64_t)machine_take(s->cpu, true));
        break;
    case STEP_NONE:
        expect(r, "no interrupt", (uint64_t)NO_VECTOR, (uint64_t)machine_take(s->cpu, false));
        break;
    case STEP_WHO:
        expect(r, "CPUs with an interrupt", s->reg, who(r, s->reg, (int)s->a));
        break;
    case STEP_ONE: {
        uint32_t got = who(r, 0, (int)s->a);
        expect(r, "CPUs besides", 0, got & ~s->reg);
        expect(r, "just one CPU", true, got && !(got & (got - 1)));
        break;
    }
    case STEP_NMI:
        nmis(r, s->reg);
        break;
    case STEP_WAIT:
        machine_wait(s->a);
        break;
    case STEP_CR8:
        machine_set_cr8(s->cpu, (uint8_t)s->a);
        break;
    case STEP_GET_CR8:
        expect(r, "CR8", s->a, machine_get_cr8(s->cpu));
        break;
    case STEP_DEADLINE:
        expect(r, "WRMSR took #GP", false, !machine_wrmsr(s->cpu, MSR_DEADLINE, machine_tsc() + s->a));
        break;
    default:
        msr(r, s);
    }
}

unsigned lapic_run(unsigned mode, bool timers, unsigned *failed)
{
    struct run r = {.mode = mode};

    for (const struct lapic_case *const *table = lapic_tables; *table; table++) {
        if (*table == cases_timer && !timers)
            continue;
        machine_progress(r.checks, (*table)->name);
        for (r.c = *table; r.c->name; r.c++) {
            if (!(r.c->modes & mode))
                continue;
            r.step = 0;
            for (unsigned cpu = 0; cpu < r.c->cpus; cpu++)
                reset_cpu(&r, cpu);
            for (const struct step *s = r.c->steps; s->op != STEP_END; s++) {
                r.step++;
                step(&r, s);
            }
        }
    }
    *failed = r.failed;
    return r.checks;
}
