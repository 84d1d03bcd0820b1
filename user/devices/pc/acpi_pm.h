/*
 * ACPI fixed hardware: PM1a event and control blocks, the PM timer, an empty GPE0 block (ACPI 6.4, 4.8). S5 ends the
 * guest. World's lock.
 */
#ifndef USER_DEVICES_PC_ACPI_PM_H
#define USER_DEVICES_PC_ACPI_PM_H

/* Reset state; on the bus, after irq_init. */
void acpi_pm_init(void);

#endif
