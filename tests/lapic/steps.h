/*
 * What a local APIC does, as a table of cases: each is a few steps, with what the manual says of their outcome. The
 * tables are compiled twice. On the host the steps drive lapic/ as a library (tests/unit/test_lapic_conformance.c); in
 * a guest they drive what the hypervisor shows it (tests/guests/lapic.c). Sections are those of the SDM, Vol. 3, if not
 * said otherwise. CPU n has the APIC ID n. A step of another CPU may change the ICR of CPU 0. Numbers are from the
 * manual by hand, and not from lapic/regs.h.
 *
 * Before a case its CPUs go through the disabled state, which resets the LAPIC (11.4.3, 11.12.5); then, unless RAW is
 * said, they are software-enabled with spurious vector 0xff and, in xAPIC mode, LDR = 1 << CPU in the flat model.
 */
#ifndef TESTS_LAPIC_STEPS_H
#define TESTS_LAPIC_STEPS_H

#include <stdbool.h>
#include <stdint.h>

/* Offsets into the xAPIC page; in x2APIC mode the MSR is 0x800 + offset / 16. */
enum {
    REG_ID = 0x020,
    REG_VERSION = 0x030,
    REG_TPR = 0x080,
    REG_APR = 0x090,
    REG_PPR = 0x0a0,
    REG_EOI = 0x0b0,
    REG_LDR = 0x0d0,
    REG_DFR = 0x0e0,
    REG_SVR = 0x0f0,
    REG_ISR = 0x100,
    REG_TMR = 0x180,
    REG_IRR = 0x200,
    REG_ESR = 0x280,
    REG_ICR = 0x300,
    REG_ICR2 = 0x310,
    REG_LVT_TIMER = 0x320,
    REG_LVT_THERMAL = 0x330,
    REG_LVT_PERF = 0x340,
    REG_LVT_LINT0 = 0x350,
    REG_LVT_LINT1 = 0x360,
    REG_LVT_ERROR = 0x370,
    REG_INITIAL = 0x380,
    REG_CURRENT = 0x390,
    REG_DCR = 0x3e0,
    REG_SELF_IPI = 0x3f0,
};

#define NO_VECTOR (-1)

/* Interrupt command: the low half (11.6.1). */
enum {
    FIXED = 0x4000,
    LOWEST = 0x4100,
    SMI = 0x4200,
    NMI = 0x4400,
    INIT = 0x4500,
    LOGICAL = 0x800,
    LEVEL = 0x8000,
    SELF = 0x40000,
    ALL = 0x80000,
    OTHERS = 0xc0000
};

enum step_op {
    STEP_END,
    STEP_WRITE,
    STEP_READ,
    STEP_BITS,
    STEP_WRMSR,
    STEP_WRMSR_GP,
    STEP_RDMSR,
    STEP_RDMSR_GP,
    STEP_IPI,
    STEP_TAKE,
    STEP_NONE,
    STEP_WHO,
    STEP_ONE,
    STEP_NMI,
    STEP_WAIT,
    STEP_CR8,
    STEP_GET_CR8,
    STEP_DEADLINE
};

struct step {
    uint8_t op, cpu;
    uint32_t reg;
    uint64_t a, b;
};

