/*
 * The MP tables (MultiProcessor Specification 1.4, chapter 4), found and read as a kernel does, and what is in the BIOS
 * data areas.
 */
// links: user/loader/load.c user/loader/kind.c user/loader/elf.c user/loader/place.c user/loader/cpu.c
// links: user/loader/pvh.c user/loader/multiboot.c user/loader/linux.c user/loader/tables.c user/loader/mp.c
// links: user/loader/bios.c
#include "user/devices/platform.h"

#include "tests/unit/test_loader.h"

static void build(uint32_t vcpus, bool lapic)
{
    rig_start(MIB);
    rig.vcpus = vcpus;
    rig.lapic = lapic;
    rig.cpu_signature = 0x6a5;
    rig.cpu_features = 0x301;
    mp_tables_build(&rig);
}

static uint8_t sum(uint64_t at, uint64_t size)
{
    uint8_t s = 0;

    for (uint64_t i = 0; i < size; i++)
        s = (uint8_t)(s + rig.ram[at + i]);
    return s;
}

/* Where 4 says that a kernel looks in a ROM; 0: there is none. */
static uint32_t find_pointer(void)
{
    for (uint32_t at = 0xf0000; at < 0x100000; at += 16)
        if (memcmp(rig.ram + at, "_MP_", 4) == 0 && sum(at, 16) == 0)
            return at;
    return 0;
}

static uint32_t find_table(void)
{
    uint32_t pointer = find_pointer();

    CHECK(pointer != 0);
    CHECK_EQ(rig_get(pointer + 8, 2), 0x0401); /* 16 bytes, version 1.4 */
    CHECK_EQ(rig_get(pointer + 11, 4), 0);     /* a table is there; virtual wire mode */
    return (uint32_t)rig_get(pointer + 4, 4);
}

/* 4.2, and what is in all of 255 vCPUs fits. */
TEST(header)
{
    for (uint32_t vcpus = 1; vcpus <= ABI_MAX_VCPUS; vcpus += 127) {
        build(vcpus, true);
        uint32_t t = find_table(), size = (uint32_t)rig_get(t + 4, 2);

        CHECK(memcmp(rig.ram + t, "PCMP", 4) == 0);
        CHECK_EQ(rig_get(t + 6, 1), 4);
        CHECK_EQ(sum(t, size), 0);
        CHECK(memcmp(rig.ram + t + 8, "LAPWING LAPWING PC  ", 20) == 0);
        CHECK_EQ(rig_get(t + 28, 6), 0); /* no OEM table */
        CHECK_EQ(rig_get(t + 34, 2), vcpus + 2 + 1 + 16 + 2);
        CHECK_EQ(rig_get(t + 36, 4), PLATFORM_LAPIC_BASE);
        CHECK_EQ(rig_get(t + 40, 4), 0); /* no extended entries */
        CHECK_EQ(size, 44 + vcpus * 20 + 21 * 8);
        CHECK(t + size <= MIB && rig_is(t + size, MIB, 0) && rig_is(0, find_pointer(), 0));
    }
}

/* Where line n of the ISA bus goes, with its flags, as the table says it: pin << 16 | flags; -1: not at all. */
static int64_t lines[17];  /* 16: ExtINT */
static int64_t locals[16]; /* by the kind: LAPIC << 16 | LINT */

static void check_interrupt(uint32_t e)
{
    unsigned kind = rig.ram[e + 1], line = rig.ram[e + 5], slot = kind == 3 ? 16 : line;

    CHECK(kind == 0 || kind == 3);
    CHECK(line < 16);
    CHECK_EQ(rig.ram[e + 4], 1); /* the ISA bus */
    CHECK_EQ(rig.ram[e + 6], PLATFORM_IOAPIC_ID);
    CHECK_EQ(lines[slot], -1);
    lines[slot] = (int64_t)((unsigned)rig.ram[e + 7] << 16 | (unsigned)rig_get(e + 2, 2));
}

