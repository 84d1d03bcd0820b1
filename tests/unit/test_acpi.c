/* The static ACPI tables that root reads (ACPI 6.4, 5.2), from good firmware and from broken one. */
// links: kernel/base/acpi.c
#include "tests/unit/test_acpi.h"

TEST(good_tables)
{
    good();
    CHECK_EQ(parse(), OK);
    CHECK_EQ(out.rsdp, RSDP);
    CHECK_EQ(out.cpu_count, 2);
    CHECK_EQ(out.cpus_lost, 0);
    CHECK_EQ(out.apic_ids[0], 0);
    CHECK_EQ(out.apic_ids[1], 2);
    CHECK_EQ(out.ioapic_count, 1);
    CHECK_EQ(out.ioapics[0].address, 0xfec00000);
    CHECK_EQ(out.pm_timer, 0x608);
    for (unsigned i = 0; i < 16; i++) {
        CHECK_EQ(out.isa[i].gsi, i == 0 ? 2 : i == 9 ? 20 : i);
        CHECK_EQ(out.isa[i].level, i == 9);
        CHECK_EQ(out.isa[i].active_low, i == 9);
    }
    CHECK_EQ(out.table_count, 7);
    CHECK(is_noted(RSDP, 36) && is_noted(XSDT, 60) && is_noted(FADT, 268) && is_noted(DSDT, 0x800));
    CHECK(is_noted(FACS, 64) && is_noted(HPET, 56) && is_noted(MADT, madt_size));
}

/* ---- RSDP ------------------------------------------------------------------------------------------------------ */

TEST(rsdp_revision_0)
{
    good();
    rsdp_at(RSDP, 0);
    put64(at(RSDP) + 24, XSDT); /* not part of it */
    CHECK_EQ(parse(), E_NOENT); /* this RSDT has no MADT */
    CHECK(is_noted(RSDT, 44) && !is_noted(XSDT, 60));
    put32(at(RSDT) + 36, MADT);
    seal(RSDT);
    CHECK_EQ(parse(), OK);
    CHECK_EQ(out.cpu_count, 2);
    CHECK_EQ(out.pm_timer, 0x608);
    rsdp_at(RSDP, 2);
    put64(at(RSDP) + 24, 0); /* no XSDT */
    fix_sum(at(RSDP), 36, 32);
    CHECK_EQ(parse(), OK);
    CHECK(is_noted(RSDT, 44));
}

/* Each byte counts, and only those that belong to the revision. */
TEST(rsdp_checksums)
{
    for (uint8_t revision = 0; revision <= 2; revision += 2)
        for (unsigned byte = 0; byte < 36; byte++) {
            good();
            put32(at(RSDT) + 36, MADT);
            seal(RSDT);
            rsdp_at(RSDP, revision);
            at(RSDP)[byte] ^= 0x40;
            bool counts = byte < (revision ? 36 : 20);
            CHECK_EQ(parse(), counts ? E_FORMAT : OK);
            CHECK(!counts || out.cpu_count + out.ioapic_count + out.pm_timer == 0);
        }
    good();
    at(RSDP)[0] = 'X';
    at(RSDP)[1] = (uint8_t)(at(RSDP)[1] + 'R' - 'X');
    CHECK_EQ(parse(), E_FORMAT); /* a good sum is not enough */
}

TEST(rsdp_copy)
{
    good();
    uint8_t *copy = malloc(36);
    memcpy(copy, at(RSDP), 36);
    memset(low, 0, sizeof low);
    CHECK_EQ(acpi_parse(&out, 0, copy, 36, read_memory), OK);
    CHECK_EQ(out.rsdp, 0);
    CHECK_EQ(out.cpu_count, 2);
    CHECK_EQ(out.table_count, 6);
    free(copy);
    for (uint32_t size = 20; size < 36; size++) { /* of revision 2, but cut off */
        copy = malloc(size);
        good();
        memcpy(copy, at(RSDP), size);
        CHECK_EQ(acpi_parse(&out, 0, copy, size, read_memory), E_FORMAT);
        free(copy);
    }
    for (uint32_t size = 0; size < 20; size++) { /* no copy at all: it is searched */
        good();
        CHECK_EQ(acpi_parse(&out, 0, "", size, read_memory), OK);
        CHECK_EQ(out.rsdp, RSDP);
    }
}

