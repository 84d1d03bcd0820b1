/* Segment and system registers from memory that is none, and far branches through it. */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c
// links: user/emul/descriptor.c user/emul/string.c user/emul/io.c user/emul/step.c lib/format.c
#include "tests/unit/emul_machine.h"

#define GDT 0x3a000u

enum {
    NONE,
    CODE_32 = 8,
    DATA_32 = 0x10,
    CODE_64 = 0x18,
    DATA_3 = 0x20,
    TSS_32 = 0x28,
    LDT = 0x38,
    ABSENT = 0x48,
    CODE_3 = 0x50
};

/* RBX points to MMIO, which reads as `value`. */
static void start_with(unsigned mode, uint64_t value)
{
    if (mode == 8)
        start_64();
    else
        start(mode);
    poke(GDT + CODE_32, 0x00cf9a000000ffff, 8);
    poke(GDT + DATA_32, 0x00cf92000000ffff, 8);
    poke(GDT + CODE_64, 0x00af9a000000ffff, 8);
    poke(GDT + DATA_3, 0x00cff2000000ffff, 8);
    poke(GDT + TSS_32, 0x1200890340000067, 8);
    poke(GDT + TSS_32 + 8, 0xffff8000, 8);
    poke(GDT + LDT, 0x0000820350000027, 8);
    poke(GDT + LDT + 8, 0, 8);
    poke(GDT + ABSENT, 0x00cf12000000ffff, 8);
    poke(GDT + CODE_3, 0x00cffa000000ffff, 8);
    regs.gdtr = (struct abi_segment){.base = GDT, .limit = CODE_3 + 7};
    regs.seg[ABI_CS].selector = mode == 8 ? CODE_64 : CODE_32;
    regs.gpr[ABI_RBX] = MMIO;
    machine_mmio_value = value;
}

TEST(segment_registers)
{
    start_with(4, DATA_3 | 3);
    CHECK_EQ(step("8e03"), EMUL_DONE); /* ES */
    CHECK(result.system && !result.shadow);
    CHECK_EQ(regs.seg[ABI_ES].selector, DATA_3 | 3);
    CHECK_EQ(regs.seg[ABI_ES].attr, 0xcf3); /* accessed */
    CHECK_EQ(peek(GDT + DATA_3 + 5, 1), 0xf3);

    start_with(4, DATA_32);
    regs.rflags |= RFLAGS_TF;
    CHECK_EQ(step("8e13"), EMUL_DONE); /* SS */
    CHECK(result.shadow && !result.single_step);

    start_with(4, 0);
    step("8e13");
    check_fault(VECTOR_GP, 0);
    start_with(4, ABSENT);
    step("8e13");
    check_fault(VECTOR_SS, ABSENT);
    step("8e1b");
    check_fault(VECTOR_NP, ABSENT);
    start_with(4, 0x1000);
    step("8e23");
    check_fault(VECTOR_GP, 0x1000);
    CHECK_EQ(regs.seg[ABI_FS].selector, 8);
    start_with(8, 0);
    CHECK_EQ(step("8e13"), EMUL_DONE); /* null, at CPL 0 of 64-bit mode */
    step("8e0b");
    check_fault(VECTOR_UD, -1);

    start_real(0x20000);
    regs.gpr[ABI_RBX] = 0x10;
    poke(0x20010, 0x1234, 2);
    CHECK_EQ(step("8e27"), EMUL_DONE); /* FS */
    CHECK_EQ(regs.seg[ABI_FS].base, 0x12340);
    CHECK_EQ(regs.seg[ABI_FS].limit, 0xffff);
}

TEST(segments_on_a_stack)
{
    start_with(4, DATA_3);
    regs.gpr[ABI_RSP] = MMIO + 0x100;
    regs.seg[ABI_DS].selector = DATA_32;
    CHECK_EQ(step("1e"), EMUL_DONE); /* PUSH DS */
    check_access(0, 'w', MMIO + 0xfc, 4, DATA_32);
    CHECK_EQ(step("0fa9"), EMUL_DONE); /* POP GS */
    CHECK_EQ(regs.seg[ABI_GS].selector, DATA_3);
    CHECK_EQ(regs.gpr[ABI_RSP], MMIO + 0x100);
    machine_mmio_value = ABSENT;
    step("17"); /* POP SS */
    check_fault(VECTOR_SS, ABSENT);
    CHECK_EQ(regs.gpr[ABI_RSP], MMIO + 0x100);
}

