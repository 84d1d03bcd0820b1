/* What all boot protocols share: where things may go in guest RAM. */
#include "lib/bytes.h"
#include "user/loader/loader.h"

enum { E820_RAM = 1, E820_RESERVED = 2 };

static_assert(LOADER_MODULES * (ABI_MODULE_NAME_SIZE + sizeof(((struct abi_vm_config *)0)->module_args[0])) <=
                  LOADER_TEXT_SIZE,
              "texts of all modules fit");

unsigned loader_memory_map(const struct loader *l, struct loader_range map[LOADER_RANGES])
{
    map[0] = (struct loader_range){0, LOW_RAM_END, E820_RAM};
    map[1] = (struct loader_range){LOW_RAM_END, HIGH_RAM_BASE - LOW_RAM_END, E820_RESERVED};
    map[2] = (struct loader_range){HIGH_RAM_BASE, l->ram_low - HIGH_RAM_BASE, E820_RAM};
    map[3] = (struct loader_range){4ull << 30, l->ram_high, E820_RAM};
    return l->ram_high ? 4 : 3;
}

static bool is_free(uint64_t at, uint64_t size, uint64_t base, uint64_t end)
{
    return at >= base && at <= end && size <= end - at;
}

int loader_place(const struct loader *l, uint64_t at, const void *data, uint64_t size, uint64_t memory_size)
{
    unsigned long long from = at;
    unsigned long long to = at + memory_size;

    if (!is_free(at, memory_size, HIGH_RAM_BASE, l->ram_low) &&
        !is_free(at, memory_size, LOADER_AREA_END, LOW_RAM_END)) {
        l->message("%s: needs RAM from 0x%llx to 0x%llx, the guest has 0x%x to 0x%llx free: give it more memory",
                   l->image.name, from, to, HIGH_RAM_BASE, (unsigned long long)l->ram_low);
        return E_NOMEM;
    }
    memcpy(l->ram + at, data, size);
    return OK;
}

int loader_place_module(const struct loader *l, const struct loader_module *module, uint64_t *next, uint32_t *at)
{
    uint64_t start = ALIGN_UP(*next, PAGE_SIZE);

    if (!is_free(start, module->size, HIGH_RAM_BASE, l->ram_low)) {
        l->message("%s: %llu KiB do not fit behind the image: give the guest more memory", module->name,
                   (unsigned long long)module->size >> 10);
        return E_NOMEM;
    }
    memcpy(l->ram + start, module->data, module->size);
    *next = start + module->size;
    *at = (uint32_t)start;
    return OK;
}

uint32_t loader_place_text(const struct loader *l, uint32_t *used, const struct loader_module *module)
{
    uint32_t at = LOADER_TEXT + *used;
    size_t name = strlen(module->name), arguments = strlen(module->arguments);
    uint8_t *p = l->ram + at;

    memcpy(p, module->name, name);
    p += name;
    if (arguments)
        *p++ = ' ';
    memcpy(p, module->arguments, arguments);
    p[arguments] = 0;
    *used += (uint32_t)(p + arguments + 1 - (l->ram + at));
    return at;
}
