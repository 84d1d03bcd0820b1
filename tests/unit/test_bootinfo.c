/*
 * What boot loaders tell, from good and from hostile ones. Layouts: Multiboot2 specification 2.0, section 3.6; Xen's
 * public/arch-x86/hvm/start_info.h. All information lies in heap blocks of exactly its size.
 */
// links: kernel/base/bootinfo.c
#include "kernel/base/bootinfo.h"
#include "lib/bytes.h"

#include "tests/unit/test.h"

static struct bootinfo out;

/* ---- Multiboot2 ------------------------------------------------------------------------------------------------ */

static uint8_t mb[65536];
static uint32_t mb_size;

static void mb_start(void)
{
    memset(mb, 0xcc, sizeof mb);
    mb_size = 8;
}

/* A tag with `size` bytes behind its type and size fields, in place and zero; what follows it is aligned to 8. */
static uint8_t *mb_tag(uint32_t type, uint32_t size)
{
    uint8_t *tag = mb + mb_size;

    memset(tag + 8, 0, size);
    put32(tag, type);
    put32(tag + 4, 8 + size);
    mb_size += ALIGN_UP(8 + size, 8u);
    return tag + 8;
}

static void mb_module(uint32_t start, uint32_t end, const char *name, uint32_t name_size)
{
    uint8_t *p = mb_tag(3, 8 + name_size);

    put32(p, start);
    put32(p + 4, end);
    memcpy(p + 8, name, name_size);
}

static void put_range(uint8_t *p, uint64_t base, uint64_t size, uint32_t type)
{
    put64(p, base);
    put64(p + 8, size);
    put32(p + 16, type);
}

/* The first `size` bytes of what was built. */
static int mb_parse_cut(uint32_t size, uint64_t said)
{
    uint8_t *exact = malloc(size);
    int err;

    memcpy(exact, mb, size);
    err = bootinfo_multiboot2(&out, exact, said);
    free(exact);
    return err;
}

static int mb_parse(void)
{
    mb_tag(0, 0);
    put32(mb, mb_size);
    put32(mb + 4, 0);
    return mb_parse_cut(mb_size, mb_size);
}

static void mb_good(void)
{
    uint8_t *p;

    mb_start();
    mb_tag(1, 5); /* a command line, not aligned */
    mb_module(0x200000, 0x200123, "a.conf", 7);
    p = mb_tag(6, 8 + 3 * 24);
    put32(p, 24);
    put_range(p + 8, 0, 0x9f000, 1);
    put_range(p + 32, 0xf0000, 0x10000, 2);
    put_range(p + 56, 0x100000, 0x7ff00000, 1);
    mb_module(0x300000, 0x300000, "empty", 6);
    memset(mb_tag(14, 20), 0x11, 20);
    memset(mb_tag(15, 36), 0x22, 36);
}

static void check_mb_good(void)
{
    CHECK_EQ(out.region_count, 3);
    CHECK_EQ(out.regions[0].size, 0x9f000);
    CHECK(out.regions[0].ram && !out.regions[1].ram && out.regions[2].ram);
    CHECK_EQ(out.regions[1].base, 0xf0000);
    CHECK_EQ(out.regions[2].base, 0x100000);
    CHECK_EQ(out.regions[2].size, 0x7ff00000);
    CHECK_EQ(out.module_count, 2);
    CHECK_EQ(out.modules[0].base, 0x200000);
    CHECK_EQ(out.modules[0].size, 0x123);
    CHECK_STR(out.modules[0].name, "a.conf");
    CHECK_EQ(out.modules[1].size, 0);
    CHECK_STR(out.modules[1].name, "empty");
    CHECK_EQ(out.rsdp, 0);
    CHECK_EQ(out.rsdp_size, 36);
    CHECK_EQ(out.rsdp_copy[35], 0x22);
    CHECK_EQ(out.regions_lost + out.modules_lost, 0);
}

TEST(multiboot2_good)
{
    memset(&out, 0x55, sizeof out);
    mb_good();
    CHECK_EQ(mb_parse(), OK);
    check_mb_good();
    /* What is behind the information is not looked at, even if the caller would allow it. */
    CHECK_EQ(mb_parse_cut(mb_size, UINT64_MAX), OK);
    check_mb_good();
}

