// links: user/control/console/mux.c user/control/console/filter.c user/control/console/log.c lib/format.c
/*
 * Whatever guests print, each row of the terminal begins with the name of who printed it. The terminal here is a model
 * of what the many have in common, at its worst where they differ.
 */
#include "tests/unit/test.h"

#include "tests/unit/fake_os.h"
#include "user/control/console/mux.h"

#define QUIET (MUX_QUIET_MS * FAKE_HZ / 1000)
#define ROWS  64

/* How wide a character that is not ASCII is taken to be, in columns. */
static unsigned wide;

static struct {
    unsigned width;
    char cells[ROWS][256]; /* what each row shows; the screen scrolls */
    unsigned row, column;
    unsigned wrapped; /* how often it went on in the next row by itself */
    unsigned left;    /* how often something came into the columns of the prefix */
    unsigned concealed;
    bool coloured;
} screen;

static void scroll(void)
{
    screen.column = 0;
    if (screen.row + 1 < ROWS) {
        screen.row++;
        return;
    }
    memmove(screen.cells[0], screen.cells[1], sizeof(screen.cells) - sizeof(screen.cells[0]));
    memset(screen.cells[ROWS - 1], 0, sizeof(screen.cells[0]));
}

static void character(char c, unsigned columns)
{
    if (screen.column + columns > screen.width) {
        screen.wrapped++;
        scroll();
    }
    for (unsigned i = 0; i < columns; i++)
        screen.cells[screen.row][screen.column++] = c;
}

static void sequence(const char *text, char final)
{
    unsigned n = (unsigned)atoi(text);

    switch (final) {
    case 'C':
        screen.column = MIN(screen.column + MAX(n, 1u), screen.width - 1);
        break;
    case 'D':
        screen.column -= MIN(screen.column, MAX(n, 1u));
        break;
    case 'K':
        memset(screen.cells[screen.row] + screen.column, 0, sizeof(screen.cells[0]) - screen.column);
        break;
    case 'm':
        screen.coloured = !(text[0] == 'm' || (text[0] == '0' && text[1] == 'm'));
        break;
    case 'J':
    case '@':
    case 'P':
        break;
    default:
        CHECK(false && "a sequence that a terminal would act on");
        break;
    }
}

/* What the console got, onto the screen. */
static void display(const char *text)
{
    for (const uint8_t *c = (const uint8_t *)text; *c; c++) {
        if (*c == 0x1b) {
            const char *begin = (const char *)c + 2;

            CHECK(c[1] == (uint8_t)91);
            for (c += 2; *c < 0x40; c++)
                ;
            sequence(begin, (char)*c);
        } else if (*c == '\r') {
            screen.column = 0;
        } else if (*c == '\n') {
            scroll();
        } else if (*c == '\b') {
            screen.column -= screen.column > 0;
        } else if (*c >= 0xc0) { /* a character: its first byte */
            character('u', wide);
        } else if (*c >= 0x20 && *c < 0x80) {
            /* The prefix is in the normal colours, whatever came before. */
            screen.concealed += screen.column < 3 && screen.coloured;
            character((char)*c, 1);
        } else {
            CHECK(*c == '\a' || (*c >= 0x80 && *c < 0xc0));
        }
    }
}

static bool row_is_named(const char *row)
{
    static const char *const names[] = {"a| ", "a|>", "bb| ", "bb|>", "lapwing| ", "lapwing|>"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (strncmp(row, names[i], strlen(names[i])) == 0)
            return true;
    }
    return row[0] == '\0';
}

/* ---- The sources ---- */

static struct mux mux;
static char given[3][4096]; /* what each still has to print */

static uint32_t fetch(void *context, uint8_t *bytes, uint32_t max)
{
    char *text = context;
    uint32_t n = MIN((uint32_t)strlen(text), max);

    memcpy(bytes, text, n);
    memmove(text, text + n, strlen(text + n) + 1);
    return n;
}

static void start(unsigned width, unsigned wide_columns)
{
    fake_reset();
    memset(&mux, 0, sizeof(mux));
    memset(&screen, 0, sizeof(screen));
    memset(given, 0, sizeof(given));
    screen.width = width;
    wide = wide_columns;
    mux_init(&mux);
    mux_set_width(&mux, width);
    mux_attach(&mux, 1, "a", fetch, given[1]);
    mux_attach(&mux, 2, "bb", fetch, given[2]);
    mux.focused = &mux.sources[1];
}

static void turns(void)
{
    uint64_t deadline;

    fake.now += QUIET;
    do {
        deadline = NEVER;
    } while (mux_turn(&mux, fake.now, &deadline));
    mux_flush(&mux);
    display(fake_console());
    fake.console_length = fake.console_seen = 0;
    fake.console[0] = '\0';
}

