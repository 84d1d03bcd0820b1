/* From boot modules to a guest that is ready to start: image, command line, initrd or modules, ACPI tables. */
#ifndef USER_LOADER_LOADER_H
#define USER_LOADER_LOADER_H

#include "abi/abi.h"

enum image_kind { IMAGE_UNKNOWN, IMAGE_LINUX, IMAGE_PVH, IMAGE_MULTIBOOT };

/*
 * What an image is, by its content: a bzImage, an ELF file with a PVH entry, or else one with a multiboot1 header.
 * Any bytes, of any size; whether the rest of it is sound is found out by loading it.
 */
enum image_kind image_kind(const void *image, uint64_t size);

/* Of one that is of no kind that is known: what to do about it. */
const char *image_advice(const void *image, uint64_t size);

/* Where the image's multiboot1 header is, in *header: all of it is inside the image. False: there is none. */
bool multiboot_find(const void *image, uint64_t size, uint32_t *header);
#define MULTIBOOT_HAS_ADDRESSES (1u << 16) /* flag in the header: load addresses follow it */

#define LOADER_MODULES 16

struct loader_module {
    const uint8_t *data;
    uint64_t size;
    const char *name, *arguments;
};

/* A piece of guest RAM, to the byte before end. */
struct loader_span {
    uint64_t base, end;
};
#define LOADER_TAKEN 64

/* Guest RAM, all zero, and where messages go; the loader writes nowhere else. */
struct loader {
    uint8_t *ram;                /* of ram_low bytes, at guest-physical 0; at least 1 MiB */
    uint64_t ram_low, ram_high;  /* bytes from 0, and from 4 GiB */
    struct loader_module image;  /* data NULL: empty file */
    struct loader_module initrd; /* data NULL: none */
    const char *cmdline;
    uint32_t vcpus;
    bool lapic;
    uint32_t cpu_signature, cpu_features; /* CPUID.1 EAX[11:0] and EDX: the MP table tells of them */
    const uint8_t *dsdt;
    uint32_t dsdt_size;
    void (*message)(const char *fmt, ...) PRINTF_LIKE(1, 2);
    uint32_t module_count;
    struct loader_module modules[LOADER_MODULES];

    /* loader_load()'s own. What is in use by now, ascending, with gaps between; and its area: AREA_* below. */
    uint32_t taken_count;
    struct loader_span taken[LOADER_TAKEN];
    uint32_t area;
};

/*
 * Puts everything in place and says in *bsp how the BSP starts: OK, or E_FORMAT, E_NOTSUP, E_NOMEM, E_RANGE after one
 * message.
 */
int loader_load(struct loader *l, struct abi_regs *bsp);

/* loader_load for this device world's guest. */
int guest_load(const struct abi_info *info, struct abi_regs *bsp);

/* The parts of loader_load. user/loader/linux.c: the Linux boot protocol (Documentation/arch/x86/boot.rst). */
int linux_load(struct loader *l, uint32_t rsdp, struct abi_regs *bsp);
/* user/loader/pvh.c: Xen's PVH start protocol (docs/misc/pvh.pandoc). */
int pvh_load(struct loader *l, uint32_t rsdp, struct abi_regs *bsp);
/* user/loader/multiboot.c: the Multiboot specification, version 0.6.96. */
int multiboot_load(struct loader *l, struct abi_regs *bsp);
/* user/loader/tables.c: the ACPI tables, at ACPI_TABLES_BASE; the RSDP's address, 0: they don't fit. */
uint32_t acpi_tables_build(const struct loader *l);

/* user/loader/mp.c: the MP tables, at MP_TABLES_BASE, of a guest with LAPICs. */
void mp_tables_build(const struct loader *l);
/* user/loader/bios.c: the BIOS data areas. */
void bios_data_build(const struct loader *l);
/* The byte that makes the sum of all size bytes 0, if it is put where a 0 is. */
uint8_t loader_checksum(const uint8_t *p, uint32_t size);

/* user/loader/place.c: RAM as a guest is told of it, `type` as in ACPI's E820 (1 RAM, 2 reserved). */
struct loader_range {
    uint64_t base, size;
    uint32_t type;
};
#define LOADER_RANGES 4
unsigned loader_memory_map(const struct loader *l, struct loader_range map[LOADER_RANGES]);

/*
 * Copies size bytes (0: none, data may be NULL) to guest-physical `at`, where memory_size must be RAM that images may
 * have: [0x1000, 0x9f000), or from 1 MiB to the end of low RAM. It may overlap what is in use: parts of one image do.
 * E_NOMEM, E_RANGE after a message.
 */
int loader_place(struct loader *l, uint64_t at, const void *data, uint64_t size, uint64_t memory_size);
/* The lowest free place of size bytes (1..) in [from, to) at a multiple of align, a power of two; 0: there is none. */
uint64_t loader_find(const struct loader *l, uint64_t size, uint64_t align, uint64_t from, uint64_t to);
/* The highest free place of whole pages from 1 MiB to `to`. */
uint64_t loader_find_highest(const struct loader *l, uint64_t size, uint64_t to);
/* Finds a place for the loader's area, and copies the command line there: once, when the image is in place. */
int loader_place_area(struct loader *l);
/* Copies one module to a page of its own: at or above *next, which is moved behind it, or else below. *at: where. */
int loader_place_module(struct loader *l, const struct loader_module *module, uint64_t *next, uint32_t *at);
/*
 * Say why RAM from `at` on is not there for the image, or why a file does not fit beside the image below limit: E_NOMEM
 * if more memory would help, which the message says, and how much; else E_RANGE.
 */
int loader_refuse_range(const struct loader *l, uint64_t at, uint64_t size);
int loader_refuse_file(const struct loader *l, const struct loader_module *file, uint64_t limit);
/* Puts "name arguments" of a module behind *used bytes of the area for texts, which has room for all: its address. */
uint32_t loader_place_text(const struct loader *l, uint32_t *used, const struct loader_module *module);

/* user/loader/cpu.c: how the BSP starts: everything zero but what the mode needs, at RIP = entry. */
void cpu_protected_mode(const struct loader *l, uint64_t entry, struct abi_regs *r);
/* With the first 4 GiB mapped one to one. */
void cpu_long_mode(const struct loader *l, uint64_t entry, struct abi_regs *r);

/* The loader's own structures: offsets in its area, which goes to 0x1000 unless the image is there. */
#define AREA_GDT       0x0000u
#define AREA_INFO      0x1000u /* zero page, PVH start info or multiboot information */
#define AREA_CMDLINE   0x2000u
#define AREA_PML4      0x3000u /* and the five pages after it */
#define AREA_TEXT      0x9000u /* modules' command lines */
#define AREA_TEXT_SIZE 0x2000u
#define AREA_SIZE      0xb000u

/* Guest-physical layout. */
#define LOW_RAM_BASE     0x1000u /* below are the BIOS's vectors and data */
#define LOW_RAM_END      0x9f000u
#define HIGH_RAM_BASE    0x100000u
#define ACPI_TABLES_BASE 0xe0000u
#define ACPI_TABLES_END  0xf0000u
#define MP_TABLES_BASE   0xf0000u /* kernels look for them from here on */
#define MP_TABLES_END    0x100000u

#endif
