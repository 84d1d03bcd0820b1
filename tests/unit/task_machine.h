/* Two tasks for the tests of task switches, in flat 32-bit code: their TSSs, the GDT and LDT in the machine's RAM. */
#ifndef TESTS_UNIT_TASK_MACHINE_H
#define TESTS_UNIT_TASK_MACHINE_H

#include "tests/unit/emul_machine.h"

#define OLD_TSS 0x18000u
#define NEW_TSS 0x19000u
#define GDT     0x1a000u
#define LDT     0x1b000u

/* Selectors; the LDT is the new task's. */
enum {
    SEL_OLD = 0x08,
    SEL_NEW = 0x10,
    SEL_LDT = 0x18,
    SEL_CODE = 0x20,
    SEL_DATA = 0x28,
    SEL_USER_CODE = 0x33,
    SEL_USER_DATA = 0x3b,
    SEL_TEST = 0x40, /* for a test's own descriptor */
    SEL_IN_LDT = 0x0c,
    GDT_LIMIT = 0x4f,
};
#define TYPE_BUSY 2u

/* Offsets in a 32-bit and in a 16-bit TSS (SDM Vol. 3, figures 8-2 and 8-10). */
enum {
    T32_LINK = 0,
    T32_CR3 = 28,
    T32_EIP = 32,
    T32_EFLAGS = 36,
    T32_EAX = 40,
    T32_ESP = 56,
    T32_EDI = 68,
    T32_ES = 72,
    T32_CS = 76,
    T32_SS = 80,
    T32_DS = 84,
    T32_FS = 88,
    T32_GS = 92,
    T32_LDT = 96,
    T32_TRAP = 100,
    T16_IP = 14,
    T16_FLAGS = 16,
    T16_AX = 18,
    T16_SP = 26,
    T16_DI = 32,
    T16_ES = 34,
    T16_CS = 36,
    T16_SS = 38,
    T16_DS = 40,
    T16_LDT = 42,
};

static inline void poke_descriptor(uint64_t table, unsigned selector, uint64_t base, uint64_t limit, uint64_t attr)
{
    uint64_t raw = (limit & 0xffff) | (base & 0xffffff) << 16 | (attr & 0xff) << 40 | (limit >> 16 & 0xf) << 48 |
                   (attr >> 8) << 52 | (base >> 24) << 56;

    poke(table + (selector & ~7u), raw, 8);
}

/* A descriptor's byte of type, DPL and P. */
static inline unsigned type_of(unsigned selector) { return (unsigned)peek(GDT + (selector & ~7u) + 5, 1); }

static inline void set_new(unsigned offset, uint64_t value) { poke(NEW_TSS + offset, value, 4); }

/* The old task runs, at CODE, with registers 0x100 + their number; the new one is ready. */
static inline void start_tasks(void)
{
    static const unsigned data[] = {T32_ES, T32_SS, T32_DS, T32_FS, T32_GS};

    start(4);
    poke_descriptor(GDT, SEL_OLD, OLD_TSS, 0x67, 0x8b);
    poke_descriptor(GDT, SEL_NEW, NEW_TSS, 0x67, 0x89);
    poke_descriptor(GDT, SEL_LDT, LDT, 0xf, 0x82);
    poke_descriptor(GDT, SEL_CODE, 0, 0xfffff, 0xc9a);
    poke_descriptor(GDT, SEL_DATA, 0, 0xfffff, 0xc92);
    poke_descriptor(GDT, SEL_USER_CODE, 0, 0xfffff, 0xcfa);
    poke_descriptor(GDT, SEL_USER_DATA, 0, 0xfffff, 0xcf2);
    poke_descriptor(LDT, SEL_IN_LDT, DATA, 0xfff, 0x92);
    regs.gdtr = (struct abi_segment){.base = GDT, .limit = GDT_LIMIT};
    regs.tr = (struct abi_segment){.selector = SEL_OLD, .base = OLD_TSS, .limit = 0x67, .attr = 0x8b};
    for (unsigned i = 0; i < 8; i++) {
        regs.gpr[i] = 0x100 + i;
        set_new(T32_EAX + 4 * i, 0x200 + i);
    }
    for (unsigned i = 0; i < ABI_SEGS; i++)
        regs.seg[i].selector = (uint16_t)(0x1000 + 8 * i);
    set_new(T32_CR3, 0x99999000);
    set_new(T32_EIP, CODE + 0x100);
    set_new(T32_EFLAGS, 0x202);
    set_new(T32_ESP, STACK);
    set_new(T32_CS, SEL_CODE);
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
        set_new(data[i], SEL_DATA);
}

static inline enum emul_status switch_task(struct abi_task_switch how)
{
    return emul_task_switch(&machine_ops, NULL, &regs, &how, &result);
}

/* By a far JMP or CALL of seven bytes; by IRET. */
static inline enum emul_status switch_by(uint8_t source)
{
    return switch_task((struct abi_task_switch){SEL_NEW, source, source == ABI_TASK_IRET ? 1 : 7, .type = 0});
}

/* By a task gate in the IDT. Types: 0 interrupt, 2 NMI, 3 exception, 4 INT, 5 INT1, 6 INT3 and INTO. */
static inline enum emul_status switch_by_event(uint8_t type, uint8_t vector, int error_code)
{
    return switch_task((struct abi_task_switch){.selector = SEL_NEW,
                                                .source = ABI_TASK_GATE,
                                                .length = 2,
                                                .vector = vector,
                                                .type = type,
                                                .has_error_code = error_code >= 0,
                                                .error_code = error_code >= 0 ? (uint32_t)error_code : 0});
}

/* The fault of a new task that start_tasks() made, after JMP. */
static inline void check_new_task(unsigned vector, int64_t error_code)
{
    check_fault(vector, error_code);
    CHECK(result.switched);
    CHECK_EQ(regs.tr.selector, SEL_NEW);
    CHECK_EQ(regs.rip, CODE + 0x100);
    CHECK_EQ(regs.gpr[ABI_RAX], 0x200);
    CHECK_EQ(type_of(SEL_OLD), 0x89);
    CHECK_EQ(type_of(SEL_NEW), 0x8b);
    /* What VM entry wants of CS in any case (27.3.1.2). */
    CHECK_EQ(regs.seg[ABI_CS].attr & 0x99, 0x99);
    CHECK_EQ(regs.cpl, regs.seg[ABI_CS].selector & 3);
}

#endif
