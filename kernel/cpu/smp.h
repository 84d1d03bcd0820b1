/* How the other CPUs are started, and how they are stopped. */
#ifndef KERNEL_CPU_SMP_H
#define KERNEL_CPU_SMP_H

#include "kernel/base/acpi.h"
#include "kernel/base/bootinfo.h"
#include "kernel/base/percpu.h"

/*
 * Starts every CPU of the MADT by INIT-SIPI-SIPI (SDM Vol. 3, 9.4.4). Each CPU calls entry(), which must not return,
 * after paging_enable(), percpu_load(), trap_load() and apic_enable(). If a CPU does not answer, a log line says so,
 * and the CPUs after it are not started. Returns how many CPUs run, with the BSP, whose percpu area exists already.
 */
uint32_t smp_start(const struct acpi_info *acpi, const struct bootinfo *boot, void (*entry)(void));

/* Makes the area of one more CPU, which no CPU has loaded yet. NULL: no memory, or too many CPUs. */
struct percpu *smp_add_cpu(uint32_t apic_id) MUST_CHECK;

/* Stops all other CPUs for good, by NMI. Any context. A panic does this, too, once smp_start() has been called. */
void smp_stop_others(void);

#endif
