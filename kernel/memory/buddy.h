/*
 * A buddy allocator over one range of pages, as pure logic: no locks. State lies in one byte a page and in the free
 * pages themselves.
 */
#ifndef KERNEL_MEMORY_BUDDY_H
#define KERNEL_MEMORY_BUDDY_H

#include "abi/types.h"

#define BUDDY_MAX_ORDER 10 /* 2^10 pages: 4 MiB */

struct buddy_block {
    struct buddy_block *next, *prev;
};

struct buddy {
    uint8_t *base;
    uint8_t *state; /* of each page: order + 1 of a free block that starts here, otherwise 0 */
    uint64_t pages, free;
    struct buddy_block heads[BUDDY_MAX_ORDER + 1];
};

/* [base, base + size): page-aligned. The first pages hold the state bytes; the rest is free. */
void buddy_init(struct buddy *b, void *base, uint64_t size);

/* 2^order pages, aligned to their size from base on, contents undefined; NULL: there are none. */
void *buddy_alloc(struct buddy *b, unsigned order);

/* Exactly what buddy_alloc gave. False: some of it is not allocated (so it is of another size, or freed twice), or it
 * never was a block; nothing done. Only a part of a block cannot be told from a whole one. */
bool buddy_free(struct buddy *b, void *block, unsigned order) MUST_CHECK;

#endif
