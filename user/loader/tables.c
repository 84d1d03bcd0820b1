/* The guest's ACPI tables (ACPI 6.4, chapter 5), in the BIOS area, where every kernel looks for the RSDP. */
#include "lib/bytes.h"
#include "user/devices/platform.h"
#include "user/loader/loader.h"

enum { HEADER = 36, RSDP_SIZE = 36, FADT_SIZE = 268, FACS_SIZE = 64 };
enum {
    FADT_WBINVD = 1,
    FADT_PROC_C1 = 4,
    FADT_SLEEP_BUTTON = 32,
    FADT_POWER_BUTTON = 16,
    FADT_TMR_VAL_EXT = 256,
    FADT_RESET_REG_SUP = 1024,
    IAPC_LEGACY_DEVICES = 1,
    IAPC_8042 = 2,
    IAPC_VGA_NOT_PRESENT = 4
};

/* Writes one table after the other; past the end it only counts. */
struct builder {
    const struct loader *l;
    uint32_t at;
    bool full;
};

static uint8_t *reserve(struct builder *b, uint32_t size, uint32_t *address)
{
    b->at = ALIGN_UP(b->at, 64u);
    if (b->at + size > ACPI_TABLES_END) {
        b->full = true;
        return NULL;
    }
    *address = b->at;
    b->at += size;
    return memset(b->l->ram + *address, 0, size);
}

uint8_t loader_checksum(const uint8_t *p, uint32_t size)
{
    uint8_t s = 0;
    while (size--)
        s = (uint8_t)(s + *p++);
    return (uint8_t)-s;
}

static void header(uint8_t *p, const char *signature, uint32_t size, uint8_t revision)
{
    memcpy(p, signature, 4);
    put32(p + 4, size);
    p[8] = revision;
    memcpy(p + 10, "LAPWNGLAPWING ", 14);
    put32(p + 24, 1);
    memcpy(p + 28, "LAPW", 4);
    put32(p + 32, 1);
    p[9] = 0;
    p[9] = loader_checksum(p, size);
}

/* Generic address structure of an I/O port (5.2.3.2). */
static void port(uint8_t *p, uint8_t bytes, uint32_t address)
{
    p[0] = 1;
    p[1] = (uint8_t)(bytes * 8);
    p[3] = bytes == 4 ? 3 : bytes;
    put32(p + 4, address);
}

static uint32_t fadt(struct builder *b, uint32_t facs, uint32_t dsdt)
{
    uint32_t at = 0;
    uint8_t *p = reserve(b, FADT_SIZE, &at);
    if (!p)
        return 0;
    put32(p + 36, facs);
    put32(p + 40, dsdt);
    put16(p + 46, PLATFORM_IRQ_SCI);
    put32(p + 56, PLATFORM_PM1A_EVT);
    put32(p + 64, PLATFORM_PM1A_CNT);
    put32(p + 76, PLATFORM_PM_TMR);
    put32(p + 80, PLATFORM_GPE0);
    p[88] = PLATFORM_PM1A_EVT_LEN;
    p[89] = PLATFORM_PM1A_CNT_LEN;
    p[91] = PLATFORM_PM_TMR_LEN;
    p[92] = PLATFORM_GPE0_LEN;
    put16(p + 96, 0xfff); /* no C2 */
    put16(p + 98, 0xfff); /* no C3 */
    p[108] = PLATFORM_RTC_CENTURY;
    put16(p + 109, IAPC_LEGACY_DEVICES | IAPC_8042 | IAPC_VGA_NOT_PRESENT);
    put32(p + 112,
          FADT_WBINVD | FADT_PROC_C1 | FADT_POWER_BUTTON | FADT_SLEEP_BUTTON | FADT_TMR_VAL_EXT | FADT_RESET_REG_SUP);
    port(p + 116, 1, PLATFORM_RESET_PORT);
    p[128] = PLATFORM_RESET_VALUE;
    p[131] = 1; /* minor version: 5.1 */
    put32(p + 140, dsdt);
    port(p + 148, PLATFORM_PM1A_EVT_LEN, PLATFORM_PM1A_EVT);
    port(p + 172, PLATFORM_PM1A_CNT_LEN, PLATFORM_PM1A_CNT);
    port(p + 208, PLATFORM_PM_TMR_LEN, PLATFORM_PM_TMR);
    port(p + 220, PLATFORM_GPE0_LEN, PLATFORM_GPE0);
    header(p, "FACP", FADT_SIZE, 5);
    return at;
}