/* Every shorter length: an error, and no byte behind the end is read. */
TEST(multiboot2_cut_off)
{
    mb_good();
    CHECK_EQ(mb_parse(), OK);
    for (uint32_t size = 0; size < mb_size; size++)
        CHECK_EQ(mb_parse_cut(size, size), E_FORMAT);
    for (uint32_t size = 8; size < mb_size; size++) {
        put32(mb, size);
        CHECK_EQ(mb_parse_cut(mb_size, mb_size), E_FORMAT);
    }
}

TEST(multiboot2_no_memory_map)
{
    mb_start();
    CHECK_EQ(mb_parse(), OK);
    CHECK_EQ(out.region_count + out.module_count + out.rsdp_size, 0);
}

TEST(multiboot2_tag_sizes)
{
    for (uint32_t size = 0; size < 8; size++) { /* no progress */
        mb_good();
        put32(mb + 8 + 4, size);
        CHECK_EQ(mb_parse(), E_FORMAT);
    }
    static const uint32_t beyond[] = {0x7fffffff, 0xfffffff8, 0xffffffff};
    for (unsigned i = 0; i < ARRAY_SIZE(beyond); i++) {
        mb_good();
        put32(mb + 8 + 4, beyond[i]);
        CHECK_EQ(mb_parse(), E_FORMAT);
    }
    /* A tag that ends with the information, but is not the end tag. */
    mb_start();
    mb_tag(1, 8);
    put32(mb, mb_size);
    CHECK_EQ(mb_parse_cut(mb_size, mb_size), E_FORMAT);
}

/* What came before the fault is there. */
TEST(multiboot2_keeps_what_came_before)
{
    mb_good();
    mb_tag(7, 0);
    put32(mb + mb_size - 4, 3);
    CHECK_EQ(mb_parse(), E_FORMAT);
    check_mb_good();
}

TEST(multiboot2_memory_map_sizes)
{
    static const struct {
        uint32_t tag, entry, regions; /* bytes behind the tag's header */
    } table[] = {{0, 24, 0},  {7, 24, 0},  {8, 24, 0},     {31, 24, 0},         {32, 24, 1},
                 {55, 24, 1}, {56, 24, 2}, {8 + 96, 0, 0}, {96, 23, 0},         {8 + 2 * 40, 40, 2},
                 {96, 88, 1}, {96, 89, 0}, {96, 1, 0},     {96, 0xffffffff, 0}, {96, 0xfffffff0, 0}};

    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        mb_start();
        uint8_t *p = mb_tag(6, table[i].tag);
        for (uint64_t at = 8; at + 24 <= table[i].tag; at += table[i].entry ? table[i].entry : 24)
            put_range(p + at, 0x1000, 0x1000, 1);
        if (table[i].tag >= 4)
            put32(p, table[i].entry);
        CHECK_EQ(mb_parse(), OK);
        CHECK_EQ(out.region_count, table[i].regions);
    }
}

TEST(multiboot2_hostile_regions)
{
    static const struct {
        uint64_t base, size;
        bool taken;
    } table[] = {{0, 0, false},          {0x1000, 0, false},
                 {1, UINT64_MAX, false}, /* wraps */
                 {UINT64_MAX, 1, false}, {UINT64_MAX - 1, 1, false},
                 {BIT(52) - 1, 1, true}, {BIT(52), 0x1000, false}, /* no CPU has such addresses: SDM Vol. 3, 4.1.4 */
                 {0, UINT64_MAX, true},  {BIT(52) - 0x1000, 0x2000, true},
                 {0x1001, 3, true}};

    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        mb_start();
        uint8_t *p = mb_tag(6, 32);
        put32(p, 24);
        put_range(p + 8, table[i].base, table[i].size, 1);
        CHECK_EQ(mb_parse(), OK);
        CHECK_EQ(out.region_count, table[i].taken ? 1 : 0);
        CHECK(!table[i].taken || out.regions[0].base == table[i].base);
        CHECK(!table[i].taken || out.regions[0].size == MIN(table[i].size, BIT(52) - table[i].base));
    }
}

