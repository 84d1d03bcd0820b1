/* What an image is, and where an ELF file's segments go; and the same from hostile files. */
// links: user/loader/load.c user/loader/kind.c user/loader/elf.c user/loader/place.c user/loader/cpu.c
// links: user/loader/pvh.c user/loader/multiboot.c user/loader/linux.c user/loader/tables.c user/loader/mp.c
// links: user/loader/bios.c
#include "tests/unit/test_loader.h"

#include "tests/unit/elf_image.h"

/* ---- Kinds ----------------------------------------------------------------------------------------------------- */

static enum image_kind kind_of(const void *image, uint64_t size)
{
    uint8_t *exact = malloc(size);
    enum image_kind kind;

    memcpy(exact, image, size);
    kind = image_kind(exact, size);
    free(exact);
    return kind;
}

static void put_multiboot(uint8_t *p, uint32_t flags)
{
    put32(p, 0x1badb002);
    put32(p + 4, flags);
    put32(p + 8, 0u - 0x1badb002 - flags);
}

static void put_linux(uint8_t *p)
{
    put16(p + 0x1fe, 0xaa55);
    memcpy(p + 0x202, "HdrS", 4);
}

TEST(kinds)
{
    static uint8_t p[0x3000];

    CHECK_EQ(image_kind(NULL, 0), IMAGE_UNKNOWN);
    CHECK_EQ(kind_of(p, sizeof p), IMAGE_UNKNOWN);
    put_linux(p);
    CHECK_EQ(kind_of(p, 0x280), IMAGE_LINUX);
    CHECK_EQ(kind_of(p, 0x27f), IMAGE_UNKNOWN);
    p[0x1ff] = 0;
    CHECK_EQ(kind_of(p, 0x280), IMAGE_UNKNOWN);
    elf_pvh(false, MIB);
    CHECK_EQ(kind_of(elf_image, 0x1800), IMAGE_PVH);
    elf_pvh(true, MIB);
    CHECK_EQ(kind_of(elf_image, 0x1800), IMAGE_PVH);
    put_multiboot(elf_image + 0x800, 0); /* has both: PVH gives more */
    CHECK_EQ(kind_of(elf_image, 0x1800), IMAGE_PVH);
    put32(elf_image + 0x400 + 8, 17); /* another note of Xen's */
    CHECK_EQ(kind_of(elf_image, 0x1800), IMAGE_MULTIBOOT);
    put_linux(elf_image);
    CHECK_EQ(kind_of(elf_image, 0x1800), IMAGE_LINUX);
}

/* Multiboot specification 0.6.96, 3.1: in the first 8192 bytes, as a whole, on a multiple of four. */
TEST(multiboot_header_places)
{
    for (uint32_t at = 0; at < 0x2100; at++) {
        uint8_t *p = calloc(1, at + 12);
        uint32_t header = 0xcc;
        bool there = at % 4 == 0 && at + 12 <= 8192;

        put_multiboot(p + at, 3);
        CHECK_EQ(multiboot_find(p, at + 12, &header), there);
        CHECK_EQ(header, there ? at : 0xcc);
        CHECK(!multiboot_find(p, at + 11, &header));
        put_multiboot(p + at, 0x10003); /* the addresses that follow are not there */
        CHECK(!multiboot_find(p, at + 12, &header));
        free(p);
    }
    uint8_t p[64] = {0};
    uint32_t header;
    put_multiboot(p, 3);
    p[8]++; /* a bad sum; the good one behind it counts */
    put_multiboot(p + 12, 0x10000);
    CHECK(multiboot_find(p, 12 + 32, &header));
    CHECK_EQ(header, 12);
    CHECK(!multiboot_find(p, 12 + 31, &header));
}

/* ---- Headers and notes ------------------------------------------------------------------------------------------- */

TEST(elf_refused)
{
    static const struct {
        unsigned at;
        uint8_t value;
    } table[] = {{0, 0}, {3, 'f'}, {4, 0}, {4, 3}, {5, 2}, {18, 40}, {18, 183}};
    struct elf elf;

    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        elf_pvh(true, MIB);
        elf_image[table[i].at] = table[i].value;
        CHECK(!elf_open(&elf, elf_image, 0x1800));
    }
}

