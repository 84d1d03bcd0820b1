/* Page tables (SDM Vol. 3, 4.5): root's own half, and a table for each world, which shares root's half. */
#ifndef KERNEL_MEMORY_PAGING_H
#define KERNEL_MEMORY_PAGING_H

#include "kernel/memory/mem.h"

#define PT_WRITE    1u
#define PT_USER     2u
#define PT_EXEC     4u /* without it: no-execute */
#define PT_UNCACHED 8u

/*
 * Builds root's page tables and calls paging_enable(). The early tables are not used any more. False: no memory. Called
 * once, on the BSP.
 */
bool paging_init(void) MUST_CHECK;
/*
 * Sets the protection bits of this CPU's CR0, CR4 and EFER (WP, SMEP, SMAP, UMIP, PGE, NXE), and loads root's page
 * tables. Called on each CPU.
 */
void paging_enable(void);
/* What CR3 has on a CPU that runs no world. */
paddr_t paging_root(void);

/* A top-level table for a world: root's half, and an empty lower half. NULL: no memory. */
uint64_t *pt_create(void) MUST_CHECK;
/* Frees the top-level table and the tables of the lower half, but not the pages that they map. NULL: nothing. */
void pt_destroy(uint64_t *pt);

/*
 * Maps [va, va + size) to [to, to + size), with the largest pages that fit. All three are page-aligned. Nothing may be
 * mapped there yet. pt NULL: root's own table. flags: PT_*. E_NOMEM: nothing of it is mapped.
 */
int pt_map(uint64_t *pt, uint64_t va, paddr_t to, uint64_t size, uint32_t flags) MUST_CHECK;
/* Takes away mappings that pt_map() has made. The page tables stay. The caller flushes the TLBs. */
void pt_unmap(uint64_t *pt, uint64_t va, uint64_t size);

/* Maps a device's registers, uncached, for ever. NULL: no memory. */
volatile void *map_device(paddr_t base, uint64_t size) MUST_CHECK;

/*
 * Maps one page that root does not map otherwise, for this CPU, until window_unmap(). A CPU has one window, so one page
 * at a time. Interrupts stay off from window_map() to window_unmap(). Never fails.
 */
void *window_map(paddr_t page, bool write);
void window_unmap(void);

/* Kernel stacks of 16 KiB. Below each stack there are 16 KiB where nothing is mapped. */
#define KSTACK_SIZE 16384ull
/* Returns the upper end of a new stack. 0: no memory. */
uint64_t kstack_alloc(void) MUST_CHECK;
/* top: what kstack_alloc() gave; 0: nothing. */
void kstack_free(uint64_t top);
/* A CPU calls this before it runs on, or writes to, a stack that it has not used yet. */
void kstack_sync(void);

/* Walks a whole table (NULL: root's). Logs how many pages it maps, and how many of them are writable and executable. */
void pt_check_wx(const uint64_t *pt, const char *whose);

#endif
