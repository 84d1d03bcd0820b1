/* A device world that fails ends its guest, and nobody else. */
#ifndef KERNEL_VM_VM_FAIL_H
#define KERNEL_VM_VM_FAIL_H

#include "kernel/worlds/world.h"

/* struct world's crashed(), of a device world. */
void vm_world_crashed(struct thread *t, const struct trap_frame *f, uint64_t address, const char *meaning);

/* struct thread_owner's watch(), of its threads: one that does not answer root for long hangs. */
void vm_world_watch(struct thread *t);

#endif
