/* Machine checks of the CPUs: the banks, and what becomes of an error. kernel/vm/machine_check.h judges it. */
#ifndef KERNEL_VM_MACHINE_CHECK_CPU_H
#define KERNEL_VM_MACHINE_CHECK_CPU_H

#include "abi/types.h"

/* Once, before interrupts are on. */
void machine_check_init(void);

/* Lets each bank of this CPU tell of its errors (SDM Vol. 3, 17.8), and logs and clears what the firmware left in them.
 * Each CPU, once. */
void machine_check_init_cpu(void);

/* #MC made a guest exit, or kept it from entering. True: what the guest did is lost, and it has to end. Panics if more
 * is. */
bool machine_check_in_guest(void) MUST_CHECK;

/* Control's thread, which #MC wakes: puts what came since into the log, and ends guests whose RAM has an uncorrected
 * error. */
void machine_check_report(void);

#endif
