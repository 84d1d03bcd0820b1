#include "lib/bytes.h"
#include "user/loader/loader.h"

/* Offsets in the image's setup header and in the zero page, which are the same. */
enum {
    SETUP_SECTS = 0x1f1,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    CODE32_START = 0x214,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c,
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
/* Boot protocol 2.06 has all fields but the last three, which came with 2.10 and 2.12. */
enum { PROTOCOL_MIN = 0x206, PROTOCOL_PREF_ADDRESS = 0x20a, PROTOCOL_XLOADFLAGS = 0x20c };

struct kernel {
    const uint8_t *image;
    uint32_t version;
    uint64_t at, end; /* where it is, and where what it needs ends */
    bool long_mode;   /* has a 64-bit entry */
};

static int open_kernel(const struct loader *l, struct kernel *k)
{
    *k = (struct kernel){.image = l->image.data, .version = get16(l->image.data + VERSION)};
    if (k->version < PROTOCOL_MIN || !(k->image[LOADFLAGS] & LOADED_HIGH)) {
        l->message("%s: a Linux kernel with boot protocol %u.%02u: use one from 2.6.22 on (2.06), a bzImage",
                   l->image.name, k->version >> 8, k->version & 0xff);
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

/*
 * Where it wants to be, or where all kernels were before they could say so. One that cannot be relocated goes from
 * there to where it wants to be on its own (init_size and pref_address in boot.rst).
 */
static int place_kernel(const struct loader *l, struct kernel *k)
{
    uint64_t setup = (k->image[SETUP_SECTS] ? k->image[SETUP_SECTS] + 1u : 5u) * 512ull;
    bool has_wish = k->version >= PROTOCOL_PREF_ADDRESS && get64(k->image + PREF_ADDRESS);
    uint64_t wish = has_wish ? get64(k->image + PREF_ADDRESS) : HIGH_RAM_BASE, size, memory;
    int err;

    if (setup >= l->image.size) {
        l->message("%s: a Linux kernel cut off in its set-up part: copy it again", l->image.name);
        return E_FORMAT;
    }
    size = l->image.size - setup;
    memory = k->version >= PROTOCOL_PREF_ADDRESS ? MAX(size, (uint64_t)get32(k->image + INIT_SIZE)) : size;
    k->at = k->image[RELOCATABLE] ? wish : HIGH_RAM_BASE;
    err = loader_place(l, wish, NULL, 0, memory);
    err = err ? err : loader_place(l, k->at, k->image + setup, size, size);
    k->end = MAX(k->at + size, wish + memory);
    return err;
}

/* As high as the kernel allows, page-aligned, above the kernel. */
static int place_initrd(const struct loader *l, const struct kernel *k, uint8_t *zero)
{
    uint64_t top = MIN(l->ram_low, get32(k->image + INITRD_ADDR_MAX) + 1ull), at;

    if (!l->initrd.data)
        return OK;
    at = ALIGN_DOWN(top - l->initrd.size, PAGE_SIZE);
    if (l->initrd.size > top || at < MAX(k->end, (uint64_t)HIGH_RAM_BASE)) {
        l->message("%s: %llu KiB do not fit behind the kernel: give the guest more memory", l->initrd.name,
                   (unsigned long long)l->initrd.size >> 10);
        return E_NOMEM;
    }
    memcpy(l->ram + at, l->initrd.data, l->initrd.size);
    put32(zero + RAMDISK_IMAGE, at);
    put32(zero + RAMDISK_SIZE, l->initrd.size);
    return OK;
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

int linux_load(const struct loader *l, uint32_t rsdp, struct abi_regs *bsp)
{
    uint8_t *zero = l->ram + LOADER_INFO;
    struct kernel k;
    int err = open_kernel(l, &k);

    err = err ? err : place_kernel(l, &k);
    if (err)
        return err;
    if (l->module_count) {
        l->message("%s: a Linux kernel takes no modules: say initrd = %s", l->image.name, l->modules[0].name);
        return E_NOTSUP;
    }
    memset(zero, 0, PAGE_SIZE);
    memcpy(zero + SETUP_SECTS, k.image + SETUP_SECTS, HEADER_END - SETUP_SECTS);
    zero[TYPE_OF_LOADER] = LOADER_UNDEFINED;
    put32(zero + CODE32_START, k.at);
    put32(zero + CMD_LINE_PTR, LOADER_CMDLINE);
    put64(zero + ACPI_RSDP, rsdp);
    put_memory(l, zero);
    err = place_initrd(l, &k, zero);
    if (err)
        return err;
    if (k.long_mode)
        cpu_long_mode(l, k.at + ENTRY_64, bsp);
    else
        cpu_protected_mode(l, k.at, bsp);
    bsp->gpr[ABI_RSI] = LOADER_INFO;
    return OK;
}
