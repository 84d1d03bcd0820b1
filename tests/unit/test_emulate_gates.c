/*
 * Far JMP and CALL, by a pointer in MMIO, to each type of descriptor, in protected and in 64-bit mode: what the CPU
 * refuses is a fault with the selector as its error code, and never the guest's end (SDM Vol. 2, JMP and CALL).
 */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c
// links: user/emul/descriptor.c user/emul/string.c user/emul/io.c user/emul/step.c lib/format.c
#include "tests/unit/emul_machine.h"

#define GDT     0x3a000u
#define LIMIT   0xffu
#define REFUSED 0xffu

enum { CODE_SELF = 8, CODE_64 = 0x10, DATA_0 = 0x18, TASK = 0x20, CODE_ABSENT = 0x30, CODE_3 = 0x38, TARGET = 0x40 };
enum { PRESENT = 0x80, DPL_3 = 0x60, CALL_GATE_16 = 4, TASK_GATE = 5, CALL_GATE = 12 };

/* A descriptor with these bits 47:40, and `selector` where a gate has its own. */
static uint64_t descriptor(unsigned access, uint16_t selector)
{
    return 0x00000000000000ffull | (uint64_t)selector << 16 | (uint64_t)access << 40;
}

static void start_far(unsigned mode, uint16_t selector)
{
    if (mode == 8)
        start_64();
    else
        start(4);
    memset(machine_ram + GDT, 0, 0x1000);
    poke(GDT + CODE_SELF, mode == 8 ? 0x00af9a000000ffff : 0x00cf9a000000ffff, 8);
    poke(GDT + CODE_64, 0x00af9a000000ffff, 8);
    poke(GDT + DATA_0, 0x00cf92000000ffff, 8);
    poke(GDT + TASK, 0x0000890300000067, 8);
    poke(GDT + CODE_ABSENT, mode == 8 ? 0x00af1a000000ffff : 0x00cf1a000000ffff, 8);
    poke(GDT + CODE_3, mode == 8 ? 0x00affa000000ffff : 0x00cffa000000ffff, 8);
    regs.gdtr = (struct abi_segment){.base = GDT, .limit = LIMIT};
    regs.seg[ABI_CS].selector = CODE_SELF;
    regs.gpr[ABI_RBX] = MMIO;
    machine_mmio_value = selector; /* the offset, too: MMIO reads the same everywhere */
}

/* Both instructions: vector and selector of the fault; vector REFUSED: the emulator does not go on. */
static void both(unsigned mode, uint16_t selector, unsigned access, uint16_t gate, unsigned cpl, int vector,
                 uint16_t error)
{
    for (unsigned call = 0; call < 2; call++) {
        start_far(mode, selector);
        poke(GDT + TARGET, descriptor(access, gate), 8);
        regs.cpl = cpl;
        if (cpl && mode == 8) /* MMIO is the supervisor's in these tables */
            for (unsigned i = 0; i < 512; i++)
                poke(TABLES + 0x4000 + 8 * i, (0xc0000000 + i * 0x200000) | 0x87, 8);
        step(call ? "ff1b" : "ff2b");
        CHECK_EQ(regs.rip, CODE);
        CHECK_EQ(regs.gpr[ABI_RSP], STACK);
        if (vector == REFUSED)
            CHECK_EQ(result.status, EMUL_UNHANDLED);
        else
            check_fault(vector, error);
    }
}

/* Types 0 to 15 of system descriptors, whatever else they say. */
TEST(types)
{
    static const unsigned modes[] = {4, 8};
    for (unsigned m = 0; m < 2; m++)
        for (unsigned type = 0; type < 16; type++) {
            bool tss = type == 1 || type == 9, legacy = modes[m] == 4;
            bool good = type == CALL_GATE || (legacy && (tss || type == CALL_GATE_16 || type == TASK_GATE));
            uint16_t gate = type == TASK_GATE ? TASK : CODE_SELF;

            both(modes[m], TARGET, PRESENT | type, gate, 0, good ? REFUSED : VECTOR_GP, TARGET);
            both(modes[m], TARGET, type, gate, 0, good ? VECTOR_NP : VECTOR_GP, TARGET);
            both(modes[m], TARGET | 3, PRESENT | type, gate, 0, VECTOR_GP, TARGET); /* RPL beyond DPL */
            both(modes[m], TARGET | 3, PRESENT | DPL_3 | type, gate, 0, good ? REFUSED : VECTOR_GP, TARGET);
            both(modes[m], TARGET | 3, PRESENT | type, gate, 3, VECTOR_GP, TARGET); /* a program */
        }
}

