/* Page tables (SDM Vol. 3, 4.5): root's own half, and one table for each world that shares it. */
#ifndef KERNEL_MEMORY_PAGING_H
#define KERNEL_MEMORY_PAGING_H

#include "kernel/memory/mem.h"

#define PT_WRITE    1u
#define PT_USER     2u
#define PT_EXEC     4u /* without it: no-execute */
#define PT_UNCACHED 8u

/* Builds root's tables and loads them; the early ones are not used any more. False: no memory. Once, on the BSP. */
bool paging_init(void) MUST_CHECK;
/* Protection bits of this CPU's CR0, CR4 and EFER (WP, SMEP, SMAP, UMIP, PGE, NXE), and root's tables. Each CPU. */
void paging_enable(void);
/* CR3 of a CPU that runs no world. */
paddr_t paging_root(void);

/* A top-level table whose lower half is empty, for a world; NULL: no memory. */
uint64_t *pt_create(void) MUST_CHECK;
/* Frees the tables of the lower half; what they map belongs to others. */
void pt_destroy(uint64_t *pt);

/* Maps [va, va + size) to [to, to + size), all page-aligned, with the largest pages that fit; nothing may be mapped
 * there yet. E_NOMEM: then nothing of it is mapped. pt NULL: root's own table. */
int pt_map(uint64_t *pt, uint64_t va, paddr_t to, uint64_t size, uint32_t flags) MUST_CHECK;
/* Takes mappings made by pt_map away again; table pages stay. TLBs are the caller's affair. */
void pt_unmap(uint64_t *pt, uint64_t va, uint64_t size);

/* Device registers, uncached, for ever; NULL: no memory. */
volatile void *map_device(paddr_t base, uint64_t size) MUST_CHECK;

/* One page that root does not map otherwise, on this CPU, until window_unmap; interrupts stay off. One at a time.
 * Never fails. */
void *window_map(paddr_t page, bool write);
void window_unmap(void);

/* 16 KiB of stack above an unmapped page: its upper end, NULL: no memory. kstack_free takes what kstack_alloc gave. A
 * CPU calls kstack_sync before it runs on a stack that it has not seen yet. */
#define KSTACK_SIZE 16384ull
uint64_t kstack_alloc(void) MUST_CHECK;
void kstack_free(uint64_t top);
void kstack_sync(void);

/* Walks a whole table (NULL: root's) and logs how many pages it maps, and how many writable and executable. */
void pt_check_wx(const uint64_t *pt, const char *whose);

#endif
