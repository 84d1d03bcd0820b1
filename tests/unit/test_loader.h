/*
 * A guest's RAM, images and modules in heap blocks of exactly their size, and the loader's messages. Include it in one
 * C file per program, which links user/loader/load.c and all that it needs (LINKS in tests/unit/test_loader_elf.c).
 */
#ifndef TESTS_UNIT_TEST_LOADER_H
#define TESTS_UNIT_TEST_LOADER_H

#include "lib/bytes.h"
#include "user/lib/log.h"
#include "user/loader/elf.h"

#include <stdarg.h>

#include "tests/unit/test.h"

#define MIB 0x100000ull

/* What the DSDT's assembler file and the world's library define. */
extern const uint8_t dsdt_start[], dsdt_end[];
const uint8_t dsdt_start[1], dsdt_end[1];

void world_log(const char *fmt, ...) { (void)fmt; }

static struct loader rig;
static struct abi_regs rig_bsp;
static unsigned rig_messages;
static char rig_message[512]; /* the last one */

PRINTF_LIKE(1, 2) static void rig_say(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(rig_message, sizeof rig_message, fmt, args);
    va_end(args);
    rig_messages++;
}

/* The guest's RAM: ram_low bytes of zeros, and nothing else. */
static inline void rig_start(uint64_t ram_low)
{
    static const uint8_t dsdt[] = {'D', 'S', 'D', 'T', 9, 0, 0, 0, 7};

    free(rig.ram);
    rig = (struct loader){.ram = calloc(1, ram_low),
                          .ram_low = ram_low,
                          .image = {.name = "kernel", .arguments = ""},
                          .initrd = {.name = "", .arguments = ""},
                          .cmdline = "root=none",
                          .vcpus = 2,
                          .lapic = true,
                          .dsdt = dsdt,
                          .dsdt_size = sizeof dsdt,
                          .message = rig_say};
}

static inline void rig_clear_ram(void) { memset(rig.ram, 0, rig.ram_low); }

static inline struct loader_module rig_module(const char *name, const char *arguments, uint64_t size, uint8_t byte)
{
    uint8_t *data = size ? malloc(size) : NULL;

    if (data)
        memset(data, byte, size);
    return (struct loader_module){data, size, name, arguments};
}

static inline void rig_free(struct loader_module *module)
{
    free((void *)(uintptr_t)module->data);
    module->data = NULL;
}

/* Loads a copy of exactly size bytes of the image. An error has one message, success has none. */
static inline int rig_load(const void *image, uint64_t size)
{
    uint8_t *exact = size ? malloc(size) : NULL;
    int err;

    if (exact)
        memcpy(exact, image, size);
    rig.image.data = exact;
    rig.image.size = size;
    rig_messages = 0;
    memset(&rig_bsp, 0x5a, sizeof rig_bsp);
    err = loader_load(&rig, &rig_bsp);
    CHECK_EQ(rig_messages, err ? 1 : 0);
    free(exact);
    return err;
}

static inline bool rig_is(uint64_t from, uint64_t end, uint8_t byte)
{
    return from >= end || (rig.ram[from] == byte && memcmp(rig.ram + from, rig.ram + from + 1, end - from - 1) == 0);
}

/* Nobody may write to where the guest has no RAM or the BIOS would be: its tables and data are all that there is. */
static inline void rig_check_hole(void)
{
    CHECK(rig_is(0, 0x400, 0) && rig_is(0x500, LOW_RAM_BASE, 0));
    CHECK(rig_is(LOW_RAM_END + 1, ACPI_TABLES_BASE, 0));
    CHECK(memcmp(rig.ram + ACPI_TABLES_BASE, "RSD PTR ", 8) == 0);
}

static inline uint64_t rig_get(uint64_t at, unsigned size)
{
    uint64_t value = 0;

    CHECK(at + size <= rig.ram_low);
    if (at + size <= rig.ram_low)
        memcpy(&value, rig.ram + at, size);
    return value;
}

