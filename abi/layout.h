/* The address space of a world, and which thread has which page and stack. */
#ifndef ABI_LAYOUT_H
#define ABI_LAYOUT_H

#include "abi/types.h"

#define WORLD_IMAGE_BASE  0x0000000000400000ull /* text, rodata, data, bss */
#define WORLD_INFO_BASE   0x0000000070000000ull /* struct abi_info, read-only: ABI_INFO_PAGES pages */
#define WORLD_PAGES_BASE  0x0000000080000000ull /* struct abi_page of thread slot n at + n * PAGE_SIZE */
#define WORLD_STACKS_BASE 0x0000000100000000ull /* slot n's stack ends at + (n + 1) * WORLD_STACK_STRIDE */
/* struct abi_console: in a device world its own; in control that of each VM n. */
#define WORLD_CONSOLE_BASE 0x0000000200000000ull
#define WORLD_MODULES_BASE 0x0000001000000000ull /* boot modules, read-only, each at abi_info.modules[n].address */
#define WORLD_RAM_BASE     0x0000100000000000ull /* device worlds: guest-physical address g at + g, no-execute */
#define WORLD_USER_END     0x0000800000000000ull

#define WORLD_STACK_STRIDE 0x20000ull /* the rest below each stack is never mapped: a guard */
#define WORLD_STACK_SIZE   0x4000ull

/* Thread slots of a world: slot 0 is the world's own thread (the worker), slot 1 + n is the thread of vCPU n. Slot s
 * uses page s and stack s. */
#define ABI_SLOT_WORKER  0
#define ABI_SLOT_VCPU(n) (1 + (n))

#endif
