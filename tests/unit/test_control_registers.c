/*
 * Writes of CR0, CR4 and EFER: the rules of SDM Vol. 2 (MOV to control registers) and APM Vol. 2, 3.1, line by line, in
 * each mode that a guest can be in.
 */
// links: kernel/vm/control_registers.c
#include "kernel/vm/control_registers.h"

#include "tests/unit/test.h"

#define OFFERED_CR4  0x3307ffull /* without PKE, LA57, VMXE, CET, ... */
#define OFFERED_EFER ((uint64_t)EFER_SCE | EFER_LME | EFER_NXE)
#define CR0_ET       0x10u

static const struct control_registers real = {.cr0 = CR0_ET};
static const struct control_registers protected = {.cr0 = CR0_ET | CR0_PE};
static const struct control_registers paged = {.cr0 = CR0_ET | CR0_PE | CR0_PG};
static const struct control_registers to_long = {.cr0 = CR0_ET | CR0_PE, .cr4 = CR4_PAE, .efer = EFER_LME};
static const struct control_registers to_long_without_pae = {.cr0 = CR0_ET | CR0_PE, .efer = EFER_LME};
static const struct control_registers to_long_from_64 = {
    .cr0 = CR0_ET | CR0_PE, .cr4 = CR4_PAE, .efer = EFER_LME, .code_64 = true};
static const struct control_registers compatibility = {
    .cr0 = CR0_ET | CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA};
static const struct control_registers code_64 = {
    .cr0 = CR0_ET | CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA, .code_64 = true};

struct write {
    const struct control_registers *before;
    uint64_t value;
    bool valid;
};

TEST(cr0)
{
    const uint64_t on = CR0_ET | CR0_PE | CR0_PG;
    const struct write writes[] = {
        {&real, CR0_ET | CR0_PE, true},
        {&real, CR0_ET | CR0_PG, false}, /* PG without PE */
        {&paged, CR0_ET | CR0_PG, false},
        {&protected, CR0_ET | CR0_PE | CR0_NW, false}, /* NW without CD */
        {&protected, CR0_ET | CR0_PE | CR0_CD, true},
        {&protected, CR0_ET | CR0_PE | CR0_CD | CR0_NW, true},
        {&code_64, on | 1ull << 32, false}, /* bits 63:32 */
        {&code_64, on | 1ull << 63, false},
        {&protected, on | 0x1ff8ffc0 /* other reserved bits are ignored */, true},
        {&protected, on, true},
        {&to_long, on, true},
        {&to_long_without_pae, on, false},
        {&to_long_from_64, on, false},
        {&compatibility, on & ~CR0_PG, true},
        {&code_64, on & ~CR0_PG, false},
        {&code_64, on | CR0_WP, true},
    };
    for (unsigned i = 0; i < sizeof writes / sizeof *writes; i++)
        CHECK_EQ(cr0_write_valid(writes[i].before, writes[i].value), writes[i].valid);
}

TEST(cr4)
{
    const struct control_registers *all[] = {&real, &protected, &paged, &compatibility, &code_64};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        for (unsigned bit = 0; bit < 64; bit++)
            CHECK_EQ(cr4_write_valid(all[i], CR4_PAE | 1ull << bit, OFFERED_CR4), OFFERED_CR4 >> bit & 1);
    CHECK_EQ(cr4_write_valid(&paged, 0, OFFERED_CR4), true);
    CHECK_EQ(cr4_write_valid(&to_long, 0, OFFERED_CR4), true); /* LME alone does not hold PAE */
    CHECK_EQ(cr4_write_valid(&compatibility, 0, OFFERED_CR4), false);
    CHECK_EQ(cr4_write_valid(&code_64, 0, OFFERED_CR4), false);
}

TEST(efer)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        bool offered = (OFFERED_EFER | EFER_LMA) >> bit & 1;
        CHECK_EQ(efer_write_valid(&real, 1ull << bit, OFFERED_EFER), offered);
        CHECK_EQ(efer_write_valid(&code_64, code_64.efer | 1ull << bit, OFFERED_EFER), offered);
    }
    CHECK_EQ(efer_write_valid(&paged, EFER_LME, OFFERED_EFER), false); /* LME changes under paging */
    CHECK_EQ(efer_write_valid(&code_64, 0, OFFERED_EFER), false);
    CHECK_EQ(efer_write_valid(&protected, EFER_LME, OFFERED_EFER), true);
    CHECK_EQ(efer_write_valid(&code_64, EFER_LME, OFFERED_EFER), true); /* LMA is not written */
}

