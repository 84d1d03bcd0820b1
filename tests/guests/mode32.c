/*
 * MOV to CR0 and CR4 in 32-bit protected mode, without long mode, without paging and with it, and on the way to long
 * mode: what is #GP, and what the registers are behind it (SDM Vol. 2, MOV to control registers; Vol. 3, 2.5).
 * quirks=1: leave CR0 out, of which QEMU checks nothing and no hypervisor is asked.
 */
#include "tests/guests/lib/guest.h"

const char guest_name[] = "mode32";

#define CR0_MP   BIT(1)
#define CR0_EM   BIT(2)
#define CR0_ET   BIT(4)
#define CR0_NE   BIT(5)
#define CR0_AM   BIT(18)
#define CR4_MCE  BIT(6)
#define GATE32   0x8eull
#define VECTORS  14
#define LARGE    0x83u /* present, writable, 4 MiB */
#define DEVICES  0x9bu /* not cached, too */
#define NO_FAULT 0xffffffffu

struct
try {
    uint32_t op; /* 0: CR0, 1: CR4 */
    uint32_t set, clear;
    uint32_t vector, before, value, after; /* what came of it */
};

void mode32_run(void);
void mode32_on_gp(void);
void mode32_on_ud(void);
extern uint32_t mode32_paging, mode32_lme, mode32_cr3;

#define TRIES 64
struct try mode32_tries[TRIES];
uint32_t mode32_count;

static bool refused[TRIES]; /* what is to come of it */

static uint64_t idt[VECTORS];
struct __attribute__((packed)) {
    uint16_t limit;
    uint64_t base;
} mode32_idt_pointer = {sizeof(idt) - 1, (uintptr_t)idt};

static uint32_t directory[1024] __attribute__((aligned(4096)));

static void gate(unsigned vector, void (*entry)(void))
{
    uint64_t offset = (uintptr_t)entry;

    idt[vector] = (offset & 0xffff) | (uint64_t)SELECTOR_CODE32 << 16 | GATE32 << 40 | (offset >> 16 & 0xffff) << 48;
}

static void add(uint32_t op, uint64_t set, uint64_t clear, bool bad)
{
    mode32_tries[mode32_count] = (struct try){.op = op, .set = (uint32_t)set, .clear = (uint32_t)clear};
    refused[mode32_count++] = bad;
}

static bool has(uint32_t leaf, uint32_t word, unsigned bit)
{
    return word >> bit & 1 && leaf <= cpuid(leaf & BIT(31), 0).eax;
}

/* PCIDE and, outside of long mode's way there, LA57 are no bits for here. */
static uint32_t offered_cr4(void)
{
    struct cpuid one = cpuid(1, 0), seven = cpuid(7, 0);
    static const uint8_t by_edx[][2] = {{0, 1}, {1, 1}, {2, 4},  {3, 2},  {4, 3},
                                        {5, 6}, {6, 7}, {7, 13}, {9, 24}, {10, 25}};
    uint64_t bits = BIT(8);

    for (unsigned i = 0; i < ARRAY_SIZE(by_edx); i++)
        bits |= has(1, one.edx, by_edx[i][1]) ? BIT(by_edx[i][0]) : 0;
    bits |= has(7, seven.ecx, 2) ? BIT(11) : 0;
    bits |= has(7, seven.ebx, 0) ? BIT(16) : 0;
    bits |= has(1, one.ecx, 26) ? BIT(18) : 0;
    bits |= has(7, seven.ebx, 7) ? BIT(20) : 0;
    bits |= has(7, seven.ebx, 20) ? BIT(21) : 0;
    return (uint32_t)bits;
}

static void make_table(bool paging, bool quirks)
{
    uint32_t offered = offered_cr4();

    mode32_count = 0;
    for (unsigned bit = 0; bit < 32; bit++) {
        if (BIT(bit) == CR4_MCE || (paging && (BIT(bit) == CR4_PAE || BIT(bit) == CR4_PSE)))
            continue;
        add(1, BIT(bit), 0, !(offered >> bit & 1));
    }
    add(1, 0, BIT(9) | BIT(10), false);
    if (quirks)
        return;
    add(0, CR0_NW, CR0_CD, true);
    add(0, CR0_CD, CR0_NW, false);
    add(0, CR0_CD | CR0_NW, 0, false);
    add(0, 0, CR0_ET, false);
    add(0, 0, CR0_NE, false);
    add(0, CR0_NE, 0, false);
    add(0, CR0_TS | CR0_EM | CR0_MP, 0, false);
    add(0, 0, CR0_TS | CR0_EM | CR0_MP, false);
    add(0, CR0_WP | CR0_AM, 0, false);
    add(0, 0, CR0_WP | CR0_AM, false);
    add(0, CR0_NW | CR0_TS, CR0_CD, true); /* nothing of it happens */
    if (!paging)
        return;
    add(0, 0, CR0_PE, true); /* PG without PE */
}

/* lme: EFER.LME is set, which counts when paging is switched on (SDM Vol. 3, 10.8.5); so PAE need not be. */
static void run(bool paging, bool lme, bool quirks)
{
    make_table(paging, quirks);
    mode32_paging = paging;
    mode32_lme = lme;
    mode32_run();
    trap_load_idt();
    for (unsigned i = 0; i < mode32_count; i++) {
        const struct try *t = &mode32_tries[i];
        uint32_t after = refused[i] ? t->before : t->value;

        if (t->op == 0)
            after |= CR0_ET;
        if (t->vector == (refused[i] ? VECTOR_GP : NO_FAULT) && ((t->after ^ after) & ~(t->op ? CR4_MCE : 0)) == 0)
            continue;
        print("mode32: paging %u, LME %u, CR%u from 0x%x to 0x%x: vector %d, then 0x%x\n", paging, lme, t->op ? 4 : 0,
              t->before, t->value, (int)t->vector, t->after);
        fail("control register", after, t->after);
    }
}

void guest_main(void)
{
    bool quirks = guest_option("quirks", 0);

    for (unsigned i = 0; i < 1024; i++)
        directory[i] = i << 22 | (i < 768 ? LARGE : DEVICES);
    mode32_cr3 = (uint32_t)(uintptr_t)directory;
    gate(VECTOR_GP, mode32_on_gp);
    gate(VECTOR_UD, mode32_on_ud);
    run(false, false, quirks);
    run(false, true, quirks);
    run(true, false, quirks);
}
