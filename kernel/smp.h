/* All the CPUs, and stopping them. */
#ifndef KERNEL_SMP_H
#define KERNEL_SMP_H

#include "kernel/acpi.h"
#include "kernel/bootinfo.h"

/* Starts every CPU of the MADT by INIT-SIPI-SIPI (SDM Vol. 3, 9.4.4); each comes to cpu_main() in kernel/main.c after
 * percpu_load, paging_enable, trap_load, apic_enable. One that does not answer costs a log line. Returns how many run,
 * the BSP included. The BSP's percpu area is there already. */
uint32_t smp_start(const struct acpi_info *acpi, const struct bootinfo *boot);

/* Stops all other CPUs for good, by NMI. From any context. */
void smp_stop_others(void);
/* Called by the NMI handler: does not return if this CPU is to stop. */
void smp_stop_check(void);

#endif
