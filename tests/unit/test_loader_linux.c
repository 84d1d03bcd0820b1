/* The Linux boot protocol (Documentation/arch/x86/boot.rst; the zero page: zero-page.rst). */
// links: user/loader/load.c user/loader/kind.c user/loader/elf.c user/loader/place.c user/loader/cpu.c
// links: user/loader/pvh.c user/loader/multiboot.c user/loader/linux.c user/loader/tables.c user/loader/mp.c
// links: user/loader/bios.c
#include "tests/unit/test_loader.h"

enum { SETUP = 0x600, CODE = 0x1000, SIZE = SETUP + CODE };
static uint8_t bz[SIZE];

/* A relocatable kernel with a 64-bit entry that wants to be at 2 MiB. */
static void bz_start(void)
{
    memset(bz, 0, SETUP);
    for (unsigned i = 0; i < CODE; i++)
        bz[SETUP + i] = (uint8_t)(i % 251 + 1);
    bz[0x1f1] = SETUP / 512 - 1; /* setup_sects */
    put16(bz + 0x1fe, 0xaa55);
    bz[0x200] = 0xeb; /* a jump over the header: where it ends */
    bz[0x201] = 0x6a;
    memcpy(bz + 0x202, "HdrS", 4);
    put16(bz + 0x206, 0x20f);
    bz[0x211] = 0x81;              /* loadflags: LOADED_HIGH, CAN_USE_HEAP */
    put32(bz + 0x214, 0x100000);   /* code32_start */
    put32(bz + 0x22c, 0x7fffffff); /* initrd_addr_max */
    put32(bz + 0x230, 0x200000);   /* kernel_alignment */
    bz[0x234] = 1;                 /* relocatable_kernel */
    put16(bz + 0x236, 0x3f);       /* xloadflags */
    put32(bz + 0x238, 2047);       /* cmdline_size */
    put64(bz + 0x258, 2 * MIB);    /* pref_address */
    put32(bz + 0x260, 0x80000);    /* init_size */
    put32(bz + 0x264, 0x12345678); /* handover_offset */
}

static uint64_t zero_page(unsigned offset, unsigned size)
{
    return rig_get(rig_bsp.gpr[ABI_RSI] + offset, size);
}

static bool is_code_at(uint64_t at)
{
    return memcmp(rig.ram + at, bz + SETUP, CODE) == 0;
}

static void check_zero_page(void)
{
    uint64_t count = zero_page(0x1e8, 1);

    CHECK_EQ(zero_page(0x210, 1), 0xff); /* type_of_loader: undefined */
    CHECK_EQ(zero_page(0x1fe, 2), 0xaa55);
    CHECK_EQ(zero_page(0x202, 4), 0x53726448);
    CHECK_STR(rig_text(zero_page(0x228, 4)), rig.cmdline);
    CHECK(memcmp(rig_text(zero_page(0x70, 8)), "RSD PTR ", 8) == 0);
    CHECK_EQ(count, rig.ram_high ? 4 : 3);
    for (unsigned i = 0; i < count; i++)
        rig_check_range(i, zero_page(0x2d0 + 20 * i, 8), zero_page(0x2d8 + 20 * i, 8),
                        (uint32_t)zero_page(0x2e0 + 20 * i, 4));
    /* Everything else is zero: screen_info and what the boot loader has nothing to say about. */
    uint64_t zero = rig_bsp.gpr[ABI_RSI];
    CHECK(rig_is(zero, zero + 0x70, 0) && rig_is(zero + 0x78, zero + 0x1e8, 0));
    CHECK(rig_is(zero + 0x1e9, zero + 0x1f1, 0) && rig_is(zero + 0x280, zero + 0x2d0, 0));
    CHECK(rig_is(zero + 0x2d0 + 20 * count, zero + PAGE_SIZE, 0));
}

