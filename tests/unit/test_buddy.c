/* The page allocator, against a list of who has which page. */
// links: kernel/memory/buddy.c
#include "kernel/memory/buddy.h"

#include "tests/unit/test.h"

static struct buddy b;
static uint8_t *base;
static uint8_t fill = 0xee; /* what is in memory before: nothing may depend on it */

/* A heap block of exactly these pages. */
static void start(uint64_t pages)
{
    free(base);
    base = aligned_alloc(PAGE_SIZE, MAX(pages, 1ull) * PAGE_SIZE);
    if (!base)
        abort();
    memset(base, fill, pages * PAGE_SIZE);
    buddy_init(&b, base, pages * PAGE_SIZE);
}

static uint64_t page_of(const void *block)
{
    return (uint64_t)((const uint8_t *)block - base) / PAGE_SIZE;
}

/* How many blocks of each order are on the lists; the links are sound, and the blocks are marked so. */
static void count_lists(uint64_t counts[BUDDY_MAX_ORDER + 1])
{
    uint64_t pages = 0;

    for (unsigned order = 0; order <= BUDDY_MAX_ORDER; order++) {
        counts[order] = 0;
        for (struct buddy_block *at = b.heads[order].next; at != &b.heads[order]; at = at->next) {
            CHECK(at->next->prev == at && at->prev->next == at);
            CHECK_EQ(page_of(at) % (1ull << order), 0);
            CHECK_EQ(b.state[page_of(at)], order + 1);
            counts[order]++;
            pages += 1ull << order;
        }
    }
    CHECK_EQ(pages, b.free);
}

TEST(every_size_of_pool)
{
    for (uint64_t pages = 0; pages < 200; pages++) {
        start(pages);
        uint64_t expected = pages ? pages - 1 : 0, got = 0; /* one page of state bytes */
        uint8_t seen[200] = {0};

        CHECK_EQ(b.free, expected);
        for (void *p = buddy_alloc(&b, 0); p; p = buddy_alloc(&b, 0), got++) {
            CHECK(page_of(p) >= 1 && page_of(p) < pages && !seen[page_of(p)]++);
            memset(p, 0x11, PAGE_SIZE);
        }
        CHECK_EQ(got, expected);
        CHECK_EQ(b.free, 0);
    }
}

/* More pages than one page of state bytes has room for. */
TEST(state_of_more_than_a_page)
{
    start(PAGE_SIZE + 1);
    CHECK_EQ(b.free, PAGE_SIZE - 1);
    for (void *p = buddy_alloc(&b, 0); p; p = buddy_alloc(&b, 0))
        CHECK(page_of(p) >= 2);
    CHECK(!buddy_free(&b, base, 0));
    CHECK(!buddy_free(&b, base + PAGE_SIZE, 0));
    CHECK(buddy_free(&b, base + 2 * PAGE_SIZE, 0));
}

/* Freed in any order, everything grows together again. */
TEST(merging)
{
    enum { PAGES = 3 << BUDDY_MAX_ORDER };
    static void *blocks[PAGES];
    uint64_t before[BUDDY_MAX_ORDER + 1], after[BUDDY_MAX_ORDER + 1], seed = 7;

    for (unsigned order = 0; order <= BUDDY_MAX_ORDER; order++) {
        start(PAGES);
        count_lists(before);
        unsigned n = 0;
        while (n < PAGES && (blocks[n] = buddy_alloc(&b, order)) != NULL)
            n++;
        CHECK(n > 0);
        for (unsigned left = n; left > 0; left--) {
            unsigned which = (unsigned)(test_random(&seed) % left);
            CHECK(buddy_free(&b, blocks[which], order));
            blocks[which] = blocks[left - 1];
        }
        count_lists(after);
        CHECK(memcmp(before, after, sizeof before) == 0);
    }
    CHECK_EQ(before[BUDDY_MAX_ORDER], 2); /* the first one lacks the state page */
}

TEST(too_large)
{
    start(4096);
    CHECK(buddy_alloc(&b, BUDDY_MAX_ORDER + 1) == NULL);
    CHECK(buddy_alloc(&b, 63) == NULL);
    CHECK(buddy_alloc(&b, ~0u) == NULL);
    CHECK_EQ(b.free, 4095);
    start(512);
    CHECK(buddy_alloc(&b, 9) == NULL); /* there are 511 pages */
    CHECK(buddy_alloc(&b, 8) != NULL);
}

