/* What stays known of the start of the machine. Constant once the first thread runs. */
#ifndef KERNEL_BOOT_H
#define KERNEL_BOOT_H

#include "kernel/acpi.h"
#include "kernel/bootinfo.h"

extern struct bootinfo boot;
extern struct acpi_info acpi;

/* Copies physical memory that root does not map, through the window. True: acpi_parse() has it so. */
bool phys_read(uint64_t address, void *out, uint32_t size);

#endif
