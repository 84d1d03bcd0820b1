/*
 * Known encodings: the length of every instruction that can be intercepted, with and without prefixes, in 16-, 32- and
 * 64-bit code, and the parts of some that are emulated.
 */
// links: user/emul/decode.c user/emul/tables.c
#include "tests/unit/test.h"
#include "user/emul/emul.h"
#include "user/emul/insn.h"

#define ALL     7u
#define CODE_16 1u
#define CODE_32 2u
#define CODE_64 4u

/* Bytes in hex, the code sizes they are this long in, and the length there. */
static const struct {
    const char *hex;
    unsigned modes;
    int length;
} known[] = {
    {"0fa2", ALL, 2},                     /* CPUID */
    {"66f30fa2", ALL, 4},                 /* with prefixes that do nothing */
    {"480fa2", CODE_64, 3},               /* with REX.W */
    {"0f32", ALL, 2},                     /* RDMSR */
    {"0f30", ALL, 2},                     /* WRMSR */
    {"0f33", ALL, 2},                     /* RDPMC */
    {"0f31", ALL, 2},                     /* RDTSC */
    {"0f01f9", ALL, 3},                   /* RDTSCP */
    {"f4", ALL, 1},                       /* HLT */
    {"2ef4", ALL, 2},                     /* with a segment override */
    {"0f01d9", ALL, 3},                   /* VMMCALL */
    {"0f01c1", ALL, 3},                   /* VMCALL */
    {"0f01d8", ALL, 3},                   /* VMRUN */
    {"0f01da", ALL, 3},                   /* VMLOAD */
    {"0f01dd", ALL, 3},                   /* CLGI */
    {"0f01d1", ALL, 3},                   /* XSETBV */
    {"0f01d0", ALL, 3},                   /* XGETBV */
    {"0f01c8", ALL, 3},                   /* MONITOR */
    {"670f01c8", ALL, 4},                 /* MONITOR with an address size */
    {"0f01c9", ALL, 3},                   /* MWAIT */
    {"0f01fa", ALL, 3},                   /* MONITORX */
    {"0f01df", ALL, 3},                   /* INVLPGA */
    {"0f08", ALL, 2},                     /* INVD */
    {"0f09", ALL, 2},                     /* WBINVD */
    {"f30f09", ALL, 3},                   /* WBNOINVD */
    {"0f06", ALL, 2},                     /* CLTS */
    {"f390", ALL, 2},                     /* PAUSE */
    {"0f0138", CODE_32 | CODE_64, 3},     /* INVLPG [rax], [eax] */
    {"0f013e3412", CODE_16, 5},           /* INVLPG [1234h] */
    {"0f01bc2478563412", CODE_64, 8},     /* INVLPG [rsp + disp32] */
    {"0f013d78563412", CODE_64, 7},       /* INVLPG [rip + disp32] */
    {"0f20c0", ALL, 3},                   /* MOV EAX, CR0 */
    {"0f22d8", ALL, 3},                   /* MOV CR3, EAX */
    {"0f2200", ALL, 3},                   /* mod is ignored: MOV CR0, EAX */
    {"0f2244", ALL, 3},                   /* no SIB, no displacement */
    {"440f20c0", CODE_64, 4},             /* MOV RAX, CR8 */
    {"f00f20c0", ALL, 4},                 /* MOV EAX, CR8 of AMD */
    {"0f21f8", ALL, 3},                   /* MOV EAX, DR7 */
    {"0f23f8", ALL, 3},                   /* MOV DR7, EAX */
    {"0f01f0", ALL, 3},                   /* LMSW AX */
    {"0f0130", CODE_32 | CODE_64, 3},     /* LMSW [rax] */
    {"0f01e0", ALL, 3},                   /* SMSW AX */
    {"0f0160fe", CODE_32 | CODE_64, 4},   /* SMSW [rax - 2] */
    {"cf", ALL, 1},                       /* IRET */
    {"48cf", CODE_64, 2},                 /* IRETQ */
    {"669c", ALL, 2},                     /* PUSHF */
    {"9d", ALL, 1},                       /* POPF */
    {"cd80", ALL, 2},                     /* INT n */
    {"cc", ALL, 1},                       /* INT3 */
    {"f1", ALL, 1},                       /* INT1 */
    {"ce", CODE_16 | CODE_32, 1},         /* INTO */
    {"0f0100", CODE_32 | CODE_64, 3},     /* SGDT */
    {"0f0118", CODE_32 | CODE_64, 3},     /* LIDT */
    {"0f00d8", ALL, 3},                   /* LTR AX */
    {"0f00c0", ALL, 3},                   /* SLDT AX */
    {"0faa", ALL, 2},                     /* RSM */
    {"e4ff", ALL, 2},                     /* IN AL, FFh */
    {"ec", ALL, 1},                       /* IN AL, DX */
    {"66ef", ALL, 2},                     /* OUT DX, eAX */
    {"f3676e", ALL, 3},                   /* REP OUTSB */
    {"0fc7f0", ALL, 3},                   /* RDRAND EAX */
    {"0fc7f8", ALL, 3},                   /* RDSEED EAX */
    {"660f388210", CODE_32 | CODE_64, 5}, /* INVPCID */
    {"660f388010", CODE_32 | CODE_64, 5}, /* INVEPT */
    {"0fc730", CODE_32 | CODE_64, 3},     /* VMPTRLD */
    {"0f18c0", ALL, 3},                   /* hint NOP */
    {"90", ALL, 1},                       /* NOP */
    {"48b8887766554433221100", CODE_64, 10},
    {"b878563412", CODE_32 | CODE_64, 5},
    {"b83412", CODE_16, 3},
    {"66b878563412", CODE_16, 6},
    {"a1efcdab8967452301", CODE_64, 9}, /* MOV EAX, moffs64 */
    {"67a1efcdab89", CODE_64, 6},
    {"a1efcdab89", CODE_32, 5},
    {"a1efcd", CODE_16, 3},
    {"c8000001", ALL, 4},                   /* ENTER */
    {"9a785634122143", CODE_32, 7},         /* CALL FAR */
    {"9a78563412", CODE_16, 5},             /* */
    {"9a78563412", CODE_64, -1},            /* no such thing there */
    {"06", CODE_64, -1},                    /* PUSH ES */
    {"f6c012", ALL, 3},                     /* TEST AL, imm8 */
    {"f7c012345678", CODE_32 | CODE_64, 6}, /* TEST EAX, imm32 */
    {"f7d0", ALL, 2},                       /* NOT EAX */
    {"0f04", ALL, -1},                      /* undefined */
    {"0fff00", CODE_32 | CODE_64, 3},       /* UD0 */
    {"0f0b", ALL, 2},                       /* UD2 */
    {"c5f877", ALL, 3},                     /* VZEROUPPER */
    {"c5fc1007", CODE_32 | CODE_64, 4},     /* VMOVUPS YMM0, [rdi] */
    {"c4e37d18c001", ALL, 6},               /* VINSERTF128 */
    {"62f17c481007", CODE_32 | CODE_64, 6}, /* VMOVUPS ZMM0, [rdi] */
    {"8fe87801c0", ALL, -2},                /* XOP map 8: incomplete */
    {"8fe8788ec001", ALL, 6},               /* XOP map 8 with imm8 */
    {"66c5fc1007", CODE_64, -1},            /* 66 before VEX */
    {"6666666666666666666666666666f4", ALL, 15},
    {"666666666666666666666666666666f4", ALL, -2}, /* too long */
};

