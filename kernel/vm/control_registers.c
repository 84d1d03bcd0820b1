#include "kernel/vm/control_registers.h"

enum { EAX, EBX, ECX, EDX };

/* A bit of CR4 or EFER, and the bit of CPUID (leaf, register, number) that says whether it exists. All bits that are
 * not in the tables are reserved for guests, even if the CPU has them. */
struct control_bit {
    uint8_t bit;
    uint8_t reg, feature;
    uint32_t leaf;
};

static const struct control_bit cr4_bits[] = {
    {0, EDX, 1, 1},   /* VME */
    {1, EDX, 1, 1},   /* PVI: VME */
    {2, EDX, 4, 1},   /* TSD: TSC */
    {3, EDX, 2, 1},   /* DE */
    {4, EDX, 3, 1},   /* PSE */
    {5, EDX, 6, 1},   /* PAE */
    {6, EDX, 7, 1},   /* MCE */
    {7, EDX, 13, 1},  /* PGE */
    {9, EDX, 24, 1},  /* OSFXSR: FXSR */
    {10, EDX, 25, 1}, /* OSXMMEXCPT: SSE */
    {11, ECX, 2, 7},  /* UMIP */
    {16, EBX, 0, 7},  /* FSGSBASE */
    {18, ECX, 26, 1}, /* OSXSAVE: XSAVE */
    {20, EBX, 7, 7},  /* SMEP */
    {21, EBX, 20, 7}, /* SMAP */
};

/* PCE has no bit in CPUID. Every CPU that has one of the bits above has PCE. */
#define CR4_ALWAYS (1ull << 8)

static const struct control_bit efer_bits[] = {
    {0, EDX, 11, 0x80000001},  /* SCE: SYSCALL */
    {8, EDX, 29, 0x80000001},  /* LME: LM */
    {11, EDX, 20, 0x80000001}, /* NXE: NX */
    {14, EDX, 25, 0x80000001}, /* FFXSR */
};

static uint64_t bits_of(const struct control_bit *table, unsigned count, feature_visible *has)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < count; i++)
        bits |= has(table[i].leaf, table[i].reg, table[i].feature) ? 1ull << table[i].bit : 0;
    return bits;
}

uint64_t cr4_bits_of(feature_visible *has)
{
    return bits_of(cr4_bits, ARRAY_SIZE(cr4_bits), has) | CR4_ALWAYS;
}

uint64_t efer_bits_of(feature_visible *has)
{
    return bits_of(efer_bits, ARRAY_SIZE(efer_bits), has);
}

bool cr0_write_valid(const struct control_registers *before, uint64_t value)
{
    bool paging_on = !(before->cr0 & CR0_PG) && (value & CR0_PG);
    bool paging_off = (before->cr0 & CR0_PG) && !(value & CR0_PG);

    if (value >> 32)
        return false;
    if ((value & CR0_PG) && !(value & CR0_PE))
        return false;
    if ((value & CR0_NW) && !(value & CR0_CD))
        return false;
    if (paging_on && (before->efer & EFER_LME) && (!(before->cr4 & CR4_PAE) || before->code_64))
        return false;
    return !(paging_off && (before->efer & EFER_LMA) && before->code_64);
}

bool cr4_write_valid(const struct control_registers *before, uint64_t value, uint64_t offered)
{
    if (value & ~offered)
        return false;
    return (value & CR4_PAE) || !(before->efer & EFER_LMA);
}

bool efer_write_valid(const struct control_registers *before, uint64_t value, uint64_t offered)
{
    if (value & ~(offered | EFER_LMA))
        return false;
    return !((value ^ before->efer) & EFER_LME) || !(before->cr0 & CR0_PG);
}
