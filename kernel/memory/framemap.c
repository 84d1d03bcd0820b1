#include "kernel/memory/framemap.h"

#define FRAMES_PER_HUGE (HUGE_PAGE_SIZE / LARGE_PAGE_SIZE)

static bool is_free(const struct framemap *map, uint64_t frame)
{
    return map->bits[frame / 64] >> frame % 64 & 1;
}

static void set(struct framemap *map, uint64_t frame, bool free)
{
    if (is_free(map, frame) == free)
        return;
    map->bits[frame / 64] ^= BIT(frame % 64);
    map->free += free ? 1 : UINT64_MAX;
}

uint64_t framemap_bytes(uint64_t end)
{
    return ALIGN_UP(end / LARGE_PAGE_SIZE + 1, 64) / 8;
}

void framemap_init(struct framemap *map, uint64_t *bits, uint64_t end)
{
    *map = (struct framemap){.bits = bits, .count = end / LARGE_PAGE_SIZE};
}

void framemap_add(struct framemap *map, uint64_t base, uint64_t size)
{
    uint64_t end = MIN((base + size) / LARGE_PAGE_SIZE, map->count);
    for (uint64_t f = ALIGN_UP(base, LARGE_PAGE_SIZE) / LARGE_PAGE_SIZE; f < end; f++)
        set(map, f, true);
}

void framemap_take(struct framemap *map, uint64_t base, uint64_t size)
{
    if (size == 0)
        return;

    uint64_t last = (base + size - 1) / LARGE_PAGE_SIZE;
    for (uint64_t f = base / LARGE_PAGE_SIZE; f <= last && f < map->count; f++)
        set(map, f, false);
}

/* The longest run of free frames from f on, at most limit. */
static uint64_t run_at(const struct framemap *map, uint64_t f, uint64_t limit)
{
    uint64_t n = 0;
    while (n < limit && f + n < map->count && is_free(map, f + n))
        n++;
    return n;
}

static void take_run(struct framemap *map, struct frame_extent *out, uint64_t f, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        set(map, f + i, false);
    *out = (struct frame_extent){.base = pa(f * LARGE_PAGE_SIZE), .size = n * LARGE_PAGE_SIZE};
}

/*
 * The length of the next run to take, in frames, and *at, its first frame:
 *   1. whole GiB-aligned GiBs, if that much is wanted and such a run is free;
 *   2. else the first run that holds all that is wanted;
 *   3. else the longest run.
 * 0: nothing is free.
 */
static uint64_t next_run(const struct framemap *map, uint64_t want, uint64_t *at)
{
    if (want >= FRAMES_PER_HUGE)
        for (uint64_t f = 0; f + FRAMES_PER_HUGE <= map->count; f += FRAMES_PER_HUGE)
            if (run_at(map, f, FRAMES_PER_HUGE) == FRAMES_PER_HUGE) {
                *at = f;
                return ALIGN_DOWN(run_at(map, f, want), FRAMES_PER_HUGE);
            }

    uint64_t best = 0;

    for (uint64_t f = 0; f < map->count && best < want;) {
        uint64_t n = run_at(map, f, want);
        if (n > best) {
            best = n;
            *at = f;
        }
        f += n + 1;
    }

    return best;
}

int framemap_alloc(struct framemap *map, uint64_t bytes, struct frame_extent *out, uint32_t max)
{
    uint64_t want = ALIGN_UP(bytes, LARGE_PAGE_SIZE) / LARGE_PAGE_SIZE;
    uint32_t n = 0;

    if (want == 0 || want > map->free)
        return E_NOMEM;

    while (want > 0 && n < max) {
        uint64_t at = 0, run = next_run(map, want, &at);
        take_run(map, &out[n++], at, run);
        want -= run;
    }

    if (want == 0)
        return (int)n;
    framemap_free(map, out, n);
    return E_NOMEM;
}

void framemap_free(struct framemap *map, const struct frame_extent *extents, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        framemap_add(map, extents[i].base.v, extents[i].size);
}
