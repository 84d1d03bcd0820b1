/* The bitmap of guest frames, against an array of bools. */
// links: kernel/memory/framemap.c
#include "kernel/memory/framemap.h"

#include "tests/unit/test.h"

enum { FRAMES = 5000, GIB = 512 }; /* in frames of 2 MiB */
#define FRAME LARGE_PAGE_SIZE

static struct framemap map;
static uint64_t *bits;
static bool model[FRAMES];

/* The bitmap in a heap block of exactly the size that is asked for. */
static void start(uint64_t end)
{
    free(bits);
    bits = calloc(1, framemap_bytes(end));
    framemap_init(&map, bits, end);
    memset(model, 0, sizeof model);
}

static void check_model(void)
{
    uint64_t n = 0;

    for (uint64_t f = 0; f < map.count; f++) {
        CHECK_EQ(map.bits[f / 64] >> f % 64 & 1, model[f]);
        n += model[f];
    }
    CHECK_EQ(map.free, n);
}

static void model_set(uint64_t from, uint64_t end, bool is_free)
{
    for (uint64_t f = from; f < end && f < map.count; f++)
        model[f] = is_free;
}

TEST(sizes)
{
    for (uint64_t frames = 0; frames < 200; frames++) {
        start(frames * FRAME + frames * 1000);
        CHECK_EQ(map.count, frames);
        CHECK(framemap_bytes(frames * FRAME) % 8 == 0);
        framemap_add(&map, 0, ~0ull);
        CHECK_EQ(map.free, frames);
        framemap_take(&map, 0, ~0ull);
        CHECK_EQ(map.free, 0);
    }
}

/* Only whole frames become free; any touched one is taken. */
TEST(rounding)
{
    static const struct {
        uint64_t base, size;
        uint64_t add, add_end, take, take_end; /* in frames */
    } table[] = {
        {0, 0, 0, 0, 0, 0},
        {0, 1, 0, 0, 0, 1},
        {0, FRAME, 0, 1, 0, 1},
        {1, FRAME, 0, 0, 0, 2},
        {1, FRAME - 1, 0, 0, 0, 1},
        {1, 2 * FRAME - 1, 1, 2, 0, 2},
        {FRAME - 1, 1, 0, 0, 0, 1},
        {FRAME - 1, FRAME + 1, 1, 2, 0, 2},
        {FRAME, FRAME + 1, 1, 2, 1, 3},
        {5 * FRAME, 0, 0, 0, 0, 0},
        {62 * FRAME, 4 * FRAME, 62, 66, 62, 66}, /* across two words */
        {98 * FRAME, 10 * FRAME, 98, 100, 98, 100},
        {100 * FRAME, FRAME, 0, 0, 0, 0}, /* outside */
        {1ull << 51, 1ull << 51, 0, 0, 0, 0},
        {FRAME, ~0ull - FRAME, 1, 100, 1, 100},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        start(100 * FRAME);
        framemap_add(&map, table[i].base, table[i].size);
        model_set(table[i].add, table[i].add_end, true);
        check_model();
        framemap_add(&map, table[i].base, table[i].size); /* twice is once */
        check_model();
        framemap_add(&map, 0, 100 * FRAME);
        model_set(0, 100, true);
        framemap_take(&map, table[i].base, table[i].size);
        model_set(table[i].take, table[i].take_end, false);
        check_model();
        framemap_take(&map, table[i].base, table[i].size);
        check_model();
    }
}

/* GiBs first, aligned; the rest in one piece where there is one. */
TEST(gib_sized_parts)
{
    struct frame_extent out[8];

    start(4 * GIB * FRAME);
    framemap_add(&map, 3 * FRAME, (4 * GIB - 3) * FRAME);
    CHECK_EQ(framemap_alloc(&map, (2 * GIB + 5) * FRAME, out, 8), 2);
    CHECK_EQ(out[0].base.v, GIB * FRAME);
    CHECK_EQ(out[0].size, 2 * GIB * FRAME);
    CHECK_EQ(out[1].size, 5 * FRAME);
    CHECK_EQ(out[1].base.v, 3 * FRAME);
    CHECK_EQ(framemap_alloc(&map, 2 * GIB * FRAME, out, 8), E_NOMEM); /* there are 8 less */
    CHECK_EQ(framemap_alloc(&map, (2 * GIB - 8) * FRAME, out, 8), 2);
    CHECK_EQ(map.free, 0);
}

