/* Physical memory that root does not map. */
#ifndef KERNEL_MEMORY_PHYS_READ_H
#define KERNEL_MEMORY_PHYS_READ_H

#include "abi/types.h"

/* Copies size bytes from there through the window (kernel/memory/paging.h). True: acpi_parse() has it so. */
bool phys_read(uint64_t address, void *out, uint32_t size);

#endif