/* What was not allocated so is not freed, and nothing changes. */
TEST(wrong_frees)
{
    uint64_t before[BUDDY_MAX_ORDER + 1], after[BUDDY_MAX_ORDER + 1];

    start(64);
    CHECK(buddy_alloc(&b, 0) != NULL); /* page 1, which has no free neighbour ever */
    uint8_t *pair[2] = {buddy_alloc(&b, 0), buddy_alloc(&b, 0)}, *four = buddy_alloc(&b, 2);
    uint8_t *first = pair[0] < pair[1] ? pair[0] : pair[1], *single = buddy_alloc(&b, 0);
    CHECK_EQ(page_of(pair[0]) ^ 1, page_of(pair[1]));
    count_lists(before);
    CHECK(!buddy_free(&b, base, 0)); /* the state bytes */
    CHECK(!buddy_free(&b, base - PAGE_SIZE, 0));
    CHECK(!buddy_free(&b, base - 1, 0));
    CHECK(!buddy_free(&b, base + 64 * PAGE_SIZE, 0));
    CHECK(!buddy_free(&b, base + 63 * PAGE_SIZE, 1));
    CHECK(!buddy_free(&b, four, 3));
    CHECK(!buddy_free(&b, four + PAGE_SIZE, 1));
    CHECK(!buddy_free(&b, four + 8, 2));
    CHECK(!buddy_free(&b, four, BUDDY_MAX_ORDER + 1));
    CHECK(!buddy_free(&b, four, 64));
    CHECK(!buddy_free(&b, base + ALIGN_DOWN(page_of(single), 2) * PAGE_SIZE, 1)); /* half of it is free */
    count_lists(after);
    CHECK(memcmp(before, after, sizeof before) == 0);

    CHECK(buddy_free(&b, four, 2));
    CHECK(!buddy_free(&b, four, 2)); /* twice */
    CHECK(buddy_free(&b, pair[0], 0));
    CHECK(!buddy_free(&b, pair[0], 0));
    CHECK(buddy_free(&b, pair[1], 0));
    count_lists(before);
    CHECK(!buddy_free(&b, pair[0], 0)); /* twice, and has become part of a larger one */
    CHECK(!buddy_free(&b, pair[1], 0));
    CHECK(!buddy_free(&b, first, 0));
    count_lists(after);
    CHECK(memcmp(before, after, sizeof before) == 0);
}

/* State bytes behind the last page's have no meaning, whatever they are. */
TEST(beyond_the_end)
{
    for (fill = 0; fill <= BUDDY_MAX_ORDER + 1; fill++)
        for (unsigned order = 0; order < BUDDY_MAX_ORDER; order++) {
            uint64_t last = 2ull << order;

            start(last + (1ull << order)); /* the last block has no buddy */
            while (buddy_alloc(&b, 0) != NULL)
                ;
            CHECK(!buddy_free(&b, base + last * PAGE_SIZE, order + 1));
            CHECK(buddy_free(&b, base + last * PAGE_SIZE, order));
            CHECK_EQ(b.free, 1ull << order);
        }
    fill = 0xee;
}

/* Random work: no page has two owners, and no owner's bytes change. */
TEST(random_work)
{
    enum { PAGES = 5000, BLOCKS = 1500 };
    static struct {
        uint8_t *p;
        unsigned order;
        uint8_t mark;
    } blocks[BLOCKS];
    static uint8_t owned[PAGES];
    uint64_t seed = 8, counts[BUDDY_MAX_ORDER + 1], have = 0;
    unsigned n = 0, refused = 0;

    memset(owned, 0, sizeof owned);
    start(PAGES);
    uint64_t all = b.free;
    for (unsigned round = 0; round < 30000; round++) {
        if (n < BLOCKS && (n == 0 || test_random(&seed) % 100 < (round / 3000 % 2 ? 25 : 75))) {
            unsigned order = (unsigned)__builtin_ctzll(test_random(&seed) | BIT(BUDDY_MAX_ORDER));
            uint8_t *p = buddy_alloc(&b, order);

            refused += !p;
            if (!p)
                continue;
            CHECK_EQ(page_of(p) % (1ull << order), 0);
            CHECK(p >= base + 2 * PAGE_SIZE && p + (PAGE_SIZE << order) <= base + PAGES * PAGE_SIZE);
            for (uint64_t i = page_of(p); i < page_of(p) + (1ull << order); i++)
                CHECK(!owned[i]++);
            have += 1ull << order;
            blocks[n].p = p;
            blocks[n].order = order;
            blocks[n].mark = (uint8_t)test_random(&seed);
            memset(p, blocks[n].mark, 16);
            memset(p + (PAGE_SIZE << order) - 16, blocks[n++].mark, 16);
        } else {
            unsigned which = (unsigned)(test_random(&seed) % n);
            uint8_t *p = blocks[which].p, *end = p + (PAGE_SIZE << blocks[which].order);

            for (unsigned i = 0; i < 16; i++)
                CHECK(p[i] == blocks[which].mark && end[-1 - (int)i] == blocks[which].mark);
            for (uint8_t *page = p; page < end; page += PAGE_SIZE)
                owned[page_of(page)]--;
            have -= 1ull << blocks[which].order;
            CHECK(buddy_free(&b, p, blocks[which].order));
            blocks[which] = blocks[--n];
        }
        CHECK_EQ(b.free, all - have);
    }
    CHECK(refused > 10);
    while (n > 0) {
        n--;
        CHECK(buddy_free(&b, blocks[n].p, blocks[n].order));
    }
    CHECK_EQ(b.free, all);
    count_lists(counts);
    CHECK_EQ(counts[BUDDY_MAX_ORDER], 3); /* of 4096 pages, but for the state's block; the rest is 904 */
}
