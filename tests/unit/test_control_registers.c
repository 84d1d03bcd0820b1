/*
 * Writes of CR0, CR4 and EFER: the rules of SDM Vol. 2 (MOV to control registers) and APM Vol. 2, 3.1, line by line, in
 * each mode that a guest can be in.
 */
// links: kernel/control_registers.c
#include "kernel/control_registers.h"

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
