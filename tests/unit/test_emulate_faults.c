/* The emulator by hand: segments, modes, alignment, paging and fetches, and the exceptions they end in. */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c
// links: user/emul/descriptor.c
// links: user/emul/string.c user/emul/io.c user/emul/step.c lib/format.c
#include "tests/unit/emul_machine.h"

#define LOAD  "8b03" /* MOV EAX, [EBX]; in 16-bit code MOV AX, [BP + DI] */
#define STORE "8903"

/* ---- Segments (32-bit protected mode without paging) */

static void start_segment(uint16_t attr, uint32_t limit, uint64_t offset)
{
    start(4);
    regs.seg[ABI_DS] = (struct abi_segment){0x18, attr, limit, DATA};
    regs.gpr[ABI_RBX] = offset;
}

TEST(limit_of_an_expand_up_segment)
{
    start_segment(0x493, 0xff, 0xfc);
    poke(DATA + 0xfc, 0x12345678, 4);
    CHECK_EQ(step(LOAD), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RAX], 0x12345678);
    start_segment(0x493, 0xff, 0xfd);
    step(LOAD);
    check_fault(VECTOR_GP, 0);
    start_segment(0x493, 0xffffffff, 0xffffffff);
    step(LOAD);
    check_fault(VECTOR_GP, 0);
}

TEST(limit_of_an_expand_down_segment)
{
    start_segment(0x497, 0xff, 0x100);
    CHECK_EQ(step(LOAD), EMUL_DONE);
    start_segment(0x497, 0xff, 0xff);
    step(LOAD);
    check_fault(VECTOR_GP, 0);
    start_segment(0x097, 0xff, 0xfffd); /* B = 0: up to FFFFh */
    step(LOAD);
    check_fault(VECTOR_GP, 0);
    start_segment(0x097, 0xff, 0xfffc);
    CHECK_EQ(step(LOAD), EMUL_DONE);
}

TEST(types_of_segments)
{
    static const struct {
        uint16_t attr;
        bool read, write;
    } types[] = {
        {0x491, true, false},  /* read-only data */
        {0x493, true, true},   /* data */
        {0x499, false, false}, /* execute-only code */
        {0x49b, true, false},  /* readable code */
        {0x413, false, false}, /* not present: unusable */
        {0x482, false, false}, /* a system segment */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        start_segment(types[i].attr, 0xff, 0);
        CHECK_EQ(step(LOAD) == EMUL_DONE, types[i].read);
        start_segment(types[i].attr, 0xff, 0);
        CHECK_EQ(step(STORE) == EMUL_DONE, types[i].write);
    }
}

TEST(faults_of_the_stack_segment_are_ss)
{
    start(4);
    regs.seg[ABI_SS].limit = 0xff;
    regs.gpr[ABI_RSP] = 0x100;
    step("8b0424"); /* MOV EAX, [ESP] */
    check_fault(VECTOR_SS, 0);
    regs.gpr[ABI_RBP] = 0x100;
    step("8b4500");
    check_fault(VECTOR_SS, 0);
    CHECK_EQ(step("3e8b4500"), EMUL_DONE); /* DS: */
    regs.gpr[ABI_RSP] = 0x102;
    step("50");
    check_fault(VECTOR_SS, 0);
}

TEST(a_16_bit_stack_wraps)
{
    start(4);
    regs.seg[ABI_SS].attr = 0x093;
    regs.seg[ABI_SS].base = DATA;
    regs.seg[ABI_SS].limit = 0xffff;
    regs.gpr[ABI_RSP] = 0xabcd0000;
    regs.gpr[ABI_RAX] = 0x55;
    CHECK_EQ(step("50"), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RSP], 0xabcdfffc);
    CHECK_EQ(peek(DATA + 0xfffc, 4), 0x55);
}

TEST(branch_beyond_the_limit_of_cs)
{
    start(4);
    regs.seg[ABI_CS].limit = 0x1ffff;
    regs.gpr[ABI_RAX] = 0x20000;
    step("ffd0");
    check_fault(VECTOR_GP, 0);
    CHECK_EQ(regs.gpr[ABI_RSP], STACK);
    CHECK_EQ(regs.rip, CODE);
}

/* ---- Real mode and virtual-8086 mode */

TEST(real_mode)
{
    start_real(DATA);
    regs.gpr[ABI_RBP] = 0x10;
    regs.gpr[ABI_RDI] = 0xfff4; /* BP + DI wraps */
    poke(DATA + 4, 0x4321, 2);
    CHECK_EQ(step(LOAD), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RAX], 0x4321);
    regs.gpr[ABI_RDI] = 0xffef; /* a word at FFFFh */
    step(LOAD);
    check_fault(VECTOR_SS, -1);
    step("3e8b03");
    check_fault(VECTOR_GP, -1);
}

