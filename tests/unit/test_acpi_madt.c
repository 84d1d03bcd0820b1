/* The MADT (ACPI 6.4, 5.2.12): CPUs, IOAPICs, interrupt source overrides, and entries that run out. */
// links: kernel/base/acpi.c
#include "tests/unit/test_acpi.h"

static void check_cpus(uint32_t count, const uint32_t *ids)
{
    CHECK_EQ(parse(), OK);
    CHECK_EQ(out.cpu_count, count);
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(out.apic_ids[i], ids[i]);
}

TEST(cpus_enabled_only)
{
    good();
    madt_start();
    cpu(0, 0);
    cpu(1, 1);
    cpu(2, 2); /* online capable: not yet there */
    cpu(3, 3);
    cpu(4, 0xfffffffe);
    cpu_x2apic(300, 0);
    cpu_x2apic(301, 1);
    madt_end();
    check_cpus(3, (const uint32_t[]){1, 3, 301});
}

TEST(cpus_broadcast_ids)
{
    good();
    madt_start();
    cpu(0xff, 1);
    cpu_x2apic(0xffffffff, 1);
    cpu_x2apic(0xff, 1); /* an id as any other */
    cpu_x2apic(0xfffffffe, 1);
    cpu(0xfe, 1);
    madt_end();
    check_cpus(3, (const uint32_t[]){0xff, 0xfffffffe, 0xfe});
}

TEST(cpus_twice)
{
    good();
    madt_start();
    cpu(1, 1);
    cpu(1, 1);
    cpu_x2apic(1, 1);
    cpu_x2apic(0, 1);
    cpu(0, 1);
    cpu(2, 0); /* disabled in one entry, enabled in the other */
    cpu_x2apic(2, 1);
    madt_end();
    put64(at(XSDT) + 44, MADT); /* and the whole table again */
    seal(XSDT);
    check_cpus(3, (const uint32_t[]){1, 0, 2});
}

TEST(cpus_too_many)
{
    good();
    madt_start();
    for (uint32_t i = 0; i < ABI_MAX_CPUS + 20; i++)
        cpu_x2apic(i * 2, 1);
    cpu(2, 1); /* no CPU that is lost */
    madt_end();
    CHECK_EQ(parse(), OK);
    CHECK_EQ(out.cpu_count, ABI_MAX_CPUS);
    CHECK_EQ(out.cpus_lost, 20);
    CHECK_EQ(out.apic_ids[ABI_MAX_CPUS - 1], 2 * (ABI_MAX_CPUS - 1));
}

TEST(ioapics)
{
    good();
    madt_start();
    for (uint32_t i = 0; i < ACPI_MAX_IOAPICS + 2; i++) {
        ioapic(0xfec00000 + i * 0x1000, i * 24);
        ioapic(0xfec00000 + i * 0x1000, 7); /* twice */
    }
    madt_end();
    CHECK_EQ(parse(), OK);
    CHECK_EQ(out.cpu_count, 0);
    CHECK_EQ(out.ioapic_count, ACPI_MAX_IOAPICS);
    for (uint32_t i = 0; i < ACPI_MAX_IOAPICS; i++) {
        CHECK_EQ(out.ioapics[i].address, 0xfec00000 + i * 0x1000);
        CHECK_EQ(out.ioapics[i].gsi_base, i * 24);
    }
}

/* 5.2.12.5, table 5.26: 01 high or edge, 11 low or level, 00 as the bus has it. */
TEST(overrides)
{
    for (uint16_t flags = 0; flags < 16; flags++) {
        good();
        madt_start();
        override(7, 0xfffffffe, flags);
        override(16, 1, 15); /* there is no such ISA interrupt */
        override(255, 1, 15);
        madt_end();
        CHECK_EQ(parse(), OK);
        CHECK_EQ(out.isa[7].gsi, 0xfffffffe);
        CHECK_EQ(out.isa[7].active_low, (flags & 3) == 3);
        CHECK_EQ(out.isa[7].level, flags >> 2 == 3);
    }
}

/* Entries that are shorter than their kind are no entries; unknown ones are passed over. */
TEST(madt_entry_sizes)
{
    static const struct {
        uint8_t type, size;
    } whole[] = {{0, 8}, {1, 12}, {2, 10}, {9, 16}};

    for (unsigned i = 0; i < ARRAY_SIZE(whole); i++)
        for (unsigned size = 2; size < 256; size++) {
            good();
            madt_start();
            uint8_t *e = entry(whole[i].type, (uint8_t)size);
            memset(e + 2, 3, size - 2);
            cpu(9, 1);
            madt_end();
            CHECK_EQ(parse(), OK);
            bool counts = size >= whole[i].size, is_cpu = whole[i].type == 0 || whole[i].type == 9;
            CHECK_EQ(out.cpu_count, counts && is_cpu ? 2 : 1);
            CHECK_EQ(out.apic_ids[out.cpu_count - 1], 9);
            CHECK_EQ(out.ioapic_count, counts && whole[i].type == 1 ? 1 : 0);
            CHECK_EQ(out.isa[3].gsi, counts && whole[i].type == 2 ? 0x03030303 : 3);
        }
    good();
    madt_start();
    for (unsigned type = 0; type < 256; type++)
        if (type != 0 && type != 1 && type != 2 && type != 9)
            memset(entry((uint8_t)type, 16) + 2, 1, 14);
    cpu(9, 1);
    madt_end();
    check_cpus(1, (const uint32_t[]){9});
}

TEST(madt_runs_out)
{
    for (unsigned size = 0; size < 2; size++) { /* no progress */
        good();
        madt_start();
        cpu(5, 1);
        at(MADT)[madt_size + 1] = (uint8_t)size;
        madt_size += 8;
        cpu(6, 1);
        madt_end();
        check_cpus(1, (const uint32_t[]){5});
    }
    for (uint32_t cut = 1; cut < 8; cut++) {
        good();
        madt_start();
        cpu(5, 1);
        cpu(6, 1);
        madt_size -= cut;
        madt_end();
        check_cpus(1, (const uint32_t[]){5});
    }
    for (uint32_t size = 36; size < 44; size++) { /* not even the fixed part */
        good();
        madt_size = size;
        madt_end();
        check_cpus(0, NULL);
    }
}