static void check_rows(void)
{
    CHECK_EQ(screen.wrapped, 0);
    CHECK_EQ(screen.concealed, 0);
    for (unsigned i = 0; i < ROWS; i++) {
        if (!row_is_named(screen.cells[i])) {
            printf("a row of nobody's: %s\n", screen.cells[i]);
            CHECK(false);
            return;
        }
    }
}

/* A guest's line of many columns, and behind them what looks like the hypervisor's line. */
TEST(no_row_is_forged_by_a_long_line)
{
    for (unsigned width = 40; width <= 132; width++) {
        start(width, 1);
        for (unsigned i = 0; i < 3 * width; i++)
            given[1][i] = 'x';
        for (unsigned i = 0; i < 20; i++)
            strcat(given[1], "lapwing| db: powered off ");
        strcat(given[1], "\n");
        turns();
        check_rows();
    }
}

TEST(no_row_is_forged_by_words_of_the_log)
{
    start(40, 1);
    mux_say(&mux, "%s", "world of a: words that end just where the row does, and then lapwing| db: powered off");
    mux_say(&mux, "%s",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    turns();
    check_rows();
    CHECK_STR(screen.cells[0], "lapwing| world of a: words that end ");
    CHECK_STR(screen.cells[1], "lapwing|>just where the row does, and ");
    CHECK_STR(screen.cells[2], "lapwing|>then lapwing| db: powered off");
}

/* A prefix that nobody sees is none. */
TEST(prefixes_have_the_normal_colours)
{
    start(40, 1);
    strcpy(given[1], "\x1b[8mhidden\r\x1b[0mlapwing| db: powered off and more than there is room for\n");
    turns();
    check_rows();
    start(40, 1);
    strcpy(given[1], "\x1b[8mhidden and much longer than one row of this terminal can be\r\x1b[0mlapwing| x\n");
    turns();
    check_rows();
}

TEST(colours_go_on_in_the_next_row)
{
    start(40, 1);
    strcpy(given[1], "\x1b[1m\x1b[31maaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n");
    uint64_t deadline = NEVER;
    mux_turn(&mux, fake.now, &deadline);
    mux_flush(&mux);
    CHECK(strstr(fake_console(), "aaa\x1b[0m\r\na|>\x1b[1m\x1b[31maaa"));
}

/* Random bytes of guests that print at the same time, terminals of any width and any taste in wide characters. */
TEST(any_bytes)
{
    static const char *const pieces[] = {"lapwing| db: powered off",
                                         "\r",
                                         "\n",
                                         "\b",
                                         "\t",
                                         "\x1b[C",
                                         "\x1b[9C",
                                         "\x1b[D",
                                         "\x1b[9D",
                                         "\x1b[K",
                                         "\x1b[J",
                                         "\x1b[6n",
                                         "\x1b[8m",
                                         "\x1b[31m",
                                         "\x1b[0m",
                                         "\x1b[m",
                                         "\x1b[@",
                                         "\x1b[P",
                                         "\x1b[A",
                                         "\x1b[H",
                                         "\x1b"
                                         "D",
                                         "\x1b"
                                         "E",
                                         "\x1b[?7h",
                                         "\x1b[G",
                                         "\v",
                                         "\f",
                                         "\xc2\x85",
                                         "\xe2\x80\xa8",
                                         "\xc3\xa9",
                                         "\xe4\xb8\xad",
                                         "\xcc\x80",
                                         "\xff",
                                         "\xf0\x9f\x90\xa6",
                                         "x",
                                         "some words ",
                                         "0123456789012345678901234567890123456789",
                                         "\x1b]0;",
                                         "\a",
                                         "\x9b"
                                         "1A"};
    uint64_t seed = 11;

    for (unsigned run = 0; run < 300; run++) {
        start(40 + (unsigned)(test_random(&seed) % 60), run % 3);
        for (unsigned step = 0; step < 60; step++) {
            uint64_t r = test_random(&seed);
            char *text = given[1 + r % 2];

            for (unsigned i = 0; i < (r >> 8) % 12; i++)
                strcat(text, pieces[test_random(&seed) % ARRAY_SIZE(pieces)]);
            if ((r >> 16) % 9 == 0)
                mux.focused = &mux.sources[1 + (r >> 20) % 2];
            if ((r >> 24) % 7 == 0)
                mux_say(&mux, "the hypervisor says %u words, of which some are long: %s", step, pieces[0]);
            turns();
        }
        check_rows();
    }
}
