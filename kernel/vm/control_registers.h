/* What a guest may write to CR0, CR4 and EFER. Any other write is #GP. Pure logic: both back ends use it for the writes
 * that exit. */
#ifndef KERNEL_VM_CONTROL_REGISTERS_H
#define KERNEL_VM_CONTROL_REGISTERS_H

#include "abi/types.h"

enum {
    CR0_PE = 1,
    CR0_WP = 1 << 16,
    CR0_NW = 1 << 29,
    CR0_CD = 1 << 30,
    CR4_PSE = 1 << 4,
    CR4_PAE = 1 << 5,
    CR4_MCE = 1 << 6,
    CR4_PGE = 1 << 7,
    CR4_SMEP = 1 << 20,
    CR4_SMAP = 1 << 21,
    EFER_SCE = 1,
    EFER_LME = 1 << 8,
    EFER_LMA = 1 << 10,
    EFER_NXE = 1 << 11,
    EFER_FFXSR = 1 << 14
};
#define CR0_PG (1ull << 31)

/* The registers before the write. */
struct control_registers {
    uint64_t cr0, cr4, efer;
    bool code_64; /* CS.L */
};

/* Is feature bit (0..31) of that CPUID leaf's register (0 EAX .. 3 EDX) one that the guest sees? */
typedef bool feature_visible(uint32_t leaf, unsigned reg, unsigned bit);

/* The bits of CR4 and EFER that a guest may set: those of the features that the guest sees (SDM Vol. 3, 2.5 and 2.2.1;
 * APM Vol. 2, 3.1.3 and 3.1.7). */
uint64_t cr4_bits_of(feature_visible *has);
uint64_t efer_bits_of(feature_visible *has);

/* May a MOV write value to CR0 (SDM Vol. 2, MOV to control registers, and Vol. 3, 2.5)? */
bool cr0_write_valid(const struct control_registers *before, uint64_t value);

/* May a MOV write value to CR4? offered: the bits of the features that the guest has. */
bool cr4_write_valid(const struct control_registers *before, uint64_t value, uint64_t offered);

/* May a WRMSR write value to EFER? Its LMA is ignored, since LMA follows LME and paging (SDM Vol. 3, 2.2.1; APM Vol. 2,
 * 3.1.7). offered: the bits of the features that the guest has. */
bool efer_write_valid(const struct control_registers *before, uint64_t value, uint64_t offered);

#endif
