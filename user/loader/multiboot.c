/* The first version of the Multiboot specification (0.6.96): ELF files, and flat ones that give their addresses. */
#include "lib/bytes.h"
#include "user/loader/elf.h"

/* 3.1: the header. */
enum { WANTS_KNOWN = 7, WANTS_VIDEO = 4, HAS_ADDRESSES = MULTIBOOT_HAS_ADDRESSES };
enum { HEADER_FLAGS = 4, HEADER_ADDR = 12, LOAD_ADDR = 16, LOAD_END = 20, BSS_END = 24, ENTRY = 28 };
/* 3.3: the boot information. */
enum { BOOT_MAGIC = 0x2badb002, INFO_SIZE = 120, MODULE_SIZE = 16, RANGE_SIZE = 24 };
enum { HAS_MEMORY = 1, HAS_CMDLINE = 4, HAS_MODULES = 8, HAS_MAP = 64, HAS_LOADER_NAME = 512 };
enum { MODULES = INFO_SIZE, RANGES = MODULES + LOADER_MODULES * MODULE_SIZE };
enum { NAME = RANGES + LOADER_RANGES * RANGE_SIZE };

static const char loader_name[] = "Lapwing";
static_assert(NAME + sizeof loader_name <= PAGE_SIZE, "the information fits its page");

/* The file as it is, at the addresses that the header gives (3.1.3). Zero for an end means: the file's, and no BSS. */
static int place_flat(struct loader *l, uint32_t header, uint64_t *end)
{
    const uint8_t *p = l->image.data + header;
    uint64_t load = get32(p + LOAD_ADDR), before = (uint64_t)get32(p + HEADER_ADDR) - load, size, memory;

    if (before > header) {
        l->message("%s: its multiboot header names addresses that are not in the file: copy or link it again",
                   l->image.name);
        return E_FORMAT;
    }
    size = get32(p + LOAD_END) ? (uint64_t)get32(p + LOAD_END) - load : l->image.size - (header - before);
    memory = get32(p + BSS_END) ? (uint64_t)get32(p + BSS_END) - load : size;
    if (size > l->image.size - (header - before) || memory < size) {
        l->message("%s: its multiboot header names addresses that are not in the file: copy or link it again",
                   l->image.name);
        return E_FORMAT;
    }
    *end = load + memory;
    return loader_place(l, load, p - before, size, memory);
}

static int place_image(struct loader *l, uint64_t *end, uint64_t *entry)
{
    uint32_t header, flags;
    struct elf elf;

    if (!multiboot_find(l->image.data, l->image.size, &header))
        return E_FORMAT;
    flags = get32(l->image.data + header + HEADER_FLAGS);
    if (flags & 0xffff & ~WANTS_KNOWN) {
        l->message(
            "%s: its multiboot header asks for what version 0.6.96 does not have (flags 0x%x): build it for that",
            l->image.name, flags & 0xffff & ~WANTS_KNOWN);
        return E_NOTSUP;
    }
    if (flags & HAS_ADDRESSES) {
        *entry = get32(l->image.data + header + ENTRY);
        return place_flat(l, header, end);
    }
    if (elf_is_cut_off(l->image.data, l->image.size)) {
        l->message("%s: an ELF file that is cut off: copy it again", l->image.name);
        return E_FORMAT;
    }
    if (!elf_open(&elf, l->image.data, l->image.size)) {
        l->message("%s: a multiboot image, but neither an x86 ELF file nor one with load addresses: name a kernel",
                   l->image.name);
        return E_FORMAT;
    }
    *entry = elf_physical_entry(&elf);
    return elf_load(l, &elf, end);
}

static void put_memory(const struct loader *l, uint8_t *info)
{
    struct loader_range map[LOADER_RANGES];
    unsigned count = loader_memory_map(l, map);

    put32(info + 4, LOW_RAM_END >> 10);
    put32(info + 8, (l->ram_low - HIGH_RAM_BASE) >> 10);
    put32(info + 44, count * (uint64_t)RANGE_SIZE);
    put32(info + 48, l->area + AREA_INFO + RANGES);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *range = info + RANGES + (uint64_t)i * RANGE_SIZE;

        put32(range, RANGE_SIZE - 4); /* the size field is not counted */
        put64(range + 4, map[i].base);
        put64(range + 12, map[i].size);
        put32(range + 20, map[i].type);
    }
}

int multiboot_load(struct loader *l, struct abi_regs *bsp)
{
    uint8_t *info;
    uint64_t next, entry;
    uint32_t used = 0;
    int err = place_image(l, &next, &entry);

    if (err)
        return err;
    if (l->initrd.data) {
        l->message("%s: a multiboot image takes no initrd: say modules = %s", l->image.name, l->initrd.name);
        return E_NOTSUP;
    }
    err = loader_place_area(l);
    if (err)
        return err;
    info = l->ram + l->area + AREA_INFO;
    put32(info, HAS_MEMORY | HAS_CMDLINE | HAS_MODULES | HAS_MAP | HAS_LOADER_NAME);
    put32(info + 16, l->area + AREA_CMDLINE);
    put32(info + 20, l->module_count);
    put32(info + 24, l->area + AREA_INFO + MODULES);
    for (uint32_t i = 0; i < l->module_count; i++) {
        uint8_t *entry_at = info + MODULES + (uint64_t)i * MODULE_SIZE;
        uint32_t at;

        err = loader_place_module(l, &l->modules[i], &next, &at);
        if (err)
            return err;
        put32(entry_at, at);
        put32(entry_at + 4, at + l->modules[i].size);
        put32(entry_at + 8, loader_place_text(l, &used, &l->modules[i]));
    }
    put_memory(l, info);
    memcpy(info + NAME, loader_name, sizeof loader_name);
    put32(info + 64, l->area + AREA_INFO + NAME);
    cpu_protected_mode(l, entry, bsp);
    bsp->gpr[ABI_RAX] = BOOT_MAGIC;
    bsp->gpr[ABI_RBX] = l->area + AREA_INFO;
    return OK;
}
