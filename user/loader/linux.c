#include "lib/string.h"
#include "user/loader/loader.h"

/* Offsets in the image's setup header and in the zero page, which are the same. */
enum {
    SETUP_SECTS = 0x1f1,
    BOOT_FLAG = 0x1fe,
    HEADER = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    HEAP_END = 0x224,
    CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c,
    ALIGNMENT = 0x230,
    RELOCATABLE = 0x234,
    XLOADFLAGS = 0x236,
    CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
    HEADER_END = 0x280,
    ACPI_RSDP = 0x70,
    E820_ENTRIES = 0x1e8,
    E820_TABLE = 0x2d0
};
enum { XLF_KERNEL_64 = 1, KEEP_SEGMENTS = 1 << 6, E820_RAM = 1, E820_RESERVED = 2 };

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static void put32(uint8_t *p, uint64_t v)
{
    uint32_t w = (uint32_t)v;
    memcpy(p, &w, sizeof w);
}
static void put64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}

static void e820(uint8_t *zero, uint64_t base, uint64_t size, uint32_t type)
{
    uint8_t *entry = zero + E820_TABLE + 20 * zero[E820_ENTRIES]++;
    put64(entry, base);
    put64(entry + 8, size);
    put32(entry + 16, type);
}

/* The first 4 GiB one to one, in 2 MiB pages, and flat segments at the selectors that the protocol names. */
static void enter_long_mode(const struct loader *l, uint64_t entry, struct abi_regs *r)
{
    enum { P_W = 3, PS = 128 };
    uint8_t *tables = l->ram + LOADER_PML4;
    memset(tables, 0, 6 * PAGE_SIZE);
    put64(tables, (LOADER_PML4 + PAGE_SIZE) | P_W);
    for (uint64_t i = 0; i < 4; i++)
        put64(tables + PAGE_SIZE + 8 * i, (LOADER_PML4 + (2 + i) * PAGE_SIZE) | P_W);
    for (uint64_t i = 0; i < 2048; i++)
        put64(tables + 2 * PAGE_SIZE + 8 * i, i * LARGE_PAGE_SIZE | P_W | PS);
    put64(l->ram + LOADER_GDT, 0);
    put64(l->ram + LOADER_GDT + 8, 0);
    put64(l->ram + LOADER_GDT + 16, 0x00af9b000000ffff);
    put64(l->ram + LOADER_GDT + 24, 0x00cf93000000ffff);
    memset(r, 0, sizeof *r);
    for (unsigned i = 0; i < ABI_SEGS; i++)
        r->seg[i] = (struct abi_segment){.selector = 0x18, .attr = 0xc93, .limit = UINT32_MAX};
    r->seg[ABI_CS] = (struct abi_segment){.selector = 0x10, .attr = 0xa9b, .limit = UINT32_MAX};
    r->gdtr = (struct abi_segment){.base = LOADER_GDT, .limit = 31};
    r->tr = (struct abi_segment){.attr = 0x8b, .limit = 0xffff};
    r->ldtr = (struct abi_segment){.attr = 0x82, .limit = 0xffff};
    r->cr0 = 0x80000011;
    r->cr3 = LOADER_PML4;
    r->cr4 = 0x20;
    r->efer = 0x500;
    r->rflags = 2;
    r->rip = entry;
    r->gpr[ABI_RSI] = LOADER_ZERO_PAGE;
}

/* Where the kernel goes: where it wants to be, or 16 MiB if it can be moved there only. */
static int place_kernel(const struct loader *l, uint64_t *at, uint64_t *end)
{
    const uint8_t *image = l->image;
    uint64_t setup = (image[SETUP_SECTS] ? image[SETUP_SECTS] + 1u : 5u) * 512ull;
    if (setup >= l->image_size) {
        l->message("image: a Linux kernel cut off in its set-up part: copy it again");
        return E_FORMAT;
    }
    uint64_t size = l->image_size - setup;
    *at = get64(image + PREF_ADDRESS);
    *end = *at + MAX((uint64_t)get32(image + INIT_SIZE), size);
    if (*at < 1 << 20 || *at >= l->ram_low || *end > l->ram_low || *end < *at) {
        l->message("image: the kernel needs RAM up to 0x%llx, the guest has 0x%llx: give it more memory",
                   (unsigned long long)*end, (unsigned long long)l->ram_low);
        return E_NOMEM;
    }
    memcpy(l->ram + *at, image + setup, size);
    return OK;
}

/* As high as the kernel allows, page-aligned, above the kernel. */
static int place_initrd(const struct loader *l, uint8_t *zero, uint64_t kernel_end)
{
    if (!l->initrd)
        return OK;
    uint64_t top = MIN(l->ram_low, get32(l->image + INITRD_ADDR_MAX) + 1ull);
    if (l->initrd_size > top || ALIGN_DOWN(top - l->initrd_size, PAGE_SIZE) < kernel_end) {
        l->message("initrd: %llu KiB do not fit behind the kernel: give the guest more memory",
                   (unsigned long long)l->initrd_size >> 10);
        return E_NOMEM;
    }
    uint64_t at = ALIGN_DOWN(top - l->initrd_size, PAGE_SIZE);
    memcpy(l->ram + at, l->initrd, l->initrd_size);
    put32(zero + RAMDISK_IMAGE, at);
    put32(zero + RAMDISK_SIZE, l->initrd_size);
    return OK;
}

int linux_load(const struct loader *l, uint32_t rsdp, struct abi_regs *bsp)
{
    const uint8_t *image = l->image;
    uint64_t at, end;
    uint32_t version = image[VERSION] | (uint32_t)image[VERSION + 1] << 8;
    if (version < 0x20c || !(image[XLOADFLAGS] & XLF_KERNEL_64)) {
        l->message("image: a Linux kernel without 64-bit entry (boot protocol %u.%02u): use a 64-bit one, 3.8 or newer",
                   version >> 8, version & 0xff);
        return E_NOTSUP;
    }
    size_t length = strlen(l->cmdline);
    if (length > get32(image + CMDLINE_SIZE) || length >= PAGE_SIZE) {
        l->message("cmdline: %zu characters, the kernel takes %u: shorten it", length, get32(image + CMDLINE_SIZE));
        return E_RANGE;
    }
    int err = place_kernel(l, &at, &end);
    if (err)
        return err;
    uint8_t *zero = l->ram + LOADER_ZERO_PAGE;
    memset(zero, 0, PAGE_SIZE);
    memcpy(zero + SETUP_SECTS, image + SETUP_SECTS, HEADER_END - SETUP_SECTS);
    zero[TYPE_OF_LOADER] = 0xff;
    put32(zero + CMD_LINE_PTR, LOADER_CMDLINE);
    memcpy(l->ram + LOADER_CMDLINE, l->cmdline, length + 1);
    put64(zero + ACPI_RSDP, rsdp);
    err = place_initrd(l, zero, end);
    if (err)
        return err;
    e820(zero, 0, LOW_RAM_END, E820_RAM);
    e820(zero, LOW_RAM_END, 0x100000 - LOW_RAM_END, E820_RESERVED);
    e820(zero, 0x100000, l->ram_low - 0x100000, E820_RAM);
    if (l->ram_high)
        e820(zero, 4ull << 30, l->ram_high, E820_RAM);
    enter_long_mode(l, at + 0x200, bsp);
    return OK;
}
