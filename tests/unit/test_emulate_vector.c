/* Moves of vector registers to and from MMIO: which bytes, what is left of a register, and when they are not
 * allowed. */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/vector.c user/emul/watch.c user/emul/coverage.c user/emul/bits.c user/emul/frame.c
// links: user/emul/segment.c user/emul/gate.c
// links: user/emul/system.c user/emul/descriptor.c user/emul/string.c user/emul/io.c
// links: user/emul/step.c lib/format.c
#include "tests/unit/emul_machine.h"

#define CR0_EM      BIT(2)
#define CR4_OSFXSR  BIT(9)
#define CR4_OSXSAVE BIT(18)
#define VECTOR_NM   7u

#define VALUE 0x8877665544332211ull /* of MMIO, at every address */

/* Byte i of register n is 16 * n + i mod 16. */
static void start_at_mmio(void)
{
    start_64();
    regs.gpr[ABI_RBX] = MMIO;
    for (unsigned n = 0; n < 16; n++)
        for (unsigned i = 0; i < 64; i++)
            machine_vectors[n].bytes[i] = (uint8_t)(16 * n + i % 16);
}

static uint64_t part(unsigned n, unsigned at)
{
    uint64_t value;

    memcpy(&value, machine_vectors[n].bytes + at, 8);
    return value;
}

/* Quarters of what register 1 is behind a load: 64 bits each, the last being those above 256 bits. */
static void check_load(const char *hex, uint64_t q0, uint64_t q1, uint64_t q2, uint64_t q3, uint64_t above)
{
    start_at_mmio();
    CHECK_EQ(step(hex), EMUL_DONE);
    CHECK_EQ(part(1, 0), q0);
    CHECK_EQ(part(1, 8), q1);
    CHECK_EQ(part(1, 16), q2);
    CHECK_EQ(part(1, 24), q3);
    CHECK_EQ(part(1, 40), above);
}

#define LOW  0x1716151413121110ull
#define HIGH 0x1f1e1d1c1b1a1918ull

TEST(sse_loads)
{
    check_load("0f100b", VALUE, VALUE, LOW, HIGH, HIGH);         /* MOVUPS */
    check_load("660f6f0b", VALUE, VALUE, LOW, HIGH, HIGH);       /* MOVDQA */
    check_load("f30f6f0b", VALUE, VALUE, LOW, HIGH, HIGH);       /* MOVDQU */
    check_load("f20ff00b", VALUE, VALUE, LOW, HIGH, HIGH);       /* LDDQU */
    check_load("660f382a0b", VALUE, VALUE, LOW, HIGH, HIGH);     /* MOVNTDQA */
    check_load("f30f100b", (uint32_t)VALUE, 0, LOW, HIGH, HIGH); /* MOVSS */
    check_load("f20f100b", VALUE, 0, LOW, HIGH, HIGH);           /* MOVSD */
    check_load("660f6e0b", (uint32_t)VALUE, 0, LOW, HIGH, HIGH); /* MOVD */
    check_load("66480f6e0b", VALUE, 0, LOW, HIGH, HIGH);         /* MOVQ */
    check_load("f30f7e0b", VALUE, 0, LOW, HIGH, HIGH);           /* MOVQ */
    check_load("0f120b", VALUE, HIGH, LOW, HIGH, HIGH);          /* MOVLPS */
    check_load("660f160b", LOW, VALUE, LOW, HIGH, HIGH);         /* MOVHPD */
}

TEST(avx_loads)
{
    check_load("c5f8100b", VALUE, VALUE, 0, 0, 0);
    check_load("c5fc100b", VALUE, VALUE, VALUE, VALUE, 0);
    check_load("c5fd6f0b", VALUE, VALUE, VALUE, VALUE, 0);
    check_load("c5fa100b", (uint32_t)VALUE, 0, 0, 0, 0);
    check_load("c4e1f96e0b", VALUE, 0, 0, 0, 0);                /* VMOVQ */
    check_load("c5e8120b", VALUE, 0x2f2e2d2c2b2a2928, 0, 0, 0); /* VMOVLPS xmm1, xmm2, m */
    check_load("c5e8160b", 0x2726252423222120, VALUE, 0, 0, 0); /* VMOVHPS */
    check_load("c4e27d2a0b", VALUE, VALUE, VALUE, VALUE, 0);    /* VMOVNTDQA */
}

