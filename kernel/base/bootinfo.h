/*
 * What the boot loader tells: memory, modules, where ACPI starts. Pure: parses bytes that it is given, checks every
 * length, keeps copies only. (Multiboot2 specification 2.0, section 3.6; Xen's docs/misc/pvh.pandoc.)
 */
#ifndef KERNEL_BASE_BOOTINFO_H
#define KERNEL_BASE_BOOTINFO_H

#include "abi/abi.h"

#define BOOTINFO_REGIONS 256

struct boot_region {
    uint64_t base, size; /* bytes; the end is at most 2^52 */
    bool ram;            /* free RAM, as the firmware sees it */
};

struct boot_module {
    uint64_t base, size;             /* below 2^52 */
    char name[ABI_MODULE_NAME_SIZE]; /* its command line, cut to fit */
};

struct bootinfo {
    uint32_t region_count, module_count;
    uint32_t regions_lost, modules_lost; /* did not fit */
    uint64_t rsdp;                       /* physical address; 0: not told. rsdp_copy counts if rsdp_size > 0 */
    uint32_t rsdp_size;
    uint8_t rsdp_copy[36];
    struct boot_region regions[BOOTINFO_REGIONS];
    struct boot_module modules[ABI_MAX_MODULES];
};

/* Multiboot2 information of at most size bytes at data: OK, E_FORMAT (out then holds what came before the fault). */
int bootinfo_multiboot2(struct bootinfo *out, const void *data, uint64_t size);

/* PVH start information. read(address, size) gives the physical memory there, or NULL: OK, E_FORMAT. */
int bootinfo_pvh(struct bootinfo *out, uint64_t start, const void *(*read)(uint64_t address, uint64_t size));

#endif