TEST(far_pointers)
{
    start_with(4, DATA_32);
    CHECK_EQ(step("66c403"), EMUL_DONE); /* LES */
    CHECK_EQ(regs.seg[ABI_ES].selector, DATA_32);
    CHECK_EQ(machine_logged, 2);
    check_access(0, 'r', MMIO, 2, 0);
    check_access(1, 'r', MMIO + 2, 2, 0);
}

/* RAM holds the pointer, that both of its parts may be something. */
static void put_pointer(uint64_t offset, unsigned size, uint16_t selector)
{
    poke(DATA, offset, size);
    poke(DATA + size, selector, 2);
    regs.gpr[ABI_RBX] = DATA;
}

TEST(far_branches)
{
    start_with(4, 0);
    put_pointer(0x5000, 4, CODE_32);
    CHECK_EQ(step("ff2b"), EMUL_DONE); /* JMP */
    CHECK_EQ(regs.rip, 0x5000);
    CHECK_EQ(regs.seg[ABI_CS].selector, CODE_32);
    CHECK(result.system);

    start_with(4, 0);
    put_pointer(0x5000, 4, CODE_32);
    regs.gpr[ABI_RSP] = MMIO + 0x100;
    CHECK_EQ(step("ff1b"), EMUL_DONE); /* CALL */
    check_access(0, 'w', MMIO + 0xfc, 4, CODE_32);
    check_access(1, 'w', MMIO + 0xf8, 4, CODE + 2);

    start_with(8, 0); /* from 64-bit mode into compatibility mode */
    put_pointer(0x6000, 4, CODE_32);
    CHECK_EQ(step("ff2b"), EMUL_DONE);
    CHECK_EQ(regs.seg[ABI_CS].attr & (ABI_SEG_L | ABI_SEG_DB), ABI_SEG_DB);

    start_with(4, 0);
    put_pointer(0x5000, 4, DATA_32);
    step("ff2b");
    check_fault(VECTOR_GP, DATA_32);
    put_pointer(0x5000, 4, 3);
    step("ff2b");
    check_fault(VECTOR_GP, 0);
    put_pointer(0x5000, 4, TSS_32);
    CHECK_EQ(step("ff2b"), EMUL_UNHANDLED);
    CHECK_EQ(regs.rip, CODE);

    start_real(0x20000);
    poke(0x20010, 0x12340010, 4);
    regs.gpr[ABI_RBX] = 0x10;
    CHECK_EQ(step("ff2f"), EMUL_DONE);
    CHECK_EQ(regs.rip, 0x10);
    CHECK_EQ(regs.seg[ABI_CS].base, 0x12340);
}

TEST(far_return)
{
    start_with(4, CODE_32);
    regs.gpr[ABI_RSP] = MMIO + 0x100;
    CHECK_EQ(step("ca0400"), EMUL_DONE);
    CHECK_EQ(regs.rip, CODE_32); /* all of MMIO reads the same */
    CHECK_EQ(regs.gpr[ABI_RSP], MMIO + 0x10c);
    machine_mmio_value = CODE_32 | 3; /* a program would get the kernel's code */
    step("cb");
    check_fault(VECTOR_GP, CODE_32);
    machine_mmio_value = CODE_3 | 3;
    CHECK_EQ(step("cb"), EMUL_UNHANDLED);
    poke(GDT + CODE_3, 0x00cf7a000000ffff, 8);
    step("cb");
    check_fault(VECTOR_NP, CODE_3);
    machine_mmio_value = DATA_32;
    step("cb");
    check_fault(VECTOR_GP, DATA_32);
}

