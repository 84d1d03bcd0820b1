/* Machine checks of the CPUs: reads and clears the banks, and acts on errors. kernel/vm/machine_check.h judges them. */
#ifndef KERNEL_VM_MACHINE_CHECK_CPU_H
#define KERNEL_VM_MACHINE_CHECK_CPU_H

#include "abi/types.h"

/* Registers the handlers. Called once, before interrupts are on. */
void machine_check_init(void);

/* Switches on the errors of all banks of this CPU (SDM Vol. 3, 17.8). Logs and clears what the firmware left in them.
 * Called once on each CPU. */
void machine_check_init_cpu(void);

/* Called when #MC made a guest exit, or made an entry fail. True: what the guest did is lost, and the guest has to end.
 * Panics if more is lost. */
bool machine_check_in_guest(void) MUST_CHECK;

/* Logs the machine checks since the last call, and ends guests whose RAM has an uncorrected error. Only control's
 * thread, which #MC wakes. */
void machine_check_report(void);

#endif
