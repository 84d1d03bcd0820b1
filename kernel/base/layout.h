/* Root's virtual address space. The lower half belongs to the world of the running thread. */
#ifndef KERNEL_BASE_LAYOUT_H
#define KERNEL_BASE_LAYOUT_H

#include "abi/types.h"

#define KERNEL_BASE        0xffffffff80000000ull /* + physical address: root's image */
#define KERNEL_MAPPED_BASE 0xffff800000000000ull
#define DIRECT_MAP_BASE    0xffff800000000000ull /* + physical address: root's pool, read-write */
#define KSTACKS_BASE       0xffffff0000000000ull /* kernel stacks; below each, nothing is mapped for 16 KiB */
#define DEVICES_BASE       0xffffff8000000000ull /* LAPIC, IOAPICs, windows */

extern const char kernel_start[], kernel_text_end[], kernel_rodata_end[], kernel_end[], symbols_end[];
extern const char boot_stack_bottom[];

#endif