/* ---- Each bit goes by the bit of CPUID that its guest sees: SDM Vol. 3, 2.5 and 2.2.1; APM Vol. 2, 3.1.3, 3.1.7 */

static struct {
    uint32_t leaf;
    unsigned reg, bit;
} hidden;

static bool has_all_but_hidden(uint32_t leaf, unsigned reg, unsigned bit)
{
    return leaf != hidden.leaf || reg != hidden.reg || bit != hidden.bit;
}

static bool has_nothing(uint32_t leaf, unsigned reg, unsigned bit)
{
    (void)leaf, (void)reg, (void)bit;
    return false;
}

enum { EBX = 1, ECX, EDX };

static const struct {
    uint32_t leaf;
    unsigned reg, bit;
    uint64_t cr4, efer; /* bits that are gone without it */
} features[] = {
    {1, EDX, 1, 1 << 0 | 1 << 1 /* VME, PVI */, 0},
    {1, EDX, 2, 1 << 3 /* DE */, 0},
    {1, EDX, 3, 1 << 4 /* PSE */, 0},
    {1, EDX, 4, 1 << 2 /* TSD */, 0},
    {1, EDX, 6, 1 << 5 /* PAE */, 0},
    {1, EDX, 7, 1 << 6 /* MCE */, 0},
    {1, EDX, 13, 1 << 7 /* PGE */, 0},
    {1, EDX, 24, 1 << 9 /* OSFXSR */, 0},
    {1, EDX, 25, 1 << 10 /* OSXMMEXCPT */, 0},
    {1, ECX, 26, 1 << 18 /* OSXSAVE */, 0},
    {7, EBX, 0, 1 << 16 /* FSGSBASE */, 0},
    {7, EBX, 7, 1 << 20 /* SMEP */, 0},
    {7, EBX, 20, 1 << 21 /* SMAP */, 0},
    {7, ECX, 2, 1 << 11 /* UMIP */, 0},
    {0x80000001, EDX, 11, 0, EFER_SCE},
    {0x80000001, EDX, 20, 0, EFER_NXE},
    {0x80000001, EDX, 25, 0, EFER_FFXSR},
    {0x80000001, EDX, 29, 0, EFER_LME},
};

/* All bits of CPUID, one after the other, are taken away; all bits of the registers are looked at. */
TEST(bits_go_by_the_features_that_are_visible)
{
    static const uint32_t leaves[] = {1, 7, 13, 0x80000001, 0x80000008};
    hidden.leaf = ~0u;
    const uint64_t cr4 = cr4_bits_of(has_all_but_hidden), efer = efer_bits_of(has_all_but_hidden);
    CHECK_EQ(cr4, 0x350fff);
    CHECK_EQ(efer, EFER_SCE | EFER_LME | EFER_NXE | EFER_FFXSR);
    for (unsigned n = 0; n < ARRAY_SIZE(leaves) * 4 * 32; n++) {
        uint64_t without_cr4 = 0, without_efer = 0;
        hidden.leaf = leaves[n / 128];
        hidden.reg = n / 32 % 4;
        hidden.bit = n % 32;
        for (unsigned i = 0; i < ARRAY_SIZE(features); i++)
            if (features[i].leaf == hidden.leaf && features[i].reg == hidden.reg && features[i].bit == hidden.bit) {
                without_cr4 |= features[i].cr4;
                without_efer |= features[i].efer;
            }
        CHECK_EQ(cr4_bits_of(has_all_but_hidden), cr4 & ~without_cr4);
        CHECK_EQ(efer_bits_of(has_all_but_hidden), efer & ~without_efer);
    }
    CHECK_EQ(cr4_bits_of(has_nothing), 1 << 8); /* PCE has no bit of its own */
    CHECK_EQ(efer_bits_of(has_nothing), 0);
}
