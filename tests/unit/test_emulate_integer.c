/* What Unicorn cannot tell of integer instructions on MMIO: accesses, faults, and those of which it has none. */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c
// links: user/emul/descriptor.c
// links: user/emul/string.c user/emul/io.c user/emul/step.c lib/format.c
#include "tests/unit/emul_machine.h"

/* RBX points to MMIO, which reads as 8877665544332211. */
static void start_at_mmio(void)
{
    start_64();
    regs.gpr[ABI_RBX] = MMIO;
}

static void expect(const char *hex, unsigned reg, uint64_t value, uint64_t flags)
{
    CHECK_EQ(step(hex), EMUL_DONE);
    CHECK_EQ(regs.gpr[reg], value);
    CHECK_EQ(regs.rflags & RFLAGS_ARITHMETIC, flags);
    CHECK_EQ(machine_logged, 1);
    check_access(0, 'r', MMIO, 8, 0);
}

/* Values as a CPU gives them. */
TEST(bit_instructions)
{
    start_at_mmio();
    expect("f3480fb803", ABI_RAX, 26, 0); /* POPCNT */
    start_at_mmio();
    expect("480fbc03", ABI_RAX, 0, 0); /* BSF */
    start_at_mmio();
    expect("480fbd03", ABI_RAX, 63, 0); /* BSR */
    start_at_mmio();
    expect("f3480fbc03", ABI_RAX, 0, RFLAGS_ZF); /* TZCNT */
    start_at_mmio();
    expect("480f38f003", ABI_RAX, 0x1122334455667788, 0); /* MOVBE */
    start_at_mmio();
    regs.gpr[ABI_RCX] = 0x123456789;
    expect("c4e2f3f503", ABI_RAX, 0x8821224144202001, 0); /* PDEP */
    start_at_mmio();
    regs.gpr[ABI_RCX] = 0x123456789abcdef0;
    expect("c4e2f2f503", ABI_RAX, 0x72f0c6, 0); /* PEXT */
    start_at_mmio();
    regs.gpr[ABI_RCX] = 0x1008;
    expect("c4e2f0f703", ABI_RAX, 0x3322, 0); /* BEXTR */
    start_at_mmio();
    regs.gpr[ABI_RCX] = 20;
    expect("c4e2f0f503", ABI_RAX, 0x32211, 0); /* BZHI */
    start_at_mmio();
    expect("c4e2f8f31b", ABI_RAX, 1, RFLAGS_CF); /* BLSI */
    start_at_mmio();
    regs.gpr[ABI_RAX] = 0x1234;
    expect("f2480f38f103", ABI_RAX, 0xbc5f5c81, 0); /* CRC32 */
}

TEST(zero_has_no_bits)
{
    start_at_mmio();
    machine_mmio_value = 0;
    regs.gpr[ABI_RAX] = 0x123456789abcdef0;
    CHECK_EQ(step("0fbc03"), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RAX], 0x123456789abcdef0);
    CHECK(regs.rflags & RFLAGS_ZF);
    CHECK_EQ(step("f30fbd03"), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RAX], 32);
    CHECK(regs.rflags & RFLAGS_CF);
}

static struct emul_ops old_cpu;

static enum emul_status step_on_old_cpu(const char *hex)
{
    old_cpu = machine_ops;
    memset(old_cpu.features, 0, sizeof(old_cpu.features));
    assemble(regs.rip, hex);
    return emul_step(&old_cpu, NULL, &regs, NULL, 0, &result);
}

/* F3 means nothing there. */
TEST(cpus_without_bmi_scan)
{
    start_at_mmio();
    machine_mmio_value = 0x10;
    CHECK_EQ(step_on_old_cpu("f30fbd03"), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RAX], 4);
    start_at_mmio();
    CHECK_EQ(step_on_old_cpu("480fc70b"), EMUL_FAULT); /* CMPXCHG16B */
    check_fault(VECTOR_UD, -1);
}