TEST(entry_64)
{
    rig_start(4 * MIB);
    rig.ram_high = 6ull << 30;
    bz_start();
    CHECK_EQ(rig_load(bz, SIZE), OK);
    CHECK(is_code_at(2 * MIB));
    CHECK_EQ(rig_bsp.rip, 2 * MIB + 0x200);
    CHECK_EQ(rig_bsp.cr0, 0x80000011);
    CHECK_EQ(rig_bsp.cr4, 0x20);
    CHECK_EQ(rig_bsp.efer, 0x500);
    CHECK_EQ(rig_bsp.rflags, 2);
    CHECK_EQ(rig_bsp.seg[ABI_CS].attr, 0xa9b); /* a 64-bit code segment, __BOOT_CS */
    CHECK_EQ(rig_bsp.seg[ABI_CS].selector, 0x10);
    CHECK_EQ(rig_bsp.seg[ABI_DS].selector, 0x18);
    CHECK_EQ(rig_get(rig_bsp.gdtr.base + 0x10, 8), 0x00af9b000000ffff);
    for (unsigned i = 0; i < ABI_GPRS; i++)
        CHECK(i == ABI_RSI || rig_bsp.gpr[i] == 0);
    /* Kernel, zero page and command line have to be mapped one to one: the first 4 GiB are, by 2 MiB pages. */
    uint64_t pdpt = rig_get(rig_bsp.cr3, 8);
    CHECK_EQ(pdpt & 0xfff, 3);
    CHECK(rig_is(rig_bsp.cr3 + 8, rig_bsp.cr3 + PAGE_SIZE, 0));
    for (uint64_t gib = 0; gib < 512; gib++) {
        uint64_t pd = rig_get((pdpt & ~0xfffull) + 8 * gib, 8);
        CHECK_EQ(pd & 0xfff, gib < 4 ? 3 : 0);
        for (uint64_t i = 0; i < 512 && gib < 4; i++)
            CHECK_EQ(rig_get((pd & ~0xfffull) + 8 * i, 8), gib << 30 | i << 21 | 0x83);
    }
    check_zero_page();
    CHECK_EQ(zero_page(0x218, 8), 0); /* no initrd */
    CHECK(memcmp(rig.ram + rig_bsp.gpr[ABI_RSI] + 0x22c, bz + 0x22c, 0x54) == 0);
    CHECK(rig_is(MIB, 2 * MIB, 0) && rig_is(2 * MIB + CODE, 4 * MIB, 0));
    rig_check_hole();
}

TEST(entry_32)
{
    for (unsigned old = 0; old < 2; old++) {
        rig_start(4 * MIB);
        bz_start();
        put16(bz + (old ? 0x206 : 0x236), old ? 0x20b : 0x3e); /* no xloadflags yet, or no 64-bit entry */
        CHECK_EQ(rig_load(bz, SIZE), OK);
        rig_check_protected(2 * MIB);
        check_zero_page();
        CHECK_EQ(zero_page(0x214, 4), 2 * MIB); /* code32_start: where it was loaded */
        for (unsigned i = 0; i < ABI_GPRS; i++)
            CHECK(i == ABI_RSI || rig_bsp.gpr[i] == 0);
    }
}

