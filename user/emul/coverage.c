/* SDM Vol. 2, appendix A, and APM Vol. 3, appendix A: every opcode with a memory operand, map by map. */
#include "user/emul/coverage.h"

#define LEGACY  ENCODING_LEGACY
#define VEX     ENCODING_VEX
#define ONE     MAP_ONE_BYTE
#define NP      PREFIX_NONE
#define P66     PREFIX_66
#define F3      PREFIX_F3
#define F2      PREFIX_F2
#define ANY     PREFIX_ANY
#define REG     MODRM_REG
#define MEM     FORM_MEMORY
#define IMPLIED FORM_REGISTER
#define BOTH    FORM_BOTH
#define BASE    FEATURE_NONE
#define HIDDEN  FEATURE_NEVER
#define NO      NULL

#define MOVBE      FEATURE(ABI_FEATURES_1_ECX, 22)
#define POPCNT     FEATURE(ABI_FEATURES_1_ECX, 23)
#define SSE3       FEATURE(ABI_FEATURES_1_ECX, 0)
#define SSE41      FEATURE(ABI_FEATURES_1_ECX, 19)
#define SSE42      FEATURE(ABI_FEATURES_1_ECX, 20)
#define XSAVE      FEATURE(ABI_FEATURES_1_ECX, 26)
#define BMI1       FEATURE(ABI_FEATURES_7_EBX, 3)
#define BMI2       FEATURE(ABI_FEATURES_7_EBX, 8)
#define ADX        FEATURE(ABI_FEATURES_7_EBX, 19)
#define CLFLUSHOPT FEATURE(ABI_FEATURES_7_EBX, 23)
#define CLWB       FEATURE(ABI_FEATURES_7_EBX, 24)
#define LZCNT      FEATURE(ABI_FEATURES_80000001_ECX, 5)
#define XSAVEOPT   FEATURE(ABI_FEATURES_13_1_EAX, 0)
#define XSAVEC     FEATURE(ABI_FEATURES_13_1_EAX, 1)
#define CLZERO     FEATURE(ABI_FEATURES_80000008_EBX, 0)
#define SSE        FEATURE(ABI_FEATURES_1_EDX, 25)
#define SSE2       FEATURE(ABI_FEATURES_1_EDX, 26)
#define AVX        FEATURE(ABI_FEATURES_1_ECX, 28)
#define AVX512F    FEATURE(ABI_FEATURES_7_EBX, 16)

#define EVENT   "an exception or interrupt by way of a stack that is no memory"
#define X87     "x87 instruction"
#define MMX_SSE "MMX or SSE instruction that does more than to move"
#define AVX_    "AVX instruction that does more than to move"
#define EVEX_   "AVX-512 instruction"
#define AREA    "save area of the FPU's state"

