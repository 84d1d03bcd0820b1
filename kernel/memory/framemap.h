/* Which 2 MiB frames of physical memory are free for guests: a bitmap, as pure logic, without locks. */
#ifndef KERNEL_MEMORY_FRAMEMAP_H
#define KERNEL_MEMORY_FRAMEMAP_H

#include "kernel/memory/mem.h"

struct framemap {
    uint64_t *bits; /* one for each frame; 1: free */
    uint64_t count; /* frames that the map covers */
    uint64_t free, total;
};

/* How many bytes `bits` needs for the memory below end. */
uint64_t framemap_bytes(uint64_t end);
/* For the memory below end. bits: zeroed, framemap_bytes(end) long. No frame is free yet. */
void framemap_init(struct framemap *map, uint64_t *bits, uint64_t end);
/* The frames that lie wholly in [base, base + size) become free. */
void framemap_add(struct framemap *map, uint64_t base, uint64_t size);
/* Every frame that [base, base + size) touches is not free any more. */
void framemap_take(struct framemap *map, uint64_t base, uint64_t size);
/* As frames_alloc() and frames_free() of kernel/memory/mem.h, without their lock. */
int framemap_alloc(struct framemap *map, uint64_t bytes, struct frame_extent *out, uint32_t max);
void framemap_free(struct framemap *map, const struct frame_extent *extents, uint32_t count);

#endif
