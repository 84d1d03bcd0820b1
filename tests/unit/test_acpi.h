/* Physical memory with good ACPI tables in it, to be spoilt. Include it in one C file per program. */
#ifndef TESTS_UNIT_TEST_ACPI_H
#define TESTS_UNIT_TEST_ACPI_H

#include "kernel/base/acpi.h"
#include "lib/bytes.h"

#include "tests/unit/test.h"

/* Physical memory: the first MiB and a bit, and a piece below 4 GiB. Nothing else can be read. */
enum { HIGH = 0x7ff00000, LOW_SIZE = 0x100010, HIGH_SIZE = 0x20000 };
static uint8_t low[LOW_SIZE], high[HIGH_SIZE];
static uint64_t reads;

static inline bool read_memory(uint64_t address, void *to, uint32_t size)
{
    reads++;
    if (address < LOW_SIZE && size <= LOW_SIZE - address)
        memcpy(to, low + address, size);
    else if (address >= HIGH && address - HIGH < HIGH_SIZE && size <= HIGH_SIZE - (address - HIGH))
        memcpy(to, high + (address - HIGH), size);
    else
        return false;
    return true;
}

static inline uint8_t *at(uint64_t address) { return address < LOW_SIZE ? low + address : high + (address - HIGH); }

static inline void fix_sum(uint8_t *p, uint32_t size, uint32_t where)
{
    uint8_t s = 0;

    p[where] = 0;
    for (uint32_t i = 0; i < size; i++)
        s = (uint8_t)(s + p[i]);
    p[where] = (uint8_t)-s;
}

static inline void seal(uint64_t address) { fix_sum(at(address), get32(at(address) + 4), 9); }

static inline void table(uint64_t address, const char *signature, uint32_t size)
{
    memset(at(address), 0, size);
    memcpy(at(address), signature, 4);
    put32(at(address) + 4, size);
    seal(address);
}

enum { XSDT = HIGH, RSDT = HIGH + 0x1000, FADT = HIGH + 0x2000, DSDT = HIGH + 0x3000, FACS = HIGH + 0x4000 };
enum { HPET = HIGH + 0x5000, MADT = HIGH + 0x8000, RSDP = 0xf1230 };

static uint32_t madt_size;

static inline void madt_start(void)
{
    madt_size = 44;
    memset(at(MADT), 0, HIGH + HIGH_SIZE - MADT);
}

static inline void madt_end(void)
{
    memcpy(at(MADT), "APIC", 4);
    put32(at(MADT) + 4, madt_size);
    seal(MADT);
}

static inline uint8_t *entry(uint8_t type, uint8_t size)
{
    uint8_t *e = at(MADT) + madt_size;

    e[0] = type;
    e[1] = size;
    madt_size += size;
    return e;
}

static inline void cpu(uint8_t id, uint32_t flags)
{
    uint8_t *e = entry(0, 8);

    e[2] = (uint8_t)~id; /* the processor's UID says nothing */
    e[3] = id;
    put32(e + 4, flags);
}

static inline void cpu_x2apic(uint32_t id, uint32_t flags)
{
    uint8_t *e = entry(9, 16);

    put32(e + 4, id);
    put32(e + 8, flags);
    put32(e + 12, ~id);
}

static inline void ioapic(uint32_t address, uint32_t gsi)
{
    uint8_t *e = entry(1, 12);

    put32(e + 4, address);
    put32(e + 8, gsi);
}

static inline void override(uint8_t irq, uint32_t gsi, uint16_t flags)
{
    uint8_t *e = entry(2, 10);

    e[3] = irq;
    put32(e + 4, gsi);
    put16(e + 8, flags);
}

static inline void rsdp_at(uint64_t address, uint8_t revision)
{
    uint8_t *p = at(address);

    memset(p, 0, 36);
    memcpy(p, "RSD PTR ", 8);
    p[15] = revision;
    put32(p + 16, RSDT);
    if (revision >= 2) {
        put32(p + 20, 36);
        put64(p + 24, XSDT);
    }
    fix_sum(p, 20, 8);
    if (revision >= 2)
        fix_sum(p, 36, 32);
}

/* The RSDT has no MADT, so that one sees which was used. */
static inline void good(void)
{
    memset(low, 0, sizeof low);
    memset(high, 0, sizeof high);
    rsdp_at(RSDP, 2);
    table(XSDT, "XSDT", 36 + 3 * 8);
    put64(at(XSDT) + 36, FADT);
    put64(at(XSDT) + 44, HPET);
    put64(at(XSDT) + 52, MADT);
    seal(XSDT);
    table(RSDT, "RSDT", 36 + 2 * 4);
    put32(at(RSDT) + 36, HPET);
    put32(at(RSDT) + 40, FADT);
    seal(RSDT);
    table(HPET, "HPET", 56);
    table(DSDT, "DSDT", 0x800);
    memcpy(at(FACS), "FACS", 4);
    put32(at(FACS) + 4, 64);
    table(FADT, "FACP", 268);
    put32(at(FADT) + 36, FACS);
    put64(at(FADT) + 140, DSDT);
    put32(at(FADT) + 76, 0x608);
    at(FADT)[91] = 4;
    seal(FADT);
    madt_start();
    cpu(0, 1);
    cpu(2, 1);
    ioapic(0xfec00000, 0);
    override(0, 2, 0);
    override(9, 20, 15);
    entry(4, 6);
    madt_end();
}

static struct acpi_info out;

static inline int parse(void)
{
    memset(&out, 0x55, sizeof out);
    return acpi_parse(&out, RSDP, NULL, 0, read_memory);
}

static inline bool is_noted(uint64_t base, uint64_t size)
{
    for (uint32_t i = 0; i < out.table_count; i++)
        if (out.tables[i].base == base && out.tables[i].size == size)
            return true;
    return false;
}

#endif