TEST(multiboot2_too_many)
{
    mb_start();
    uint8_t *p = mb_tag(6, 8 + 300 * 24);
    put32(p, 24);
    for (uint32_t i = 0; i < 300; i++)
        put_range(p + 8 + 24 * i, i * PAGE_SIZE, PAGE_SIZE, 1 + i % 5);
    for (uint32_t i = 0; i < ABI_MAX_MODULES + 3; i++)
        mb_module(i << 12, (i + 1) << 12, "m", 2);
    CHECK_EQ(mb_parse(), OK);
    CHECK_EQ(out.region_count, BOOTINFO_REGIONS);
    CHECK_EQ(out.regions_lost, 300 - BOOTINFO_REGIONS);
    CHECK_EQ(out.module_count, ABI_MAX_MODULES);
    CHECK_EQ(out.modules_lost, 3);
    CHECK_EQ(out.modules[ABI_MAX_MODULES - 1].base, (ABI_MAX_MODULES - 1) << 12);
    CHECK_EQ(out.regions[BOOTINFO_REGIONS - 1].base, (BOOTINFO_REGIONS - 1) * PAGE_SIZE);
    CHECK(!out.regions[1].ram && out.regions[5].ram);
}

TEST(multiboot2_modules)
{
    static char text[2 * ABI_MODULE_NAME_SIZE];

    memset(text, 'x', sizeof text);
    mb_start();
    mb_module(0x2000, 0x1fff, "backwards", 10);
    mb_module(0x1000, 0x2000, "", 0);
    mb_module(0, 0xffffffff, text, 5); /* without a NUL */
    mb_module(0x1000, 0x2000, text, ABI_MODULE_NAME_SIZE - 1);
    mb_module(0x1000, 0x2000, text, ABI_MODULE_NAME_SIZE);
    mb_module(0x1000, 0x2000, text, sizeof text);
    mb_tag(3, 7); /* not even both addresses */
    CHECK_EQ(mb_parse(), OK);
    CHECK_EQ(out.module_count, 5);
    CHECK_STR(out.modules[0].name, "");
    CHECK_STR(out.modules[1].name, "xxxxx");
    CHECK_EQ(out.modules[1].size, 0xffffffff);
    for (unsigned i = 2; i < 5; i++)
        CHECK_EQ(strnlen(out.modules[i].name, ABI_MODULE_NAME_SIZE), ABI_MODULE_NAME_SIZE - 1);
    /* The very last bytes of the information. */
    mb_start();
    mb_module(0x1000, 0x2000, "last", 4);
    put32(mb, mb_size);
    CHECK_EQ(mb_parse_cut(mb_size, mb_size), E_FORMAT);
    CHECK_STR(out.modules[0].name, "last");
}

TEST(multiboot2_rsdp)
{
    mb_start();
    memset(mb_tag(15, 40), 0x22, 40); /* a later revision, longer: cut */
    memset(mb_tag(14, 20), 0x11, 20); /* the old one behind the new one does not replace it */
    CHECK_EQ(mb_parse(), OK);
    CHECK_EQ(out.rsdp_size, 36);
    CHECK_EQ(out.rsdp_copy[0], 0x22);
    for (uint32_t size = 0; size < 20; size++) {
        mb_start();
        mb_tag(14, size);
        CHECK_EQ(mb_parse(), OK);
        CHECK_EQ(out.rsdp_size, 0);
    }
}

/* ---- PVH ------------------------------------------------------------------------------------------------------- */

/* Physical memory: everything is in one block; each read is served from a heap copy of exactly that size. */
enum { PVH_BASE = 0x10000, INFO = 0, MODULES = 0x100, MAP = 0x3000, NAMES = 0x8000, PVH_SIZE = 0x9000 };
static uint8_t pvh[PVH_SIZE];
static void *pvh_copies[4096];
static unsigned pvh_reads;

static const void *pvh_read(uint64_t address, uint64_t size)
{
    if (address < PVH_BASE || address - PVH_BASE > PVH_SIZE || size > PVH_SIZE - (address - PVH_BASE) ||
        pvh_reads == ARRAY_SIZE(pvh_copies))
        return NULL;
    void *copy = malloc(size);
    memcpy(copy, pvh + (address - PVH_BASE), size);
    return pvh_copies[pvh_reads++] = copy;
}

static int pvh_parse(uint64_t start)
{
    int err = bootinfo_pvh(&out, start, pvh_read);

    while (pvh_reads)
        free(pvh_copies[--pvh_reads]);
    return err;
}

