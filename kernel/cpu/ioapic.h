/* The host's IOAPICs: root takes one ISA interrupt, everything else stays masked (82093AA datasheet). */
#ifndef KERNEL_CPU_IOAPIC_H
#define KERNEL_CPU_IOAPIC_H

#include "kernel/base/acpi.h"

/* Masks the 8259s and all pins of the IOAPICs. False: no memory to map the IOAPICs. Called once, on the BSP. */
bool ioapic_init(const struct acpi_info *acpi) MUST_CHECK;
/* Routes an ISA interrupt (0..15) to the CPU with that APIC ID (0..254), as `vector`. OK; E_NOENT: no IOAPIC has it. */
int ioapic_route_isa(const struct acpi_info *acpi, unsigned irq, uint32_t apic_id, uint8_t vector);

#endif