static inline const char *rig_text(uint64_t at)
{
    return at < rig.ram_low && memchr(rig.ram + at, 0, rig.ram_low - at) ? (const char *)rig.ram + at : NULL;
}

/* Of a file that there is no room for, the message says to give more memory, if that is so, and only then. */
static inline void rig_check_advice(int err)
{
    CHECK_EQ(strstr(rig_message, "more memory") != NULL, err == E_NOMEM);
    CHECK_EQ(strstr(rig_message, "RAM from") || strstr(rig_message, "whatever the memory"), err == E_RANGE);
}

/* The memory map of all boot protocols, E820's types: entry n. */
static inline void rig_check_range(unsigned n, uint64_t base, uint64_t size, uint32_t type)
{
    CHECK_EQ(base, ((const uint64_t[]){0, 0x9f000, 0x100000, 0x100000000})[n]);
    CHECK_EQ(size, ((const uint64_t[]){0x9f000, 0x61000, rig.ram_low - 0x100000, rig.ram_high})[n]);
    CHECK_EQ(type, n == 1 ? 2 : 1);
}

/* The 32-bit start state that all protocols share: flat, interrupts off, no paging. */
static inline void rig_check_protected(uint64_t entry)
{
    CHECK_EQ(rig_bsp.rip, entry);
    CHECK_EQ(rig_bsp.rflags, 2);
    CHECK_EQ(rig_bsp.cr0, 0x11);
    CHECK_EQ(rig_bsp.cr4 | rig_bsp.cr3 | rig_bsp.efer, 0);
    for (unsigned i = 0; i < ABI_SEGS; i++) {
        CHECK_EQ(rig_bsp.seg[i].base, 0);
        CHECK_EQ(rig_bsp.seg[i].limit, 0xffffffff);
        CHECK_EQ(rig_bsp.seg[i].attr, i == ABI_CS ? 0xc9b : 0xc93);
        CHECK_EQ(rig_bsp.seg[i].selector, i == ABI_CS ? 0x10 : 0x18);
    }
    CHECK_EQ(rig_bsp.tr.attr, 0x8b);
    CHECK_EQ(rig_bsp.tr.limit, 0x67);
    CHECK_EQ(rig_get(rig_bsp.gdtr.base + 0x10, 8), 0x00cf9b000000ffff); /* what the selectors say is in the GDT */
    CHECK_EQ(rig_get(rig_bsp.gdtr.base + 0x18, 8), 0x00cf93000000ffff);
    CHECK(rig_bsp.gdtr.limit >= 0x1f);
}

/* A value at one of the limits of parsers, or any. */
static inline uint64_t rig_odd(uint64_t *seed)
{
    static const uint64_t odd[] = {0,          1,          3,          0xfff,      0x9f000,    0xfffff,
                                   0x100000,   0x1ff000,   0x200000,   0x7fffffff, 0x80000000, 0xfffff000,
                                   0xfffffff8, 0xffffffff, 1ull << 32, 1ull << 63, ~0ull - 7,  ~0ull};
    uint64_t r = test_random(seed);

    return r & 1 ? odd[(r >> 8) % ARRAY_SIZE(odd)] : test_random(seed) >> (r >> 8) % 64;
}

/* Some bytes and numbers of the first `size` bytes become others. */
static inline void rig_mutate(uint8_t *image, uint64_t size, uint64_t *seed)
{
    for (uint64_t n = 1 + test_random(seed) % 3; n > 0; n--) {
        uint64_t r = test_random(seed), at = (r >> 8) % (size - 8);

        switch (r % 4) {
        case 0:
            image[at] = (uint8_t)(r >> 40);
            break;
        case 1:
            put16(image + (at & ~1ull), rig_odd(seed));
            break;
        case 2:
            put32(image + (at & ~3ull), rig_odd(seed));
            break;
        default:
            put64(image + (at & ~7ull), rig_odd(seed));
            break;
        }
    }
}

#endif
