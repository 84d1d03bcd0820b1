/* An instruction in parts, and the decoder that takes it apart (SDM Vol. 2, chapter 2 and appendix A). */
#ifndef USER_EMUL_INSN_H
#define USER_EMUL_INSN_H

#include "abi/regs.h"
#include "abi/types.h"

/* Opcode maps; the numbers are those of VEX.mmmmm and EVEX.mmm. XOP has maps 8, 9 and 10, and up to 31 reserved
 * ones. */
enum insn_map { MAP_ONE_BYTE, MAP_0F, MAP_0F38, MAP_0F3A, MAP_3DNOW = 32 };

enum insn_encoding { ENCODING_LEGACY, ENCODING_VEX, ENCODING_EVEX, ENCODING_XOP };

#define REX_B 1u
#define REX_X 2u
#define REX_R 4u
#define REX_W 8u

#define NO_REGISTER 0xffu

struct insn {
    uint8_t length;   /* bytes, 1..15 */
    uint8_t mode;     /* code size in bytes: 2, 4, or 8 for 64-bit mode */
    uint8_t map;      /* enum insn_map */
    uint8_t encoding; /* enum insn_encoding */
    uint8_t opcode;

    uint8_t vvvv;          /* VEX: the register that it names beside ModRM: 0..15 */
    uint8_t vector_prefix; /* VEX: 66, F2, F3, which it stands for; 0: none */
    bool vector_256;       /* VEX.L */

    bool lock;
    bool operand_prefix;                /* 66 */
    uint8_t repeat;                     /* F2, F3: the last of them; 0: none */
    uint8_t rex;                        /* REX_*, for VEX and its like too; 0 outside 64-bit mode */
    bool has_rex;                       /* a REX byte (even without bits) makes SPL, BPL, SIL, DIL of AH, CH, DH, BH */
    uint8_t segment;                    /* enum abi_seg of an override that counts; NO_REGISTER: none */
    uint8_t operand_size, address_size; /* bytes: 2, 4, 8 */

    bool has_modrm;
    uint8_t mod;     /* 0..3 */
    uint8_t reg, rm; /* ModRM.reg and, for mod 3, ModRM.rm; with REX.R and REX.B: 0..15 */

    /* Memory operand: has_modrm and mod < 3, or moffs (base and index NO_REGISTER). disp is sign-extended. */
    uint8_t base, index; /* enum abi_gpr; NO_REGISTER: none */
    uint8_t scale;       /* of index: 0..3, a shift */
    bool rip_relative;
    int64_t disp; /* EVEX disp8 is not scaled */

    uint8_t imm_size; /* bytes, all immediates together: 0, 1, 2, 3, 4, 6, 8 */
    uint64_t imm;     /* as encoded, zero-extended */
};

/* What decode() says instead of a length. */
#define DECODE_MORE      0 /* more bytes are needed than were given; with 15 given: longer than an instruction may be */
#define DECODE_UNDEFINED (-1)

/*
 * Decode the instruction that bytes[0..count) begin with, for code of mode bytes (2, 4, 8). Its length, or DECODE_*.
 * *insn is complete only with a length. Reserved opcodes in the vector maps, and groups' reserved members, are decoded
 * like their neighbours.
 */
int decode(const uint8_t *bytes, unsigned count, unsigned mode, struct insn *insn);

/* ---- Opcode tables (tables.c) ----------------------------------------------------------------------------------- */

/* What follows an opcode. The low four bits say which immediate. */
enum opcode_imm {
    IMM_NONE,
    IMM_BYTE,
    IMM_WORD,
    IMM_Z,      /* 2 or 4 bytes */
    IMM_V,      /* 2, 4 or 8 */
    IMM_BRANCH, /* IMM_Z, but 4 in 64-bit mode whatever the prefixes say */
    IMM_FAR,    /* selector and an offset of 2 or 4 */
    IMM_ENTER,  /* a word and a byte */
    IMM_MOFFS,  /* an address */
    IMM_GROUP3, /* as IMM_BYTE or IMM_Z by opcode bit 0, for TEST only (F6, F7) */
    IMM_EXTRQ,  /* two bytes with a 66 or F2 prefix, else none (0F 78) */
    IMM_DOUBLE, /* always 4 */
};
#define OPCODE_IMM       0x0fu
#define OPCODE_MODRM     0x10u
#define OPCODE_NOT_64    0x20u /* undefined in 64-bit mode */
#define OPCODE_UNDEFINED 0x40u
#define OPCODE_REGISTERS 0x80u /* ModRM names two registers, whatever mod says (MOV CR and DR) */

extern const uint8_t opcode_table[256];    /* one-byte map; entries of prefixes and escapes mean nothing */
extern const uint8_t opcode_0f_table[256]; /* 0F map */

/* OPCODE_* of an opcode of any map and encoding. */
uint8_t opcode_form(unsigned encoding, unsigned map, unsigned opcode);

#endif