/* clang-format off */
/* Write a register; no trap. Read one: the value, the value of some bits, or what it lies between. */
#define W(cpu, reg, value)            {STEP_WRITE, cpu, reg, value, 0}
#define R(cpu, reg, value)            {STEP_READ, cpu, reg, value, value}
#define BITS(cpu, reg, mask, value)   {STEP_BITS, cpu, reg, value, mask}
#define RANGE(cpu, reg, low, high)    {STEP_READ, cpu, reg, low, high}
/* MSRs: it is written, it reads as value, or #GP(0). */
#define WM(cpu, msr, value)           {STEP_WRMSR, cpu, msr, value, 0}
#define WM_GP(cpu, msr, value)        {STEP_WRMSR_GP, cpu, msr, value, 0}
#define RM(cpu, msr, value)           {STEP_RDMSR, cpu, msr, value, 0}
#define RM_GP(cpu, msr)               {STEP_RDMSR_GP, cpu, msr, 0, 0}
/* Send an IPI: destination as the ICR has it in this mode (8 or 32 bits), and the low half. */
#define IPI(cpu, dest, low)           {STEP_IPI, cpu, dest, low, 0}
/* The CPU takes its next interrupt, which has this vector; nothing can be taken now. */
#define TAKE(cpu, vector)             {STEP_TAKE, cpu, 0, vector, 0}
#define NONE(cpu)                     {STEP_NONE, cpu, 0, 0, 0}
#define EOI(cpu)                      {STEP_WRITE, cpu, REG_EOI, 0, 0}
/* Of the case's CPUs exactly those in the mask have one interrupt each, of this vector; just one of them has. EOI. */
#define WHO(mask, vector)             {STEP_WHO, 0, mask, vector, 0}
#define ONE(mask, vector)             {STEP_ONE, 0, mask, vector, 0}
/* Since the last such step just the CPUs in the mask got an NMI, and each of them one. */
#define NMIS(mask)                    {STEP_NMI, 0, mask, 0, 0}
/* So many TSC ticks pass; the guest cannot see to it that not more do. */
#define WAIT(ticks)                   {STEP_WAIT, 0, 0, ticks, 0}
#define CR8(cpu, value)               {STEP_CR8, cpu, 0, value, 0}
#define GET_CR8(cpu, value)           {STEP_GET_CR8, cpu, 0, value, 0}
/* IA32_TSC_DEADLINE = now + ticks. */
#define DEADLINE(cpu, ticks)          {STEP_DEADLINE, cpu, 0, ticks, 0}
#define STEPS(...)                    (const struct step[]){__VA_ARGS__, {STEP_END, 0, 0, 0, 0}}
/* clang-format on */

enum { MODE_X = 1, MODE_X2 = 2, BOTH = MODE_X | MODE_X2, RAW = 4 };

struct lapic_case {
    const char *name, *section;
    uint8_t modes; /* in which it runs; RAW */
    uint8_t cpus;  /* 1..4 */
    const struct step *steps;
};

/* NULL-terminated list of tables, each ended by a case without name. */
extern const struct lapic_case *const lapic_tables[];
extern const struct lapic_case cases_regs[], cases_errors[], cases_ipi[], cases_logical[], cases_priority[],
    cases_mode[], cases_timer[];

/* ---- What drives the steps: one on the host, one in the guest ---------------------------------------------------- */

/* A register in the CPU's present mode. False: #GP. */
bool machine_read(unsigned cpu, uint32_t reg, uint32_t *value);
bool machine_write(unsigned cpu, uint32_t reg, uint32_t value);
bool machine_rdmsr(unsigned cpu, uint32_t msr, uint64_t *value);
bool machine_wrmsr(unsigned cpu, uint32_t msr, uint64_t value);
/* Takes one interrupt: its vector, or NO_VECTOR. `due`: one is expected, and may be waited for. */
int machine_take(unsigned cpu, bool due);
/* How many NMIs the CPU has got since the start; waits while there are fewer than due. */
uint32_t machine_nmis(unsigned cpu, uint32_t due);
void machine_wait(uint64_t ticks);
uint64_t machine_tsc(void);
void machine_set_cr8(unsigned cpu, uint8_t value);
uint8_t machine_get_cr8(unsigned cpu);
/* One line about a check that failed: the case, the step's number from 1, what of. */
void machine_failed(const struct lapic_case *c, unsigned step, const char *what, uint64_t expected, uint64_t got);
/* A table begins with that case, behind so many checks: where it all takes minutes, one sees how far it is. */
void machine_progress(unsigned checks, const char *name);

/* ---- run.c ------------------------------------------------------------------------------------------------------ */

/* Run all cases of one mode, MODE_X or MODE_X2, those of the timer only with timers: how many checks there were;
 * *failed: how many of them failed. CPUs are left as after such a case. */
unsigned lapic_run(unsigned mode, bool timers, unsigned *failed);

#endif
