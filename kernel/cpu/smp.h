/* All the CPUs, and stopping them. */
#ifndef KERNEL_CPU_SMP_H
#define KERNEL_CPU_SMP_H

#include "kernel/base/acpi.h"
#include "kernel/base/bootinfo.h"
#include "kernel/base/percpu.h"

/* Starts every CPU of the MADT by INIT-SIPI-SIPI (SDM Vol. 3, 9.4.4); each comes to entry() after
 * percpu_load, paging_enable, trap_load, apic_enable, and does not return from it. One that does not answer costs a log
 * line. Returns how many run, the BSP included. The BSP's percpu area is there already. */
uint32_t smp_start(const struct acpi_info *acpi, const struct bootinfo *boot, void (*entry)(void));

/* The area of one more CPU, loaded by nobody yet. NULL: no memory, or too many. */
struct percpu *smp_add_cpu(uint32_t apic_id) MUST_CHECK;

/* Stops all other CPUs for good, by NMI. From any context. A panic does so once smp_start() was called. */
void smp_stop_others(void);

#endif
