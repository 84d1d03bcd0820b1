/* Worlds: ring-3 programs, each in an address space of its own. */
#ifndef KERNEL_WORLD_H
#define KERNEL_WORLD_H

#include "kernel/paging.h"
#include "kernel/thread.h"

struct vm;

struct world {
    uint64_t *pt;
    struct vm *vm; /* NULL: control */
    uint32_t slots;
    struct abi_info *info;       /* ABI_INFO_PAGES pages */
    struct abi_console *console; /* of a device world */
    uint8_t *data;               /* pages of data and bss */
    uint32_t data_order;
    struct thread *worker;
    struct abi_page *pages[1 + ABI_MAX_VCPUS];
    uint8_t *stacks[1 + ABI_MAX_VCPUS];
    _Atomic uint32_t alive; /* threads */
};

/* An address space with the program, information page, and for each slot a page and a stack. vm NULL: control's.
 * NULL: no memory. */
struct world *world_create(struct vm *vm, uint32_t slots) MUST_CHECK;
void world_destroy(struct world *w);
/* Maps a VM's console rings into control (and takes them out again): OK, E_NOMEM. */
int world_map_console(struct world *control, const struct vm *vm) MUST_CHECK;
void world_unmap_console(struct world *control, const struct vm *vm);
/* Makes a boot module readable in this world and enters it in its information page. */
int world_map_module(struct world *w, uint32_t module) MUST_CHECK;
/* Root mirrors a world's log line: one line, printable. */
extern struct world *control_world;

#endif
