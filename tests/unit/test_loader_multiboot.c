/* The Multiboot specification, version 0.6.96: headers (3.1), the machine's state (3.2), the information (3.3). */
// links: user/loader/load.c user/loader/kind.c user/loader/elf.c user/loader/place.c user/loader/cpu.c
// links: user/loader/pvh.c user/loader/multiboot.c user/loader/linux.c user/loader/tables.c user/loader/mp.c
// links: user/loader/bios.c
#include "tests/unit/test_loader.h"

#include "tests/unit/elf_image.h"

enum { HEADER = 0x40, SIZE = 0x2000 };
static uint8_t flat[SIZE];

static void put_header(uint8_t *p, uint32_t flags)
{
    put32(p, 0x1badb002);
    put32(p + 4, flags);
    put32(p + 8, 0u - 0x1badb002 - flags);
}

/* A flat image with its addresses: header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr. */
static void flat_start(uint32_t header_at, uint32_t load, uint32_t load_end, uint32_t bss_end, uint32_t entry)
{
    const uint32_t fields[] = {header_at, load, load_end, bss_end, entry};

    for (unsigned i = 0; i < SIZE; i++)
        flat[i] = (uint8_t)(i % 251 + 1);
    put_header(flat + HEADER, 0x10003);
    for (unsigned i = 0; i < 5; i++)
        put32(flat + HEADER + 12 + 4ull * i, fields[i]);
}

static void elf_multiboot(bool is64)
{
    elf_start(is64, 1, MIB + 0x30);
    memset(elf_image + 0x1000, 0xc5, 0x800);
    elf_part(0, (struct elf_part){ELF_LOAD, 0x1000, MIB, MIB, 0x800, 0x1800});
    put_header(elf_image + 0x1000, 7);
}

static uint32_t info(unsigned offset)
{
    return (uint32_t)rig_get(rig_bsp.gpr[ABI_RBX] + offset, 4);
}

static void check_info(void)
{
    uint32_t flags = info(0), map = info(48);

    CHECK_EQ(rig_bsp.gpr[ABI_RAX], 0x2badb002);
    CHECK_EQ(flags, 1 | 4 | 8 | 64 | 512);
    CHECK_EQ(info(4), 636);
    CHECK_EQ(info(8), (rig.ram_low - MIB) / 1024);
    CHECK_STR(rig_text(info(16)), "root=none");
    CHECK_EQ(info(20), rig.module_count);
    CHECK_STR(rig_text(info(64)), "Lapwing");
    unsigned n = 0;
    for (uint32_t at = map; at < map + info(44) && n < 4; at += (uint32_t)rig_get(at, 4) + 4, n++)
        rig_check_range(n, rig_get(at + 4, 8), rig_get(at + 12, 8), (uint32_t)rig_get(at + 20, 4));
    CHECK_EQ(n, rig.ram_high ? 4 : 3);
    CHECK_EQ(info(44), n * 24);
}

static void check_module(unsigned n, const struct loader_module *module, const char *text)
{
    uint32_t entry = info(24) + 16 * n, at = (uint32_t)rig_get(entry, 4);

    CHECK_EQ(at % PAGE_SIZE, 0);
    CHECK(at >= MIB);
    CHECK_EQ(rig_get(entry + 4, 4), at + module->size);
    CHECK(at + module->size <= rig.ram_low && (!module->size || memcmp(rig.ram + at, module->data, module->size) == 0));
    CHECK_STR(rig_text(rig_get(entry + 8, 4)), text);
    CHECK_EQ(rig_get(entry + 12, 4), 0);
}

TEST(elf_file)
{
    for (unsigned is64 = 0; is64 < 2; is64++) {
        rig_start(3 * MIB);
        rig.ram_high = is64 ? 5ull << 30 : 0;
        elf_multiboot(is64);
        CHECK_EQ(rig_load(elf_image, 0x1800), OK);
        rig_check_protected(MIB + 0x30);
        check_info();
        CHECK(memcmp(rig.ram + MIB, elf_image + 0x1000, 0x800) == 0);
        CHECK(rig_is(MIB + 0x800, 3 * MIB, 0));
        rig_check_hole();
    }
}

/* A kernel linked high, loaded low. */
TEST(elf_file_virtual_entry)
{
    rig_start(2 * MIB);
    elf_multiboot(true);
    put64(elf_image + 24, 0xffffffff80000044);
    elf_part(0, (struct elf_part){ELF_LOAD, 0x1000, 0xffffffff80000000, MIB, 0x800, 0x1800});
    CHECK_EQ(rig_load(elf_image, 0x1800), OK);
    CHECK_EQ(rig_bsp.rip, MIB + 0x44);
}

