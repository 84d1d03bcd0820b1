/* Root's start, in C. */
#ifndef KERNEL_MAIN_H
#define KERNEL_MAIN_H

#include "kernel/base/boot.h"

/* From boot/entry.asm, on the early tables. */
_Noreturn void boot_main(enum boot_protocol protocol, uint64_t information);

#endif