/* Where kernels go: protocol, relocatable, pref_address, init_size. */
TEST(places)
{
    static const struct {
        uint16_t version;
        uint8_t relocatable;
        uint64_t wish;
        uint32_t init_size;
        uint64_t at; /* 0: it does not fit */
        int err;
    } table[] = {
        {0x206, 1, 3 * MIB, 0x80000, MIB, OK}, /* pref_address is from 2.10 on */
        {0x209, 1, 3 * MIB, 0x80000, MIB, OK},
        {0x20a, 1, 3 * MIB, 0x80000, 3 * MIB, OK},
        {0x20a, 0, 3 * MIB, 0x80000, MIB, OK}, /* goes to 3 MiB by itself */
        {0x20a, 0, 3 * MIB, MIB, MIB, OK},
        {0x20a, 0, 3 * MIB, MIB + 1, 0, E_NOMEM}, /* and must have room there */
        {0x20a, 0, 5 * MIB, 0x80000, 0, E_NOMEM},
        {0x20a, 1, 0, 0x80000, MIB, OK}, /* no wish */
        {0x20a, 1, 2 * MIB, 2 * MIB, 2 * MIB, OK},
        {0x20a, 1, 2 * MIB, 2 * MIB + 1, 0, E_NOMEM},
        {0x20a, 1, 4 * MIB - CODE, 0, 4 * MIB - CODE, OK}, /* init_size less than the file */
        {0x20a, 1, 4 * MIB - CODE + 1, 0, 0, E_NOMEM},
        {0x20a, 1, 0x1000, 0x8000, 0x1000, OK},
        {0x20a, 1, 0x10000, 0x8000, 0x10000, OK},
        {0x20a, 1, 0x10000, 0x8f000, 0x10000, OK},
        {0x20a, 1, 0x10000, 0x8f001, 2 * MIB, OK}, /* its alignment is 2 MiB */
        {0x20a, 1, 0xfff, 0x8000, 2 * MIB, OK},
        {0x20a, 1, 0xa0000, 0x1000, 2 * MIB, OK},
        {0x20a, 1, 0xa0000, 2 * MIB + 1, 0, E_NOMEM},
        {0x20a, 0, 0xa0000, 0x1000, 0, E_RANGE},
        {0x20f, 1, 4 * MIB, 0, 0, E_NOMEM},
        {0x20f, 1, 1ull << 32, 0, 0, E_RANGE},
        {0x20f, 1, ~0ull, 0, 0, E_RANGE},
        {0x20f, 0, ~0ull, 2, 0, E_RANGE},
        {0x20f, 1, ~0ull - 0xffff, 0x20000, 0, E_RANGE},
        {0x20f, 1, MIB, 0xffffffff, 0, E_RANGE},
        {0xffff, 1, MIB, MIB, MIB, OK},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        rig_start(4 * MIB);
        bz_start();
        put16(bz + 0x206, table[i].version);
        bz[0x234] = table[i].relocatable;
        put64(bz + 0x258, table[i].wish);
        put32(bz + 0x260, table[i].init_size);
        CHECK_EQ(rig_load(bz, SIZE), table[i].err);
        rig_check_hole();
        if (table[i].err) {
            rig_check_advice(table[i].err);
            continue;
        }
        CHECK(is_code_at(table[i].at));
        CHECK_EQ(rig_bsp.rip & ~0x200ull, table[i].at);
        CHECK_EQ(zero_page(0x214, 4), table[i].at);
    }
}

TEST(refused)
{
    rig_start(4 * MIB);
    static const uint16_t versions[] = {0, 0x100, 0x200, 0x205};
    for (unsigned i = 0; i < ARRAY_SIZE(versions); i++) {
        bz_start();
        put16(bz + 0x206, versions[i]);
        CHECK_EQ(rig_load(bz, SIZE), E_NOTSUP);
    }
    bz_start();
    bz[0x211] = 0x80; /* a zImage: for 64 KiB */
    CHECK_EQ(rig_load(bz, SIZE), E_NOTSUP);
    CHECK(strstr(rig_message, "zImage") != NULL);
    bz_start();
    rig.module_count = 1;
    rig.modules[0] = rig_module("module", "", 1, 1);
    CHECK_EQ(rig_load(bz, SIZE), E_NOTSUP);
    rig_free(&rig.modules[0]);
}

/* syssize counts paragraphs; the last one may be short of 15 bytes. What is behind them is a signature, or nothing. */
TEST(cut_off)
{
    enum { CUT = CODE - 8 }; /* a size that is no multiple of 16 */

    for (unsigned size = SETUP; size <= SIZE; size++) {
        rig_start(4 * MIB);
        bz_start();
        put32(bz + 0x1f4, (CUT + 15) / 16);
        if (size - SETUP + 15 >= ALIGN_UP(CUT, 16)) {
            CHECK_EQ(rig_load(bz, size), OK);
            continue;
        }
        CHECK_EQ(rig_load(bz, size), E_FORMAT);
        CHECK_STR(rig_message, "kernel: a Linux kernel that is cut off: copy it again");
    }
    for (unsigned size = 0x206; size < 0x280; size++) {
        CHECK_EQ(rig_load(bz, size), E_FORMAT);
        CHECK(strstr(rig_message, "it is a Linux kernel that is cut off; copy it again") != NULL);
    }
    bz_start();
    put32(bz + 0x1f4, 0xffffffff); /* nothing overflows */
    CHECK_EQ(rig_load(bz, SIZE), E_FORMAT);
}

