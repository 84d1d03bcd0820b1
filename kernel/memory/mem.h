/*
 * Physical memory: root's pool, which root maps at DIRECT_MAP_BASE, and guest frames, which root does not map. All
 * functions but mem_init() may be called on any CPU.
 */
#ifndef KERNEL_MEMORY_MEM_H
#define KERNEL_MEMORY_MEM_H

#include "kernel/base/bootinfo.h"
#include "kernel/base/layout.h"

/*
 * Splits the machine's memory into pool and frames. False: there is too little memory, and a log line has said so.
 * Called once, on the BSP, on the early page tables.
 */
bool mem_init(const struct bootinfo *info) MUST_CHECK;

/* 2^order zeroed pages of root's pool, aligned to their total size. NULL: there are none left. */
void *page_alloc(unsigned order) MUST_CHECK;
/* pages, order: as page_alloc() gave them; NULL: nothing. */
void page_free(void *pages, unsigned order);

static inline paddr_t page_to_pa(const void *page) { return pa((uint64_t)page - DIRECT_MAP_BASE); }
static inline void *pa_to_page(paddr_t address) { return (void *)(address.v + DIRECT_MAP_BASE); }

/* Memory for guests: a physically contiguous piece of whole 2 MiB frames. */
struct frame_extent {
    paddr_t base;
    uint64_t size; /* bytes, a multiple of LARGE_PAGE_SIZE */
};

/*
 * bytes: rounded up to 2 MiB. Parts of a GiB are GiB-aligned if such runs of frames are free. The contents are
 * undefined. Returns how many extents were written to out, 1..max. E_NOMEM: too little is free, or it lies in more than
 * max pieces; then nothing is taken.
 */
int frames_alloc(uint64_t bytes, struct frame_extent *out, uint32_t max) MUST_CHECK;
void frames_free(const struct frame_extent *extents, uint32_t count);

struct mem_counts {
    uint64_t pool_total, pool_free, frames_total, frames_free; /* bytes */
    uint64_t pool_base;
};
struct mem_counts mem_counts(void);

/* Fault injection: a debugger writes n here, and the n-th page_alloc() or frames_alloc() from then on fails, once. */
extern uint32_t mem_fail_in;

#endif
