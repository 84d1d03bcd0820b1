/* From a boot module to a guest that is ready to start: image, command line, initrd, ACPI tables. */
#ifndef USER_LOADER_LOADER_H
#define USER_LOADER_LOADER_H

#include "abi/abi.h"

enum image_kind { IMAGE_UNKNOWN, IMAGE_LINUX };

/* What an image is, by its content. Any bytes, of any size. */
enum image_kind image_kind(const void *image, uint64_t size);

/* Guest RAM and where messages go; the loader writes nowhere else. */
struct loader {
    uint8_t *ram; /* of ram_low bytes, at guest-physical 0 */
    uint64_t ram_low, ram_high;
    const uint8_t *image, *initrd; /* initrd NULL: none */
    uint64_t image_size, initrd_size;
    const char *cmdline;
    uint32_t vcpus;
    bool lapic;
    const uint8_t *dsdt;
    uint32_t dsdt_size;
    void (*message)(const char *fmt, ...) PRINTF_LIKE(1, 2);
};

/* Puts everything in place and says in *bsp how the BSP starts: OK, or E_FORMAT, E_NOTSUP, E_NOMEM after one message.
 */
int loader_load(const struct loader *l, struct abi_regs *bsp);

/* loader_load for this device world's guest. */
int guest_load(const struct abi_info *info, struct abi_regs *bsp);

/* user/loader/linux.c: the Linux boot protocol (Documentation/arch/x86/boot.rst), 64-bit entry. */
int linux_load(const struct loader *l, uint32_t rsdp, struct abi_regs *bsp);
/* user/loader/tables.c: the ACPI tables, at ACPI_TABLES_BASE; the RSDP's address, 0: they don't fit. */
uint32_t acpi_tables_build(const struct loader *l);

/* Guest-physical layout that the loader chooses. */
#define LOADER_GDT       0x1000u
#define LOADER_ZERO_PAGE 0x2000u
#define LOADER_CMDLINE   0x3000u
#define LOADER_PML4      0x4000u /* and the five pages after it */
#define LOW_RAM_END      0x9f000u
#define ACPI_TABLES_BASE 0xe0000u
#define ACPI_TABLES_END  0x100000u

#endif