TEST(selectors)
{
    static const unsigned modes[] = {4, 8};
    for (unsigned m = 0; m < 2; m++) {
        both(modes[m], 0, 0, 0, 0, VECTOR_GP, 0);
        both(modes[m], 3, 0, 0, 0, VECTOR_GP, 0);
        both(modes[m], LIMIT + 1, 0, 0, 0, VECTOR_GP, LIMIT + 1);
        both(modes[m], 0xffff, 0, 0, 0, VECTOR_GP, 0xfffc);
        both(modes[m], 4, 0, 0, 0, VECTOR_GP, 4); /* there is no LDT */
        both(modes[m], DATA_0, 0, 0, 0, VECTOR_GP, DATA_0);
        both(modes[m], CODE_3, 0, 0, 0, VECTOR_GP, CODE_3);
        both(modes[m], CODE_ABSENT, 0, 0, 0, VECTOR_NP, CODE_ABSENT);
    }
}

/* What stands in a good gate. */
TEST(gates)
{
    static const unsigned modes[] = {4, 8};
    for (unsigned m = 0; m < 2; m++) {
        both(modes[m], TARGET, PRESENT | CALL_GATE, 3, 0, VECTOR_GP, 0);
        both(modes[m], TARGET, PRESENT | CALL_GATE, LIMIT + 1, 0, VECTOR_GP, LIMIT + 1);
        both(modes[m], TARGET, PRESENT | CALL_GATE, DATA_0, 0, VECTOR_GP, DATA_0);
        both(modes[m], TARGET, PRESENT | CALL_GATE, CODE_3, 0, VECTOR_GP, CODE_3);
        both(modes[m], TARGET, PRESENT | CALL_GATE, CODE_ABSENT, 0, VECTOR_NP, CODE_ABSENT);
    }
    both(4, TARGET, PRESENT | TASK_GATE, TASK | 4, 0, VECTOR_GP, TASK | 4);
    both(4, TARGET, PRESENT | TASK_GATE, LIMIT + 1, 0, VECTOR_GP, LIMIT + 1);
    both(4, TARGET, PRESENT | TASK_GATE, DATA_0, 0, VECTOR_GP, DATA_0);
    both(4, TARGET, PRESENT | TASK_GATE, TARGET, 0, VECTOR_GP, TARGET);
    start_far(4, TARGET); /* a busy task, and one that is not present */
    poke(GDT + TARGET, descriptor(PRESENT | TASK_GATE, TASK), 8);
    poke(GDT + TASK + 5, 0x8b, 1);
    step("ff2b");
    check_fault(VECTOR_GP, TASK);
    poke(GDT + TASK + 5, 0x09, 1);
    step("ff2b");
    check_fault(VECTOR_NP, TASK);
}

/* Of 64-bit mode: 32-bit code behind a gate, a gate's upper half with a type, and one beyond the table. */
TEST(gates_of_64_bit_mode)
{
    start_far(8, TARGET);
    poke(GDT + TARGET, descriptor(PRESENT | CALL_GATE, CODE_3 + 0x40), 8);
    poke(GDT + CODE_3 + 0x40, 0x00cf9a000000ffff, 8);
    step("ff2b");
    check_fault(VECTOR_GP, CODE_3 + 0x40);
    poke(GDT + TARGET, descriptor(PRESENT | CALL_GATE, CODE_SELF), 8);
    poke(GDT + TARGET + 13, 1, 1);
    step("ff2b");
    check_fault(VECTOR_GP, TARGET);
    poke(GDT + TARGET + 13, 0, 1);
    regs.gdtr.limit = TARGET + 14;
    step("ff1b");
    check_fault(VECTOR_GP, TARGET);
    regs.gdtr.limit = TARGET + 15;
    CHECK_EQ(step("ff1b"), EMUL_UNHANDLED);
}

/* CALL gets a higher privilege level by a gate, JMP does not; then the stack is another, and the emulator stays. */
TEST(gates_to_other_levels)
{
    start_far(4, TARGET | 3);
    poke(GDT + TARGET, descriptor(PRESENT | DPL_3 | CALL_GATE, CODE_SELF), 8);
    regs.cpl = 3;
    step("ff2b");
    check_fault(VECTOR_GP, CODE_SELF);
    CHECK_EQ(step("ff1b"), EMUL_UNHANDLED);
}
