/*
 * The ACPI tables that a guest finds (ACPI 6.4, chapter 5), read as root reads its own firmware's, and by the bytes
 * that the specification names.
 */
// links: user/loader/load.c user/loader/kind.c user/loader/elf.c user/loader/place.c user/loader/cpu.c
// links: user/loader/pvh.c user/loader/multiboot.c user/loader/linux.c user/loader/tables.c user/loader/mp.c
// links: user/loader/bios.c kernel/base/acpi.c
#include "kernel/base/acpi.h"
#include "user/devices/platform.h"

#include "tests/unit/test_loader.h"

static struct acpi_info seen;

static bool read_ram(uint64_t address, void *to, uint32_t size)
{
    if (address > rig.ram_low || size > rig.ram_low - address)
        return false;
    memcpy(to, rig.ram + address, size);
    return true;
}

static uint8_t sum(uint64_t at, uint64_t size)
{
    uint8_t s = 0;

    for (uint64_t i = 0; i < size; i++)
        s = (uint8_t)(s + rig.ram[at + i]);
    return s;
}

/* The table with that signature that XSDT (or RSDT) names; 0: none. */
static uint32_t find(const char *signature, bool wide)
{
    uint64_t root = rig_get(seen.rsdp + (wide ? 24 : 16), wide ? 8 : 4);
    unsigned step = wide ? 8 : 4;

    for (uint64_t at = root + 36; at < root + rig_get(root + 4, 4); at += step)
        if (memcmp(rig.ram + rig_get(at, step), signature, 4) == 0)
            return (uint32_t)rig_get(at, step);
    return 0;
}

static void build(uint32_t vcpus, bool lapic)
{
    static uint8_t dsdt[999];

    memcpy(dsdt, "DSDT", 4);
    put32(dsdt + 4, sizeof dsdt);
    rig_start(MIB);
    rig.vcpus = vcpus;
    rig.lapic = lapic;
    rig.dsdt = dsdt;
    rig.dsdt_size = sizeof dsdt;
    memset(&seen, 0, sizeof seen);
    CHECK_EQ(acpi_tables_build(&rig), ACPI_TABLES_BASE);
}

/* Found as a kernel finds it that is told nothing, and again where loader_load says it is. */
TEST(found_and_good)
{
    for (uint32_t vcpus = 1; vcpus <= ABI_MAX_VCPUS; vcpus += 127)
        for (unsigned lapic = 0; lapic < 2; lapic++) {
            build(vcpus, lapic);
            CHECK_EQ(acpi_parse(&seen, 0, NULL, 0, read_ram), OK);
            CHECK_EQ(seen.rsdp, ACPI_TABLES_BASE);
            CHECK_EQ(seen.table_count, 6); /* RSDP, XSDT, FADT, DSDT, FACS, MADT */
            CHECK_EQ(seen.cpu_count, lapic ? vcpus : 0);
            for (uint32_t i = 0; i < seen.cpu_count; i++)
                CHECK_EQ(seen.apic_ids[i], i);
            CHECK_EQ(seen.ioapic_count, lapic);
            CHECK(!lapic || (seen.ioapics[0].address == PLATFORM_IOAPIC_BASE && seen.ioapics[0].gsi_base == 0));
            CHECK_EQ(seen.pm_timer, PLATFORM_PM_TMR);
            for (unsigned i = 0; i < 16; i++) {
                CHECK_EQ(seen.isa[i].gsi, i == PLATFORM_IRQ_PIT && lapic ? PLATFORM_IRQ_PIT_PIN : i);
                CHECK_EQ(seen.isa[i].level, i == PLATFORM_IRQ_SCI && lapic);
                CHECK_EQ(seen.isa[i].active_low, false);
            }
        }
}

