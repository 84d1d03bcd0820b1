/*
 * ACPI fixed hardware: PM1a event and control blocks, the PM timer, an empty GPE0 block (ACPI 6.4, 4.8). S5 ends the
 * guest. The world's lock protects it.
 */
#ifndef USER_DEVICES_PC_ACPI_PM_H
#define USER_DEVICES_PC_ACPI_PM_H

/* Put it on the bus, in reset state. To be called after irq_init. */
void acpi_pm_init(void);

#endif
