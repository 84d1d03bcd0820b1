/*
 * Second-level page tables: nested paging (APM Vol. 2, 15.25) and EPT (SDM Vol. 3, 29.3). Both have four levels of 512
 * entries, and the address, the page-size bit and a present bit in the same places of an entry.
 */
#ifndef KERNEL_MEMORY_NESTED_H
#define KERNEL_MEMORY_NESTED_H

#include "kernel/memory/paging.h"

struct nested_format {
    uint64_t table; /* bits of an entry that points to a table; bit 0 is one of them */
    uint64_t leaf;  /* bits of an entry that maps a page, without the page-size bit */
    bool huge;      /* 1 GiB pages are allowed */
    bool large;     /* 2 MiB pages are allowed */
};

/*
 * Maps [guest, guest + size) to [to, to + size), with the largest pages that fit. All three are page-aligned. OK;
 * E_NOMEM: part of it may be mapped.
 */
int nested_map(uint64_t *top, const struct nested_format *f, gpaddr_t guest, paddr_t to, uint64_t size) MUST_CHECK;
/* Frees the tables, the top one too, but not the pages that they map. NULL: nothing. */
void nested_destroy(uint64_t *top);

#endif