/* Tables do not overlap, are where they may be, and carry good sums. */
TEST(extents)
{
    build(ABI_MAX_VCPUS, true);
    CHECK_EQ(acpi_parse(&seen, ACPI_TABLES_BASE, NULL, 0, read_ram), OK);
    uint64_t rsdt = rig_get(seen.rsdp + 16, 4);
    seen.tables[seen.table_count].base = rsdt;
    seen.tables[seen.table_count++].size = rig_get(rsdt + 4, 4);
    uint64_t end = 0;
    for (uint32_t i = 0; i < seen.table_count; i++) {
        uint64_t base = seen.tables[i].base, size = seen.tables[i].size;

        CHECK(base >= ACPI_TABLES_BASE && base + size <= ACPI_TABLES_END);
        CHECK(base % 16 == 0);
        CHECK(memcmp(rig.ram + base, "FACS", 4) == 0 || memcmp(rig.ram + base, "DSDT", 4) == 0 || sum(base, size) == 0);
        for (uint32_t k = 0; k < i; k++)
            CHECK(base >= seen.tables[k].base + seen.tables[k].size || seen.tables[k].base >= base + size);
        end = MAX(end, base + size);
    }
    CHECK_EQ(sum(seen.rsdp, 20), 0);
    CHECK(rig_is(0, ACPI_TABLES_BASE, 0) && rig_is(end, MIB, 0));
}

/* A kernel of ACPI 1.0's time reads the RSDT: it names the same tables. */
TEST(rsdt_and_xsdt)
{
    build(3, true);
    CHECK_EQ(acpi_parse(&seen, ACPI_TABLES_BASE, NULL, 0, read_ram), OK);
    CHECK(memcmp(rig.ram + rig_get(seen.rsdp + 16, 4), "RSDT", 4) == 0);
    CHECK(memcmp(rig.ram + rig_get(seen.rsdp + 24, 8), "XSDT", 4) == 0);
    CHECK(find("FACP", true) && find("FACP", true) == find("FACP", false));
    CHECK(find("APIC", true) && find("APIC", true) == find("APIC", false));
    CHECK_EQ(rig_get(seen.rsdp + 15, 1), 2);
    CHECK_EQ(rig_get(seen.rsdp + 20, 4), 36);
}

static void check_port(uint32_t gas, uint64_t port, unsigned bytes)
{
    CHECK_EQ(rig_get(gas, 1), 1); /* system I/O */
    CHECK_EQ(rig_get(gas + 1, 1), bytes * 8);
    CHECK_EQ(rig_get(gas + 2, 1), 0);
    CHECK_EQ(rig_get(gas + 3, 1), bytes == 1 ? 1 : bytes == 2 ? 2 : 3);
    CHECK_EQ(rig_get(gas + 4, 8), port);
}

/* 5.2.9: what is where in the FADT. */
TEST(fadt_fields)
{
    build(1, true);
    CHECK_EQ(acpi_parse(&seen, ACPI_TABLES_BASE, NULL, 0, read_ram), OK);
    uint32_t f = find("FACP", true);
    CHECK_EQ(rig_get(f + 4, 4), 268);
    CHECK_EQ(rig_get(f + 8, 1), 5);
    CHECK_EQ(rig_get(f + 131, 1), 1);
    CHECK(memcmp(rig.ram + rig_get(f + 36, 4), "FACS", 4) == 0);
    CHECK_EQ(rig_get(f + 36, 4) % 64, 0); /* 5.2.10 */
    CHECK_EQ(rig_get(rig_get(f + 36, 4) + 4, 4), 64);
    CHECK(memcmp(rig.ram + rig_get(f + 40, 4), "DSDT", 4) == 0);
    CHECK_EQ(rig_get(f + 140, 8), rig_get(f + 40, 4));
    CHECK(memcmp(rig.ram + rig_get(f + 40, 4), rig.dsdt, rig.dsdt_size) == 0);
    CHECK_EQ(rig_get(f + 46, 2), PLATFORM_IRQ_SCI);
    CHECK_EQ(rig_get(f + 48, 4), 0); /* no SMI command port: always in ACPI mode */
    CHECK_EQ(rig_get(f + 56, 4), PLATFORM_PM1A_EVT);
    CHECK_EQ(rig_get(f + 64, 4), PLATFORM_PM1A_CNT);
    CHECK_EQ(rig_get(f + 76, 4), PLATFORM_PM_TMR);
    CHECK_EQ(rig_get(f + 80, 4), PLATFORM_GPE0);
    CHECK_EQ(rig_get(f + 88, 4), PLATFORM_PM1A_EVT_LEN | PLATFORM_PM1A_CNT_LEN << 8 | PLATFORM_PM_TMR_LEN << 24);
    CHECK_EQ(rig_get(f + 92, 1), PLATFORM_GPE0_LEN);
    CHECK(rig_get(f + 96, 2) > 100 && rig_get(f + 98, 2) > 1000); /* no C2, no C3 */
    CHECK_EQ(rig_get(f + 108, 1), PLATFORM_RTC_CENTURY);
    /* Legacy devices, 8042, no VGA; WBINVD, C1, both buttons none, a 32-bit timer, a reset register. */
    CHECK_EQ(rig_get(f + 109, 2), 7);
    CHECK_EQ(rig_get(f + 112, 4), 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 10);
    check_port(f + 116, PLATFORM_RESET_PORT, 1);
    CHECK_EQ(rig_get(f + 128, 1), PLATFORM_RESET_VALUE);
    check_port(f + 148, PLATFORM_PM1A_EVT, PLATFORM_PM1A_EVT_LEN);
    check_port(f + 172, PLATFORM_PM1A_CNT, PLATFORM_PM1A_CNT_LEN);
    check_port(f + 208, PLATFORM_PM_TMR, PLATFORM_PM_TMR_LEN);
    check_port(f + 220, PLATFORM_GPE0, PLATFORM_GPE0_LEN);
}

