/* Physical memory that root does not map. */
#ifndef KERNEL_MEMORY_PHYS_READ_H
#define KERNEL_MEMORY_PHYS_READ_H

#include "abi/types.h"

/*
 * Copies size bytes from the physical address through the window (kernel/memory/paging.h). Returns true, always:
 * acpi_parse() takes a reader that may fail.
 */
bool phys_read(uint64_t address, void *out, uint32_t size);

#endif