/* Every length of the file: never a byte behind its end, and only a whole one loads. */
TEST(elf_cut_off)
{
    rig_start(2 * MIB);
    for (unsigned is64 = 0; is64 < 2; is64++) {
        elf_pvh(is64, MIB);
        for (uint32_t size = 0; size < 0x1800; size += size < 0x500 ? 1 : 0x7f)
            CHECK(rig_load(elf_image, size) < 0 && (size < 4 || strstr(rig_message, "cut off")));
        CHECK_EQ(rig_load(elf_image, 0x1800), OK);
        put32(elf_image + (is64 ? 32 : 28), 0x2000); /* program headers behind the end */
        CHECK_EQ(rig_load(elf_image, 0x1800), E_FORMAT);
        CHECK(strstr(rig_message, "an ELF file that is cut off") != NULL);
        put_multiboot(elf_image + 0x800, 0);
        CHECK_EQ(rig_load(elf_image, 0x1800), E_FORMAT);
        CHECK(strstr(rig_message, "an ELF file that is cut off") != NULL);
    }
}

/* Where the program headers are, how big and how many. */
TEST(elf_program_headers)
{
    static const uint64_t offsets[] = {0x1800, 0x1801, 0x7fffffff, 0xffffffff, ~0ull, ~0ull - 55, 1ull << 63};
    struct elf elf;

    for (unsigned is64 = 0; is64 < 2; is64++) {
        uint8_t *p = elf_image;
        uint16_t size = is64 ? 56 : 32;

        for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
            elf_pvh(is64, MIB);
            memcpy(p + (is64 ? 32 : 28), &offsets[i], is64 ? 8 : 4);
            CHECK_EQ(kind_of(p, 0x1800), IMAGE_UNKNOWN);
        }
        for (unsigned is_more = 0; is_more < 2; is_more++) { /* up to the file's end and one too many */
            elf_pvh(is64, MIB);
            put16(p + (is64 ? 56 : 44), (0x1800 - 0x100) / size + is_more);
            CHECK_EQ(elf_open(&elf, p, 0x1800), !is_more);
            put32(p + (is64 ? 32 : 28), 0x1800 - 2u * size + is_more);
            put16(p + (is64 ? 56 : 44), 2);
            CHECK_EQ(elf_open(&elf, p, 0x1800), !is_more);
        }
        elf_pvh(is64, MIB);
        put16(p + (is64 ? 54 : 42), size - 1);
        CHECK(!elf_open(&elf, p, 0x1800));
        put16(p + (is64 ? 54 : 42), 0xffff);
        CHECK(!elf_open(&elf, p, 0x1800));
        put16(p + (is64 ? 56 : 44), 0);
        CHECK(elf_open(&elf, p, 0x1800)); /* none at all */
        rig_start(2 * MIB);
        CHECK_EQ(rig_load(p, 0x1800), E_FORMAT);
    }
}

/* Does a file that ends with `size` bytes of notes have the note that counts? */
static bool note_value(uint32_t size, uint32_t *value)
{
    uint8_t *exact = malloc(0x400 + size);
    struct elf elf;
    bool found;

    elf_part(0, (struct elf_part){ELF_NOTE, 0x400, 0, 0, size, size});
    memcpy(exact, elf_image, 0x400 + size);
    found = elf_open(&elf, exact, 0x400 + size) && elf_note(&elf, "Xen", 18, value);
    free(exact);
    return found;
}

TEST(elf_notes)
{
    uint32_t value = 0, n;

    elf_start(true, 1, 0);
    n = elf_put_note(0x400, "GNU", 4, 18, 1, 4);
    n += elf_put_note(0x400 + n, "Xe", 3, 18, 2, 4);
    n += elf_put_note(0x400 + n, "Xen+", 5, 18, 3, 7);
    n += elf_put_note(0x400 + n, "", 0, 18, 4, 8);
    n += elf_put_note(0x400 + n, "Xen", 4, 17, 5, 8);
    n += elf_put_note(0x400 + n, "Xen", 4, 18, 6, 3); /* too short */
    n += elf_put_note(0x400 + n, "Xen", 4, 18, 0, 0);
    CHECK(!note_value(n, &value));
    n += elf_put_note(0x400 + n, "Xen", 4, 18, 0x12345678, 4);
    CHECK(note_value(n, &value));
    CHECK_EQ(value, 0x12345678);
    for (uint32_t cut = 1; cut < n; cut++)
        CHECK(!note_value(n - cut, &value));
}

