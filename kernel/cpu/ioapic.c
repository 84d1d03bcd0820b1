#include "kernel/cpu/ioapic.h"

#include "kernel/base/asm.h"
#include "kernel/memory/paging.h"

enum { SELECT = 0, WINDOW = 4, VERSION = 1, REDIRECTION = 16 };
enum { ACTIVE_LOW = 1 << 13, LEVEL = 1 << 15, MASKED = 1 << 16 };

static volatile uint32_t *pages[ACPI_MAX_IOAPICS];
static uint32_t pins[ACPI_MAX_IOAPICS];

static uint32_t get(uint32_t i, uint32_t reg)
{
    pages[i][SELECT] = reg;
    return pages[i][WINDOW];
}

static void set(uint32_t i, uint32_t reg, uint32_t v)
{
    pages[i][SELECT] = reg;
    pages[i][WINDOW] = v;
}

bool ioapic_init(const struct acpi_info *acpi)
{
    outb(0x21, 0xff); /* both 8259s */
    outb(0xa1, 0xff);

    for (uint32_t i = 0; i < acpi->ioapic_count; i++) {
        pages[i] = map_device(pa(acpi->ioapics[i].address), 0x20);
        if (!pages[i])
            return false;

        pins[i] = (get(i, VERSION) >> 16 & 0xff) + 1;
        for (uint32_t pin = 0; pin < pins[i]; pin++)
            set(i, REDIRECTION + 2 * pin, MASKED);
    }
    return true;
}

int ioapic_route_isa(const struct acpi_info *acpi, unsigned irq, uint32_t apic_id, uint8_t vector)
{
    const struct acpi_isa_irq *isa = &acpi->isa[irq];

    for (uint32_t i = 0; i < acpi->ioapic_count; i++) {
        uint32_t pin = isa->gsi - acpi->ioapics[i].gsi_base;
        if (isa->gsi < acpi->ioapics[i].gsi_base || pin >= pins[i])
            continue;

        set(i, REDIRECTION + 2 * pin + 1, apic_id << 24);
        set(i, REDIRECTION + 2 * pin, vector | (isa->active_low ? ACTIVE_LOW : 0) | (isa->level ? LEVEL : 0));
        return OK;
    }
    return E_NOENT;
}
