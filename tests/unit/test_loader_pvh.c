/* Xen's PVH start protocol (docs/misc/pvh.pandoc; struct hvm_start_info of public/arch-x86/hvm/start_info.h). */
// links: user/loader/load.c user/loader/kind.c user/loader/elf.c user/loader/place.c user/loader/cpu.c
// links: user/loader/pvh.c user/loader/multiboot.c user/loader/linux.c user/loader/tables.c user/loader/mp.c
// links: user/loader/bios.c
#include "tests/unit/test_loader.h"

#include "tests/unit/elf_image.h"

enum { SIZE = 0x1800 };

static uint64_t info(unsigned offset, unsigned size)
{
    return rig_get(rig_bsp.gpr[ABI_RBX] + offset, size);
}

static void check_map(void)
{
    uint64_t map = info(40, 8), count = info(48, 4);

    CHECK_EQ(count, rig.ram_high ? 4 : 3);
    for (unsigned i = 0; i < count; i++) {
        rig_check_range(i, rig_get(map + 24 * i, 8), rig_get(map + 24 * i + 8, 8),
                        (uint32_t)rig_get(map + 24 * i + 16, 4));
        CHECK_EQ(rig_get(map + 24 * i + 20, 4), 0);
    }
}

/* Entry n of the list: contents, text, and where it ends. */
static uint64_t check_module(unsigned n, const struct loader_module *module, const char *text)
{
    uint64_t entry = info(16, 8) + 32 * n, at = rig_get(entry, 8);

    CHECK(n < info(12, 4));
    CHECK_EQ(at % PAGE_SIZE, 0);
    CHECK_EQ(rig_get(entry + 8, 8), module->size);
    CHECK(at >= MIB && at + module->size <= rig.ram_low);
    CHECK(at + module->size <= rig.ram_low && (!module->size || memcmp(rig.ram + at, module->data, module->size) == 0));
    CHECK_STR(rig_text(rig_get(entry + 16, 8)), text);
    CHECK_EQ(rig_get(entry + 24, 8), 0);
    return at + module->size;
}

TEST(start_of_the_bsp)
{
    for (unsigned is64 = 0; is64 < 2; is64++) {
        rig_start(2 * MIB);
        elf_pvh(is64, MIB);
        CHECK_EQ(rig_load(elf_image, SIZE), OK);
        rig_check_protected(MIB + 0x20); /* the note's, not e_entry */
        CHECK(rig_bsp.gpr[ABI_RBX] != 0);
        for (unsigned i = 0; i < ABI_GPRS; i++)
            CHECK(i == ABI_RBX || rig_bsp.gpr[i] == 0);
    }
}

TEST(start_info)
{
    for (unsigned round = 0; round < 2; round++) {
        rig_start(2 * MIB + round * PAGE_SIZE);
        rig.ram_high = round << 30;
        elf_pvh(true, MIB);
        CHECK_EQ(rig_load(elf_image, SIZE), OK);
        CHECK_EQ(info(0, 4), 0x336ec578);
        CHECK_EQ(info(4, 4), 1);
        CHECK_EQ(info(8, 4), 0);
        CHECK_EQ(info(12, 4), 0);
        CHECK_STR(rig_text(info(24, 8)), "root=none");
        CHECK(memcmp(rig_text(info(32, 8)), "RSD PTR ", 8) == 0);
        CHECK_EQ(info(52, 4), 0);
        check_map();
        CHECK(rig_is(MIB, MIB + 0x800, 0xc5));
        CHECK(rig_is(MIB + 0x800, rig.ram_low, 0));
        rig_check_hole();
    }
}

TEST(initrd_and_all_modules)
{
    uint64_t end = 0;

    rig_start(4 * MIB);
    elf_pvh(true, MIB);
    rig.initrd = rig_module("initrd", "", PAGE_SIZE + 1, 0x77);
    rig.module_count = LOADER_MODULES;
    for (uint32_t i = 0; i < LOADER_MODULES; i++)
        rig.modules[i] = rig_module("module", i % 3 ? "" : "its arguments", i * 1000, (uint8_t)(0x80 + i));
    CHECK_EQ(rig_load(elf_image, SIZE), OK);
    CHECK_EQ(info(12, 4), LOADER_MODULES + 1);
    end = check_module(0, &rig.initrd, "initrd");
    CHECK(rig_get(info(16, 8), 8) >= MIB + 0x1800); /* behind the image's BSS */
    for (uint32_t i = 0; i < LOADER_MODULES; i++) {
        CHECK(rig_get(info(16, 8) + 32 + 32 * i, 8) >= end);
        end = check_module(1 + i, &rig.modules[i], i % 3 ? "module" : "module its arguments");
        rig_free(&rig.modules[i]);
    }
    CHECK(rig_is(MIB + 0x800, MIB + 0x2000, 0));
    check_map();
    rig_check_hole();
    rig_free(&rig.initrd);
}