TEST(division)
{
    start_at_mmio();
    regs.gpr[ABI_RDX] = 1;
    CHECK_EQ(step("48f733"), EMUL_DONE);
    CHECK_EQ(regs.gpr[ABI_RAX], 1);
    CHECK_EQ(regs.gpr[ABI_RDX], -0x8877665544332211ull);

    start_at_mmio();
    regs.gpr[ABI_RAX] = -1000ull & 0xffff;
    machine_mmio_value = 7;
    CHECK_EQ(step("f63b"), EMUL_FAULT); /* -142 is no byte */
    check_fault(VECTOR_DE, -1);
    CHECK_EQ(machine_logged, 1);
    CHECK_EQ(regs.gpr[ABI_RAX], -1000ull & 0xffff);
    machine_mmio_value = 8;
    CHECK_EQ(step("f63b"), EMUL_DONE); /* -125 */
    CHECK_EQ(regs.gpr[ABI_RAX], 0x0083);

    start_at_mmio();
    machine_mmio_value = 0;
    regs.gpr[ABI_RAX] = 5;
    CHECK_EQ(step("f733"), EMUL_FAULT);
    check_fault(VECTOR_DE, -1);
    CHECK_EQ(regs.gpr[ABI_RAX], 5);
    CHECK_EQ(regs.rip, CODE);
}

TEST(cmpxchg16b)
{
    start_at_mmio();
    regs.gpr[ABI_RAX] = regs.gpr[ABI_RDX] = machine_mmio_value;
    regs.gpr[ABI_RCX] = 0xc;
    CHECK_EQ(step("f0480fc70b"), EMUL_DONE);
    CHECK(regs.rflags & RFLAGS_ZF);
    CHECK_EQ(machine_logged, 4);
    check_access(0, 'r', MMIO, 8, 0);
    check_access(1, 'r', MMIO + 8, 8, 0);
    check_access(2, 'w', MMIO, 8, MMIO);
    check_access(3, 'w', MMIO + 8, 8, 0xc);

    regs.rip = CODE;
    regs.gpr[ABI_RBX] = MMIO + 8;
    step("480fc70b");
    check_fault(VECTOR_GP, 0);

    start_64(); /* RAM, by the CPU's own */
    poke(DATA, 1, 8);
    poke(DATA + 8, 2, 8);
    regs.gpr[ABI_RSI] = DATA;
    regs.gpr[ABI_RAX] = 1;
    CHECK_EQ(step("f0480fc70e"), EMUL_DONE);
    CHECK(!(regs.rflags & RFLAGS_ZF));
    CHECK_EQ(regs.gpr[ABI_RDX], 2);
    CHECK_EQ(peek(DATA, 8), 1);
    regs.rip = CODE;
    regs.gpr[ABI_RBX] = 3;
    regs.gpr[ABI_RCX] = 4;
    CHECK_EQ(step("f0480fc70e"), EMUL_DONE);
    CHECK(regs.rflags & RFLAGS_ZF);
    CHECK_EQ(peek(DATA, 8), 3);
    CHECK_EQ(peek(DATA + 8, 8), 4);
}

TEST(double_shift_reads_and_writes_once)
{
    start_at_mmio();
    regs.gpr[ABI_RAX] = 0xf000000000000000;
    CHECK_EQ(step("480fa40304"), EMUL_DONE);
    CHECK_EQ(machine_logged, 2);
    check_access(1, 'w', MMIO, 8, 0x877665544332211f);
}

TEST(frames_on_mmio)
{
    start_64();
    regs.gpr[ABI_RSP] = MMIO + 0x100;
    regs.gpr[ABI_RBP] = MMIO + 0x200;
    CHECK_EQ(step("c8200002"), EMUL_DONE); /* ENTER 20h, 2 */
    CHECK_EQ(machine_logged, 4);
    check_access(0, 'w', MMIO + 0xf8, 8, MMIO + 0x200);
    check_access(1, 'r', MMIO + 0x1f8, 8, 0);
    check_access(2, 'w', MMIO + 0xf0, 8, machine_mmio_value);
    check_access(3, 'w', MMIO + 0xe8, 8, MMIO + 0xf8);
    CHECK_EQ(regs.gpr[ABI_RBP], MMIO + 0xf8);
    CHECK_EQ(regs.gpr[ABI_RSP], MMIO + 0xc8);

    CHECK_EQ(step("c9"), EMUL_DONE); /* LEAVE */
    check_access(4, 'r', MMIO + 0xf8, 8, 0);
    CHECK_EQ(regs.gpr[ABI_RBP], machine_mmio_value);
    CHECK_EQ(regs.gpr[ABI_RSP], MMIO + 0x100);
}

