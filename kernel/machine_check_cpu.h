/* Machine checks of the CPUs: the banks, and what becomes of an error. kernel/machine_check.h judges it. */
#ifndef KERNEL_MACHINE_CHECK_CPU_H
#define KERNEL_MACHINE_CHECK_CPU_H

#include "abi/types.h"

struct trap_frame;

/* Once, before interrupts are on. */
void machine_check_init(void);

/* Lets each bank of this CPU tell of its errors (SDM Vol. 3, 17.8), and logs and clears what the firmware left in them.
 * Each CPU, once. */
void machine_check_init_cpu(void);

/* #MC came in root or in ring 3, with any lock held. False: nothing is lost. True: what a device world did is lost, and
 * it has to end. Panics if more is lost. */
bool machine_check_trap(const struct trap_frame *frame) MUST_CHECK;

/* #MC made a guest exit, or kept it from entering. True: what the guest did is lost, and it has to end. Panics if more
 * is. */
bool machine_check_in_guest(void) MUST_CHECK;

/* Control's thread, which #MC wakes: puts what came since into the log, and ends guests whose RAM has an uncorrected
 * error. */
void machine_check_report(void);

#endif
