/*
 * A parser for ACPI's static tables (ACPI 6.4, 5.2), as far as root needs them. Pure. It checks every length and
 * checksum.
 */
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
    uint64_t rsdp;      /* physical address; 0: it was not found, or there is only the boot loader's copy */
    uint32_t cpu_count; /* enabled CPUs, in the MADT's order */
    uint32_t cpus_lost; /* enabled CPUs that did not fit */
    uint32_t apic_ids[ABI_MAX_CPUS];
    uint32_t ioapic_count;
    struct acpi_ioapic ioapics[ACPI_MAX_IOAPICS];
    struct acpi_isa_irq isa[16];
    uint16_t pm_timer; /* I/O port; 0: there is none */
    uint32_t table_count;
    struct {
        uint64_t base, size;
    } tables[ACPI_MAX_TABLES]; /* where the tables lie, RSDP included: what control may read */
};

/*
 * The RSDP is found by the first of these that is there:
 *   1. rsdp, its physical address, if that is not 0;
 *   2. rsdp_copy, a copy of its rsdp_size bytes, if these are 20 or more;
 *   3. a search of the BIOS areas.
 * read(address, out, size) copies physical memory; false: it is not readable. OK; E_NOENT: there is no RSDP or no MADT;
 * E_FORMAT: the RSDP or the table of tables is malformed.
 */
int acpi_parse(struct acpi_info *out, uint64_t rsdp, const void *rsdp_copy, uint32_t rsdp_size,
               bool (*read)(uint64_t address, void *out, uint32_t size));

#endif
