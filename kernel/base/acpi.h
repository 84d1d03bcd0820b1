/* ACPI's static tables (ACPI 6.4, 5.2), as far as root needs them. Pure parser: every length and checksum is
 * checked. */
#ifndef KERNEL_BASE_ACPI_H
#define KERNEL_BASE_ACPI_H

#include "abi/abi.h"

#define ACPI_MAX_IOAPICS 16
#define ACPI_MAX_TABLES  64

struct acpi_ioapic {
    uint64_t address;
    uint32_t gsi_base;
};
struct acpi_isa_irq { /* how an ISA interrupt arrives */
    uint32_t gsi;
    bool level, active_low;
};
struct acpi_info {
    uint64_t rsdp;      /* physical address, 0: none found */
    uint32_t cpu_count; /* enabled ones, in the MADT's order */
    uint32_t cpus_lost;
    uint32_t apic_ids[ABI_MAX_CPUS];
    uint32_t ioapic_count;
    struct acpi_ioapic ioapics[ACPI_MAX_IOAPICS];
    struct acpi_isa_irq isa[16];
    uint16_t pm_timer; /* I/O port, 0: none */
    uint32_t table_count;
    struct {
        uint64_t base, size;
    } tables[ACPI_MAX_TABLES]; /* where the tables lie, RSDP included: what control may read */
};

/* read(address, out, size) copies physical memory; false: not readable. rsdp: physical address or 0; then rsdp_copy (of
 * rsdp_size bytes) if that is not 0, else the BIOS areas are searched. OK, E_NOENT: no RSDP or MADT; E_FORMAT. */
int acpi_parse(struct acpi_info *out, uint64_t rsdp, const void *rsdp_copy, uint32_t rsdp_size,
               bool (*read)(uint64_t address, void *out, uint32_t size));

#endif
