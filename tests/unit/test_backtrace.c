/* Which function an address belongs to, in root's own symbol table. The text is 16 KiB at the place of root's. */
// links: kernel/base/backtrace.c
// libs: -no-pie -Wl,--defsym=kernel_start=0xffffffff81000000 -Wl,--defsym=kernel_text_end=0xffffffff81004000
#include "kernel/base/backtrace.h"
#include "kernel/base/layout.h"

#include "tests/unit/test.h"

#define TEXT 0xffffffff81000000ull

/* As tools/symbols writes it: sorted, the names behind the entries. */
enum { COUNT = 5, NAME = 8 };
struct table {
    struct {
        uint32_t address_low, name;
    } symbols[COUNT];
    char names[COUNT][NAME];
};
extern uint64_t symbol_count;
extern struct table symbol_table;
uint64_t symbol_count;
struct table symbol_table;

static void start(unsigned count)
{
    static const uint32_t starts[COUNT] = {0x100, 0x101, 0x2000, 0x3000, 0x3fff};

    symbol_count = count;
    for (unsigned i = 0; i < COUNT; i++) {
        symbol_table.symbols[i].address_low = (uint32_t)TEXT + starts[i];
        symbol_table.symbols[i].name = (uint32_t)(offsetof(struct table, names) + i * NAME);
        snprintf(symbol_table.names[i], NAME, "name%u", i);
    }
}

static void check(uint64_t address, const char *name, uint64_t offset)
{
    uint64_t got = 0xcc;

    CHECK_STR(symbol_of(address, &got), name);
    CHECK_EQ(got, offset);
}

TEST(functions)
{
    start(COUNT);
    check(TEXT + 0x100, "name0", 0);
    check(TEXT + 0x101, "name1", 0);
    check(TEXT + 0x102, "name1", 1);
    check(TEXT + 0x1fff, "name1", 0x1efe);
    check(TEXT + 0x2000, "name2", 0);
    check(TEXT + 0x3000, "name3", 0);
    check(TEXT + 0x3ffe, "name3", 0xffe);
    check(TEXT + 0x3fff, "name4", 0);
}

TEST(outside)
{
    start(COUNT);
    check(TEXT - 1, "?", 0);
    check(TEXT + 0x4000, "?", 0);
    check(0, "?", 0);
    check(~0ull, "?", 0);
    check(0x81002000, "?", 0); /* the same in its lower half */
    check(TEXT, "?", 0);       /* before the first function */
    check(TEXT + 0xff, "?", 0);
}

TEST(every_count)
{
    start(COUNT);
    for (unsigned count = 1; count <= COUNT; count++) {
        start(count);
        for (uint64_t at = 0; at < 0x4000; at++) {
            unsigned i = 0;
            char name[NAME] = "?";

            while (i < count && symbol_table.symbols[i].address_low <= (uint32_t)(TEXT + at))
                i++;
            if (i)
                snprintf(name, NAME, "name%u", i - 1);
            check(TEXT + at, name, i ? (uint32_t)(TEXT + at) - symbol_table.symbols[i - 1].address_low : 0);
        }
    }
    start(0);
    check(TEXT + 0x2000, "?", 0);
}

static unsigned lines;

static void count_lines(const char *fmt, ...)
{
    (void)fmt;
    lines++;
}

/* A frame pointer that leads out of root's memory is not followed. */
TEST(wild_frames)
{
    start(COUNT);
    backtrace_log(0, count_lines);
    backtrace_log(8, count_lines);
    backtrace_log(0x7fffffffe000, count_lines);
    backtrace_log(KERNEL_MAPPED_BASE - 8, count_lines);
    backtrace_log(KERNEL_MAPPED_BASE + 4, count_lines); /* misaligned */
    CHECK_EQ(lines, 0);
}