/* 5.2.12 */
TEST(madt_fields)
{
    build(5, true);
    CHECK_EQ(acpi_parse(&seen, ACPI_TABLES_BASE, NULL, 0, read_ram), OK);
    uint32_t m = find("APIC", true), end = m + (uint32_t)rig_get(m + 4, 4), counts[256] = {0};
    CHECK_EQ(rig_get(m + 36, 4), PLATFORM_LAPIC_BASE);
    CHECK_EQ(rig_get(m + 40, 4), 1);
    for (uint32_t at = m + 44; at < end; at += MAX(2u, rig.ram[at + 1])) {
        uint8_t type = rig.ram[at];

        if (type == 0)
            CHECK_EQ(rig_get(at + 2, 1), counts[0]); /* the processor's UID, as its id */
        if (type == 1)
            CHECK_EQ(rig_get(at + 2, 2), PLATFORM_IOAPIC_ID);
        if (type == 4)
            CHECK_EQ(rig_get(at + 2, 4), 0x010000ff); /* all, as the bus has it, LINT1 */
        counts[type]++;
        CHECK(at + rig.ram[at + 1] <= end);
    }
    CHECK(counts[0] == 5 && counts[1] == 1 && counts[2] == 2 && counts[4] == 1);
}

/* Without a LAPIC there are no entries, and the 8259s are there. */
TEST(madt_without_lapic)
{
    build(1, false);
    CHECK_EQ(acpi_parse(&seen, ACPI_TABLES_BASE, NULL, 0, read_ram), OK);
    CHECK_EQ(rig_get(find("APIC", true) + 4, 4), 44);
    CHECK_EQ(rig_get(find("APIC", true) + 40, 4), 1);
}

/* Every size of a DSDT around the largest that fits: all or an error, and never a byte behind the area. */
TEST(too_big)
{
    enum { AREA = ACPI_TABLES_END - ACPI_TABLES_BASE };
    static uint8_t dsdt[2 * AREA];
    unsigned fit = 0, full = 0;

    memset(dsdt, 0xd5, sizeof dsdt);
    for (uint32_t size = AREA - 0x1200; size < AREA + 0x40; size += 32) {
        rig_start(MIB);
        rig.vcpus = ABI_MAX_VCPUS;
        rig.dsdt = dsdt;
        rig.dsdt_size = size;
        bool fits = acpi_tables_build(&rig);
        CHECK(rig_is(ACPI_TABLES_END, MIB, 0)); /* never behind the area: the MP tables are there */
        if (fits) {
            CHECK_EQ(full, 0);
            CHECK_EQ(acpi_parse(&seen, 0, NULL, 0, read_ram), OK);
            CHECK_EQ(seen.cpu_count, ABI_MAX_VCPUS);
            fit++;
        } else {
            CHECK_EQ(rig_load("", 0), E_RANGE);
            full++;
        }
    }
    CHECK(fit > 5 && full > 5);
    rig.dsdt_size = sizeof dsdt;
    CHECK_EQ(acpi_tables_build(&rig), 0);
}
