/* Which 2 MiB frames of physical memory are free for guests: a bitmap, as pure logic, without locks. */
#ifndef KERNEL_MEMORY_FRAMEMAP_H
#define KERNEL_MEMORY_FRAMEMAP_H

#include "kernel/memory/mem.h"

struct framemap {
    uint64_t *bits; /* 1: free */
    uint64_t count; /* frames that it covers */
    uint64_t free, total;
};

/* Bytes that bits needs for memory below end. */
uint64_t framemap_bytes(uint64_t end);
/* bits: zeroed. Nothing is free yet. */
void framemap_init(struct framemap *map, uint64_t *bits, uint64_t end);
/* Whole frames in [base, base + size) become free; every frame that [base, base + size) touches is taken away. */
void framemap_add(struct framemap *map, uint64_t base, uint64_t size);
void framemap_take(struct framemap *map, uint64_t base, uint64_t size);
/* As frames_alloc and frames_free of kernel/memory/mem.h. */
int framemap_alloc(struct framemap *map, uint64_t bytes, struct frame_extent *out, uint32_t max);
void framemap_free(struct framemap *map, const struct frame_extent *extents, uint32_t count);

#endif