static void pvh_module(uint32_t n, uint64_t base, uint64_t size, uint64_t name)
{
    put64(pvh + MODULES + 32 * n, base);
    put64(pvh + MODULES + 32 * n + 8, size);
    put64(pvh + MODULES + 32 * n + 16, name);
    put32(pvh + INFO + 12, n + 1);
}

static void pvh_good(void)
{
    memset(pvh, 0, sizeof pvh);
    put32(pvh + INFO, 0x336ec578);
    put32(pvh + INFO + 4, 1);
    put64(pvh + INFO + 16, PVH_BASE + MODULES);
    put64(pvh + INFO + 32, 0xf5a40);
    put64(pvh + INFO + 40, PVH_BASE + MAP);
    put32(pvh + INFO + 48, 2);
    put_range(pvh + MAP, 0, 0x9fc00, 1);
    put_range(pvh + MAP + 24, 0x100000000, 0x40000000, 1);
    strcpy((char *)pvh + NAMES, "first one");
    pvh_module(0, 0x1000000, 0x2345, PVH_BASE + NAMES);
    pvh_module(1, 0x2000000, 0x1, 0);
}

static void check_pvh_good(void)
{
    CHECK_EQ(out.rsdp, 0xf5a40);
    CHECK_EQ(out.region_count, 2);
    CHECK_EQ(out.regions[1].base, 0x100000000);
    CHECK_EQ(out.module_count, 2);
    CHECK_EQ(out.modules[0].size, 0x2345);
    CHECK_STR(out.modules[0].name, "first one");
    CHECK_EQ(out.modules[1].base, 0x2000000);
    CHECK_STR(out.modules[1].name, "");
}

TEST(pvh_good_information)
{
    memset(&out, 0x55, sizeof out);
    pvh_good();
    CHECK_EQ(pvh_parse(PVH_BASE), OK);
    check_pvh_good();
    put32(pvh + INFO + 4, 7); /* later versions only add */
    CHECK_EQ(pvh_parse(PVH_BASE), OK);
    check_pvh_good();
}

TEST(pvh_refused)
{
    pvh_good();
    CHECK_EQ(pvh_parse(0), E_FORMAT);
    CHECK_EQ(pvh_parse(PVH_BASE + PVH_SIZE - 55), E_FORMAT);
    CHECK_EQ(pvh_parse(UINT64_MAX), E_FORMAT);
    put32(pvh + INFO + 4, 0); /* has no memory map: nothing can be done with it */
    CHECK_EQ(pvh_parse(PVH_BASE), E_FORMAT);
    pvh_good();
    pvh[INFO] ^= 1;
    CHECK_EQ(pvh_parse(PVH_BASE), E_FORMAT);
}

/* Lists that are not there, or leave memory in their middle. */
TEST(pvh_lists_that_run_out)
{
    static const uint64_t nowhere[] = {0, PVH_BASE - 1, PVH_BASE + PVH_SIZE, PVH_BASE + PVH_SIZE - 23, UINT64_MAX - 20};

    for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++)
        for (unsigned field = 16; field <= 40; field += 24) {
            pvh_good();
            put64(pvh + INFO + field, nowhere[i]);
            CHECK_EQ(pvh_parse(PVH_BASE), E_FORMAT);
            CHECK_EQ(out.module_count, 0);
            CHECK_EQ(out.region_count, field == 16 ? 2 : 0);
        }
    pvh_good();
    put64(pvh + INFO + 16, PVH_BASE + PVH_SIZE - 32);
    CHECK_EQ(pvh_parse(PVH_BASE), E_FORMAT);
    CHECK_EQ(out.module_count, 1);
    pvh_good();
    put64(pvh + INFO + 16, 0); /* no list of nothing is fine */
    put64(pvh + INFO + 40, 0);
    put32(pvh + INFO + 12, 0);
    put32(pvh + INFO + 48, 0);
    CHECK_EQ(pvh_parse(PVH_BASE), OK);
    CHECK_EQ(out.module_count + out.region_count, 0);
}

/* Counts up to the largest: bounded work, and what does not fit is counted. */
TEST(pvh_too_many)
{
    pvh_good();
    put32(pvh + INFO + 12, UINT32_MAX);
    put32(pvh + INFO + 48, UINT32_MAX);
    for (uint32_t at = MODULES; at < MAP; at += 32)
        put64(pvh + at + 8, 1);
    for (uint32_t at = MAP; at + 24 <= NAMES; at += 24)
        put_range(pvh + at, at, 1, 1);
    CHECK_EQ(pvh_parse(PVH_BASE), OK);
    CHECK_EQ(out.region_count, BOOTINFO_REGIONS);
    CHECK(out.regions_lost > 0);
    CHECK_EQ(out.module_count, ABI_MAX_MODULES);
    CHECK(out.modules_lost > 0);
}