/* The longest names and arguments that the config can give: they fit their area. */
TEST(long_texts)
{
    static char name[ABI_MODULE_NAME_SIZE], arguments[ABI_CMDLINE_SIZE - LOADER_MODULES + 1];

    memset(name, 'n', sizeof name - 1);
    memset(arguments, 'a', sizeof arguments - 1); /* of one; the others have none, and a NUL each */
    rig_start(4 * MIB);
    elf_pvh(true, MIB);
    rig.initrd = rig_module(name, "", 1, 0x77);
    rig.module_count = LOADER_MODULES;
    for (uint32_t i = 0; i < LOADER_MODULES; i++)
        rig.modules[i] = rig_module(name, i == 7 ? arguments : "", 1, 1);
    CHECK_EQ(rig_load(elf_image, SIZE), OK);
    for (uint32_t i = 0; i <= LOADER_MODULES; i++) {
        const char *text = rig_text(rig_get(info(16, 8) + 32 * i + 16, 8));
        CHECK(text && strlen(text) == strlen(name) + (i == 8 ? 1 + strlen(arguments) : 0));
    }
    CHECK(rig_is(LOW_RAM_BASE + AREA_TEXT + AREA_TEXT_SIZE - 1, LOW_RAM_END, 0));
    for (uint32_t i = 0; i < LOADER_MODULES; i++)
        rig_free(&rig.modules[i]);
    rig_free(&rig.initrd);
}

/* The last byte of RAM, and one more. */
TEST(modules_at_the_end_of_ram)
{
    for (unsigned extra = 0; extra < 2; extra++)
        for (unsigned is_initrd = 0; is_initrd < 2; is_initrd++) {
            rig_start(2 * MIB);
            elf_pvh(true, MIB);
            rig.initrd = rig_module("first", "", is_initrd ? MIB - 0x2000 + extra : 1, 0x77);
            rig.module_count = !is_initrd;
            rig.modules[0] = rig_module("second", "", is_initrd ? 0 : MIB - 0x3000 + extra, 0x78);
            CHECK_EQ(rig_load(elf_image, SIZE), extra ? E_NOMEM : OK);
            CHECK(extra || rig_is(2 * MIB - 0x1000, 2 * MIB, is_initrd ? 0x77 : 0x78));
            CHECK(!extra || strstr(rig_message, is_initrd ? "first" : "second"));
            rig_free(&rig.initrd);
            rig_free(&rig.modules[0]);
        }
    rig_start(2 * MIB); /* the image ends in the last page: not even an empty module is behind it */
    elf_pvh(true, 2 * MIB - 0x1800);
    rig.module_count = 1;
    rig.modules[0] = rig_module("empty", "", 0, 0);
    CHECK_EQ(rig_load(elf_image, SIZE), OK);
    CHECK_EQ(info(12, 4), 1);
    rig.modules[0] = rig_module("one byte", "", 1, 0x79);
    CHECK_EQ(rig_load(elf_image, SIZE), OK); /* below the image there is room */
    CHECK_EQ(check_module(0, &rig.modules[0], "one byte"), MIB + 1);
    rig_free(&rig.modules[0]);
    rig.modules[0] = rig_module("too many bytes", "", MIB - 0x17ff, 0x79);
    CHECK_EQ(rig_load(elf_image, SIZE), E_NOMEM);
    CHECK(strstr(rig_message, "give the guest more memory, 3 MiB or more") != NULL);
    rig_free(&rig.modules[0]);
    uint8_t byte = 0;
    rig.modules[0] = (struct loader_module){&byte, ~0ull - 0x1fffff, "enormous", ""};
    CHECK_EQ(rig_load(elf_image, SIZE), E_RANGE);
    rig_check_advice(E_RANGE);
}

TEST(cmdline_length)
{
    static char text[PAGE_SIZE + 1];

    memset(text, 'c', PAGE_SIZE);
    elf_pvh(true, MIB);
    rig_start(2 * MIB);
    rig.cmdline = text;
    CHECK_EQ(rig_load(elf_image, SIZE), E_RANGE);
    CHECK(rig_is(0, LOW_RAM_END, 0));
    text[PAGE_SIZE - 1] = 0;
    rig_clear_ram();
    CHECK_EQ(rig_load(elf_image, SIZE), OK);
    CHECK_STR(rig_text(info(24, 8)), text);
    CHECK_EQ(rig.ram[LOW_RAM_BASE + AREA_CMDLINE + PAGE_SIZE], 0);
}

