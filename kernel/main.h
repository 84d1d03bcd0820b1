/* Root's start, in C. */
#ifndef KERNEL_MAIN_H
#define KERNEL_MAIN_H

#include "kernel/base/boot.h"

/* Called by boot/entry.asm, on the early page tables. information: physical address of what the boot loader tells. */
_Noreturn void boot_main(enum boot_protocol protocol, uint64_t information);

#endif