TEST(task_register_and_ldt)
{
    start_with(8, TSS_32);
    CHECK_EQ(step("0f001b"), EMUL_DONE); /* LTR */
    CHECK_EQ(regs.tr.base, 0xffff800012034000);
    CHECK_EQ(regs.tr.limit, 0x67);
    CHECK_EQ(regs.tr.attr, 0x8b);
    CHECK_EQ(peek(GDT + TSS_32 + 5, 1), 0x8b);
    step("0f001b"); /* it is busy */
    check_fault(VECTOR_GP, TSS_32);

    start_with(4, LDT);
    CHECK_EQ(step("0f0013"), EMUL_DONE); /* LLDT */
    CHECK_EQ(regs.ldtr.base, 0x35000);
    machine_mmio_value = 0;
    CHECK_EQ(step("0f0013"), EMUL_DONE);
    CHECK_EQ(regs.ldtr.attr, 0);
    machine_mmio_value = 0xc; /* there is no LDT to look in */
    step("8e1b");
    check_fault(VECTOR_GP, 0xc);
    regs.cpl = 3;
    step("0f0013");
    check_fault(VECTOR_GP, 0);
    start_real(0);
    step("0f0013");
    check_fault(VECTOR_UD, -1);
}

TEST(machine_status_word)
{
    start_with(4, 0xfffe);
    CHECK_EQ(step("0f0133"), EMUL_DONE); /* LMSW does not clear PE */
    CHECK_EQ(regs.cr0, 0xf);
    CHECK_EQ(step("0f0123"), EMUL_DONE); /* SMSW */
    check_access(1, 'w', MMIO, 2, 0xf);
    start_real(0x20000);
    regs.gpr[ABI_RBX] = 0;
    poke(0x20000, 1, 2);
    CHECK_EQ(step("0f0137"), EMUL_DONE);
    CHECK_EQ(regs.cr0, CR0_PE);
}

TEST(descriptor_tables)
{
    start_with(8, 0xff);
    CHECK_EQ(step("0f0113"), EMUL_DONE); /* LGDT */
    CHECK_EQ(regs.gdtr.limit, 0xff);
    CHECK_EQ(regs.gdtr.base, 0xff);
    regs.idtr = (struct abi_segment){.limit = 0xfff, .base = 0xffff800000000000};
    machine_logged = 0;
    CHECK_EQ(step("0f010b"), EMUL_DONE); /* SIDT */
    check_access(0, 'w', MMIO, 2, 0xfff);
    check_access(1, 'w', MMIO + 2, 8, 0xffff800000000000);
    regs.cpl = 3;
    poke(TABLES + 0x4000 + 8 * ((MMIO >> 21) % 512), MMIO | 0x87, 8);
    CHECK_EQ(step("0f010b"), EMUL_DONE);
    regs.cr4 |= BIT(11); /* UMIP */
    step("0f010b");
    check_fault(VECTOR_GP, 0);
    step("0f0113");
    check_fault(VECTOR_GP, 0);
}

TEST(looking_at_descriptors)
{
    start_with(4, DATA_32);
    CHECK_EQ(step("0f0203"), EMUL_DONE); /* LAR */
    CHECK(regs.rflags & RFLAGS_ZF);
    CHECK_EQ(regs.gpr[ABI_RAX], 0xc09200);
    CHECK_EQ(step("0f0303"), EMUL_DONE); /* LSL */
    CHECK_EQ(regs.gpr[ABI_RAX], 0xffffffff);
    CHECK_EQ(step("0f002b"), EMUL_DONE); /* VERW */
    CHECK(regs.rflags & RFLAGS_ZF);
    machine_mmio_value = CODE_32;
    CHECK_EQ(step("0f002b"), EMUL_DONE);
    CHECK(!(regs.rflags & RFLAGS_ZF));
    CHECK_EQ(step("0f0023"), EMUL_DONE); /* VERR */
    CHECK(regs.rflags & RFLAGS_ZF);
    machine_mmio_value = 0x1000;
    CHECK_EQ(step("0f0203"), EMUL_DONE);
    CHECK(!(regs.rflags & RFLAGS_ZF));
    regs.cpl = 3;
    machine_mmio_value = DATA_32 | 3;
    CHECK_EQ(step("0f0303"), EMUL_DONE);
    CHECK(!(regs.rflags & RFLAGS_ZF));
}