static unsigned parse_hex(const char *hex, uint8_t *bytes)
{
    unsigned n = 0, value;

    for (; hex[2 * n]; n++) {
        sscanf(hex + 2 * n, "%2x", &value);
        bytes[n] = (uint8_t)value;
    }
    return n;
}

TEST(known_lengths)
{
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        for (unsigned m = 0; m < 3; m++) {
            uint8_t bytes[24];
            unsigned count = parse_hex(known[i].hex, bytes);
            struct insn insn;
            int wanted = known[i].length == -2 ? DECODE_MORE : known[i].length;

            if (!(known[i].modes & (1u << m)))
                continue;
            int length = decode(bytes, count, 2u << m, &insn);
            if (length != wanted && test_fail())
                printf("%u-bit %s: length %d instead of %d\n", 16u << m, known[i].hex, length, wanted);
        }
}

static struct insn decoded(const char *hex, unsigned mode)
{
    uint8_t bytes[24];
    unsigned count = parse_hex(hex, bytes);
    struct insn insn;

    CHECK_EQ(decode(bytes, count, mode, &insn), count);
    return insn;
}

TEST(memory_operand_with_everything)
{
    struct insn insn = decoded("65f04c09a4f5785634f2", 8); /* LOCK OR GS:[RBP + RSI * 8 - disp], R12 */
    CHECK_EQ(insn.segment, ABI_GS);
    CHECK(insn.lock);
    CHECK_EQ(insn.operand_size, 8);
    CHECK_EQ(insn.address_size, 8);
    CHECK_EQ(insn.reg, ABI_R12);
    CHECK_EQ(insn.base, ABI_RBP);
    CHECK_EQ(insn.index, ABI_RSI);
    CHECK_EQ(insn.scale, 3);
    CHECK_EQ(insn.disp, (int32_t)0xf2345678);
}

TEST(addresses_of_16_bits)
{
    struct insn insn = decoded("8b42fe", 2); /* MOV AX, [BP + SI - 2] */

    CHECK_EQ(insn.base, ABI_RBP);
    CHECK_EQ(insn.index, ABI_RSI);
    CHECK_EQ(insn.disp, -2);
    CHECK_EQ(insn.operand_size, 2);
    insn = decoded("678b0510000000", 2); /* MOV AX, [00000010h] */
    CHECK_EQ(insn.base, NO_REGISTER);
    CHECK_EQ(insn.disp, 16);
    CHECK_EQ(insn.address_size, 4);
}

TEST(rip_relative_in_64_bit_mode_only)
{
    CHECK(decoded("8b0510000000", 8).rip_relative);
    CHECK(!decoded("8b0510000000", 4).rip_relative);
    CHECK(!decoded("8b042510000000", 8).rip_relative);
}

TEST(rsp_is_no_index_but_r12_is)
{
    CHECK_EQ(decoded("8b0424", 8).index, NO_REGISTER);
    CHECK_EQ(decoded("428b0424", 8).index, ABI_R12);
    CHECK_EQ(decoded("418b4500", 8).base, ABI_R13);
}

TEST(rex_before_a_legacy_prefix_is_lost)
{
    CHECK_EQ(decoded("48668b00", 8).operand_size, 2);
    CHECK_EQ(decoded("66488b00", 8).operand_size, 8);
}

/* APM Vol. 3, 1.2.4: they are ignored, and so do not undo FS. */
TEST(null_overrides_in_64_bit_mode)
{
    CHECK_EQ(decoded("643e8b00", 8).segment, ABI_FS);
    CHECK_EQ(decoded("643e8b00", 4).segment, ABI_DS);
    CHECK_EQ(decoded("2e8b00", 8).segment, NO_REGISTER);
}
