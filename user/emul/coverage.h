/*
 * What the emulator does about each instruction that can have its operand in memory: the one list of them.
 *
 * The frequent ones are found by the switches of one_byte.c and two_byte.c, all others by this list. Of what is not in
 * it, with a memory operand, no CPU has an instruction: #UD. tests/unit/test_emulate_coverage.c walks it.
 */
#ifndef USER_EMUL_COVERAGE_H
#define USER_EMUL_COVERAGE_H

#include "user/emul/state.h"

/* Prefixes with which an opcode is this instruction, the last of F2 and F3 before 66 (SDM Vol. 2, 2.1.2). */
#define PREFIX_NONE 1u
#define PREFIX_66   2u
#define PREFIX_F3   4u
#define PREFIX_F2   8u
#define PREFIX_ANY  15u

/* Where its operands are. */
#define FORM_MEMORY   1u /* ModRM names memory */
#define FORM_REGISTER 2u /* ModRM names a register, or there is none: memory, if any, is implied */
#define FORM_BOTH     3u

#define ANY_REG      0xffu
#define MODRM_REG(n) (1u << (n))

/* A CPUID bit that the guest must see, or the instruction is #UD: FEATURE(ABI_FEATURES_..., bit). */
#define FEATURE(word, bit) (32u * (word) + (bit))
#define FEATURE_NONE       0xfffeu
#define FEATURE_NEVER      0xffffu /* guests never see it: #UD */

typedef enum emul_status execute_fn(struct emul *e);

struct coverage {
    uint8_t encoding; /* enum insn_encoding */
    uint8_t map;
    uint8_t first, last; /* opcodes */
    uint8_t prefixes;    /* PREFIX_* */
    uint8_t regs;        /* ModRM.reg: bit n for value n (without REX.R) */
    uint8_t forms;       /* FORM_* */
    uint16_t feature;
    execute_fn *execute; /* done by this; NULL: see refused */
    const char *refused; /* why it is not emulated; NULL, and no execute: the switches have it */
};

extern const struct coverage coverage[];
extern const unsigned coverage_count;

/* The entry for an instruction; NULL: there is none. */
const struct coverage *coverage_of(const struct insn *insn);

/* Does the guest's CPUID show it? */
bool coverage_shown(const struct emul *e, unsigned feature);

/* PREFIX_*: the one that it is listed under. */
unsigned insn_prefix_bit(const struct insn *insn);

/* 0, 66, F3 or F2: the prefix that is part of the opcode. */
unsigned insn_prefix(const struct insn *insn);

#endif
