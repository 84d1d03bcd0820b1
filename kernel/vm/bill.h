/* The VMs that make work for control pay for control's CPU time (docs/security.md). */
#ifndef KERNEL_VM_BILL_H
#define KERNEL_VM_BILL_H

#include "kernel/threads/thread.h"

/* Control's next work is for that VM, too. vm: the VM's id. Any CPU, any context. */
void bill_cause(uint32_t vm);

/* struct thread_owner's left() of control's thread. Divides evenly among those VMs what control has run since the last
 * call, and adds it to their groups' bills. If control sleeps (not runnable), its work for these VMs is done. */
void bill_control(struct thread *t, bool runnable);

#endif