TEST(virtual_8086_mode)
{
    start_real(DATA);
    regs.cr0 = CR0_PE;
    regs.rflags |= RFLAGS_VM;
    regs.cpl = 3;
    for (unsigned i = 0; i < ABI_SEGS; i++)
        regs.seg[i].attr = 0xf3 | ABI_SEG_DB; /* no matter: its code is 16 bits wide */
    regs.gpr[ABI_RBX] = 0xffff;
    step("8b07"); /* MOV AX, [BX] */
    check_fault(VECTOR_GP, 0);
    regs.gpr[ABI_RBX] = 0xfffe;
    CHECK_EQ(step("8b07"), EMUL_DONE);
    CHECK_EQ(result.length, 2);
}

TEST(compatibility_mode)
{
    start_64();
    regs.seg[ABI_CS].attr = 0xc9b;
    regs.seg[ABI_DS].base = DATA;
    regs.gpr[ABI_RBX] = 0xffffffff00000008; /* the upper half does not count */
    poke(DATA + 8, 0x99, 4);
    CHECK_EQ(step(LOAD), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RAX], 0x99);
    regs.rip = 0xfffffffe;
    regs.seg[ABI_CS].base = CODE + 2; /* EIP wraps at 4 GiB */
    CHECK_EQ(step(LOAD), EMUL_DONE);
    CHECK_EQ(regs.rip, 0);
}

/* ---- 64-bit mode */

TEST(canonical_addresses)
{
    start_64();
    regs.gpr[ABI_RBX] = 0x0000800000000000;
    step(LOAD);
    check_fault(VECTOR_GP, 0);
    regs.gpr[ABI_RBX] = 0x00007ffffffffffe; /* the end crosses into the hole */
    step(LOAD);
    check_fault(VECTOR_GP, 0);
    regs.gpr[ABI_RBP] = 0x0000800000000000;
    step("8b4500");
    check_fault(VECTOR_SS, 0);
}

TEST(canonical_addresses_of_57_bits)
{
    static const uint8_t load[] = {0x8b, 0x03};

    start_64();
    regs.cr4 |= CR4_LA57;
    poke(TABLES, 0, 8); /* no memory at all: what is canonical is #PF */
    regs.gpr[ABI_RBX] = 0x0000800000000000;
    CHECK_EQ(emul_step(&machine_ops, NULL, &regs, load, sizeof(load), &result), EMUL_FAULT);
    check_fault(VECTOR_PF, 0);
    regs.gpr[ABI_RBX] = 0x0100000000000000;
    CHECK_EQ(emul_step(&machine_ops, NULL, &regs, load, sizeof(load), &result), EMUL_FAULT);
    check_fault(VECTOR_GP, 0);
}

TEST(segment_bases_in_64_bit_mode)
{
    start_64();
    regs.seg[ABI_DS] = (struct abi_segment){0, 0, 0, 0x5000}; /* neither base nor limit nor rights count */
    regs.seg[ABI_GS].base = 0x1000;
    regs.seg[ABI_GS].limit = 0;
    regs.gpr[ABI_RBX] = DATA;
    poke(DATA, 0x11, 4);
    poke(DATA + 0x1000, 0x22, 4);
    CHECK_EQ(step(LOAD), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RAX], 0x11);
    CHECK_EQ(step("65" LOAD), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RAX], 0x22);
}

/* ---- Alignment and paging */

TEST(alignment_check)
{
    start_64();
    regs.gpr[ABI_RBX] = DATA + 1;
    regs.cpl = 3;
    regs.cr0 |= CR0_AM;
    CHECK_EQ(step(LOAD), EMUL_DONE);
    regs.rflags |= RFLAGS_AC;
    step(LOAD);
    check_fault(VECTOR_AC, 0);
    CHECK_EQ(step("8a03"), EMUL_DONE);
    regs.cpl = 0;
    CHECK_EQ(step(LOAD), EMUL_DONE);
}

TEST(a_store_across_pages_is_all_or_nothing)
{
    start_64();
    regs.gpr[ABI_RBX] = DATA + 0xffe;
    regs.gpr[ABI_RAX] = 0x44332211;
    poke(pte_of(DATA + 0x1000), (DATA + 0x1000) | 5, 8);
    step(STORE);
    check_fault(VECTOR_PF, PF_PRESENT | PF_WRITE);
    CHECK_EQ(regs.cr2, DATA + 0x1000);
    CHECK_EQ(peek(DATA + 0xffe, 2), 0);
    CHECK_EQ(regs.rip, CODE);

    poke(pte_of(DATA + 0x1000), STACK | 7, 8); /* two pages that are no neighbours */
    CHECK_EQ(step(STORE), EMUL_DONE);
    CHECK_EQ(peek(DATA + 0xffe, 2), 0x2211);
    CHECK_EQ(peek(STACK, 2), 0x4433);
    CHECK_EQ(step("f0ff03"), EMUL_DONE); /* LOCK INC across them */
    CHECK_EQ(peek(DATA + 0xffe, 2), 0x2212);
    CHECK_EQ(step(LOAD), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RAX], 0x44332212);
}

