#include "lib/bytes.h"
#include "user/loader/loader.h"

/* Offsets in the image's setup header and in the zero page, which are the same. */
enum {
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    CODE32_START = 0x214,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c,
    KERNEL_ALIGNMENT = 0x230,
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
enum { LOADED_HIGH = 1, XLF_KERNEL_64 = 1, ENTRY_64 = 0x200, LOADER_UNDEFINED = 0xff };
/* Boot protocol 2.06 has all fields but PREF_ADDRESS and INIT_SIZE (2.10) and XLOADFLAGS (2.12). */
enum { PROTOCOL_MIN = 0x206, PROTOCOL_PREF_ADDRESS = 0x20a, PROTOCOL_XLOADFLAGS = 0x20c };

struct kernel {
    const uint8_t *image;
    uint32_t version;
    uint64_t at;    /* where it is */
    bool long_mode; /* has a 64-bit entry */
};

static int open_kernel(const struct loader *l, struct kernel *k)
{
    *k = (struct kernel){.image = l->image.data, .version = get16(l->image.data + VERSION)};
    if (k->version < PROTOCOL_MIN) {
        l->message("%s: a Linux kernel with boot protocol %u.%02u: use one from 2.6.22 on (2.06)", l->image.name,
                   k->version >> 8, k->version & 0xff);
        return E_NOTSUP;
    }
    if (!(k->image[LOADFLAGS] & LOADED_HIGH)) {
        l->message("%s: a Linux kernel that is loaded below 1 MiB (zImage): use a bzImage", l->image.name);
        return E_NOTSUP;
    }
    k->long_mode = k->version >= PROTOCOL_XLOADFLAGS && (k->image[XLOADFLAGS] & XLF_KERNEL_64);
    if (strlen(l->cmdline) > get32(k->image + CMDLINE_SIZE)) {
        l->message("cmdline: %zu characters, the kernel takes %u: shorten it", strlen(l->cmdline),
                   get32(k->image + CMDLINE_SIZE));
        return E_RANGE;
    }
    return OK;
}

static bool is_power_of_two(uint64_t n)
{
    return n && !(n & (n - 1));
}

/*
 * A relocatable kernel goes to its preferred address, or else to the lowest place behind it that has its alignment.
 * Never below: it would go up to that address by itself, and needs the room there all the same (init_size in boot.rst).
 */
static int place_relocatable(struct loader *l, struct kernel *k, uint64_t wish, const void *code, uint64_t size,
                             uint64_t memory)
{
    uint64_t alignment = get32(k->image + KERNEL_ALIGNMENT);

    alignment = is_power_of_two(alignment) ? alignment : PAGE_SIZE;
    k->at = loader_find(l, memory, 1, wish, wish + memory);
    if (!k->at)
        k->at = loader_find(l, memory, alignment, wish, l->ram_low);
    if (!k->at)
        return loader_refuse_range(l, MAX(wish, (uint64_t)HIGH_RAM_BASE), memory);
    return loader_place(l, k->at, code, size, memory);
}

/* One that cannot be relocated goes from 1 MiB to where it wants to be on its own. */
static int place_fixed(struct loader *l, struct kernel *k, uint64_t wish, const void *code, uint64_t size,
                       uint64_t memory)
{
    int err = loader_place(l, wish, NULL, 0, memory);

    k->at = HIGH_RAM_BASE;
    return err ? err : loader_place(l, k->at, code, size, size);
}

/* syssize counts the code in paragraphs of 16 bytes, of which the last one need not be full. Signatures may follow. */
static bool is_cut_off(const struct kernel *k, uint64_t setup, uint64_t file_size)
{
    enum { PARAGRAPH = 16 };
    uint64_t code = get32(k->image + SYSSIZE) * (uint64_t)PARAGRAPH;

    return setup >= file_size || code >= file_size - setup + PARAGRAPH;
}

static int place_kernel(struct loader *l, struct kernel *k)
{
    uint64_t setup = (k->image[SETUP_SECTS] ? k->image[SETUP_SECTS] + 1u : 5u) * 512ull;
    bool has_wish = k->version >= PROTOCOL_PREF_ADDRESS && get64(k->image + PREF_ADDRESS);
    uint64_t wish = has_wish ? get64(k->image + PREF_ADDRESS) : HIGH_RAM_BASE, size, memory;
    const uint8_t *code = k->image + setup;

    if (is_cut_off(k, setup, l->image.size)) {
        l->message("%s: a Linux kernel that is cut off: copy it again", l->image.name);
        return E_FORMAT;
    }
    size = l->image.size - setup;
    memory = k->version >= PROTOCOL_PREF_ADDRESS ? MAX(size, (uint64_t)get32(k->image + INIT_SIZE)) : size;
    if (k->image[RELOCATABLE])
        return place_relocatable(l, k, wish, code, size, memory);
    return place_fixed(l, k, wish, code, size, memory);
}

/* As high as the kernel allows, above it or, where there is no room, below. */
static int place_initrd(struct loader *l, const struct kernel *k, uint8_t *zero)
{
    uint64_t limit = get32(k->image + INITRD_ADDR_MAX) + 1ull, at;
    int err;

    if (!l->initrd.data)
        return OK;
    at = loader_find_highest(l, l->initrd.size, limit);
    if (!at)
        return loader_refuse_file(l, &l->initrd, limit);
    err = loader_place(l, at, l->initrd.data, l->initrd.size, l->initrd.size);
    put32(zero + RAMDISK_IMAGE, at);
    put32(zero + RAMDISK_SIZE, l->initrd.size);
    return err;
}

static void put_memory(const struct loader *l, uint8_t *zero)
{
    struct loader_range map[LOADER_RANGES];
    unsigned count = loader_memory_map(l, map);

    zero[E820_ENTRIES] = (uint8_t)count;
    for (unsigned i = 0; i < count; i++) {
        uint8_t *entry = zero + E820_TABLE + 20ull * i;

        put64(entry, map[i].base);
        put64(entry + 8, map[i].size);
        put32(entry + 16, map[i].type);
    }
}

int linux_load(struct loader *l, uint32_t rsdp, struct abi_regs *bsp)
{
    uint8_t *zero;
    struct kernel k;
    int err = open_kernel(l, &k);

    err = err ? err : place_kernel(l, &k);
    err = err ? err : loader_place_area(l);
    if (err)
        return err;
    if (l->module_count) {
        l->message("%s: a Linux kernel takes no modules: say initrd = %s", l->image.name, l->modules[0].name);
        return E_NOTSUP;
    }
    zero = l->ram + l->area + AREA_INFO;
    memcpy(zero + SETUP_SECTS, k.image + SETUP_SECTS, HEADER_END - SETUP_SECTS);
    zero[TYPE_OF_LOADER] = LOADER_UNDEFINED;
    put32(zero + CODE32_START, k.at);
    put32(zero + CMD_LINE_PTR, l->area + AREA_CMDLINE);
    put64(zero + ACPI_RSDP, rsdp);
    put_memory(l, zero);
    err = place_initrd(l, &k, zero);
    if (err)
        return err;
    if (k.long_mode)
        cpu_long_mode(l, k.at + ENTRY_64, bsp);
    else
        cpu_protected_mode(l, k.at, bsp);
    bsp->gpr[ABI_RSI] = l->area + AREA_INFO;
    return OK;
}