static void check_entry(uint32_t e, uint32_t n, uint32_t vcpus)
{
    switch (rig.ram[e]) {
    case 0:
        CHECK(n < vcpus);
        CHECK_EQ(rig.ram[e + 1], n);
        CHECK_EQ(rig.ram[e + 2], 0x14);
        CHECK_EQ(rig.ram[e + 3], n == 0 ? 3 : 1);
        CHECK_EQ(rig_get(e + 4, 4), 0x6a5);
        CHECK_EQ(rig_get(e + 8, 4), 0x301);
        CHECK_EQ(rig_get(e + 12, 8), 0);
        break;
    case 1:
        CHECK_EQ(rig.ram[e + 1], n - vcpus);
        CHECK(memcmp(rig.ram + e + 2, n == vcpus ? "PCI   " : "ISA   ", 6) == 0);
        break;
    case 2:
        CHECK_EQ(rig_get(e + 1, 3), PLATFORM_IOAPIC_ID | 0x11 << 8 | 1 << 16);
        CHECK_EQ(rig_get(e + 4, 4), PLATFORM_IOAPIC_BASE);
        break;
    case 3:
        check_interrupt(e);
        break;
    case 4:
        CHECK_EQ(rig_get(e + 2, 4), 1 << 16); /* flags, ISA line 0 */
        locals[rig.ram[e + 1] & 15] = (int64_t)((unsigned)rig.ram[e + 6] << 16 | rig.ram[e + 7]);
        break;
    default:
        CHECK(!"an entry of a known type");
    }
}

/* 4.3, entry by entry: as the MADT has it (test_loader_tables.c). */
TEST(entries)
{
    static const uint32_t sizes[] = {20, 8, 8, 8, 8};
    uint32_t counts[5] = {0};

    build(5, true);
    uint32_t t = find_table(), e = t + 44, end = t + (uint32_t)rig_get(t + 4, 2), n = 0;
    memset(lines, -1, sizeof lines);
    memset(locals, -1, sizeof locals);
    for (uint8_t before = 0; e < end; n++) {
        uint8_t type = rig.ram[e];

        CHECK(type < 5 && type >= before); /* in ascending order */
        check_entry(e, n, 5);
        before = type;
        counts[type % 5]++;
        e += sizes[type % 5];
    }
    CHECK_EQ(e, end);
    CHECK_EQ(n, rig_get(t + 34, 2));
    CHECK(counts[0] == 5 && counts[1] == 2 && counts[2] == 1 && counts[3] == 16 && counts[4] == 2);
    for (int64_t line = 0; line < 16; line++)
        CHECK_EQ(lines[line], line == 0 ? 2 << 16 : line == 2 ? -1 : line == 9 ? 9 << 16 | 13 : line << 16);
    CHECK_EQ(lines[16], PLATFORM_IOAPIC_EXTINT << 16);
    CHECK_EQ(locals[3], 0);              /* ExtINT: LINT0 of the BSP */
    CHECK_EQ(locals[1], 0xff << 16 | 1); /* NMI: LINT1 of all */
}

/* No LAPIC, no MP table; with ACPI or without, such a guest has one CPU and the 8259s. */
TEST(without_lapic)
{
    build(1, false);
    CHECK_EQ(find_pointer(), 0);
    CHECK(rig_is(0, MIB, 0));
}

/* IBM's BIOS data area, and the extended one at the end of base memory, which the memory map reserves. */
TEST(bios_data)
{
    rig_start(MIB);
    bios_data_build(&rig);
    CHECK_EQ(rig_get(0x400, 8), 0x3f8); /* COM1, and no other */
    CHECK_EQ(rig_get(0x408, 6), 0);     /* no printer */
    uint64_t ebda = rig_get(0x40e, 2) << 4;
    CHECK_EQ(ebda, 0x9f000);
    CHECK_EQ(rig_get(0x413, 2), ebda >> 10);
    CHECK_EQ(rig_get(ebda, 1), (0xa0000 - ebda) >> 10);
    CHECK_EQ(rig_get(0x410, 2), 0x0202); /* an FPU and one serial port */
    CHECK(rig_is(0, 0x400, 0) && rig_is(0x415, ebda, 0) && rig_is(ebda + 1, MIB, 0));
}

/* loader_load() makes both, beside the ACPI tables. */
TEST(with_the_image)
{
    rig_start(2 * MIB);
    CHECK_EQ(rig_load("no image", 8), E_FORMAT);
    CHECK(find_pointer() != 0);
    CHECK_EQ(rig_get(0x413, 2), 636);
    CHECK(memcmp(rig.ram + ACPI_TABLES_BASE, "RSD PTR ", 8) == 0);
}
