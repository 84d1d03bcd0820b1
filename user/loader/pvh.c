/* struct hvm_start_info and its lists (Xen's public/arch-x86/hvm/start_info.h), version 1. */
#include "lib/bytes.h"
#include "user/loader/elf.h"

enum { MAGIC = 0x336ec578 };
enum { INFO_SIZE = 56, MODULE_SIZE = 32, RANGE_SIZE = 24, MODULES = INFO_SIZE, RANGES = MODULES + 17 * MODULE_SIZE };

static_assert(RANGES + LOADER_RANGES * RANGE_SIZE <= PAGE_SIZE && LOADER_MODULES == 16, "lists fit the page");

static int put_module(struct loader *l, const struct loader_module *module, uint64_t *next, uint32_t *used)
{
    uint8_t *info = l->ram + l->area + AREA_INFO, *entry = info + MODULES + get32(info + 12) * (uint64_t)MODULE_SIZE;
    uint32_t at;
    int err = loader_place_module(l, module, next, &at);

    if (err)
        return err;
    put64(entry, at);
    put64(entry + 8, module->size);
    put64(entry + 16, loader_place_text(l, used, module));
    put32(info + 12, get32(info + 12) + 1u);
    return OK;
}

int pvh_load(struct loader *l, uint32_t rsdp, struct abi_regs *bsp)
{
    uint8_t *info;
    struct loader_range map[LOADER_RANGES];
    uint32_t entry = 0, used = 0;
    uint64_t next;
    struct elf elf;
    int err;

    if (!elf_open(&elf, l->image.data, l->image.size) ||
        !elf_note(&elf, ELF_NOTE_PVH_OWNER, ELF_NOTE_PVH_ENTRY, &entry))
        return E_FORMAT;
    err = elf_load(l, &elf, &next);
    err = err ? err : loader_place_area(l);
    if (err)
        return err;

    info = l->ram + l->area + AREA_INFO;
    put32(info, MAGIC);
    put32(info + 4, 1);
    put64(info + 16, l->area + AREA_INFO + MODULES);
    put64(info + 24, l->area + AREA_CMDLINE);
    put64(info + 32, rsdp);
    put64(info + 40, l->area + AREA_INFO + RANGES);
    put32(info + 48, loader_memory_map(l, map));
    for (uint32_t i = 0; i < get32(info + 48); i++) {
        put64(info + RANGES + i * RANGE_SIZE, map[i].base);
        put64(info + RANGES + i * RANGE_SIZE + 8, map[i].size);
        put32(info + RANGES + i * RANGE_SIZE + 16, map[i].type);
    }
    if (l->initrd.data)
        err = put_module(l, &l->initrd, &next, &used);
    for (uint32_t i = 0; i < l->module_count && !err; i++)
        err = put_module(l, &l->modules[i], &next, &used);
    if (err)
        return err;
    cpu_protected_mode(l, entry, bsp);
    bsp->gpr[ABI_RBX] = l->area + AREA_INFO;
    return OK;
}
