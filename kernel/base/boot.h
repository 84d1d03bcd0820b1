/* What root keeps of the boot information. It does not change any more once the first thread runs. */
#ifndef KERNEL_BASE_BOOT_H
#define KERNEL_BASE_BOOT_H

#include "kernel/base/acpi.h"
#include "kernel/base/bootinfo.h"

extern struct bootinfo boot;
extern struct acpi_info acpi;

/* boot/entry.asm knows these values. */
enum boot_protocol { BOOT_MULTIBOOT2, BOOT_PVH };

/*
 * Fills in `boot`, and logs what was cut off or did not fit. information: physical address of what the boot loader
 * tells. Called once, before all else that uses `boot`, on the early page tables, which map the first BOOT_EARLY_END
 * bytes one to one.
 */
#define BOOT_EARLY_END (4ull << 30)
void boot_read(enum boot_protocol protocol, uint64_t information);

#endif