/* 5.2.5.1 */
TEST(rsdp_search)
{
    static const struct {
        uint32_t ebda, place;
        bool found;
    } table[] = {
        {0, 0xe0000, true},        {0, 0xffed0, true},
        {0, 0xdfff0, false},       {0, 0xe0008, false},
        {0, 0x9fc00, false},       {0x9fc00, 0x9fc00, true},
        {0x9fc00, 0x9fff0, true},  {0x9fc00, 0x9fff8, false},
        {0x9f000, 0x9f400, false}, {0x9f000, 0x9f3f0, true},
        {0x400, 0x400, false}, /* that is no EBDA */
        {0xffff0, 0xe0010, true},  {0, 0, false},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        good();
        memset(at(RSDP), 0, 36);
        put16(low + 0x40e, table[i].ebda >> 4);
        rsdp_at(0xf0010, 2); /* a broken one in front of some */
        low[0xf0010 + 20]++;
        if (table[i].place)
            rsdp_at(table[i].place, 2);
        put16(low + 0x40e, table[i].ebda >> 4);
        CHECK_EQ(acpi_parse(&out, 0, NULL, 0, read_memory), table[i].found ? OK : E_NOENT);
        CHECK_EQ(out.rsdp, table[i].found ? table[i].place : 0);
    }
    good(); /* the last place that the old structure fits into */
    memset(at(RSDP), 0, 36);
    put32(at(RSDT) + 36, MADT);
    seal(RSDT);
    rsdp_at(0xfffe0, 0);
    CHECK_EQ(acpi_parse(&out, 0, NULL, 0, read_memory), OK);
    CHECK_EQ(out.rsdp, 0xfffe0);
}

TEST(rsdp_not_readable)
{
    static const uint64_t where[] = {LOW_SIZE - 35, HIGH - 1, HIGH + HIGH_SIZE - 35, UINT64_MAX};

    good();
    for (unsigned i = 0; i < ARRAY_SIZE(where); i++)
        CHECK_EQ(acpi_parse(&out, where[i], NULL, 0, read_memory), E_NOENT);
}

/* ---- Root table and headers ------------------------------------------------------------------------------------- */

static const uint32_t bad_sizes[] = {0, 1, 35, (1 << 20) + 1, 0x7fffffff, 0xffffffff, HIGH_SIZE + 1};

TEST(root_table_broken)
{
    for (unsigned i = 0; i < ARRAY_SIZE(bad_sizes); i++) {
        good();
        put32(at(XSDT) + 4, bad_sizes[i]);
        CHECK_EQ(parse(), E_FORMAT);
        CHECK(!is_noted(XSDT, bad_sizes[i]));
    }
    for (unsigned byte = 0; byte < 60; byte++) {
        good();
        at(XSDT)[byte] ^= 1;
        CHECK_EQ(parse(), E_FORMAT);
    }
    static const uint64_t where[] = {LOW_SIZE - 35, HIGH + HIGH_SIZE - 35, UINT64_MAX - 8};
    for (unsigned i = 0; i < ARRAY_SIZE(where); i++) {
        good();
        put64(at(RSDP) + 24, where[i]);
        fix_sum(at(RSDP), 36, 32);
        CHECK_EQ(parse(), E_FORMAT);
    }
}

/* Entries that do not fit whole are not there, and those that lead nowhere are passed over. */
TEST(root_table_entries)
{
    for (uint32_t size = 36; size <= 60; size++) {
        good();
        put32(at(XSDT) + 4, size);
        seal(XSDT);
        CHECK_EQ(parse(), size == 60 ? OK : E_NOENT);
        CHECK_EQ(out.pm_timer, size >= 44 ? 0x608 : 0);
    }
    static const uint64_t nowhere[] = {0, 1, LOW_SIZE - 35, HIGH + HIGH_SIZE - 35, HIGH + HIGH_SIZE, UINT64_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
        good();
        put64(at(XSDT) + 36, nowhere[i]);
        seal(XSDT);
        CHECK_EQ(parse(), OK);
        CHECK_EQ(out.pm_timer, 0);
        CHECK_EQ(out.cpu_count, 2);
    }
}

TEST(broken_tables_are_passed_over)
{
    for (unsigned i = 0; i < ARRAY_SIZE(bad_sizes); i++) {
        good();
        put32(at(MADT) + 4, bad_sizes[i]);
        CHECK_EQ(parse(), E_NOENT);
        CHECK_EQ(out.cpu_count + out.ioapic_count, 0);
        CHECK_EQ(out.pm_timer, 0x608);
        CHECK_EQ(out.isa[9].gsi, 9);
    }
    good();
    for (unsigned byte = 0; byte < madt_size; byte++) {
        good();
        at(MADT)[byte] ^= 1;
        CHECK_EQ(parse(), E_NOENT);
        CHECK_EQ(out.cpu_count, 0);
    }
    good();
    at(FADT)[267] ^= 1;
    CHECK_EQ(parse(), OK);
    CHECK_EQ(out.pm_timer, 0);
    CHECK(!is_noted(FADT, 268) && !is_noted(DSDT, 0x800));
}