/* Sizes that leave the segment, or wrap. */
TEST(elf_note_sizes)
{
    static const uint32_t sizes[] = {5, 8, 9, 100, 0x7fffffff, 0xfffffff0, 0xfffffffc, 0xfffffffd, 0xffffffff};
    uint32_t value;

    for (unsigned field = 0; field < 8; field += 4)
        for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
            elf_start(false, 1, 0);
            uint32_t n = elf_put_note(0x400, "GNU", 4, 1, 0, 4);
            n += elf_put_note(0x400 + n, "Xen", 4, 18, 7, 4);
            put32(elf_image + 0x400 + field, sizes[i]);
            value = 0xcc;
            CHECK(!note_value(n, &value) || value == 7);
        }
    elf_start(true, 2, 0); /* one segment that is not in the file does not hide the other */
    elf_part(1, (struct elf_part){ELF_NOTE, 0x500, 0, 0, elf_put_note(0x500, "Xen", 4, 18, 9, 4), 0});
    static const uint64_t outside[][2] = {{0x1801, 0}, {0x1800, 1},     {~0ull, 1},
                                          {0, ~0ull},  {16, ~0ull - 8}, {0x400, 8}};
    for (unsigned i = 0; i < ARRAY_SIZE(outside); i++) {
        elf_part(0, (struct elf_part){ELF_NOTE, outside[i][0], 0, 0, outside[i][1], 0});
        CHECK_EQ(kind_of(elf_image, 0x1800), IMAGE_PVH);
    }
}

/* ---- Segments ---------------------------------------------------------------------------------------------------- */

TEST(segments_are_placed)
{
    for (unsigned is64 = 0; is64 < 2; is64++) {
        rig_start(4 * MIB);
        elf_pvh(is64, 2 * MIB);
        put16(elf_image + (is64 ? 56 : 44), 6);
        memset(elf_image + 0x1800, 0x11, 0x10);
        elf_part(2, (struct elf_part){ELF_LOAD, 0x1800, 0xc0000000, 0xc000, 0x10, 0x10}); /* the lowest there is */
        elf_part(3, (struct elf_part){ELF_LOAD, 0x1800, 0, 4 * MIB - 3, 3, 3});           /* the highest */
        elf_part(4, (struct elf_part){ELF_LOAD, 0xffffffff, 0, 0, 0xffffffff, 0});        /* nothing */
        elf_part(5, (struct elf_part){2, 0x1800, 0, 0, 0x10, 0x10});                      /* PT_DYNAMIC */
        CHECK_EQ(rig_load(elf_image, 0x1810), OK);
        CHECK(rig_is(2 * MIB, 2 * MIB + 0x800, 0xc5));
        CHECK(rig_is(2 * MIB + 0x800, 4 * MIB - 3, 0));
        CHECK(rig_is(4 * MIB - 3, 4 * MIB, 0x11));
        CHECK(rig_is(0xc000, 0xc010, 0x11));
        CHECK(rig_is(0xc010, LOW_RAM_END, 0));
        CHECK(rig_is(MIB, 2 * MIB, 0));
        rig_check_hole();
    }
}

