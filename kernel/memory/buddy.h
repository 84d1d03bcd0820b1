/*
 * A buddy allocator over one range of pages, as pure logic: no locks. Its state is one byte for each page, and the
 * links in the free pages themselves.
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

/* [base, base + size): page-aligned. The first pages hold the state bytes. The rest is free. */
void buddy_init(struct buddy *b, void *base, uint64_t size);

/* 2^order pages, contents undefined. Their offset from base is a multiple of their total size. NULL: there are none. */
void *buddy_alloc(struct buddy *b, unsigned order);

/*
 * block, order: exactly what buddy_alloc() gave. False, and nothing is done: some page of it is not allocated (the
 * order is wrong, or it was freed before), or it cannot be a block. A part of a block is not told from a whole block.
 */
bool buddy_free(struct buddy *b, void *block, unsigned order) MUST_CHECK;

#endif