const struct coverage coverage[] = {
    /* ---- One byte */
    {LEGACY, ONE, 0x00, 0x03, ANY, ANY_REG, BOTH, BASE, NO, NO},                      /* ADD */
    {LEGACY, ONE, 0x06, 0x06, ANY, ANY_REG, IMPLIED, BASE, execute_push_segment, NO}, /* ES */
    {LEGACY, ONE, 0x07, 0x07, ANY, ANY_REG, IMPLIED, BASE, execute_pop_segment, NO},
    {LEGACY, ONE, 0x08, 0x0b, ANY, ANY_REG, BOTH, BASE, NO, NO},                      /* OR */
    {LEGACY, ONE, 0x0e, 0x0e, ANY, ANY_REG, IMPLIED, BASE, execute_push_segment, NO}, /* CS */
    {LEGACY, ONE, 0x10, 0x13, ANY, ANY_REG, BOTH, BASE, NO, NO},                      /* ADC */
    {LEGACY, ONE, 0x16, 0x16, ANY, ANY_REG, IMPLIED, BASE, execute_push_segment, NO}, /* SS */
    {LEGACY, ONE, 0x17, 0x17, ANY, ANY_REG, IMPLIED, BASE, execute_pop_segment, NO},
    {LEGACY, ONE, 0x18, 0x1b, ANY, ANY_REG, BOTH, BASE, NO, NO},                      /* SBB */
    {LEGACY, ONE, 0x1e, 0x1e, ANY, ANY_REG, IMPLIED, BASE, execute_push_segment, NO}, /* DS */
    {LEGACY, ONE, 0x1f, 0x1f, ANY, ANY_REG, IMPLIED, BASE, execute_pop_segment, NO},
    {LEGACY, ONE, 0x20, 0x23, ANY, ANY_REG, BOTH, BASE, NO, NO},    /* AND */
    {LEGACY, ONE, 0x28, 0x2b, ANY, ANY_REG, BOTH, BASE, NO, NO},    /* SUB */
    {LEGACY, ONE, 0x30, 0x33, ANY, ANY_REG, BOTH, BASE, NO, NO},    /* XOR */
    {LEGACY, ONE, 0x38, 0x3b, ANY, ANY_REG, BOTH, BASE, NO, NO},    /* CMP */
    {LEGACY, ONE, 0x50, 0x5f, ANY, ANY_REG, IMPLIED, BASE, NO, NO}, /* PUSH, POP of a register */
    {LEGACY, ONE, 0x60, 0x60, ANY, ANY_REG, IMPLIED, BASE, execute_pusha, NO},
    {LEGACY, ONE, 0x61, 0x61, ANY, ANY_REG, IMPLIED, BASE, execute_popa, NO},
    {LEGACY, ONE, 0x62, 0x62, ANY, ANY_REG, MEM, BASE, execute_bound, NO},
    {LEGACY, ONE, 0x63, 0x63, ANY, ANY_REG, BOTH, BASE, NO, NO},    /* MOVSXD, ARPL */
    {LEGACY, ONE, 0x68, 0x68, ANY, ANY_REG, IMPLIED, BASE, NO, NO}, /* PUSH of an immediate */
    {LEGACY, ONE, 0x69, 0x69, ANY, ANY_REG, BOTH, BASE, NO, NO},    /* IMUL */
    {LEGACY, ONE, 0x6a, 0x6a, ANY, ANY_REG, IMPLIED, BASE, NO, NO}, /* PUSH of an immediate */
    {LEGACY, ONE, 0x6b, 0x6b, ANY, ANY_REG, BOTH, BASE, NO, NO},    /* IMUL */
    {LEGACY, ONE, 0x6c, 0x6f, ANY, ANY_REG, IMPLIED, BASE, NO, NO}, /* INS, OUTS */
    {LEGACY, ONE, 0x80, 0x8b, ANY, ANY_REG, BOTH, BASE, NO, NO},    /* group 1, TEST, XCHG, MOV */
    {LEGACY, ONE, 0x8c, 0x8c, ANY, 0x3f, BOTH, BASE, NO, NO},       /* MOV from Sreg */
    {LEGACY, ONE, 0x8e, 0x8e, ANY, 0x3d, BOTH, BASE, execute_mov_to_segment, NO},
    {LEGACY, ONE, 0x8f, 0x8f, ANY, REG(0), BOTH, BASE, NO, NO}, /* POP */
    {LEGACY, ONE, 0x9a, 0x9a, ANY, ANY_REG, IMPLIED, BASE, execute_far_call, NO},
    {LEGACY, ONE, 0x9c, 0x9c, ANY, ANY_REG, IMPLIED, BASE, execute_pushf, NO},
    {LEGACY, ONE, 0x9d, 0x9d, ANY, ANY_REG, IMPLIED, BASE, execute_popf, NO},
    {LEGACY, ONE, 0xa0, 0xa7, ANY, ANY_REG, IMPLIED, BASE, NO, NO},               /* MOV of moffs, MOVS, CMPS */
    {LEGACY, ONE, 0xaa, 0xaf, ANY, ANY_REG, IMPLIED, BASE, NO, NO},               /* STOS, LODS, SCAS */
    {LEGACY, ONE, 0xc0, 0xc1, ANY, ANY_REG, BOTH, BASE, NO, NO},                  /* group 2: shifts */
    {LEGACY, ONE, 0xc2, 0xc3, ANY, ANY_REG, IMPLIED, BASE, NO, NO},               /* RET */
    {LEGACY, ONE, 0xc4, 0xc5, ANY, ANY_REG, MEM, BASE, execute_load_pointer, NO}, /* LES, LDS */
    {LEGACY, ONE, 0xc6, 0xc7, ANY, REG(0), BOTH, BASE, NO, NO},                   /* MOV of an immediate */
    {LEGACY, ONE, 0xc8, 0xc8, ANY, ANY_REG, IMPLIED, BASE, execute_enter, NO},
    {LEGACY, ONE, 0xc9, 0xc9, ANY, ANY_REG, IMPLIED, BASE, execute_leave, NO},
    {LEGACY, ONE, 0xca, 0xcb, ANY, ANY_REG, IMPLIED, BASE, execute_far_return, NO},
    {LEGACY, ONE, 0xcc, 0xce, ANY, ANY_REG, IMPLIED, BASE, NO, EVENT}, /* INT3, INT, INTO */
    {LEGACY, ONE, 0xcf, 0xcf, ANY, ANY_REG, IMPLIED, BASE, NO, EVENT}, /* IRET */
    {LEGACY, ONE, 0xd0, 0xd3, ANY, ANY_REG, BOTH, BASE, NO, NO},       /* group 2: shifts */
    {LEGACY, ONE, 0xd7, 0xd7, ANY, ANY_REG, IMPLIED, BASE, NO, NO},    /* XLAT */
    {LEGACY, ONE, 0xd8, 0xdf, ANY, ANY_REG, MEM, BASE, NO, X87},
    {LEGACY, ONE, 0xe8, 0xe8, ANY, ANY_REG, IMPLIED, BASE, NO, NO},      /* CALL */
    {LEGACY, ONE, 0xf1, 0xf1, ANY, ANY_REG, IMPLIED, BASE, NO, EVENT},   /* INT1 */
    {LEGACY, ONE, 0xf6, 0xf7, ANY, ANY_REG, BOTH, BASE, NO, NO},         /* group 3 */
    {LEGACY, ONE, 0xfe, 0xfe, ANY, REG(0) | REG(1), BOTH, BASE, NO, NO}, /* INC, DEC */
    {LEGACY, ONE, 0xff, 0xff, ANY, REG(3) | REG(5), MEM, BASE, execute_far_branch, NO},
    {LEGACY, ONE, 0xff, 0xff, ANY, (uint8_t)~REG(7), BOTH, BASE, NO, NO}, /* group 5 */

    /* ---- 0F */
    {LEGACY, MAP_0F, 0x00, 0x00, ANY, 0x3f, MEM, BASE, execute_group_6, NO}, /* SLDT, STR, LLDT, LTR, VERR, VERW */
    {LEGACY, MAP_0F, 0x01, 0x01, F3, REG(5), MEM, HIDDEN, NO, NO},           /* RSTORSSP */
    {LEGACY, MAP_0F, 0x01, 0x01, ANY, 0x5f, MEM, BASE, execute_group_7, NO}, /* SGDT, SIDT, LGDT, LIDT, SMSW, LMSW */
    {LEGACY, MAP_0F, 0x01, 0x01, ANY, REG(7), MEM, BASE, NO, "INVLPG, which touches no memory"},
    {LEGACY, MAP_0F, 0x02, 0x03, ANY, ANY_REG, MEM, BASE, execute_look_at_descriptor, NO}, /* LAR, LSL */
    {LEGACY, MAP_0F, 0x0d, 0x0d, ANY, ANY_REG, MEM, BASE, execute_nothing, NO},            /* PREFETCHW and others */
    {LEGACY, MAP_0F, 0x10, 0x11, ANY, ANY_REG, MEM, SSE, execute_vector_move, NO},
    {LEGACY, MAP_0F, 0x12, 0x13, NP | P66, ANY_REG, MEM, SSE, execute_vector_move, NO},
    {LEGACY, MAP_0F, 0x16, 0x17, NP | P66, ANY_REG, MEM, SSE, execute_vector_move, NO},
    {LEGACY, MAP_0F, 0x12, 0x12, F3 | F2, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x14, 0x15, NP | P66, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x16, 0x16, F3, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x18, 0x1f, ANY, ANY_REG, MEM, BASE, execute_nothing, NO}, /* PREFETCHh, NOP */
    {LEGACY, MAP_0F, 0x28, 0x29, NP | P66, ANY_REG, MEM, SSE, execute_vector_move, NO},
    {LEGACY, MAP_0F, 0x2a, 0x2a, ANY, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x2b, 0x2b, NP | P66, ANY_REG, MEM, SSE, execute_vector_move, NO},
    {LEGACY, MAP_0F, 0x2b, 0x2b, F3 | F2, ANY_REG, MEM, SSE, NO, MMX_SSE}, /* of SSE4A */
    {LEGACY, MAP_0F, 0x2c, 0x2d, ANY, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x2e, 0x2f, NP | P66, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x40, 0x4f, ANY, ANY_REG, BOTH, BASE, NO, NO}, /* CMOVcc */
    {LEGACY, MAP_0F, 0x51, 0x51, ANY, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x52, 0x53, NP | F3, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x54, 0x57, NP | P66, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x58, 0x5a, ANY, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x5b, 0x5b, NP | P66 | F3, ANY_REG, MEM, SSE2, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x5c, 0x5f, ANY, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x60, 0x6b, NP | P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x6c, 0x6d, P66, ANY_REG, MEM, SSE2, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x6e, 0x6e, P66, ANY_REG, MEM, SSE2, execute_vector_move, NO},
    {LEGACY, MAP_0F, 0x6e, 0x6e, NP, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x6f, 0x6f, P66 | F3, ANY_REG, MEM, SSE2, execute_vector_move, NO},
    {LEGACY, MAP_0F, 0x6f, 0x6f, NP, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x70, 0x70, ANY, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x74, 0x76, NP | P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x78, 0x79, NP, ANY_REG, MEM, HIDDEN, NO, NO}, /* VMREAD, VMWRITE */
    {LEGACY, MAP_0F, 0x7c, 0x7d, P66 | F2, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x7e, 0x7e, P66 | F3, ANY_REG, MEM, SSE2, execute_vector_move, NO},
    {LEGACY, MAP_0F, 0x7e, 0x7e, NP, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x7f, 0x7f, P66 | F3, ANY_REG, MEM, SSE2, execute_vector_move, NO},
    {LEGACY, MAP_0F, 0x7f, 0x7f, NP, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0x90, 0x9f, ANY, ANY_REG, BOTH, BASE, NO, NO},                      /* SETcc */
    {LEGACY, MAP_0F, 0xa0, 0xa0, ANY, ANY_REG, IMPLIED, BASE, execute_push_segment, NO}, /* FS */
    {LEGACY, MAP_0F, 0xa1, 0xa1, ANY, ANY_REG, IMPLIED, BASE, execute_pop_segment, NO},
    {LEGACY, MAP_0F, 0xa3, 0xa3, ANY, ANY_REG, BOTH, BASE, NO, NO}, /* BT */
    {LEGACY, MAP_0F, 0xa4, 0xa5, ANY, ANY_REG, BOTH, BASE, execute_double_shift, NO},
    {LEGACY, MAP_0F, 0xa8, 0xa8, ANY, ANY_REG, IMPLIED, BASE, execute_push_segment, NO}, /* GS */
    {LEGACY, MAP_0F, 0xa9, 0xa9, ANY, ANY_REG, IMPLIED, BASE, execute_pop_segment, NO},
    {LEGACY, MAP_0F, 0xab, 0xab, ANY, ANY_REG, BOTH, BASE, NO, NO}, /* BTS */
    {LEGACY, MAP_0F, 0xac, 0xad, ANY, ANY_REG, BOTH, BASE, execute_double_shift, NO},
    {LEGACY, MAP_0F, 0xae, 0xae, NP, REG(0) | REG(1), MEM, BASE, NO, AREA},   /* FXSAVE, FXRSTOR */
    {LEGACY, MAP_0F, 0xae, 0xae, NP, REG(2) | REG(3), MEM, SSE, NO, MMX_SSE}, /* LDMXCSR, STMXCSR */
    {LEGACY, MAP_0F, 0xae, 0xae, NP, REG(4) | REG(5), MEM, XSAVE, NO, AREA},  /* XSAVE, XRSTOR */
    {LEGACY, MAP_0F, 0xae, 0xae, NP, REG(6), MEM, XSAVEOPT, NO, AREA},
    {LEGACY, MAP_0F, 0xae, 0xae, NP, REG(7), MEM, BASE, execute_flush, NO}, /* CLFLUSH */
    {LEGACY, MAP_0F, 0xae, 0xae, P66, REG(6), MEM, CLWB, execute_flush, NO},
    {LEGACY, MAP_0F, 0xae, 0xae, P66, REG(7), MEM, CLFLUSHOPT, execute_flush, NO},
    {LEGACY, MAP_0F, 0xae, 0xae, F3, REG(4) | REG(6), MEM, HIDDEN, NO, NO},          /* PTWRITE, CLRSSBSY */
    {LEGACY, MAP_0F, 0xaf, 0xb1, ANY, ANY_REG, BOTH, BASE, NO, NO},                  /* IMUL, CMPXCHG */
    {LEGACY, MAP_0F, 0xb2, 0xb2, ANY, ANY_REG, MEM, BASE, execute_load_pointer, NO}, /* LSS */
    {LEGACY, MAP_0F, 0xb3, 0xb3, ANY, ANY_REG, BOTH, BASE, NO, NO},                  /* BTR */
    {LEGACY, MAP_0F, 0xb4, 0xb5, ANY, ANY_REG, MEM, BASE, execute_load_pointer, NO}, /* LFS, LGS */
    {LEGACY, MAP_0F, 0xb6, 0xb7, ANY, ANY_REG, BOTH, BASE, NO, NO},                  /* MOVZX */
    {LEGACY, MAP_0F, 0xb8, 0xb8, F3, ANY_REG, BOTH, POPCNT, execute_popcnt, NO},
    {LEGACY, MAP_0F, 0xb9, 0xb9, ANY, ANY_REG, BOTH, HIDDEN, NO, NO},         /* UD1 */
    {LEGACY, MAP_0F, 0xba, 0xba, ANY, 0xf0, BOTH, BASE, NO, NO},              /* BT and its like */
    {LEGACY, MAP_0F, 0xbb, 0xbb, ANY, ANY_REG, BOTH, BASE, NO, NO},           /* BTC */
    {LEGACY, MAP_0F, 0xbc, 0xbd, ANY, ANY_REG, BOTH, BASE, execute_scan, NO}, /* BSF, BSR, TZCNT, LZCNT */
    {LEGACY, MAP_0F, 0xbe, 0xc1, ANY, ANY_REG, BOTH, BASE, NO, NO},           /* MOVSX, XADD */
    {LEGACY, MAP_0F, 0xc2, 0xc2, ANY, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0xc3, 0xc3, NP, ANY_REG, MEM, BASE, NO, NO}, /* MOVNTI */
    {LEGACY, MAP_0F, 0xc4, 0xc4, NP | P66, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0xc6, 0xc6, NP | P66, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0xc7, 0xc7, ANY, REG(1), MEM, BASE, NO, NO}, /* CMPXCHG8B, CMPXCHG16B */
    {LEGACY, MAP_0F, 0xc7, 0xc7, NP, REG(4), MEM, XSAVEC, NO, AREA},
    {LEGACY, MAP_0F, 0xc7, 0xc7, ANY, 0xfc, MEM, HIDDEN, NO, NO}, /* XSAVES, XRSTORS, VMPTRLD and its like */
    {LEGACY, MAP_0F, 0xd0, 0xd0, P66 | F2, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0xd1, 0xd5, NP | P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0xd6, 0xd6, P66, ANY_REG, MEM, SSE2, execute_vector_move, NO},
    {LEGACY, MAP_0F, 0xd8, 0xe5, NP | P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0xe6, 0xe6, P66 | F3 | F2, ANY_REG, MEM, SSE2, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0xe7, 0xe7, P66, ANY_REG, MEM, SSE2, execute_vector_move, NO},
    {LEGACY, MAP_0F, 0xe7, 0xe7, NP, ANY_REG, MEM, SSE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0xe8, 0xef, NP | P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0xf0, 0xf0, F2, ANY_REG, MEM, SSE3, execute_vector_move, NO},
    {LEGACY, MAP_0F, 0xf1, 0xf6, NP | P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0xf7, 0xf7, P66, ANY_REG, IMPLIED, SSE2, execute_masked_store, NO},
    {LEGACY, MAP_0F, 0xf7, 0xf7, NP, ANY_REG, IMPLIED, SSE, NO, MMX_SSE}, /* MASKMOVQ */
    {LEGACY, MAP_0F, 0xf8, 0xfe, NP | P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F, 0xff, 0xff, ANY, ANY_REG, BOTH, HIDDEN, NO, NO}, /* UD0 */

    /* ---- 0F 38, 0F 3A, 3DNow! */
    {LEGACY, MAP_0F38, 0x00, 0x0b, NP | P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F38, 0x10, 0x10, P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F38, 0x14, 0x15, P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F38, 0x17, 0x17, P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F38, 0x1c, 0x1e, NP | P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F38, 0x2a, 0x2a, P66, ANY_REG, MEM, SSE41, execute_vector_move, NO},
    {LEGACY, MAP_0F38, 0x20, 0x41, P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F38, 0x80, 0x82, P66, ANY_REG, MEM, HIDDEN, NO, NO}, /* INVEPT, INVVPID, INVPCID */
    {LEGACY, MAP_0F38, 0xc8, 0xcd, NP, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F38, 0xcf, 0xcf, P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F38, 0xd8, 0xd8, F3, ANY_REG, MEM, HIDDEN, NO, NO}, /* Key Locker */
    {LEGACY, MAP_0F38, 0xdb, 0xdf, P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F38, 0xdc, 0xdf, F3, ANY_REG, MEM, HIDDEN, NO, NO}, /* Key Locker */
    {LEGACY, MAP_0F38, 0xf0, 0xf1, NP | P66, ANY_REG, MEM, MOVBE, execute_movbe, NO},
    {LEGACY, MAP_0F38, 0xf0, 0xf1, F2, ANY_REG, BOTH, SSE42, execute_crc32, NO},
    {LEGACY, MAP_0F38, 0xf5, 0xf5, P66, ANY_REG, MEM, HIDDEN, NO, NO}, /* WRUSS */
    {LEGACY, MAP_0F38, 0xf6, 0xf6, NP, ANY_REG, MEM, HIDDEN, NO, NO},  /* WRSS */
    {LEGACY, MAP_0F38, 0xf6, 0xf6, P66 | F3, ANY_REG, BOTH, ADX, execute_adx, NO},
    {LEGACY, MAP_0F38, 0xf8, 0xf9, ANY, ANY_REG, MEM, HIDDEN, NO, NO}, /* MOVDIR64B, ENQCMD, MOVDIRI */
    {LEGACY, MAP_0F3A, 0x08, 0x0e, P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F3A, 0x0f, 0x0f, NP | P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F3A, 0x14, 0x17, P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F3A, 0x20, 0x22, P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F3A, 0x40, 0x44, P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F3A, 0x60, 0x63, P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F3A, 0xcc, 0xcc, NP, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F3A, 0xce, 0xcf, P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_0F3A, 0xdf, 0xdf, P66, ANY_REG, MEM, BASE, NO, MMX_SSE},
    {LEGACY, MAP_3DNOW, 0x00, 0xff, ANY, ANY_REG, MEM, HIDDEN, NO, NO},

    /* ---- VEX: general registers, then vectors */
    {VEX, MAP_0F38, 0xf2, 0xf2, NP, ANY_REG, BOTH, BMI1, execute_bmi, NO},            /* ANDN */
    {VEX, MAP_0F38, 0xf3, 0xf3, NP, 0x0e, BOTH, BMI1, execute_bmi, NO},               /* BLSR, BLSMSK, BLSI */
    {VEX, MAP_0F38, 0xf5, 0xf5, NP | F3 | F2, ANY_REG, BOTH, BMI2, execute_bmi, NO},  /* BZHI, PEXT, PDEP */
    {VEX, MAP_0F38, 0xf6, 0xf6, F2, ANY_REG, BOTH, BMI2, execute_bmi, NO},            /* MULX */
    {VEX, MAP_0F38, 0xf7, 0xf7, NP, ANY_REG, BOTH, BMI1, execute_bmi, NO},            /* BEXTR */
    {VEX, MAP_0F38, 0xf7, 0xf7, P66 | F3 | F2, ANY_REG, BOTH, BMI2, execute_bmi, NO}, /* SHLX, SARX, SHRX */
    {VEX, MAP_0F3A, 0xf0, 0xf0, F2, ANY_REG, BOTH, BMI2, execute_bmi, NO},            /* RORX */
    {VEX, MAP_0F, 0x10, 0x11, ANY, ANY_REG, MEM, AVX, execute_vector_move, NO},
    {VEX, MAP_0F, 0x12, 0x13, NP | P66, ANY_REG, MEM, AVX, execute_vector_move, NO},
    {VEX, MAP_0F, 0x16, 0x17, NP | P66, ANY_REG, MEM, AVX, execute_vector_move, NO},
    {VEX, MAP_0F, 0x28, 0x29, NP | P66, ANY_REG, MEM, AVX, execute_vector_move, NO},
    {VEX, MAP_0F, 0x2b, 0x2b, NP | P66, ANY_REG, MEM, AVX, execute_vector_move, NO},
    {VEX, MAP_0F, 0x6e, 0x6e, P66, ANY_REG, MEM, AVX, execute_vector_move, NO},
    {VEX, MAP_0F, 0x6f, 0x6f, P66 | F3, ANY_REG, MEM, AVX, execute_vector_move, NO},
    {VEX, MAP_0F, 0x7e, 0x7e, P66 | F3, ANY_REG, MEM, AVX, execute_vector_move, NO},
    {VEX, MAP_0F, 0x7f, 0x7f, P66 | F3, ANY_REG, MEM, AVX, execute_vector_move, NO},
    {VEX, MAP_0F, 0xd6, 0xd6, P66, ANY_REG, MEM, AVX, execute_vector_move, NO},
    {VEX, MAP_0F, 0xe7, 0xe7, P66, ANY_REG, MEM, AVX, execute_vector_move, NO},
    {VEX, MAP_0F, 0xf0, 0xf0, F2, ANY_REG, MEM, AVX, execute_vector_move, NO},
    {VEX, MAP_0F, 0xf7, 0xf7, P66, ANY_REG, IMPLIED, AVX, execute_masked_store, NO},
    {VEX, MAP_0F, 0x00, 0xff, ANY, ANY_REG, BOTH, AVX, NO, AVX_},
    {VEX, MAP_0F38, 0x2a, 0x2a, P66, ANY_REG, MEM, AVX, execute_vector_move, NO},
    {VEX, MAP_0F38, 0x00, 0xff, ANY, ANY_REG, BOTH, AVX, NO, AVX_},
    {VEX, MAP_0F3A, 0x00, 0xff, ANY, ANY_REG, BOTH, AVX, NO, AVX_},

    /* ---- EVEX, XOP */
    {ENCODING_EVEX, 1, 0x00, 0xff, ANY, ANY_REG, BOTH, AVX512F, NO, EVEX_},
    {ENCODING_EVEX, 2, 0x00, 0xff, ANY, ANY_REG, BOTH, AVX512F, NO, EVEX_},
    {ENCODING_EVEX, 3, 0x00, 0xff, ANY, ANY_REG, BOTH, AVX512F, NO, EVEX_},
    {ENCODING_EVEX, 5, 0x00, 0xff, ANY, ANY_REG, BOTH, HIDDEN, NO, NO}, /* FP16 */
    {ENCODING_EVEX, 6, 0x00, 0xff, ANY, ANY_REG, BOTH, HIDDEN, NO, NO},
    {ENCODING_XOP, 8, 0x00, 0xff, ANY, ANY_REG, BOTH, HIDDEN, NO, NO},
    {ENCODING_XOP, 9, 0x00, 0xff, ANY, ANY_REG, BOTH, HIDDEN, NO, NO},
    {ENCODING_XOP, 10, 0x00, 0xff, ANY, ANY_REG, BOTH, HIDDEN, NO, NO},
};
const unsigned coverage_count = ARRAY_SIZE(coverage);

