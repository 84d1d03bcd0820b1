/* Worlds: ring-3 programs, each in an address space of its own. */
#ifndef KERNEL_WORLDS_WORLD_H
#define KERNEL_WORLDS_WORLD_H

#include "kernel/memory/paging.h"
#include "kernel/threads/thread.h"

struct trap_frame;
struct vm;

struct world {
    uint64_t *pt;
    struct vm *vm; /* whose device world it is; NULL: control */
    uint32_t slots;
    struct abi_info *info;       /* ABI_INFO_PAGES pages */
    struct abi_console *console; /* of a device world */
    uint8_t *data;               /* pages of data and bss */
    uint32_t data_order;
    struct thread *worker;
    struct abi_page *pages[1 + ABI_MAX_VCPUS];
    uint8_t *stacks[1 + ABI_MAX_VCPUS];
    _Atomic uint32_t alive; /* threads */
    _Atomic bool ending;    /* its threads leave ring 3 for good */
    /* What its owner does when an exception has come in ring 3, on the thread that has it. address: a page fault's, else 0.
     * meaning: what there is to say about the vector, behind all else. */
    void (*crashed)(struct thread *t, const struct trap_frame *f, uint64_t address, const char *meaning);
};

/* An address space with the program, information page, and for each slot a page and a stack. vm NULL: control's.
 * NULL: no memory. */
struct world *world_create(struct vm *vm, uint32_t slots) MUST_CHECK;
void world_destroy(struct world *w);
/* Maps the console rings of VM number vm, which are another world's, into control (and takes them out again): OK, E_NOMEM. */
int world_map_console(struct world *control, uint32_t vm, const struct abi_console *console) MUST_CHECK;
void world_unmap_console(struct world *control, uint32_t vm);
/* Makes a boot module readable in this world and enters it in its information page. */
int world_map_module(struct world *w, uint32_t module) MUST_CHECK;
#endif
