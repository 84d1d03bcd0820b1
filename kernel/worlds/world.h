/* Worlds: ring-3 programs, each in an address space of its own. */
#ifndef KERNEL_WORLDS_WORLD_H
#define KERNEL_WORLDS_WORLD_H

#include "kernel/memory/paging.h"
#include "kernel/threads/thread.h"

struct trap_frame;
struct vm;

struct world {
    uint64_t *pt;
    struct vm *vm; /* this is the VM's device world; NULL: this is control */
    uint32_t slots;
    struct abi_info *info;       /* ABI_INFO_PAGES pages */
    struct abi_console *console; /* of a device world */
    uint8_t *data;               /* pages of data and bss */
    uint32_t data_order;
    struct thread *worker;
    struct abi_page *pages[1 + ABI_MAX_VCPUS];
    uint8_t *stacks[1 + ABI_MAX_VCPUS];
    _Atomic uint32_t alive; /* how many threads it has */
    _Atomic bool ending;    /* its threads have to leave ring 3 for good */
    /*
     * Called when an exception has come in ring 3, on the thread that has it. address: that of a page fault, else 0.
     * meaning: what there is to say about the vector, for the end of a line in the log.
     */
    void (*crashed)(struct thread *t, const struct trap_frame *f, uint64_t address, const char *meaning);
};

/*
 * Makes an address space with the program, the information pages, and a page and a stack for each slot. vm: whose
 * device world it is; NULL: control. Returns NULL: no memory.
 */
struct world *world_create(struct vm *vm, uint32_t slots) MUST_CHECK;
/* Frees the world and its worker, which must be dead or have never run. NULL: nothing. */
void world_destroy(struct world *w);
/* Maps the console rings of VM number vm, which belong to that VM's device world, into control. OK, E_NOMEM. */
int world_map_console(struct world *control, uint32_t vm, const struct abi_console *console) MUST_CHECK;
/* Takes these rings out of control again. Called by control's thread. */
void world_unmap_console(struct world *control, uint32_t vm);
/*
 * Makes a boot module readable in this world, and writes its address to the information pages. OK; E_NOMEM. One that is
 * empty or does not begin on a page boundary is left out, with OK.
 */
int world_map_module(struct world *w, uint32_t module) MUST_CHECK;
#endif