/* How an ISA interrupt arrives (5.2.12.5). */
static uint8_t * override(uint8_t *p, uint8_t irq, uint32_t gsi, uint16_t flags)
{
    p[0] = 2;
    p[1] = 10;
    p[3] = irq;
    put32(p + 4, gsi);
    put16(p + 8, flags);
    return p + 10;
}

static uint32_t madt(struct builder *b)
{
    enum { ENTRIES = 44, LAPIC_SIZE = 8, IOAPIC_SIZE = 12, NMI_SIZE = 6, LEVEL_HIGH = 13 };
    uint32_t at = 0, cpus = b->l->lapic ? b->l->vcpus : 0;
    uint32_t size = ENTRIES + cpus * LAPIC_SIZE + (cpus ? IOAPIC_SIZE + 2 * 10 + NMI_SIZE : 0);
    uint8_t *p = reserve(b, size, &at), *e = p ? p + ENTRIES : NULL;
    if (!p)
        return 0;
    put32(p + 36, PLATFORM_LAPIC_BASE);
    put32(p + 40, 1); /* there are 8259s too */
    for (uint32_t i = 0; i < cpus; i++, e += LAPIC_SIZE) {
        e[1] = LAPIC_SIZE;
        e[2] = e[3] = (uint8_t)i;
        e[4] = 1;
    }
    if (cpus) {
        e[0] = 1;
        e[1] = IOAPIC_SIZE;
        e[2] = PLATFORM_IOAPIC_ID;
        put32(e + 4, PLATFORM_IOAPIC_BASE);
        e = override(e + IOAPIC_SIZE, PLATFORM_IRQ_PIT, PLATFORM_IRQ_PIT_PIN, 0);
        e = override(e, PLATFORM_IRQ_SCI, PLATFORM_IRQ_SCI, LEVEL_HIGH);
        e[0] = 4; /* NMI on LINT1 of all */
        e[1] = NMI_SIZE;
        e[2] = 0xff;
        e[5] = 1;
    }
    header(p, "APIC", size, 3);
    return at;
}

uint32_t acpi_tables_build(const struct loader *l)
{
    struct builder b = {.l = l, .at = ACPI_TABLES_BASE};
    uint32_t rsdp = 0, facs = 0, dsdt = 0, rsdt = 0, xsdt = 0;
    uint8_t *r = reserve(&b, RSDP_SIZE, &rsdp), *f = reserve(&b, FACS_SIZE, &facs);
    uint8_t *d = reserve(&b, l->dsdt_size, &dsdt);
    if (!d)
        return 0;
    memcpy(f, "FACS", 4);
    put32(f + 4, FACS_SIZE);
    f[32] = 2;
    memcpy(d, l->dsdt, l->dsdt_size);
    const uint32_t tables[] = {fadt(&b, facs, dsdt), madt(&b)};
    uint8_t *t = reserve(&b, HEADER + sizeof tables, &rsdt), *x = reserve(&b, HEADER + 2 * sizeof tables, &xsdt);
    if (b.full)
        return 0;
    for (uint32_t i = 0; i < ARRAY_SIZE(tables); i++) {
        put32(t + HEADER + 4 * i, tables[i]);
        put32(x + HEADER + 8 * i, tables[i]);
    }
    header(t, "RSDT", HEADER + sizeof tables, 1);
    header(x, "XSDT", HEADER + 2 * sizeof tables, 1);
    memcpy(r, "RSD PTR ", 8);
    memcpy(r + 9, "LAPWNG", 6);
    r[15] = 2;
    put32(r + 16, rsdt);
    put32(r + 20, RSDP_SIZE);
    put32(r + 24, xsdt);
    r[8] = loader_checksum(r, 20);
    r[32] = loader_checksum(r, RSDP_SIZE);
    return rsdp;
}
