/* Who makes work for control pays for it (docs/security.md). */
#ifndef KERNEL_BILL_H
#define KERNEL_BILL_H

#include "kernel/thread.h"

/* What control does next, it does for that VM, too. Any CPU, any context. */
void bill_cause(uint32_t vm);

/* Control's thread leaves the CPU: what it has run since the last time is divided evenly among those VMs, by their
 * groups' bills. If it sleeps, it has done with them. */
void bill_control(struct thread *t, bool runnable);

#endif
