#include "tests/guests/lib/window.h"

#define SLOT  1 /* of the PML4: 512 GiB and up, which the guest uses for nothing else */
#define ENTRY (PTE_P | PTE_W)

extern uint64_t page_tables[];

static uint64_t tables[3][512] __attribute__((aligned(4096))); /* pointers, directory, table */

uint8_t *window_raw(uint64_t first, uint64_t second)
{
    uint8_t *base = (uint8_t *)(SLOT * BIT(39));

    tables[0][0] = (uintptr_t)tables[1] | ENTRY | PTE_U;
    tables[1][0] = (uintptr_t)tables[2] | ENTRY | PTE_U;
    tables[2][0] = first;
    tables[2][1] = second;
    page_tables[SLOT] = (uintptr_t)tables[0] | ENTRY | PTE_U;
    __asm__ volatile("invlpg (%0); invlpg (%1)" : : "r"(base), "r"(base + PAGE) : "memory");
    return base;
}

uint8_t *window(uint64_t first, uint64_t second)
{
    const uint64_t flags = ENTRY | PTE_PCD | PTE_PWT;

    return window_raw((first & ~(uint64_t)(PAGE - 1)) | flags, (second & ~(uint64_t)(PAGE - 1)) | flags);
}
