/* What all boot protocols share: where things may go in guest RAM, and what is there already. */
#include "lib/bytes.h"
#include "user/loader/loader.h"

enum { E820_RAM = 1, E820_RESERVED = 2 };

static_assert((LOADER_MODULES + 1) * (ABI_MODULE_NAME_SIZE + 1) + sizeof(((struct abi_vm_config *)0)->args) <=
                  AREA_TEXT_SIZE,
              "texts of all modules fit");

unsigned loader_memory_map(const struct loader *l, struct loader_range map[LOADER_RANGES])
{
    map[0] = (struct loader_range){0, LOW_RAM_END, E820_RAM};
    map[1] = (struct loader_range){LOW_RAM_END, HIGH_RAM_BASE - LOW_RAM_END, E820_RESERVED};
    map[2] = (struct loader_range){HIGH_RAM_BASE, l->ram_low - HIGH_RAM_BASE, E820_RAM};
    map[3] = (struct loader_range){ABI_RAM_HIGH_BASE, l->ram_high, E820_RAM};
    return l->ram_high ? 4 : 3;
}

/* ---- What is in use ---------------------------------------------------------------------------------------------- */

/* What touches the new piece becomes one with it. If the list is full, the gap to a neighbour counts as in use, too. */
static void take(struct loader *l, uint64_t base, uint64_t end)
{
    uint32_t kept = 0, before = 0;

    for (uint32_t i = 0; i < l->taken_count; i++) {
        struct loader_span s = l->taken[i];

        if (s.end >= base && s.base <= end) {
            base = MIN(base, s.base);
            end = MAX(end, s.end);
            continue;
        }
        before += s.end < base;
        l->taken[kept++] = s;
    }
    l->taken_count = kept;
    if (kept == LOADER_TAKEN) {
        struct loader_span *neighbour = &l->taken[before ? before - 1 : 0];

        neighbour->base = MIN(neighbour->base, base);
        neighbour->end = MAX(neighbour->end, end);
        return;
    }
    for (uint32_t i = kept; i > before; i--)
        l->taken[i] = l->taken[i - 1];
    l->taken[before] = (struct loader_span){base, end};
    l->taken_count++;
}

static uint64_t find_lowest(const struct loader *l, uint64_t size, uint64_t align, uint64_t from, uint64_t to)
{
    uint64_t at = ALIGN_UP(from, align);

    for (uint32_t i = 0; i < l->taken_count; i++) {
        const struct loader_span *s = &l->taken[i];

        if (s->end <= at)
            continue;
        if (s->base >= at && size <= s->base - at)
            break;
        at = ALIGN_UP(s->end, align);
    }
    return at >= from && at <= to && size <= to - at ? at : 0;
}

static uint64_t find_highest(const struct loader *l, uint64_t size, uint64_t align, uint64_t from, uint64_t to)
{
    for (uint32_t i = l->taken_count; i > 0; i--) {
        const struct loader_span *s = &l->taken[i - 1];

        if (s->base >= to)
            continue;
        if (size <= to && ALIGN_DOWN(to - size, align) >= s->end)
            break;
        to = s->base;
    }
    return size <= to && ALIGN_DOWN(to - size, align) >= from ? ALIGN_DOWN(to - size, align) : 0;
}

uint64_t loader_find(const struct loader *l, uint64_t size, uint64_t align, uint64_t from, uint64_t to)
{
    uint64_t low = MAX(from, (uint64_t)LOW_RAM_BASE), low_end = MIN(to, (uint64_t)LOW_RAM_END), at = 0;

    if (low < low_end)
        at = find_lowest(l, size, align, low, low_end);
    return at ? at : find_lowest(l, size, align, MAX(from, (uint64_t)HIGH_RAM_BASE), MIN(to, l->ram_low));
}

uint64_t loader_find_highest(const struct loader *l, uint64_t size, uint64_t to)
{
    return find_highest(l, size, PAGE_SIZE, HIGH_RAM_BASE, MIN(to, l->ram_low));
}

static uint64_t end_of_taken(const struct loader *l)
{
    return l->taken_count ? MAX(l->taken[l->taken_count - 1].end, (uint64_t)HIGH_RAM_BASE) : HIGH_RAM_BASE;
}

/* ---- Why not ----------------------------------------------------------------------------------------------------- */

