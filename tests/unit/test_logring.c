// links: kernel/base/logring.c
#include "tests/unit/test.h"

#include <string.h>

#include "kernel/base/logring.h"

#define HZ 1000000ull

static struct logring ring;

static void start(void)
{
    memset(&ring, 0, sizeof(ring));
}

static void add(unsigned part, const char *text)
{
    struct abi_log_line *line = logring_add(&ring, part);

    line->length = (uint8_t)snprintf(line->text, sizeof(line->text), "%s", text);
}

/* All that is kept, in the order in which it is read. */
static unsigned read_all(uint64_t numbers[], unsigned max)
{
    unsigned n = 0;
    uint64_t next = 0;

    for (const struct abi_log_line *line; n < max && (line = logring_find(&ring, next)); next = line->number + 1)
        numbers[n++] = line->number;
    return n;
}

TEST(lines_come_in_the_order_of_time)
{
    static const struct {
        unsigned part;
        const char *text;
    } lines[] = {{LOGRING_START, "a"}, {LOGRING_VM(5), "b"}, {LOGRING_ROOT, "c"}, {LOGRING_VM(63), "d"},
                 {LOGRING_VM(5), "e"}, {LOGRING_ROOT, "f"},  {LOGRING_VM(0), "g"}};

    start();
    CHECK(!logring_find(&ring, 0));
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        add(lines[i].part, lines[i].text);
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        const struct abi_log_line *line = logring_find(&ring, i);

        CHECK(line && line->number == i);
        CHECK_STR(line->text, lines[i].text);
    }
    CHECK(!logring_find(&ring, ARRAY_SIZE(lines)));
    CHECK(!logring_find(&ring, UINT64_MAX));
}

/* One world's lines take the place of its own, and of no other's. */
TEST(no_part_takes_from_another)
{
    uint64_t numbers[1000];
    unsigned n;

    start();
    add(LOGRING_START, "start");
    add(LOGRING_ROOT, "root");
    add(LOGRING_VM(1), "neighbour");
    for (unsigned i = 0; i < 100000; i++)
        add(LOGRING_VM(0), "flood");
    n = read_all(numbers, ARRAY_SIZE(numbers));
    CHECK_EQ(n, 3 + LOGRING_VM_LINES);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(numbers[i], i);
    for (unsigned i = 3; i < n; i++)
        CHECK_EQ(numbers[i], 100003 - LOGRING_VM_LINES + i - 3);
}

/* What root said before there was control stays, whatever root says later. */
TEST(the_start_stays)
{
    uint64_t numbers[1000];

    start();
    for (unsigned i = 0; i < LOGRING_START_LINES + 10; i++)
        add(LOGRING_START, "start");
    CHECK_EQ(ring.counts[LOGRING_ROOT], 10);
    for (unsigned i = 0; i < 10 * LOGRING_ROOT_LINES; i++)
        add(LOGRING_ROOT, "later");
    CHECK_EQ(read_all(numbers, ARRAY_SIZE(numbers)), LOGRING_START_LINES + LOGRING_ROOT_LINES);
    CHECK_EQ(numbers[LOGRING_START_LINES - 1], LOGRING_START_LINES - 1);
}

/* Against a list of all lines, each with the part that keeps it. */
TEST(any_order)
{
    static unsigned parts[20000];
    static uint64_t kept_from[LOGRING_PARTS];
    uint64_t seed = 7;

    start();
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        uint64_t r = test_random(&seed);

        parts[i] = r % 3 ? LOGRING_VM((unsigned)(r >> 8) % 4) : LOGRING_ROOT;
        add(parts[i], "");
    }
    for (unsigned part = 0; part < LOGRING_PARTS; part++) {
        uint64_t size = part == LOGRING_ROOT ? LOGRING_ROOT_LINES : LOGRING_VM_LINES;

        kept_from[part] = ring.counts[part] > size ? ring.counts[part] - size : 0;
    }
    uint64_t next = 0, seen[LOGRING_PARTS] = {0};
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        if (seen[parts[i]]++ < kept_from[parts[i]])
            continue;
        const struct abi_log_line *line = logring_find(&ring, next);
        CHECK(line && line->number == i);
        next = i + 1ull;
    }
    CHECK(!logring_find(&ring, next));
}

/* ---- Budgets ---- */

static struct log_budget budget;
static uint64_t now;
static uint32_t dropped;

static enum log_verdict take(void)
{
    return log_budget_take(&budget, now, HZ, &dropped);
}

static void start_budget(void)
{
    memset(&budget, 0, sizeof(budget));
    now = 1000 * HZ;
    dropped = 0;
}

TEST(a_burst_passes_and_then_nothing)
{
    start_budget();
    for (unsigned i = 0; i < LOG_BUDGET_BURST; i++)
        CHECK_EQ(take(), LOG_TAKE);
    CHECK_EQ(take(), LOG_DROP_FIRST);
    for (unsigned i = 0; i < 1000; i++)
        CHECK_EQ(take(), LOG_DROP);
    /* It has to be quiet for long enough; what comes in between is counted. */
    now += HZ * LOG_BUDGET_BURST / LOG_BUDGET_RATE - 1;
    CHECK_EQ(take(), LOG_DROP);
    now += 1;
    CHECK_EQ(take(), LOG_TAKE_LATE);
    CHECK_EQ(dropped, 1002);
    for (unsigned i = 1; i < LOG_BUDGET_BURST; i++)
        CHECK_EQ(take(), LOG_TAKE);
    CHECK_EQ(take(), LOG_DROP_FIRST);
}

TEST(slow_lines_always_pass)
{
    start_budget();
    for (unsigned i = 0; i < 10000; i++) {
        CHECK_EQ(take(), LOG_TAKE);
        now += HZ / LOG_BUDGET_RATE;
    }
}

/* However a world spreads its lines over time, no second has more than a burst and the rate. */
TEST(the_rate_holds)
{
    uint64_t seed = 3, taken = 0, begin;

    start_budget();
    begin = now;
    for (unsigned i = 0; i < 200000; i++) {
        enum log_verdict verdict = take();

        taken += verdict == LOG_TAKE || verdict == LOG_TAKE_LATE;
        now += test_random(&seed) % (i % 2 ? 10 : HZ / 50);
    }
    CHECK(taken <= LOG_BUDGET_BURST + (now - begin) * LOG_BUDGET_RATE / HZ + 1);
    CHECK(taken >= (now - begin) * LOG_BUDGET_RATE / HZ / 2);
}

/* A TSC that seems to go back (another CPU's) gives nothing and breaks nothing. */
TEST(time_may_stand)
{
    start_budget();
    for (unsigned i = 0; i < LOG_BUDGET_BURST; i++)
        CHECK_EQ(take(), LOG_TAKE);
    now -= 500 * HZ;
    CHECK_EQ(take(), LOG_DROP_FIRST);
    CHECK_EQ(take(), LOG_DROP);
}
