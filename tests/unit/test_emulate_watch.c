/* Breakpoints on data and ports that emulated instructions access: what they hit, and when the trap comes. */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c user/emul/descriptor.c user/emul/string.c user/emul/io.c user/emul/step.c lib/format.c
#include "tests/unit/emul_machine.h"

enum { WRITE = 1, IO, READ_WRITE };

/* Breakpoint n at an address, of 1, 2, 4 or 8 bytes. */
static void watch(unsigned n, uint64_t address, unsigned length, unsigned type)
{
    unsigned code = length == 8 ? 2 : length - 1;

    regs.dr[n] = address;
    regs.dr7 |= 1ull << 2 * n | (uint64_t)(type | code << 2) << (16 + 4 * n);
}

static void start_at_mmio(void)
{
    start_64();
    regs.gpr[ABI_RBX] = MMIO + 0x10;
}

static uint32_t hits_of(const char *hex)
{
    CHECK_EQ(step(hex), EMUL_DONE);
    return result.breakpoints;
}

TEST(reads_and_writes)
{
    start_at_mmio();
    CHECK_EQ(hits_of("8b03"), 0);
    watch(0, MMIO + 0x10, 4, READ_WRITE);
    watch(1, MMIO + 0x10, 4, WRITE);
    watch(3, MMIO + 0x10, 1, READ_WRITE);
    CHECK_EQ(hits_of("8b03"), 9); /* a load */
    CHECK_EQ(hits_of("8903"), 11);
    CHECK_EQ(hits_of("0103"), 11); /* ADD to memory */
    CHECK_EQ(hits_of("8b4304"), 0);
    CHECK_EQ(hits_of("8a43ff"), 0);
    regs.dr7 &= ~0x55ull;
    CHECK_EQ(hits_of("8903"), 0);
}

TEST(parts_of_operands_count)
{
    start_at_mmio();
    watch(0, MMIO + 0x17, 1, READ_WRITE);
    CHECK_EQ(hits_of("488b03"), 1);
    CHECK_EQ(hits_of("8b03"), 0);
    regs.dr7 = 0;
    watch(2, MMIO + 0x13, 8, READ_WRITE); /* of which the low bits do not count */
    CHECK_EQ(hits_of("8a03"), 4);
    CHECK_EQ(hits_of("8a43fe"), 0);
}

TEST(memory_and_stack_count_too)
{
    start_at_mmio();
    regs.gpr[ABI_RSI] = MMIO;
    regs.gpr[ABI_RDI] = DATA;
    watch(0, DATA, 8, WRITE);
    CHECK_EQ(hits_of("48a5"), 1); /* MOVS */
    watch(1, STACK - 8, 8, WRITE);
    CHECK_EQ(hits_of("ff33"), 2); /* PUSH */
    regs.dr7 = 0;
    watch(0, STACK - 0x38, 8, WRITE);
    CHECK_EQ(hits_of("c8200000"), 0); /* ENTER looks there, and writes nothing */
}

/* One trap for each iteration that hits, at the instruction until the last, and there with RF. */
TEST(each_iteration_of_rep_has_its_own)
{
    start_64();
    regs.gpr[ABI_RSI] = DATA;
    regs.gpr[ABI_RCX] = 4;
    regs.gpr[ABI_RDX] = 0x80;
    watch(0, DATA + 1, 1, READ_WRITE);
    watch(1, DATA + 3, 1, READ_WRITE);
    CHECK_EQ(step("f36e"), EMUL_AGAIN);
    CHECK_EQ(result.breakpoints, 1);
    CHECK_EQ(regs.gpr[ABI_RCX], 2);
    CHECK_EQ(machine_logged, 2);
    CHECK_EQ(regs.rip, CODE);
    CHECK(regs.rflags & RFLAGS_RF);
    CHECK_EQ(step("f36e"), EMUL_DONE);
    CHECK_EQ(result.breakpoints, 2);
    CHECK_EQ(regs.rip, CODE + 2);
    CHECK(!(regs.rflags & RFLAGS_RF));
}

TEST(ports)
{
    start_64();
    regs.gpr[ABI_RDI] = DATA;
    regs.gpr[ABI_RDX] = 0x3f8;
    watch(0, 0x3f8, 1, IO);
    watch(1, 0x3f8, 1, READ_WRITE);
    CHECK_EQ(hits_of("6c"), 0); /* without CR4.DE, that type is none */
    regs.cr4 |= BIT(3);
    CHECK_EQ(hits_of("6c"), 1);
    regs.gpr[ABI_RDX] = 0x3f9;
    CHECK_EQ(hits_of("6c"), 0);
}

/* A fault comes instead, and a piece that did not get on has no trap. */
TEST(what_did_not_happen_hits_nothing)
{
    start_64();
    watch(0, DATA, 8, READ_WRITE);
    regs.gpr[ABI_RSI] = DATA;
    regs.gpr[ABI_RDI] = 0x200000000;
    regs.gpr[ABI_RCX] = 2;
    CHECK_EQ(step("f3a4"), EMUL_FAULT);
    check_fault(VECTOR_PF, PF_WRITE);
    CHECK_EQ(result.breakpoints, 0);
}

TEST(pieces_go_on_with_rf)
{
    start_64();
    regs.gpr[ABI_RDI] = DATA;
    regs.gpr[ABI_RCX] = EMUL_STRING_PIECE + 1;
    CHECK_EQ(step("f3aa"), EMUL_AGAIN);
    CHECK(regs.rflags & RFLAGS_RF);
    CHECK_EQ(result.breakpoints, 0);
    CHECK_EQ(step("f3aa"), EMUL_DONE);
    CHECK(!(regs.rflags & RFLAGS_RF));
}
