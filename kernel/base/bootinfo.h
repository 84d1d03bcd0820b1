/*
 * A parser for what the boot loader tells: memory, modules, and where ACPI's tables begin (Multiboot2 specification
 * 2.0, section 3.6; Xen's docs/misc/pvh.pandoc). Pure: it reads only the bytes that it is given, checks every length,
 * and keeps only copies.
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
    uint32_t regions_lost, modules_lost; /* how many did not fit */
    uint64_t rsdp;                       /* physical address; 0: not told. If rsdp_size > 0, rsdp_copy is valid */
    uint32_t rsdp_size;
    uint8_t rsdp_copy[36];
    struct boot_region regions[BOOTINFO_REGIONS];
    struct boot_module modules[ABI_MAX_MODULES];
};

/* Reads Multiboot2 information of at most size bytes. OK; E_FORMAT: out holds what came before the fault. */
int bootinfo_multiboot2(struct bootinfo *out, const void *data, uint64_t size);

/*
 * Reads PVH start information at the physical address `start`. read(address, size) returns a pointer to the physical
 * memory there; NULL: it cannot be read. OK; E_FORMAT: out holds what came before the fault.
 */
int bootinfo_pvh(struct bootinfo *out, uint64_t start, const void *(*read)(uint64_t address, uint64_t size));

#endif