TEST(pieces)
{
    struct frame_extent out[4];

    start(100 * FRAME);
    framemap_add(&map, 10 * FRAME, 3 * FRAME);
    framemap_add(&map, 20 * FRAME, 5 * FRAME);
    framemap_add(&map, 30 * FRAME, 2 * FRAME);
    CHECK_EQ(framemap_alloc(&map, 0, out, 4), E_NOMEM);
    CHECK_EQ(framemap_alloc(&map, ~0ull, out, 4), E_NOMEM);
    CHECK_EQ(framemap_alloc(&map, 11 * FRAME, out, 4), E_NOMEM);
    CHECK_EQ(framemap_alloc(&map, FRAME, out, 0), E_NOMEM);
    CHECK_EQ(framemap_alloc(&map, 10 * FRAME, out, 2), E_NOMEM); /* three pieces */
    CHECK_EQ(map.free, 10);
    CHECK_EQ(framemap_alloc(&map, 10 * FRAME, out, 3), 3);
    CHECK_EQ(out[0].base.v, 20 * FRAME); /* the longest first: fewest pieces */
    CHECK_EQ(out[1].base.v, 10 * FRAME);
    CHECK_EQ(out[2].base.v, 30 * FRAME);
    CHECK_EQ(map.free, 0);
    framemap_free(&map, out, 3);
    CHECK_EQ(map.free, 10);
    CHECK_EQ(framemap_alloc(&map, 1, out, 1), 1); /* rounded up */
    CHECK_EQ(out[0].size, FRAME);
}

/* Random adds, takes, allocations and frees. */
TEST(random_work)
{
    enum { OWNERS = 40, PIECES = 6 };
    static struct {
        struct frame_extent pieces[PIECES];
        uint32_t count;
    } owners[OWNERS];
    uint64_t seed = 9;
    unsigned n = 0, failed = 0, many = 0;

    start(FRAMES * FRAME);
    for (unsigned i = 0; i < 30; i++) { /* holes, as in a firmware's map */
        uint64_t from = test_random(&seed) % FRAMES, size = test_random(&seed) % 400;

        framemap_add(&map, from * FRAME, size * FRAME);
        model_set(from, from + size, true);
        from = test_random(&seed) % FRAMES;
        framemap_take(&map, from * FRAME, 3 * FRAME);
        model_set(from, from + 3, false);
    }
    check_model();
    uint64_t all = map.free;
    for (unsigned round = 0; round < 3000; round++) {
        if (n < OWNERS && test_random(&seed) % 2) {
            uint64_t bytes = (1 + (test_random(&seed) % (1ull << test_random(&seed) % 11))) * FRAME;
            uint32_t max = 1 + (uint32_t)(test_random(&seed) % PIECES);
            uint64_t before = map.free, sum = 0;
            int count = framemap_alloc(&map, bytes, owners[n].pieces, max);

            if (count < 0) {
                CHECK_EQ(count, E_NOMEM);
                CHECK_EQ(map.free, before);
                failed++;
                continue;
            }
            CHECK(count >= 1 && (uint32_t)count <= max);
            many += count > 1;
            owners[n].count = (uint32_t)count;
            for (int i = 0; i < count; i++) {
                struct frame_extent *e = &owners[n].pieces[i];

                CHECK(e->base.v % FRAME == 0 && e->size % FRAME == 0 && e->size > 0);
                for (uint64_t f = e->base.v / FRAME; f < (e->base.v + e->size) / FRAME; f++)
                    CHECK(f < FRAMES && model[f]);
                model_set(e->base.v / FRAME, (e->base.v + e->size) / FRAME, false);
                sum += e->size;
            }
            CHECK_EQ(sum, bytes);
            n++;
        } else if (n > 0) {
            unsigned which = (unsigned)(test_random(&seed) % n);

            framemap_free(&map, owners[which].pieces, owners[which].count);
            for (uint32_t i = 0; i < owners[which].count; i++) {
                const struct frame_extent *e = &owners[which].pieces[i];
                model_set(e->base.v / FRAME, (e->base.v + e->size) / FRAME, true);
            }
            owners[which] = owners[--n];
        }
        if (round % 100 == 0)
            check_model();
    }
    CHECK(failed > 10 && many > 10);
    while (n-- > 0)
        framemap_free(&map, owners[n].pieces, owners[n].count);
    CHECK_EQ(map.free, all);
}