unsigned insn_prefix(const struct insn *insn)
{
    if (insn->encoding != ENCODING_LEGACY)
        return insn->vector_prefix;
    if (insn->repeat)
        return insn->repeat;
    return insn->operand_prefix ? 0x66 : 0;
}

unsigned insn_prefix_bit(const struct insn *insn)
{
    switch (insn_prefix(insn)) {
    case 0x66:
        return PREFIX_66;
    case 0xf3:
        return PREFIX_F3;
    case 0xf2:
        return PREFIX_F2;
    default:
        return PREFIX_NONE;
    }
}

const struct coverage *coverage_of(const struct insn *insn)
{
    unsigned form = insn->has_modrm && insn->mod != 3 ? FORM_MEMORY : FORM_REGISTER;

    for (unsigned i = 0; i < coverage_count; i++) {
        const struct coverage *c = &coverage[i];

        if (c->encoding == insn->encoding && c->map == insn->map && insn->opcode >= c->first &&
            insn->opcode <= c->last && (c->prefixes & insn_prefix_bit(insn)) && (c->regs & MODRM_REG(insn->reg & 7)) &&
            (c->forms & form))
            return c;
    }
    return NULL;
}

bool coverage_shown(const struct emul *e, unsigned feature)
{
    if (feature == FEATURE_NONE)
        return true;
    return feature != FEATURE_NEVER && (e->ops->features[feature / 32] >> feature % 32 & 1);
}

enum emul_status execute_listed(struct emul *e)
{
    const struct insn *insn = &e->insn;
    const struct coverage *c = coverage_of(insn);

    if (c && !coverage_shown(e, c->feature))
        return emul_fault(e, VECTOR_UD);
    if (c && c->execute)
        return c->execute(e);
    if (c && c->refused)
        return emul_unhandled(e, c->refused);
    if (insn->has_modrm && insn->mod != 3)
        return emul_fault(e, VECTOR_UD);
    return emul_unhandled(e, "not an instruction with a memory operand");
}
