/* The state of a virtual CPU as root and the device world exchange it. */
#ifndef ABI_REGS_H
#define ABI_REGS_H

#include "abi/types.h"

/* General registers in the order of their encoding (SDM Vol. 2, 2.1.5). */
enum abi_gpr {
    ABI_RAX,
    ABI_RCX,
    ABI_RDX,
    ABI_RBX,
    ABI_RSP,
    ABI_RBP,
    ABI_RSI,
    ABI_RDI,
    ABI_R8,
    ABI_R9,
    ABI_R10,
    ABI_R11,
    ABI_R12,
    ABI_R13,
    ABI_R14,
    ABI_R15,
    ABI_GPRS
};

/* Segment registers in the order of their encoding in ModRM.reg. */
enum abi_seg { ABI_ES, ABI_CS, ABI_SS, ABI_DS, ABI_FS, ABI_GS, ABI_SEGS };

/*
 * attr is the descriptor's bits 40-47 in bits 0-7 and its bits 52-55 in bits 8-11 (APM Vol. 2, 15.5.1):
 * type 0-3, S 4, DPL 5-6, P 7, AVL 8, L 9, D/B 10, G 11. limit is in bytes (already scaled by G).
 * A segment with P = 0 is unusable.
 */
struct abi_segment {
    uint16_t selector;
    uint16_t attr;
    uint32_t limit;
    uint64_t base;
};

#define ABI_SEG_TYPE      0x00fu
#define ABI_SEG_S         0x010u
#define ABI_SEG_DPL_SHIFT 5
#define ABI_SEG_P         0x080u
#define ABI_SEG_L         0x200u
#define ABI_SEG_DB        0x400u
#define ABI_SEG_G         0x800u

struct abi_regs {
    uint64_t gpr[ABI_GPRS];
    uint64_t rip;
    uint64_t rflags;
    uint64_t cr0, cr2, cr3, cr4;
    uint64_t efer;
    struct abi_segment seg[ABI_SEGS];
    struct abi_segment gdtr, idtr; /* base and limit only */
    struct abi_segment ldtr, tr;
    uint32_t cpl;
    uint32_t reserved;
    uint64_t dr7;
    uint64_t dr[4]; /* valid if DR7 enables any of them */
};

static_assert(sizeof(struct abi_segment) == 16, "abi_segment layout");

#endif