TEST(modules)
{
    rig_start(3 * MIB);
    elf_multiboot(false);
    rig.module_count = LOADER_MODULES;
    for (uint32_t i = 0; i < LOADER_MODULES; i++)
        rig.modules[i] = rig_module("m", i & 1 ? "" : "-v x", i * 777, (uint8_t)(0x80 + i));
    CHECK_EQ(rig_load(elf_image, 0x1800), OK);
    check_info();
    uint32_t end = MIB + 0x1800;
    for (uint32_t i = 0; i < LOADER_MODULES; i++) {
        check_module(i, &rig.modules[i], i & 1 ? "m" : "m -v x");
        CHECK(rig_get(info(24) + 16 * i, 4) >= end);
        end = (uint32_t)rig_get(info(24) + 16 * i + 4, 4);
        rig_free(&rig.modules[i]);
    }
    rig_check_hole();
}

TEST(no_initrd)
{
    rig_start(2 * MIB);
    elf_multiboot(false);
    rig.initrd = rig_module("ramdisk", "", 5, 1);
    CHECK_EQ(rig_load(elf_image, 0x1800), E_NOTSUP);
    CHECK(strstr(rig_message, "ramdisk") != NULL);
    rig_free(&rig.initrd);
}

/* 3.1.2: bits 0-15 that a loader does not know make it fail; 16-31 may be passed over. */
TEST(flags)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        rig_start(2 * MIB);
        elf_multiboot(false);
        put_header(elf_image + 0x1000, 1u << bit);
        int err = rig_load(elf_image, 0x1800);
        CHECK_EQ(err, bit >= 3 && bit < 16 ? E_NOTSUP : bit == 16 ? E_RANGE : OK); /* 16: code as addresses */
    }
    static uint8_t text[SIZE]; /* neither ELF nor addresses */
    put_header(text, 3);
    CHECK_EQ(rig_load(text, SIZE), E_FORMAT);
}

/* 3.1.3 */
TEST(flat_image)
{
    static const struct {
        uint32_t header_at, load, load_end, bss_end;
        uint32_t from, size, memory; /* what of the file, and all that it takes */
    } table[] = {
        {MIB + HEADER, MIB, 0, 0, 0, SIZE, SIZE},
        {MIB + HEADER, MIB, MIB + 0x100, 0, 0, 0x100, 0x100},
        {MIB + HEADER, MIB, MIB + SIZE, MIB + 0x5000, 0, SIZE, 0x5000},
        {MIB + HEADER, MIB, 0, MIB + SIZE, 0, SIZE, SIZE},
        {MIB + HEADER, MIB + HEADER, 0, 0, HEADER, SIZE - HEADER,
         SIZE - HEADER}, /* without what is before the header */
        {MIB + HEADER, MIB + 0x10, MIB + 0x60, 0, 0x10, 0x50, 0x50},
        {2 * MIB - SIZE + HEADER, 2 * MIB - SIZE, 0, 2 * MIB, 0, SIZE, SIZE},
        {0xc000 + HEADER, 0xc000, 0xc000 + SIZE, LOW_RAM_END, 0, SIZE, LOW_RAM_END - 0xc000},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        uint32_t load = table[i].load, end = load + table[i].memory;

        rig_start(2 * MIB);
        flat_start(table[i].header_at, load, table[i].load_end, table[i].bss_end, load + 5);
        bool room = end + PAGE_SIZE < 2 * MIB;
        rig.module_count = room;
        rig.modules[0] = rig_module("m", "", 1, 0xff);
        CHECK_EQ(rig_load(flat, SIZE), OK);
        rig_check_protected(load + 5);
        check_info();
        CHECK(memcmp(rig.ram + load, flat + table[i].from, table[i].size) == 0);
        CHECK(rig_is(load + table[i].size, end, 0));
        CHECK(rig_is(MAX(end, MIB), room ? rig_get(info(24), 4) : 2 * MIB, 0));
        CHECK(!room || rig_get(info(24), 4) == ALIGN_UP(MAX(end, MIB), PAGE_SIZE));
        rig_check_hole();
        rig_free(&rig.modules[0]);
    }
}

