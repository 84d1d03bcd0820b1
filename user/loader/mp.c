/*
 * The MP floating pointer structure and the MP configuration table (MultiProcessor Specification 1.4, chapter 4), for
 * kernels that do not read ACPI's tables or were told not to. They say what the MADT says.
 */
#include "lib/bytes.h"
#include "user/devices/platform.h"
#include "user/loader/loader.h"

/* Sizes of the structures, and where they are. The pointer has to be on 16 bytes in 0xf0000-0xfffff (4, 4.1). */
enum { POINTER_SIZE = 16, HEADER_SIZE = 44, CPU_SIZE = 20, ENTRY_SIZE = 8, TABLE = MP_TABLES_BASE + POINTER_SIZE };
enum { ENTRY_CPU, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_INTERRUPT, ENTRY_LOCAL_INTERRUPT };
enum { CPU_ENABLED = 1, CPU_BSP = 2, IOAPIC_ENABLED = 1, LAPIC_VERSION = 0x14, IOAPIC_VERSION = 0x11 };
enum { BUS_PCI, BUS_ISA, BUSES };
enum { INT, NMI, SMI, EXTINT };
enum { CONFORMS = 0, LEVEL_HIGH = 13 }; /* 4.3.4: as the bus has it; level-triggered, active high */
enum { ALL_LAPICS = 0xff, LINT0 = 0, LINT1 = 1 };

static_assert(TABLE + HEADER_SIZE + ABI_MAX_VCPUS * CPU_SIZE + (BUSES + 1 + PLATFORM_IRQ_LINES + 2) * ENTRY_SIZE <=
                  MP_TABLES_END,
              "the table of the largest guest fits");

/* Entry after entry, in ascending order of their types (4.2). */
struct table {
    uint8_t *p;
    uint16_t entries;
};

static uint8_t *entry(struct table *t, uint8_t type, uint32_t size)
{
    uint8_t *p = t->p;

    memset(p, 0, size);
    p[0] = type;
    t->p += size;
    t->entries++;
    return p;
}

static void cpu(struct table *t, const struct loader *l, uint32_t n)
{
    uint8_t *p = entry(t, ENTRY_CPU, CPU_SIZE);

    p[1] = (uint8_t)n;
    p[2] = LAPIC_VERSION;
    p[3] = CPU_ENABLED | (n == 0 ? CPU_BSP : 0);
    put32(p + 4, l->cpu_signature);
    put32(p + 8, l->cpu_features);
}

static void bus(struct table *t, uint8_t id, const char *type)
{
    uint8_t *p = entry(t, ENTRY_BUS, ENTRY_SIZE);

    p[1] = id;
    memcpy(p + 2, type, 6);
}

static void ioapic(struct table *t)
{
    uint8_t *p = entry(t, ENTRY_IOAPIC, ENTRY_SIZE);

    p[1] = PLATFORM_IOAPIC_ID;
    p[2] = IOAPIC_VERSION;
    p[3] = IOAPIC_ENABLED;
    put32(p + 4, PLATFORM_IOAPIC_BASE);
}

/* An ISA line at an input of the IOAPIC, or at LINT0 or LINT1 of a LAPIC: both kinds have the same layout. */
static void interrupt(struct table *t, uint8_t entry_type, uint8_t type, uint16_t flags, uint8_t line, uint8_t to,
                      uint8_t input)
{
    uint8_t *p = entry(t, entry_type, ENTRY_SIZE);

    p[1] = type;
    put16(p + 2, flags);
    p[4] = BUS_ISA;
    p[5] = line;
    p[6] = to;
    p[7] = input;
}

/* platform.h says how the lines are wired. Line 2 is the second 8259's way to the first. */
static void interrupts(struct table *t)
{
    interrupt(t, ENTRY_INTERRUPT, EXTINT, CONFORMS, 0, PLATFORM_IOAPIC_ID, PLATFORM_IOAPIC_EXTINT);
    for (uint8_t line = 0; line < PLATFORM_IRQ_LINES; line++) {
        uint8_t pin = line == PLATFORM_IRQ_PIT ? PLATFORM_IRQ_PIT_PIN : line;
        uint16_t flags = line == PLATFORM_IRQ_SCI ? LEVEL_HIGH : CONFORMS;

        if (line != PLATFORM_IRQ_CASCADE)
            interrupt(t, ENTRY_INTERRUPT, INT, flags, line, PLATFORM_IOAPIC_ID, pin);
    }
    interrupt(t, ENTRY_LOCAL_INTERRUPT, EXTINT, CONFORMS, 0, 0, LINT0);
    interrupt(t, ENTRY_LOCAL_INTERRUPT, NMI, CONFORMS, 0, ALL_LAPICS, LINT1);
}

void mp_tables_build(const struct loader *l)
{
    uint8_t *pointer = l->ram + MP_TABLES_BASE, *header = l->ram + TABLE;
    struct table t = {.p = header + HEADER_SIZE};

    if (!l->lapic)
        return;
    for (uint32_t n = 0; n < l->vcpus; n++)
        cpu(&t, l, n);
    bus(&t, BUS_PCI, "PCI   ");
    bus(&t, BUS_ISA, "ISA   ");
    ioapic(&t);
    interrupts(&t);

    memset(header, 0, HEADER_SIZE);
    memcpy(header, "PCMP", 4);
    put16(header + 4, (uint64_t)(t.p - header));
    header[6] = 4; /* version 1.4 */
    memcpy(header + 8, "LAPWING LAPWING PC  ", 20);
    put16(header + 34, t.entries);
    put32(header + 36, PLATFORM_LAPIC_BASE);
    header[7] = loader_checksum(header, (uint32_t)(t.p - header));

    /* Feature bytes of zero: there is a table, and no IMCR: virtual wire mode (4.1, 3.6.2.2). */
    memset(pointer, 0, POINTER_SIZE);
    memcpy(pointer, "_MP_", 4);
    put32(pointer + 4, TABLE);
    pointer[8] = POINTER_SIZE / 16;
    pointer[9] = 4;
    pointer[10] = loader_checksum(pointer, POINTER_SIZE);
}
