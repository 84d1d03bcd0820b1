/* Who makes work for control pays for it (docs/security.md). */
#ifndef KERNEL_VM_BILL_H
#define KERNEL_VM_BILL_H

#include "kernel/threads/thread.h"

/* What control does next, it does for that VM, too. Any CPU, any context. */
void bill_cause(uint32_t vm);

/* struct thread_owner's left(), of control's thread: what it has run since the last time is divided evenly among those
 * VMs, by their groups' bills. If it sleeps, it has done with them. */
void bill_control(struct thread *t, bool runnable);

#endif
