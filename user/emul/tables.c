/* What follows each opcode: SDM Vol. 2, appendix A; APM Vol. 3, appendix A for XOP, 3DNow! and SSE4a. */
#include "user/emul/insn.h"

#define N_ IMM_NONE
#define B_ IMM_BYTE
#define W_ IMM_WORD
#define Z_ IMM_Z
#define V_ IMM_V
#define J_ IMM_BRANCH
#define O_ IMM_MOFFS
#define E_ IMM_ENTER
#define G_ (OPCODE_MODRM | IMM_GROUP3)
#define M_ OPCODE_MODRM
#define MB (OPCODE_MODRM | IMM_BYTE)
#define MZ (OPCODE_MODRM | IMM_Z)
#define MX (OPCODE_MODRM | IMM_EXTRQ)
#define MC (OPCODE_MODRM | OPCODE_REGISTERS)
#define n_ OPCODE_NOT_64 /* lower case: not in 64-bit mode */
#define b_ (OPCODE_NOT_64 | IMM_BYTE)
#define f_ (OPCODE_NOT_64 | IMM_FAR)
#define m_ (OPCODE_NOT_64 | OPCODE_MODRM)
#define mb (OPCODE_NOT_64 | OPCODE_MODRM | IMM_BYTE)
#define U_ OPCODE_UNDEFINED
#define P_ 0 /* prefix or escape, handled before the table is asked */

const uint8_t opcode_table[256] = {
    /* 0   1   2   3   4   5   6   7   8   9   a   b   c   d   e   f */
    M_, M_, M_, M_, B_, Z_, n_, n_, M_, M_, M_, M_, B_, Z_, n_, P_, /* 00 */
    M_, M_, M_, M_, B_, Z_, n_, n_, M_, M_, M_, M_, B_, Z_, n_, n_, /* 10 */
    M_, M_, M_, M_, B_, Z_, P_, n_, M_, M_, M_, M_, B_, Z_, P_, n_, /* 20 */
    M_, M_, M_, M_, B_, Z_, P_, n_, M_, M_, M_, M_, B_, Z_, P_, n_, /* 30 */
    N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, /* 40 */
    N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, /* 50 */
    n_, n_, m_, M_, P_, P_, P_, P_, Z_, MZ, B_, MB, N_, N_, N_, N_, /* 60 */
    B_, B_, B_, B_, B_, B_, B_, B_, B_, B_, B_, B_, B_, B_, B_, B_, /* 70 */
    MB, MZ, mb, MB, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, /* 80 */
    N_, N_, N_, N_, N_, N_, N_, N_, N_, N_, f_, N_, N_, N_, N_, N_, /* 90 */
    O_, O_, O_, O_, N_, N_, N_, N_, B_, Z_, N_, N_, N_, N_, N_, N_, /* a0 */
    B_, B_, B_, B_, B_, B_, B_, B_, V_, V_, V_, V_, V_, V_, V_, V_, /* b0 */
    MB, MB, W_, N_, m_, m_, MB, MZ, E_, N_, W_, N_, N_, B_, n_, N_, /* c0 */
    M_, M_, M_, M_, b_, b_, n_, N_, M_, M_, M_, M_, M_, M_, M_, M_, /* d0 */
    B_, B_, B_, B_, B_, B_, B_, B_, J_, J_, f_, B_, N_, N_, N_, N_, /* e0 */
    P_, N_, P_, P_, N_, N_, G_, G_, N_, N_, N_, N_, N_, N_, M_, M_, /* f0 */
};

const uint8_t opcode_0f_table[256] = {
    /* 0   1   2   3   4   5   6   7   8   9   a   b   c   d   e   f */
    M_, M_, M_, M_, U_, N_, N_, N_, N_, N_, U_, N_, U_, M_, N_, P_, /* 00 */
    M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, /* 10 */
    MC, MC, MC, MC, U_, U_, U_, U_, M_, M_, M_, M_, M_, M_, M_, M_, /* 20 */
    N_, N_, N_, N_, N_, N_, U_, N_, P_, U_, P_, U_, U_, U_, U_, U_, /* 30 */
    M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, /* 40 */
    M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, /* 50 */
    M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, /* 60 */
    MB, MB, MB, MB, M_, M_, M_, N_, MX, M_, U_, U_, M_, M_, M_, M_, /* 70 */
    J_, J_, J_, J_, J_, J_, J_, J_, J_, J_, J_, J_, J_, J_, J_, J_, /* 80 */
    M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, /* 90 */
    N_, N_, N_, M_, MB, M_, U_, U_, N_, N_, N_, M_, MB, M_, M_, M_, /* a0 */
    M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, MB, M_, M_, M_, M_, M_, /* b0 */
    M_, M_, MB, M_, MB, MB, MB, M_, N_, N_, N_, N_, N_, N_, N_, N_, /* c0 */
    M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, /* d0 */
    M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, /* e0 */
    M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, M_, /* f0 */
};

/* In the 0F map, VEX and EVEX take an immediate where SSE does: shifts and shuffles, CMPPS, PINSRW, PEXTRW, SHUFPS. */
static uint8_t vector_0f_form(unsigned encoding, unsigned opcode)
{
    if (encoding == ENCODING_VEX && opcode == 0x77)
        return IMM_NONE; /* VZEROUPPER, VZEROALL */
    if ((opcode >= 0x70 && opcode <= 0x73) || opcode == 0xc2 || (opcode >= 0xc4 && opcode <= 0xc6))
        return MB;
    return M_;
}

uint8_t opcode_form(unsigned encoding, unsigned map, unsigned opcode)
{
    switch (map) {
    case MAP_ONE_BYTE:
        return opcode_table[opcode];
    case MAP_0F:
        return encoding == ENCODING_LEGACY ? opcode_0f_table[opcode] : vector_0f_form(encoding, opcode);
    case MAP_0F38:
    case 9: /* XOP */
        return M_;
    case MAP_0F3A:
    case MAP_3DNOW:
    case 8: /* XOP */
        return MB;
    case 10: /* XOP */
        return OPCODE_MODRM | IMM_DOUBLE;
    case 5: /* EVEX: FP16 */
    case 6:
        return encoding == ENCODING_EVEX ? M_ : U_;
    default:
        return U_;
    }
}
