/* What stays known of the start of the machine. Constant once the first thread runs. */
#ifndef KERNEL_BASE_BOOT_H
#define KERNEL_BASE_BOOT_H

#include "kernel/base/acpi.h"
#include "kernel/base/bootinfo.h"

extern struct bootinfo boot;
extern struct acpi_info acpi;

/* From boot/entry.asm. information: physical address of what the boot loader tells. */
enum boot_protocol { BOOT_MULTIBOOT2, BOOT_PVH };

/* Fills in `boot`, and logs what was cut off or did not fit. On the early tables, which map BOOT_EARLY_END bytes one to
 * one. Once, first of all. */
#define BOOT_EARLY_END (4ull << 30)
void boot_read(enum boot_protocol protocol, uint64_t information);

#endif