TEST(page_fault_error_codes)
{
    start_64();
    regs.gpr[ABI_RBX] = DATA;
    poke(pte_of(DATA), DATA | 3, 8);
    regs.cpl = 3;
    step(STORE);
    check_fault(VECTOR_PF, PF_PRESENT | PF_WRITE | PF_USER);
    CHECK_EQ(regs.cr2, DATA);

    start_64();
    regs.gpr[ABI_RBX] = DATA;
    poke(pte_of(CODE), CODE | 3, 8);
    regs.cr4 |= CR4_SMAP;
    step(LOAD); /* a user page, and EFLAGS.AC is clear */
    check_fault(VECTOR_PF, PF_PRESENT);
    regs.rflags |= RFLAGS_AC;
    CHECK_EQ(step(LOAD), EMUL_DONE);

    start_64();
    regs.gpr[ABI_RBX] = DATA;
    poke(pte_of(DATA), DATA | 7 | 1ull << 45, 8);
    step(LOAD);
    check_fault(VECTOR_PF, PF_PRESENT | PF_RESERVED);
}

/* A read-modify-write needs the right to write before it reads: MMIO must not be read twice. */
TEST(read_modify_write_faults_before_it_reads)
{
    start_64();
    regs.gpr[ABI_RBX] = MMIO;
    poke(TABLES + 0x4000 + (MMIO - 0xc0000000) / 0x200000 * 8, MMIO | 0x81, 8);
    step("830b01");
    check_fault(VECTOR_PF, PF_PRESENT | PF_WRITE);
    CHECK_EQ(machine_logged, 0);
    CHECK_EQ(step("833b01"), EMUL_DONE); /* CMP does not write */
}

/* ---- Fetching */

TEST(a_fetch_across_pages)
{
    start_64();
    regs.rip = CODE + 0xffe;
    regs.gpr[ABI_RBX] = MMIO;
    poke(pte_of(CODE + 0x1000), DATA | 7, 8);
    assemble(CODE + 0xffe, "c703");
    assemble(DATA, "78563412");
    CHECK_EQ(emul_length(&machine_ops, NULL, &regs, &result), 6);
    CHECK_EQ(emul_step(&machine_ops, NULL, &regs, NULL, 0, &result), EMUL_DONE);
    check_access(0, 'w', MMIO, 4, 0x12345678);

    regs.rip = CODE + 0xffe;
    poke(pte_of(CODE + 0x1000), DATA | 7 | 1ull << 63, 8);
    CHECK_EQ(emul_length(&machine_ops, NULL, &regs, &result), 0);
    check_fault(VECTOR_PF, PF_PRESENT | PF_FETCH);
    CHECK_EQ(regs.cr2, CODE + 0x1000);
    CHECK_EQ(result.bytes_count, 2);
}

/* The next page need not be there if the instruction ends before it. */
TEST(a_fetch_up_to_the_end_of_a_page)
{
    start_64();
    regs.rip = CODE + 0xffe;
    poke(pte_of(CODE + 0x1000), 0, 8);
    assemble(CODE + 0xffe, "0fa2");
    CHECK_EQ(emul_length(&machine_ops, NULL, &regs, &result), 2);
    CHECK_EQ(regs.rip, CODE + 0xffe);
}

TEST(fetches_that_fault)
{
    start_64();
    regs.rip = 1ull << 62;
    CHECK_EQ(emul_length(&machine_ops, NULL, &regs, &result), 0);
    check_fault(VECTOR_GP, 0);

    start(4);
    regs.seg[ABI_CS].limit = CODE;
    assemble(CODE, "0fa2");
    CHECK_EQ(emul_length(&machine_ops, NULL, &regs, &result), 0); /* its second byte is beyond the limit */
    check_fault(VECTOR_GP, 0);
    assemble(CODE, "f4");
    CHECK_EQ(emul_length(&machine_ops, NULL, &regs, &result), 1);

    start_64();
    assemble(CODE, "6666666666666666666666666666668b03");
    CHECK_EQ(emul_length(&machine_ops, NULL, &regs, &result), 0); /* longer than 15 bytes */
    check_fault(VECTOR_GP, 0);
    assemble(CODE, "0f04");
    CHECK_EQ(emul_length(&machine_ops, NULL, &regs, &result), 0);
    check_fault(VECTOR_UD, -1);
}

TEST(code_in_mmio_is_not_emulated)
{
    start_64();
    regs.rip = MMIO;
    CHECK_EQ(emul_length(&machine_ops, NULL, &regs, &result), 0);
    CHECK_EQ(result.status, EMUL_UNHANDLED);
    CHECK_STR(result.reason, "instruction fetch outside RAM");
    CHECK_EQ(machine_logged, 0);
}