static unsigned long long mib_up(uint64_t bytes)
{
    return (bytes + 0xfffff) >> 20;
}

int loader_refuse_range(const struct loader *l, uint64_t at, uint64_t size)
{
    unsigned long long from = at, to = at + size;

    if (size > UINT64_MAX - at || to > ABI_RAM_LOW_MAX) {
        l->message("%s: needs RAM from 0x%llx to 0x%llx, but nothing is loaded above 3 GiB, whatever the memory: "
                   "link it lower",
                   l->image.name, from, to);
        return E_RANGE;
    }
    if (at < HIGH_RAM_BASE) {
        l->message("%s: needs RAM from 0x%llx to 0x%llx, but below 1 MiB a PC has 0x%x to 0x%x for images: "
                   "link it elsewhere",
                   l->image.name, from, to, LOW_RAM_BASE, LOW_RAM_END);
        return E_RANGE;
    }
    l->message("%s: needs RAM up to 0x%llx, the guest's ends at 0x%llx: give it more memory, %llu MiB or more",
               l->image.name, to, (unsigned long long)l->ram_low, mib_up(to));
    return E_NOMEM;
}

int loader_refuse_file(const struct loader *l, const struct loader_module *file, uint64_t limit)
{
    uint64_t behind = ALIGN_UP(end_of_taken(l), PAGE_SIZE);
    unsigned long long kib = file->size >> 10;

    limit = MIN(limit, ABI_RAM_LOW_MAX);
    if (behind > limit || file->size > limit - behind) {
        l->message("%s: %llu KiB do not fit beside the image below 0x%llx, whatever the memory: make it smaller",
                   file->name, kib, (unsigned long long)limit);
        return E_RANGE;
    }
    l->message("%s: %llu KiB do not fit beside the image: give the guest more memory, %llu MiB or more", file->name,
               kib, mib_up(behind + file->size));
    return E_NOMEM;
}

/* ---- Putting things there ---------------------------------------------------------------------------------------- */

static bool is_inside(uint64_t at, uint64_t size, uint64_t base, uint64_t end)
{
    return at >= base && at <= end && size <= end - at;
}

int loader_place(struct loader *l, uint64_t at, const void *data, uint64_t size, uint64_t memory_size)
{
    if (!is_inside(at, memory_size, HIGH_RAM_BASE, l->ram_low) &&
        !is_inside(at, memory_size, LOW_RAM_BASE, LOW_RAM_END))
        return loader_refuse_range(l, at, memory_size);
    take(l, at, at + memory_size);
    if (size)
        memcpy(l->ram + at, data, size);
    return OK;
}

int loader_place_area(struct loader *l)
{
    uint64_t at = loader_find(l, AREA_SIZE, PAGE_SIZE, LOW_RAM_BASE, l->ram_low);

    if (!at) {
        l->message("%s: leaves no %u KiB free for the boot information: give it more memory, %llu MiB or more",
                   l->image.name, AREA_SIZE >> 10, mib_up(end_of_taken(l) + PAGE_SIZE + AREA_SIZE));
        return E_NOMEM;
    }
    take(l, at, at + AREA_SIZE);
    l->area = (uint32_t)at;
    memset(l->ram + at, 0, AREA_SIZE);
    memcpy(l->ram + at + AREA_CMDLINE, l->cmdline, strlen(l->cmdline) + 1);
    return OK;
}

int loader_place_module(struct loader *l, const struct loader_module *module, uint64_t *next, uint32_t *at)
{
    uint64_t size = MAX(module->size, 1ull),
             start = loader_find(l, size, PAGE_SIZE, MAX(*next, (uint64_t)HIGH_RAM_BASE), l->ram_low);

    if (start)
        *next = start + size;
    else
        start = loader_find(l, size, PAGE_SIZE, HIGH_RAM_BASE, l->ram_low);
    if (!start && module->size)
        return loader_refuse_file(l, module, ABI_RAM_LOW_MAX);
    if (module->size) { /* an empty file has no address either, and needs no room */
        memcpy(l->ram + start, module->data, module->size);
        take(l, start, start + module->size);
    }
    *at = (uint32_t)(start ? start : HIGH_RAM_BASE);
    return OK;
}

uint32_t loader_place_text(const struct loader *l, uint32_t *used, const struct loader_module *module)
{
    uint32_t at = l->area + AREA_TEXT + *used;
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