TEST(pvh_modules)
{
    static const struct {
        uint64_t base, size, name;
        bool taken;
        const char *text;
    } table[] = {
        {UINT64_MAX, 2, 0, false, NULL}, /* wraps */
        {BIT(52) - 1, 2, 0, false, NULL},
        {BIT(52), 0, 0, false, NULL},
        {BIT(52) - 2, 1, PVH_BASE + NAMES, true, "first one"},
        {1, 1, PVH_BASE + PVH_SIZE, true, ""},     /* a name that is not there counts as none */
        {1, 1, PVH_BASE + PVH_SIZE - 1, true, ""}, /* or that is not there as a whole */
        {1, 1, UINT64_MAX - 2, true, ""},          /* or wraps */
        {1, 1, PVH_BASE + PVH_SIZE - ABI_MODULE_NAME_SIZE, true, "last"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        pvh_good();
        strcpy((char *)pvh + PVH_SIZE - ABI_MODULE_NAME_SIZE, "last");
        pvh_module(0, table[i].base, table[i].size, table[i].name);
        CHECK_EQ(pvh_parse(PVH_BASE), OK);
        CHECK_EQ(out.module_count, table[i].taken ? 1 : 0);
        CHECK(!table[i].taken || strcmp(out.modules[0].name, table[i].text) == 0);
    }
    pvh_good();
    memset(pvh + NAMES, 'n', PVH_SIZE - NAMES); /* no end */
    CHECK_EQ(pvh_parse(PVH_BASE), OK);
    CHECK_EQ(strnlen(out.modules[0].name, ABI_MODULE_NAME_SIZE), ABI_MODULE_NAME_SIZE - 1);
}

/* ---- Mutations ------------------------------------------------------------------------------------------------- */

/* A value that parsers stumble over, or any. */
static uint32_t odd_value(uint64_t *seed)
{
    static const uint32_t odd[] = {0, 1, 7, 8, 24, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
    uint64_t r = test_random(seed);

    return r & 1 ? odd[(r >> 8) % ARRAY_SIZE(odd)] : (uint32_t)(r >> 32);
}

static void mutate(uint8_t *p, uint64_t size, uint64_t *seed)
{
    for (uint64_t n = 1 + test_random(seed) % 4; n > 0; n--) {
        uint64_t r = test_random(seed);

        if (r & 1)
            p[(r >> 8) % size] = (uint8_t)(r >> 1);
        else
            put32(p + (r >> 8) % (size / 4) * 4, odd_value(seed));
    }
}

static void check_sane(void)
{
    CHECK(out.region_count <= BOOTINFO_REGIONS && out.module_count <= ABI_MAX_MODULES);
    CHECK(out.rsdp_size == 0 || (out.rsdp_size >= 20 && out.rsdp_size <= sizeof out.rsdp_copy));
    for (uint32_t i = 0; i < out.region_count; i++)
        CHECK(out.regions[i].size && out.regions[i].base < BIT(52) &&
              out.regions[i].size <= BIT(52) - out.regions[i].base);
    for (uint32_t i = 0; i < out.module_count; i++) {
        CHECK(out.modules[i].base < BIT(52) && out.modules[i].size < BIT(52) - out.modules[i].base);
        CHECK(memchr(out.modules[i].name, 0, ABI_MODULE_NAME_SIZE));
    }
}

TEST(mutations)
{
    uint64_t seed = 1;
    unsigned good = 0;

    for (unsigned round = 0; round < 20000; round++) {
        mb_good();
        mb_parse();
        mutate(mb, mb_size, &seed);
        good += mb_parse_cut(mb_size, mb_size) == OK;
        check_sane();
        pvh_good();
        mutate(pvh + (round & 1 ? INFO : round & 2 ? MODULES : MAP), 64, &seed);
        good += pvh_parse(PVH_BASE) == OK;
        check_sane();
    }
    CHECK(good > 1000 && good < 39000); /* they reach both ends */
}
