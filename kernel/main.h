/* Root's start, in C. */
#ifndef KERNEL_MAIN_H
#define KERNEL_MAIN_H

#include "abi/types.h"

/* From boot/entry.asm, on the early tables. information: physical address of what the boot loader tells. */
enum boot_protocol { BOOT_MULTIBOOT2, BOOT_PVH };
_Noreturn void boot_main(enum boot_protocol protocol, uint64_t information);

/* Each CPU, when it has its per-CPU area, tables, traps and LAPIC: becomes a place for threads. */
_Noreturn void cpu_main(void);

#endif