/* Low memory is the image's, wherever it is: what the loader adds goes beside it, and modules above 1 MiB. */
TEST(image_in_low_memory)
{
    for (uint64_t at = LOW_RAM_BASE; at < LOW_RAM_END - 0x1800; at += 0x1c00) {
        rig_start(2 * MIB);
        elf_pvh(true, at);
        rig.initrd = rig_module("initrd", "", 10, 0x77);
        CHECK_EQ(rig_load(elf_image, SIZE), OK);
        CHECK_EQ(rig_get(info(16, 8), 8), MIB);
        CHECK(rig_is(at, at + 0x800, 0xc5) && rig_is(at + 0x800, at + 0x1800, 0));
        CHECK(rig_bsp.gpr[ABI_RBX] >= at + 0x1800 || rig_bsp.gpr[ABI_RBX] + AREA_SIZE - AREA_INFO <= at);
        CHECK_STR(rig_text(info(24, 8)), "root=none");
        rig_check_protected(at + 0x20);
        rig_check_hole();
        rig_free(&rig.initrd);
    }
}

/*
 * Many pieces in low memory leave no place for the loader's own, not even where the gaps between them are too many to
 * be kept account of: it goes above 1 MiB.
 */
TEST(low_memory_in_pieces)
{
    enum { NOTE = 0x8000, CODE = 0x9000, PIECE = 0xa000 };

    for (unsigned step = 1; step <= 2; step++) {
        unsigned pieces = 158 / step;

        rig_start(4 * MIB);
        elf_start(true, 2 + pieces, 0);
        elf_part(0, (struct elf_part){ELF_NOTE, NOTE, 0, 0, elf_put_note(NOTE, "Xen", 4, 18, MIB, 8), 0});
        elf_part(1, (struct elf_part){ELF_LOAD, CODE, MIB, MIB, 0x800, 0x1800});
        memset(elf_image + PIECE, 0x33, 1);
        for (unsigned n = 0; n < pieces; n++) {
            uint64_t at = LOW_RAM_BASE + n * 61ull % pieces * step * PAGE_SIZE;

            elf_part(2 + n, (struct elf_part){ELF_LOAD, PIECE, at, at, 1, PAGE_SIZE});
        }
        CHECK_EQ(rig_load(elf_image, 0xb000), OK);
        for (unsigned n = 0; n < pieces; n++) {
            uint64_t at = LOW_RAM_BASE + n * step * PAGE_SIZE;

            CHECK_EQ(rig.ram[at], 0x33);
            CHECK(rig_is(at + 1, at + step * PAGE_SIZE, 0));
        }
        CHECK(rig_bsp.gpr[ABI_RBX] >= MIB + 0x1800);
        CHECK_STR(rig_text(info(24, 8)), "root=none");
        rig_check_hole();
    }
}

TEST(neither_kind)
{
    rig_start(MIB);
    CHECK_EQ(rig_load(NULL, 0), E_FORMAT);
    CHECK_EQ(rig_load("text", 4), E_FORMAT);
}

/* The smallest RAM: nothing fits above 1 MiB. */
TEST(no_memory_but_the_first_mib)
{
    rig_start(MIB);
    elf_pvh(true, MIB);
    CHECK_EQ(rig_load(elf_image, SIZE), E_NOMEM);
    elf_pvh(true, 0x10000);
    CHECK_EQ(rig_load(elf_image, SIZE), OK);
    rig.initrd = rig_module("initrd", "", 1, 0x77);
    CHECK_EQ(rig_load(elf_image, SIZE), E_NOMEM);
    rig_free(&rig.initrd);
}

/* What loads after a mutation is described by the information; what does not, says one message (rig_load). */
TEST(mutations)
{
    uint64_t seed = 4;
    unsigned good = 0;

    rig_start(2 * MIB);
    rig.initrd = rig_module("initrd", "", 5000, 0x77);
    rig.module_count = 1;
    rig.modules[0] = rig_module("module", "x", 3, 0x78);
    for (unsigned round = 0; round < 4000; round++) {
        bool is64 = test_random(&seed) & 1;

        elf_pvh(is64, test_random(&seed) & 1 ? MIB : 0x10000);
        rig_clear_ram();
        if (round & 1)
            rig_mutate(elf_image + 0x100, is64 ? 2 * 56 : 2 * 32 + 8, &seed);
        else
            rig_mutate(elf_image, 0x440, &seed);
        if (rig_load(elf_image, SIZE) != OK)
            continue;
        rig_check_hole();
        if (rig_bsp.gpr[ABI_RAX] == 0) { /* a mutation makes no multiboot header */
            check_module(0, &rig.initrd, "initrd");
            check_module(1, &rig.modules[0], "module x");
            good++;
        }
    }
    CHECK(good > 400 && good < 3600);
    rig_free(&rig.initrd);
    rig_free(&rig.modules[0]);
}