static void check_store(const char *hex, unsigned size, uint64_t first, uint64_t last)
{
    unsigned pieces = size <= 8 ? 1 : size / 8;

    start_at_mmio();
    CHECK_EQ(step(hex), EMUL_DONE);
    CHECK_EQ(machine_logged, pieces);
    check_access(0, 'w', MMIO, MIN(size, 8u), first);
    check_access(pieces - 1, 'w', MMIO + 8 * (pieces - 1), MIN(size, 8u), last);
    CHECK_EQ(part(1, 0), LOW);
}

TEST(stores)
{
    check_store("0f110b", 16, LOW, HIGH);
    check_store("660f290b", 16, LOW, HIGH);
    check_store("0f2b0b", 16, LOW, HIGH);
    check_store("660fe70b", 16, LOW, HIGH);
    check_store("f30f7f0b", 16, LOW, HIGH);
    check_store("f30f110b", 4, 0x13121110, 0x13121110);
    check_store("f20f110b", 8, LOW, LOW);
    check_store("0f130b", 8, LOW, LOW);
    check_store("0f170b", 8, HIGH, HIGH);
    check_store("660f7e0b", 4, 0x13121110, 0x13121110);
    check_store("660fd60b", 8, LOW, LOW);
    check_store("c5fc110b", 32, LOW, HIGH);
    check_store("c5fde70b", 32, LOW, HIGH);
}

TEST(masked_store)
{
    start_at_mmio();
    regs.gpr[ABI_RDI] = MMIO + 3; /* any alignment */
    memset(&machine_vectors[2], 0, sizeof(machine_vectors[2]));
    machine_vectors[2].bytes[1] = 0x80;
    machine_vectors[2].bytes[15] = 0xff;
    machine_vectors[2].bytes[7] = 0x7f;
    CHECK_EQ(step("660ff7ca"), EMUL_DONE);
    CHECK_EQ(machine_logged, 2);
    check_access(0, 'w', MMIO + 4, 1, 0x11);
    check_access(1, 'w', MMIO + 18, 1, 0x1f);
}

TEST(alignment)
{
    start_at_mmio();
    regs.gpr[ABI_RBX] = MMIO + 8;
    step("0f280b");
    check_fault(VECTOR_GP, 0);
    step("660f7f0b");
    check_fault(VECTOR_GP, 0);
    CHECK_EQ(step("0f100b"), EMUL_DONE);
    regs.rip = CODE;
    regs.gpr[ABI_RBX] = MMIO + 16;
    step("c5fd6f0b"); /* 256 bits */
    check_fault(VECTOR_GP, 0);
    CHECK_EQ(step("c5f96f0b"), EMUL_DONE);
}

static void check_refusal(const char *hex, unsigned vector)
{
    step(hex);
    check_fault(vector, -1);
    CHECK_EQ(machine_logged, 0);
}

TEST(use_may_be_forbidden)
{
    start_at_mmio();
    regs.cr0 |= CR0_TS;
    check_refusal("0f100b", VECTOR_NM);
    check_refusal("c5f8100b", VECTOR_NM);
    regs.cr0 |= CR0_EM;
    check_refusal("0f100b", VECTOR_UD);

    start_at_mmio();
    regs.cr4 &= ~CR4_OSFXSR;
    check_refusal("0f100b", VECTOR_UD);
    CHECK_EQ(step("c5f8100b"), EMUL_DONE);

    start_at_mmio();
    regs.cr4 &= ~CR4_OSXSAVE;
    check_refusal("c5f8100b", VECTOR_UD);
    start_at_mmio();
    machine_xcr0 = 3;
    check_refusal("c5f8100b", VECTOR_UD);
    machine_xcr0 = 5;
    check_refusal("c5f8100b", VECTOR_UD);
}

TEST(vex_has_rules)
{
    start_at_mmio();
    check_refusal("c5f0100b", VECTOR_UD); /* a register in vvvv */
    check_refusal("c5fc120b", VECTOR_UD); /* 256 bits of half a register */
    check_refusal("c5fd6e0b", VECTOR_UD);
    CHECK_EQ(step("c5fe100b"), EMUL_DONE); /* VMOVSS heeds no L */
}

/* A fault of the access leaves the register. */
TEST(faults_change_nothing)
{
    start_at_mmio();
    regs.gpr[ABI_RBX] = 0x200000000;
    step("0f100b");
    check_fault(VECTOR_PF, 0);
    CHECK_EQ(part(1, 0), LOW);
}