TEST(too_many_tables)
{
    good();
    table(XSDT, "XSDT", 36 + 100 * 8);
    for (unsigned i = 0; i < 99; i++)
        put64(at(XSDT) + 36 + 8 * i, HPET);
    put64(at(XSDT) + 36 + 8 * 99, MADT);
    seal(XSDT);
    CHECK_EQ(parse(), OK);
    CHECK_EQ(out.table_count, ACPI_MAX_TABLES);
    CHECK_EQ(out.cpu_count, 2); /* it is used all the same */
}

/* ---- FADT ------------------------------------------------------------------------------------------------------ */

TEST(fadt_pm_timer)
{
    static const struct {
        uint32_t block;
        uint8_t length;
        uint16_t port;
    } table[] = {{0x608, 4, 0x608}, {0x608, 0, 0}, {0x608, 3, 0}, {0, 4, 0}, {0xffff, 4, 0xffff}, {0x10608, 4, 0}};

    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        good();
        put32(at(FADT) + 76, table[i].block);
        at(FADT)[91] = table[i].length;
        seal(FADT);
        CHECK_EQ(parse(), OK);
        CHECK_EQ(out.pm_timer, table[i].port);
    }
}

/* What is behind the table's end does not count, though it is there. */
TEST(fadt_lengths)
{
    static const uint32_t sizes[] = {36, 40, 44, 75, 91, 92, 116, 132, 139, 140, 147, 148, 268};

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        good();
        put32(at(FADT) + 40, HPET); /* the old field gives another one */
        put64(at(FADT) + 132, DSDT);
        put32(at(FADT) + 4, sizes[i]);
        seal(FADT);
        CHECK_EQ(parse(), OK);
        CHECK_EQ(out.pm_timer, sizes[i] >= 92 ? 0x608 : 0);
        /* X_FIRMWARE_CTRL gives DSDT here, to be told from FIRMWARE_CTRL's. */
        CHECK_EQ(is_noted(DSDT, 0x800), sizes[i] >= 140);
        CHECK_EQ(is_noted(FACS, 64), sizes[i] >= 40 && sizes[i] < 140);
    }
}

TEST(fadt_points_at_nothing)
{
    static const uint64_t nowhere[] = {LOW_SIZE - 7, HIGH + HIGH_SIZE - 7, HIGH + HIGH_SIZE, UINT64_MAX - 7};

    for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
        good();
        put64(at(FADT) + 132, nowhere[i]);
        put64(at(FADT) + 140, nowhere[i]);
        seal(FADT);
        CHECK_EQ(parse(), OK);
        CHECK_EQ(out.table_count, 5);
    }
    good();
    put32(at(DSDT) + 4, (1 << 20) + 1);
    put32(at(FACS) + 4, 0);
    CHECK_EQ(parse(), OK);
    CHECK_EQ(out.table_count, 5);
}

/* ---- Mutations ------------------------------------------------------------------------------------------------- */

/* Fields at their limits, with the sums put right again half of the time. */
TEST(mutations)
{
    static const uint64_t tables[] = {RSDP, XSDT, RSDT, FADT, DSDT, FACS, MADT};
    static const uint32_t odd[] = {0, 1, 35, 36, 44, 0x100000, 0x7fffffff, 0xfffffff8, 0xffffffff};
    uint64_t seed = 3;
    unsigned results[3] = {0};

    for (unsigned round = 0; round < 30000; round++) {
        good();
        if (test_random(&seed) & 1)
            rsdp_at(RSDP, 0);
        put32(at(RSDT) + 36, MADT);
        seal(RSDT);
        for (uint64_t n = 1 + test_random(&seed) % 3; n > 0; n--) {
            uint64_t r = test_random(&seed), where = tables[r % ARRAY_SIZE(tables)];

            if (r & 0x100)
                at(where)[(r >> 16) % 150] = (uint8_t)(r >> 32);
            else
                put32(at(where) + (r >> 16) % 150, odd[(r >> 32) % ARRAY_SIZE(odd)]);
        }
        if (test_random(&seed) & 1) {
            for (unsigned i = 1; i < ARRAY_SIZE(tables); i++)
                if (get32(at(tables[i]) + 4) <= 0x1000)
                    seal(tables[i]);
            fix_sum(at(RSDP), 20, 8);
            fix_sum(at(RSDP), 36, 32);
        }
        reads = 0;
        int err = parse();
        CHECK(err == OK || err == E_FORMAT || err == E_NOENT);
        results[err == OK ? 0 : err == E_FORMAT ? 1 : 2]++;
        CHECK(reads < 200000);
        CHECK(out.cpu_count <= ABI_MAX_CPUS && out.ioapic_count <= ACPI_MAX_IOAPICS);
        CHECK(out.table_count <= ACPI_MAX_TABLES);
        for (uint32_t i = 0; i < out.table_count; i++)
            CHECK(out.tables[i].base + out.tables[i].size > out.tables[i].base && out.tables[i].size <= 1 << 20);
    }
    CHECK(results[0] > 1000 && results[1] > 1000 && results[2] > 1000);
}