/* One segment that does not fit: one message, and nothing outside. */
TEST(segments_outside_of_ram)
{
    static const struct {
        uint64_t at, memory;
        int err;
    } table[] = {
        {0, 0x10, E_RANGE},
        {0xfff, 0x10, E_RANGE},
        {0x1000, 0x10, OK},
        {0x1000, 0x9e000, OK},
        {0x1000, 0x9e001, E_RANGE},
        {0x8000, 0x10000, OK},
        {0x9efff, 1, OK},
        {0x9f000, 1, E_RANGE},
        {0xa0000, 0x10, E_RANGE},
        {0xfffff, 1, E_RANGE},
        {0xfffff, 2, E_RANGE},
        {0x100000, 0x100000, OK},
        {0x100000, 0x100001, E_NOMEM},
        {0x100000, 0xbff00000, E_NOMEM},
        {0x100000, 0xbff00001, E_RANGE},
        {0x1fffff, 1, OK},
        {0x200000, 1, E_NOMEM},
        {0xbfffffff, 1, E_NOMEM},
        {0xc0000000, 1, E_RANGE},
        {0xfffffff0, 0x20, E_RANGE},
        {0x100000, 0xfff00000, E_RANGE}, /* the sum is 0 in 32 bits */
        {0x100000, 0xffffffff, E_RANGE},
        {1ull << 32, 1, E_RANGE},
        {~0ull, 1, E_RANGE},
        {0x100000, ~0ull, E_RANGE},
        {0x100000, ~0ull - 0xfffff, E_RANGE},
        {~0ull - 0xfffff, 0x200000, E_RANGE},
    };
    for (unsigned is64 = 0; is64 < 2; is64++)
        for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
            for (unsigned has_data = 0; has_data < 2; has_data++) {
                if (!is64 && (table[i].at >> 32 || table[i].memory >> 32))
                    continue;
                uint64_t file_size = has_data ? MIN(table[i].memory, 0x800ull) : 0;

                rig_start(2 * MIB);
                elf_pvh(is64, MIB);
                elf_part(1, (struct elf_part){ELF_LOAD, 0x1000, 0, table[i].at, file_size, table[i].memory});
                CHECK_EQ(rig_load(elf_image, 0x1800), table[i].err);
                if (table[i].err)
                    rig_check_advice(table[i].err);
                CHECK(table[i].err || rig_is(table[i].at, table[i].at + file_size, 0xc5));
                rig_check_hole();
            }
}

TEST(segments_not_in_the_file)
{
    static const uint64_t table[][2] = {{0x1800, 1}, {0x1801, 0},     {0x17ff, 2},
                                        {0, 0x1801}, {0xffffffff, 2}, {2, 0xffffffff}};

    for (unsigned is64 = 0; is64 < 2; is64++) {
        for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
            rig_start(2 * MIB);
            elf_pvh(is64, MIB);
            elf_part(1, (struct elf_part){ELF_LOAD, table[i][0], 0, MIB, table[i][1], 0xffffffff});
            CHECK_EQ(rig_load(elf_image, 0x1800), E_FORMAT);
        }
        elf_pvh(is64, MIB); /* more in the file than in memory */
        elf_part(1, (struct elf_part){ELF_LOAD, 0x1000, 0, MIB, 0x11, 0x10});
        CHECK_EQ(rig_load(elf_image, 0x1800), E_FORMAT);
        elf_part(1, (struct elf_part){ELF_LOAD, 0x1000, 0, MIB, 0x10, 0});
        CHECK_EQ(rig_load(elf_image, 0x1800), E_FORMAT); /* nothing to load */
    }
    elf_pvh(true, MIB);
    elf_part(1, (struct elf_part){ELF_LOAD, ~0ull, 0, MIB, 2, 2});
    CHECK_EQ(rig_load(elf_image, 0x1800), E_FORMAT);
}

/* e_entry is virtual where the two addresses differ (as in a kernel at the top of the address space). */
TEST(physical_entry)
{
    struct elf elf;

    elf_start(true, 3, 0xffffffff80001234);
    elf_part(0, (struct elf_part){ELF_LOAD, 0, 0xffffffff80002000, 0x300000, 0, 0x1000});
    elf_part(1, (struct elf_part){ELF_LOAD, 0, 0xffffffff80001000, 0x200000, 0, 0x235});
    elf_part(2, (struct elf_part){ELF_NOTE, 0, 0xffffffff80001000, 0x100000, 0, 0x1000});
    CHECK(elf_open(&elf, elf_image, sizeof elf_image));
    CHECK_EQ(elf_physical_entry(&elf), 0x200234);
    elf_part(1, (struct elf_part){ELF_LOAD, 0, 0xffffffff80001000, 0x200000, 0, 0x234});
    CHECK_EQ(elf_physical_entry(&elf), 0xffffffff80001234); /* in no segment */
    elf_part(1, (struct elf_part){ELF_LOAD, 0, 0, 0x1000, 0, ~0ull});
    CHECK_EQ(elf_physical_entry(&elf), 0xffffffff80002234);
}
