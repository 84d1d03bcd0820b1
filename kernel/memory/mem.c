#include "kernel/memory/mem.h"

#include "kernel/base/boot.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/spinlock.h"
#include "kernel/memory/buddy.h"
#include "kernel/memory/framemap.h"
#include "lib/pool_size.h"
#include "lib/string.h"

#define RAM_MIN (32ull << 20) /* room for what firmware and boot loader take, for the image and for a pool */
#define LOW_END (1ull << 20)

static struct spinlock lock;
static struct buddy pool;
static struct framemap frames;
static uint64_t pool_base, pool_size;
uint32_t mem_fail_in;

static bool fails(void)
{
    return mem_fail_in && --mem_fail_in == 0;
}

static uint64_t image_end(void)
{
    return (uint64_t)symbols_end - KERNEL_BASE;
}

/* The first 2 MiB-aligned piece of `size` bytes of free RAM, above the image, in which no boot module lies. 0: none. */
static uint64_t find_piece(const struct bootinfo *info, uint64_t size)
{
    for (uint32_t i = 0; i < info->region_count; i++) {
        const struct boot_region *r = &info->regions[i];
        if (!r->ram)
            continue;

        uint64_t at = ALIGN_UP(MAX(r->base, image_end()), LARGE_PAGE_SIZE);
        for (uint32_t m = 0; m < info->module_count; m++) {
            /* Modules are few and unsorted: if one is in the way, go behind it and begin with the first one again. */
            const struct boot_module *module = &info->modules[m];
            if (module->base < at + size && module->base + module->size > at) {
                at = ALIGN_UP(module->base + module->size, LARGE_PAGE_SIZE);
                m = UINT32_MAX;
            }
        }

        if (at + size <= MIN(r->base + r->size, BOOT_EARLY_END))
            return at;
    }
    return 0;
}

static void give_frames(const struct bootinfo *info)
{
    for (uint32_t i = 0; i < info->region_count; i++)
        if (info->regions[i].ram)
            framemap_add(&frames, info->regions[i].base, info->regions[i].size);

    /* What the firmware calls both free and something else is not free. */
    for (uint32_t i = 0; i < info->region_count; i++)
        if (!info->regions[i].ram)
            framemap_take(&frames, info->regions[i].base, info->regions[i].size);

    for (uint32_t i = 0; i < info->module_count; i++)
        framemap_take(&frames, info->modules[i].base, info->modules[i].size);

    framemap_take(&frames, 0, LOW_END);
    framemap_take(&frames, (uint64_t)0x1000000, image_end() - 0x1000000);
    framemap_take(&frames, pool_base, pool_size);

    frames.total = frames.free;
}

bool mem_init(const struct bootinfo *info)
{
    uint64_t ram = 0, end = 0;

    for (uint32_t i = 0; i < info->region_count; i++)
        if (info->regions[i].ram) {
            ram += info->regions[i].size;
            end = MAX(end, info->regions[i].base + info->regions[i].size);
        }

    uint64_t size = pool_size_of(ram);
    for (; size >= POOL_MIN && !pool_base; size -= pool_base ? 0 : LARGE_PAGE_SIZE)
        pool_base = find_piece(info, size);

    if (!pool_base) {
        log_line(LOG_ERROR,
                 "memory: %llu MiB of RAM, but no %llu MiB in one piece below 4 GiB: give the machine more, %llu MiB "
                 "beside modules and guests",
                 (unsigned long long)(ram >> 20), POOL_MIN >> 20, RAM_MIN >> 20);
        return false;
    }

    pool_size = size;
    buddy_init(&pool, pa_to_page(pa(pool_base)), pool_size);

    end = MIN(end, 512ull << 40);
    uint64_t bytes = framemap_bytes(end);
    unsigned order = 0;
    while ((PAGE_SIZE << order) < bytes)
        order++;

    void *bits = page_alloc(order);
    if (!bits) {
        log_line(LOG_ERROR, "memory: the map of %llu GiB of RAM does not fit root's pool",
                 (unsigned long long)(end >> 30));
        return false;
    }

    framemap_init(&frames, bits, end);
    give_frames(info);
    return true;
}

void *page_alloc(unsigned order)
{
    spin_lock(&lock);
    void *p = fails() ? NULL : buddy_alloc(&pool, order);
    spin_unlock(&lock);
    if (p)
        memset(p, 0, PAGE_SIZE << order);
    return p;
}

void page_free(void *pages, unsigned order)
{
    if (!pages)
        return;

    spin_lock(&lock);
    bool was_allocated = buddy_free(&pool, pages, order);
    spin_unlock(&lock);
    ASSERT(was_allocated);
}

int frames_alloc(uint64_t bytes, struct frame_extent *out, uint32_t max)
{
    spin_lock(&lock);
    int n = fails() ? E_NOMEM : framemap_alloc(&frames, bytes, out, max);
    spin_unlock(&lock);
    return n;
}

void frames_free(const struct frame_extent *extents, uint32_t count)
{
    spin_lock(&lock);
    framemap_free(&frames, extents, count);
    spin_unlock(&lock);
}

struct mem_counts mem_counts(void)
{
    return (struct mem_counts){.pool_total = pool_size,
                               .pool_free = pool.free * PAGE_SIZE,
                               .frames_total = frames.total * LARGE_PAGE_SIZE,
                               .frames_free = frames.free * LARGE_PAGE_SIZE,
                               .pool_base = pool_base};
}
