/*
 * Physical memory: root's pool, mapped in root at DIRECT_MAP_BASE, and guest frames, which root does not map. Any CPU.
 */
#ifndef KERNEL_MEMORY_MEM_H
#define KERNEL_MEMORY_MEM_H

#include "kernel/base/bootinfo.h"
#include "kernel/base/layout.h"

/* Splits the machine's memory. False: there is too little, said in a log line. Once, on the BSP, on the early
 * tables. */
bool mem_init(const struct bootinfo *info) MUST_CHECK;

/* 2^order zeroed pages of root's pool, aligned to their size; NULL: none left. */
void *page_alloc(unsigned order) MUST_CHECK;
/* What page_alloc gave, or NULL. */
void page_free(void *pages, unsigned order);

static inline paddr_t page_to_pa(const void *page) { return pa((uint64_t)page - DIRECT_MAP_BASE); }
static inline void *pa_to_page(paddr_t address) { return (void *)(address.v + DIRECT_MAP_BASE); }

/* Memory for guests: physically contiguous pieces of whole 2 MiB frames, contents undefined. */
struct frame_extent {
    paddr_t base;
    uint64_t size; /* bytes, a multiple of LARGE_PAGE_SIZE */
};

/* bytes is rounded up to 2 MiB. GiB-sized parts are GiB-aligned if such runs are free. Returns how many extents were
 * written to out, 1..max; E_NOMEM: too little, or more than max pieces; nothing is taken then. */
int frames_alloc(uint64_t bytes, struct frame_extent *out, uint32_t max) MUST_CHECK;
void frames_free(const struct frame_extent *extents, uint32_t count);

struct mem_counts {
    uint64_t pool_total, pool_free, frames_total, frames_free; /* bytes */
    uint64_t pool_base;
};
struct mem_counts mem_counts(void);

/* Fault injection: a debugger makes the n-th page_alloc or frames_alloc from now fail, once, by writing n here. */
extern uint32_t mem_fail_in;

#endif
