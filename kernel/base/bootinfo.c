#include "kernel/base/bootinfo.h"

#include "lib/bytes.h"

enum { TAG_END = 0, TAG_MODULE = 3, TAG_MEMORY_MAP = 6, TAG_RSDP_1 = 14, TAG_RSDP_2 = 15 };
#define REGION_RAM 1u /* "available" in multiboot2's and E820's words */

/* No CPU has more physical memory (SDM Vol. 3, 4.1.4). A sum of two addresses or sizes below it cannot overflow. */
#define PHYSICAL_END BIT(52)

static void add_region(struct bootinfo *out, uint64_t base, uint64_t size, uint32_t type)
{
    if (size == 0 || base + size < base || base >= PHYSICAL_END)
        return;
    if (out->region_count == BOOTINFO_REGIONS) {
        out->regions_lost++;
        return;
    }
    out->regions[out->region_count++] =
        (struct boot_region){.base = base, .size = MIN(size, PHYSICAL_END - base), .ram = type == REGION_RAM};
}

/* name: at most limit bytes; NUL or the limit ends it. NULL, with limit 0: the module has no name. */
static void add_module(struct bootinfo *out, uint64_t base, uint64_t size, const uint8_t *name, uint64_t limit)
{
    if (base >= PHYSICAL_END || size >= PHYSICAL_END - base)
        return;
    if (out->module_count == ABI_MAX_MODULES) {
        out->modules_lost++;
        return;
    }

    struct boot_module *m = &out->modules[out->module_count++];
    m->base = base;
    m->size = size;

    uint64_t n = 0;
    while (n < limit && n < sizeof m->name - 1 && name[n])
        n++;

    memset(m->name, 0, sizeof m->name);
    if (n)
        memcpy(m->name, name, n);
}

static void memory_map(struct bootinfo *out, const uint8_t *tag, uint32_t size)
{
    if (size < 16)
        return;

    uint32_t entry_size = get32(tag + 8);
    if (entry_size < 24)
        return;

    for (uint64_t at = 16; at + entry_size <= size; at += entry_size)
        add_region(out, get64(tag + at), get64(tag + at + 8), get32(tag + at + 16));
}

static void rsdp(struct bootinfo *out, const uint8_t *tag, uint32_t size)
{
    uint32_t length = size > 8 ? MIN(size - 8, (uint32_t)sizeof out->rsdp_copy) : 0;
    if (length < 20 || length <= out->rsdp_size)
        return;
    memcpy(out->rsdp_copy, tag + 8, length);
    out->rsdp_size = length;
}

int bootinfo_multiboot2(struct bootinfo *out, const void *data, uint64_t size)
{
    const uint8_t *bytes = data;

    memset(out, 0, sizeof *out);
    if (size < 8)
        return E_FORMAT;

    uint64_t total = MIN(size, (uint64_t)get32(bytes));
    for (uint64_t at = 8; at + 8 <= total;) {
        const uint8_t *tag = bytes + at;
        uint32_t type = get32(tag), length = get32(tag + 4);

        if (length < 8 || length > total - at)
            return E_FORMAT;
        if (type == TAG_END)
            return OK;

        if (type == TAG_MODULE && length >= 16 && get32(tag + 12) >= get32(tag + 8))
            add_module(out, get32(tag + 8), get32(tag + 12) - get32(tag + 8), tag + 16, length - 16);
        else if (type == TAG_MEMORY_MAP)
            memory_map(out, tag, length);
        else if (type == TAG_RSDP_1 || type == TAG_RSDP_2)
            rsdp(out, tag, length);

        at += ALIGN_UP((uint64_t)length, 8);
    }

    return E_FORMAT;
}

/*
 * struct hvm_start_info. Offset, bytes:
 *    0, 4   magic
 *    4, 4   version
 *    8, 4   flags
 *   12, 4   nr_modules
 *   16, 8   modlist_paddr
 *   24, 8   cmdline_paddr
 *   32, 8   rsdp_paddr
 *   40, 8   memmap_paddr (from version 1 on)
 *   48, 4   memmap_entries (from version 1 on)
 */
#define PVH_MAGIC 0x336ec578u

int bootinfo_pvh(struct bootinfo *out, uint64_t start, const void *(*read)(uint64_t address, uint64_t size))
{
    memset(out, 0, sizeof *out);

    const uint8_t *info = read(start, 56);
    if (!info || get32(info) != PVH_MAGIC || get32(info + 4) < 1)
        return E_FORMAT;

    out->rsdp = get64(info + 32);

    for (uint32_t i = 0; i < get32(info + 48) && i < 2 * BOOTINFO_REGIONS; i++) {
        const uint8_t *entry = read(get64(info + 40) + i * 24ull, 24);
        if (!entry)
            return E_FORMAT;
        add_region(out, get64(entry), get64(entry + 8), get32(entry + 16));
    }

    for (uint32_t i = 0; i < get32(info + 12) && i < 2 * ABI_MAX_MODULES; i++) {
        const uint8_t *entry = read(get64(info + 16) + i * 32ull, 32);
        if (!entry)
            return E_FORMAT;

        uint64_t name = get64(entry + 16);
        const uint8_t *text = name ? read(name, ABI_MODULE_NAME_SIZE) : NULL;
        add_module(out, get64(entry), get64(entry + 8), text, text ? ABI_MODULE_NAME_SIZE : 0);
    }

    return OK;
}