TEST(flat_image_hostile)
{
    static const struct {
        uint32_t header_at, load, load_end, bss_end;
        int err;
    } table[] = {
        {MIB + HEADER + 1, MIB, 0, 0, E_FORMAT}, /* begins before the file */
        {MIB - 1, MIB, 0, 0, E_FORMAT},          /* the header is not loaded */
        {0, 0xffffffff, 0, 0, E_FORMAT},
        {0xffffffff, 0, 0, 0, E_FORMAT},
        {MIB + HEADER, MIB, MIB + SIZE + 1, 0, E_FORMAT}, /* ends behind the file */
        {MIB + HEADER, MIB + 1, MIB + SIZE + 1, 0, E_FORMAT},
        {MIB + HEADER, MIB, MIB - 1, 0, E_FORMAT}, /* ends before it begins */
        {MIB + HEADER, MIB, 0xffffffff, 0, E_FORMAT},
        {MIB + HEADER, MIB, 1, 0, E_FORMAT},
        {MIB + HEADER, MIB, 0, MIB + SIZE - 1, E_FORMAT}, /* a BSS that ends before it begins */
        {MIB + HEADER, MIB, 0, MIB - 1, E_RANGE},
        {MIB + HEADER, MIB, 0, 1, E_RANGE},
        {MIB + HEADER, MIB, 0, 2 * MIB + 1, E_NOMEM},
        {MIB + HEADER, MIB, 0, 0xffffffff, E_RANGE},
        {HEADER, 0, 0, 0, E_RANGE},
        {0xff0 + HEADER, 0xff0, 0, 0, E_RANGE},
        {0x9e000 + HEADER, 0x9e000, 0, 0, E_RANGE},
        {0xa0000 + HEADER, 0xa0000, 0, 0, E_RANGE},
        {MIB - 4 + HEADER, MIB - 4, 0, 0, E_RANGE},
        {2 * MIB - SIZE + 1 + HEADER, 2 * MIB - SIZE + 1, 0, 0, E_NOMEM},
        {0xfffff000 + HEADER, 0xfffff000, 0, 0, E_RANGE},
        {0xffffff00 + HEADER, 0xffffff00, 0, 1, E_RANGE},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        rig_start(2 * MIB);
        flat_start(table[i].header_at, table[i].load, table[i].load_end, table[i].bss_end, MIB);
        CHECK_EQ(rig_load(flat, SIZE), table[i].err);
        rig_check_hole();
        CHECK(rig_is(MIB, 2 * MIB, 0));
    }
}

/* The header in the file's last bytes. */
TEST(flat_image_cut_off)
{
    flat_start(MIB + HEADER, MIB, 0, 0, MIB);
    rig_start(2 * MIB);
    CHECK_EQ(rig_load(flat, HEADER + 32), OK);
    CHECK(rig_is(MIB + HEADER + 32, 2 * MIB, 0));
    for (uint32_t size = 0; size < HEADER + 32; size++)
        CHECK_EQ(rig_load(flat, size), E_FORMAT);
}

TEST(modules_do_not_fit)
{
    for (unsigned extra = 0; extra < 2; extra++) {
        rig_start(2 * MIB);
        elf_multiboot(false);
        rig.module_count = 2;
        rig.modules[0] = rig_module("m", "", 3, 1);
        rig.modules[1] = rig_module("last", "", MIB - 0x3000 + extra, 2);
        CHECK_EQ(rig_load(elf_image, 0x1800), extra ? E_NOMEM : OK);
        CHECK(!extra || strstr(rig_message, "last"));
        CHECK(extra || rig.ram[2 * MIB - 1] == 2);
        rig_free(&rig.modules[0]);
        rig_free(&rig.modules[1]);
    }
}

TEST(mutations)
{
    uint64_t seed = 5;
    unsigned good = 0;

    rig_start(2 * MIB);
    rig.module_count = 1;
    rig.modules[0] = rig_module("m", "x", 3, 0x78);
    for (unsigned round = 0; round < 4000; round++) {
        bool is_flat = round & 1;
        uint8_t *image = is_flat ? flat : elf_image, *header = is_flat ? flat + HEADER : elf_image + 0x1000;

        if (is_flat)
            flat_start(MIB + HEADER, MIB, MIB + 0x1000, MIB + 0x3000, MIB + 8);
        else
            elf_multiboot(round & 2);
        rig_clear_ram();
        rig_mutate(is_flat ? header + 4 : image, is_flat ? 28 : 0x138, &seed);
        put32(header + 8, 0u - get32(header) - get32(header + 4));
        if (rig_load(image, is_flat ? SIZE : 0x1800) != OK)
            continue;
        rig_check_hole();
        check_info();
        check_module(0, &rig.modules[0], "m x");
        good++;
    }
    CHECK(good > 400 && good < 3600);
    rig_free(&rig.modules[0]);
}