/* The second half lies in a page that is not there: nothing is written, and the stack pointer stays. */
TEST(a_fault_halfway_leaves_everything)
{
    start(4);
    regs.cr0 |= CR0_PG;
    regs.cr3 = TABLES;
    poke(TABLES + 4 * (MMIO >> 22), TABLES + 0x1007, 4);
    poke(TABLES, TABLES + 0x2007, 4);
    for (unsigned i = 0; i < RAM_PAGES; i++)
        poke(TABLES + 0x2000 + 4 * i, i << 12 | 7, 4);
    poke(TABLES + 0x1000 + 4 * ((MMIO >> 12) % 1024 + 1), (MMIO + 0x1000) | 7, 4);
    regs.gpr[ABI_RSP] = MMIO + 0x1010;
    step("60"); /* PUSHA */
    check_fault(VECTOR_PF, PF_WRITE);
    CHECK_EQ(regs.cr2, MMIO + 0xffc);
    CHECK_EQ(machine_logged, 0);
    CHECK_EQ(regs.gpr[ABI_RSP], MMIO + 0x1010);
    step("c8100004"); /* ENTER 10h, 4: the fifth push */
    check_fault(VECTOR_PF, 0);
    CHECK_EQ(machine_logged, 0);
}

TEST(popf_and_pushf)
{
    start_64();
    regs.gpr[ABI_RSP] = MMIO + 0x100;
    regs.rflags = 2 | RFLAGS_RF;
    CHECK_EQ(step("9c"), EMUL_DONE);
    check_access(0, 'w', MMIO + 0xf8, 8, 2);

    machine_mmio_value = RFLAGS_TF | RFLAGS_CF | RFLAGS_IOPL | RFLAGS_VM | 0x200;
    CHECK_EQ(step("9d"), EMUL_DONE);
    CHECK_EQ(regs.rflags, 2 | RFLAGS_TF | RFLAGS_CF | RFLAGS_IOPL | 0x200);
    CHECK(!result.single_step); /* it counts from the next one on */

    regs.gpr[ABI_RSP] = MMIO + 0x100;
    machine_mmio_value = 2;
    CHECK_EQ(step("9d"), EMUL_DONE);
    CHECK(result.single_step);

    start_64();
    poke(pte_of(CODE), CODE | 7, 8);
    regs.cpl = 3;
    poke(TABLES + 0x4000 + 8 * ((MMIO >> 21) % 512), MMIO | 0x87, 8);
    regs.gpr[ABI_RSP] = MMIO + 0x100;
    machine_mmio_value = 2 | RFLAGS_IOPL | 0x200 | RFLAGS_ZF;
    CHECK_EQ(step("9d"), EMUL_DONE);
    CHECK_EQ(regs.rflags, 2 | RFLAGS_ZF); /* CPL 3 changes neither IOPL nor IF */
}

TEST(bound)
{
    start(4);
    regs.gpr[ABI_RBX] = MMIO;
    regs.gpr[ABI_RAX] = 0x44332211;
    CHECK_EQ(step("6203"), EMUL_DONE);
    regs.rip = CODE;
    regs.gpr[ABI_RAX] = 0x44332212;
    step("6203");
    check_fault(VECTOR_BR, -1);
}

TEST(arpl)
{
    start(4);
    regs.gpr[ABI_RBX] = MMIO;
    regs.gpr[ABI_RAX] = 3;
    CHECK_EQ(step("6303"), EMUL_DONE);
    CHECK(regs.rflags & RFLAGS_ZF);
    check_access(1, 'w', MMIO, 2, 0x2213);
    start_real(0);
    step("6303");
    check_fault(VECTOR_UD, -1);
}

TEST(vex_has_rules)
{
    start_at_mmio();
    step("c4e274f203"); /* ANDN with L */
    check_fault(VECTOR_UD, -1);
    start_at_mmio();
    step("c4e373f00301"); /* RORX with a register in vvvv */
    check_fault(VECTOR_UD, -1);
    start_real(0);
    step("c4e270f2c0"); /* in real mode there is no VEX */
    check_fault(VECTOR_UD, -1);
}

/* Cache lines of what is no memory: nothing to flush, nothing to prefetch; but the page has to be there. */
TEST(hints_touch_nothing)
{
    start_at_mmio();
    CHECK_EQ(step("0f1803"), EMUL_DONE);
    CHECK_EQ(step("0f0d0b"), EMUL_DONE);
    CHECK_EQ(step("0fae3b"), EMUL_DONE);
    regs.gpr[ABI_RBX] = 0x200000000;
    CHECK_EQ(step("0f1803"), EMUL_DONE);
    CHECK_EQ(machine_logged, 0);
    step("0fae3b");
    check_fault(VECTOR_PF, 0);
}