/* Every number of setup sectors (0 means 4): only what is behind them is the kernel. */
TEST(setup_sectors)
{
    for (unsigned sectors = 0; sectors < 256; sectors++) {
        unsigned setup = (sectors ? sectors + 1 : 5) * 512;

        rig_start(4 * MIB);
        bz_start();
        bz[0x1f1] = (uint8_t)sectors;
        CHECK_EQ(rig_load(bz, SIZE), setup < SIZE ? OK : E_FORMAT);
        if (setup >= SIZE)
            continue;
        CHECK(memcmp(rig.ram + 2 * MIB, bz + setup, SIZE - setup) == 0);
        CHECK(rig_is(2 * MIB + SIZE - setup, 4 * MIB, 0));
    }
    for (uint32_t size = 0; size < SETUP + 2; size++) {
        rig_clear_ram();
        bz_start();
        CHECK_EQ(rig_load(bz, size), size > SETUP ? OK : E_FORMAT);
    }
}

TEST(cmdline_length)
{
    static char text[64];

    memset(text, 'c', 40);
    bz_start();
    rig_start(4 * MIB);
    rig.cmdline = text;
    put32(bz + 0x238, 40); /* without the final zero */
    CHECK_EQ(rig_load(bz, SIZE), OK);
    CHECK_STR(rig_text(zero_page(0x228, 4)), text);
    put32(bz + 0x238, 39);
    CHECK_EQ(rig_load(bz, SIZE), E_RANGE);
    put32(bz + 0x238, 0);
    rig.cmdline = "";
    CHECK_EQ(rig_load(bz, SIZE), OK);
    CHECK_STR(rig_text(zero_page(0x228, 4)), "");
}

/* ---- The initrd -------------------------------------------------------------------------------------------------- */

