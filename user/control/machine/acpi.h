/*
 * What the host's ACPI tables say about switching the machine off and resetting it (ACPI 6.5, 4.8.3.2, 5.2 and 7.4.2).
 * Pure: memory is read through the caller's function, and nothing in the tables is believed without a check.
 */
#ifndef USER_CONTROL_MACHINE_ACPI_H
#define USER_CONTROL_MACHINE_ACPI_H

#include "abi/types.h"

struct acpi_memory {
    /* Copy [paddr, paddr + length), length <= ACPI_READ_MAX, to out; false if it cannot be read. */
    bool (*read)(void *context, uint64_t paddr, void *out, size_t length);
    void *context;
};
#define ACPI_READ_MAX 512

struct acpi_power {
    bool s5;                             /* the next four are valid */
    uint16_t pm1a_control, pm1b_control; /* I/O ports; pm1b 0: none */
    uint8_t sleep_type_a, sleep_type_b;  /* SLP_TYP for S5 */
    const char *why_no_s5;               /* if not s5 */
    uint16_t smi_command;                /* I/O port, 0: none: ACPI mode is always on */
    uint8_t acpi_enable;                 /* what to write there to switch ACPI mode on */
    bool reset;                          /* there is a reset register in I/O space */
    uint16_t reset_port;
    uint8_t reset_value;
};

/* rsdp: its physical address, 0: none. *power is written whole. */
void acpi_read_power(const struct acpi_memory *memory, uint64_t rsdp, struct acpi_power *power);

#endif
