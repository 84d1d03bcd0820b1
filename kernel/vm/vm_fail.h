/* A device world that fails ends its own guest, and no other. */
#ifndef KERNEL_VM_VM_FAIL_H
#define KERNEL_VM_VM_FAIL_H

#include "kernel/worlds/world.h"

/* struct world's crashed() of a device world: ends the guest. */
void vm_world_crashed(struct thread *t, const struct trap_frame *f, uint64_t address, const char *meaning);

/* struct thread_owner's watch() of a device world's threads: ends the guest if this thread has not answered root for
 * long. */
void vm_world_watch(struct thread *t);

#endif