/* As high as RAM and initrd_addr_max allow: above the kernel, or else below; never in the kernel, or below 1 MiB. */
TEST(initrd_places)
{
    static const struct {
        uint64_t wish;
        uint32_t init_size, highest;
        uint64_t size, at; /* 0: it does not fit */
        int err;
    } table[] = {
        {2 * MIB, 0x80000, 0x7fffffff, 1, 4 * MIB - PAGE_SIZE, OK},
        {2 * MIB, 0x80000, 0xffffffff, PAGE_SIZE, 4 * MIB - PAGE_SIZE, OK},
        {2 * MIB, 0x80000, 4 * MIB - 1, PAGE_SIZE + 1, 4 * MIB - 2 * PAGE_SIZE, OK},
        {2 * MIB, 0x80000, 3 * MIB - 1, PAGE_SIZE, 3 * MIB - PAGE_SIZE, OK},
        {2 * MIB, 0x80000, 3 * MIB - 2, PAGE_SIZE, 3 * MIB - 2 * PAGE_SIZE, OK},
        {2 * MIB, MIB, 0x7fffffff, MIB, 3 * MIB, OK},
        {2 * MIB, MIB, 0x7fffffff, MIB + 1, 0, E_NOMEM},
        {2 * MIB, MIB + 1, 0x7fffffff, MIB, MIB, OK}, /* below the kernel */
        {2 * MIB, MIB + 1, 0x7fffffff, MIB + 1, 0, E_NOMEM},
        {2 * MIB, 2 * MIB, 0x7fffffff, 1, 2 * MIB - PAGE_SIZE, OK},
        {2 * MIB, 0x80000, 2 * MIB - 1, 1, 2 * MIB - PAGE_SIZE, OK},
        {2 * MIB, 0x80000, 2 * MIB - 1, MIB + 1, 0, E_RANGE}, /* the kernel takes it only there */
        {2 * MIB, 0x80000, 3 * MIB - 1, MIB + 1, 0, E_RANGE},
        {2 * MIB, 0x80000, 0, 1, 0, E_RANGE},
        {2 * MIB, 0x80000, 0xfff, 1, 0, E_RANGE},
        {2 * MIB, 0x80000, 0x7fffffff, 4 * MIB, 0, E_NOMEM},
        {2 * MIB, 0x80000, 0x7fffffff, 4 * MIB + 1, 0, E_NOMEM},
        {2 * MIB, 0x80000, 0x7fffffff, 2 * MIB, 0, E_NOMEM},
        {2 * MIB, 0x80000, 0x7fffffff, 0x7fd80000, 0, E_NOMEM},
        {2 * MIB, 0x80000, 0x7fffffff, 0x7fd80001, 0, E_RANGE},
        {2 * MIB, 0x80000, 0xffffffff, 0xbfd80000, 0, E_NOMEM},
        {2 * MIB, 0x80000, 0xffffffff, 0xbfd80001, 0, E_RANGE},
        {2 * MIB, 0x80000, 0x7fffffff, ~0ull, 0, E_RANGE},
        {2 * MIB, 0x80000, 0x7fffffff, ~0ull - 4 * MIB, 0, E_RANGE},
        {0x10000, 0x8000, 0x7fffffff, 3 * MIB, MIB, OK}, /* a kernel below 1 MiB */
        {0x10000, 0x8000, 0x7fffffff, 3 * MIB + 1, 0, E_NOMEM},
        {0x10000, 0x8000, 0xfffff, 1, 0, E_RANGE},
        {0x10000, 0x8000, 0x7ffff, 1, 0, E_RANGE},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        rig_start(4 * MIB);
        bz_start();
        put64(bz + 0x258, table[i].wish);
        put32(bz + 0x260, table[i].init_size);
        put32(bz + 0x22c, table[i].highest);
        rig.initrd = rig_module("ramdisk", "", MIN(table[i].size, 5 * MIB), 0xee);
        rig.initrd.size = table[i].size;
        CHECK_EQ(rig_load(bz, SIZE), table[i].err);
        rig_check_hole();
        CHECK(is_code_at(table[i].wish));
        if (table[i].at) {
            CHECK_EQ(zero_page(0x218, 4), table[i].at);
            CHECK_EQ(zero_page(0x21c, 4), table[i].size);
            CHECK(rig_is(table[i].at, table[i].at + table[i].size, 0xee));
            CHECK(rig_is(table[i].at + table[i].size, table[i].at < table[i].wish ? table[i].wish : 4 * MIB, 0));
            check_zero_page();
        } else {
            CHECK(strstr(rig_message, "ramdisk") != NULL);
            rig_check_advice(table[i].err);
        }
        rig_free(&rig.initrd);
    }
}

/* One that moves itself is not overwritten by what it unpacks to: the initrd is behind that. */
TEST(initrd_and_a_kernel_that_moves)
{
    for (unsigned extra = 0; extra < 2; extra++) {
        rig_start(4 * MIB);
        bz_start();
        bz[0x234] = 0;
        put32(bz + 0x260, MIB);
        rig.initrd = rig_module("ramdisk", "", MIB + extra, 0xee);
        CHECK_EQ(rig_load(bz, SIZE), extra ? E_NOMEM : OK);
        CHECK(extra || zero_page(0x218, 4) == 3 * MIB);
        rig_free(&rig.initrd);
    }
}

/* ---- Mutations --------------------------------------------------------------------------------------------------- */

TEST(mutations)
{
    uint64_t seed = 6;
    unsigned good = 0;

    rig_start(4 * MIB - PAGE_SIZE);
    rig.initrd = rig_module("ramdisk", "", 5000, 0xee);
    for (unsigned round = 0; round < 3000; round++) {
        bz_start();
        rig_clear_ram();
        rig_mutate(bz + 0x1f0, 0x80, &seed);
        if (rig_load(bz, SIZE) != OK)
            continue;
        rig_check_hole();
        uint64_t at = zero_page(0x218, 4);
        CHECK(at >= MIB && at % PAGE_SIZE == 0 && at + 5000 <= rig.ram_low);
        CHECK(at + 5000 <= rig.ram_low && rig_is(at, at + 5000, 0xee));
        CHECK_EQ(zero_page(0x21c, 4), 5000);
        check_zero_page();
        good++;
    }
    CHECK(good > 300 && good < 2700);
    rig_free(&rig.initrd);
}
