// links: user/control/console/mux.c user/control/console/filter.c user/control/console/log.c lib/format.c
#include "tests/unit/test.h"

#include "tests/unit/fake_os.h"
#include "user/control/console/log.h"
#include "user/control/console/mux.h"

#define QUIET (MUX_QUIET_MS * FAKE_HZ / 1000)

static struct mux mux;
static struct input {
    char text[16384];
    size_t length, at;
} inputs[3];

static uint32_t fetch(void *context, uint8_t *bytes, uint32_t max)
{
    struct input *input = context;
    size_t n = MIN((size_t)max, input->length - input->at);

    memcpy(bytes, input->text + input->at, n);
    input->at += n;
    return (uint32_t)n;
}

static void start(void)
{
    fake_reset();
    memset(&mux, 0, sizeof(mux));
    memset(inputs, 0, sizeof(inputs));
    mux_init(&mux);
    mux_attach(&mux, 1, "a", fetch, &inputs[1]);
    mux_attach(&mux, 2, "bb", fetch, &inputs[2]);
    fake_console();
}

static void print(unsigned source, const char *text)
{
    size_t n = strlen(text);

    memcpy(inputs[source].text + inputs[source].length, text, n);
    inputs[source].length += n;
}

/* Turns until there is nothing to do; what the console got, and until when to wait. */
static uint64_t deadline;
static const char *turns(void)
{
    do {
        deadline = NEVER;
    } while (mux_turn(&mux, fake.now, &deadline));
    mux_flush(&mux);
    return fake_console();
}

TEST(lines_get_prefixes)
{
    start();
    print(1, "one\r\ntwo\n\n");
    print(2, "three\n");
    CHECK_STR(turns(), "a| one\r\na| two\r\na| \r\nbb| three\r\n");
    CHECK_EQ(deadline, NEVER);
}

TEST(unfinished_line_waits_for_quiet)
{
    start();
    print(1, "/ # ");
    CHECK_STR(turns(), "");
    CHECK_EQ(deadline, fake.now + QUIET);
    fake.now += QUIET - 1;
    CHECK_STR(turns(), "");
    fake.now += 1;
    CHECK_STR(turns(), "a| / # ");
    CHECK_EQ(deadline, NEVER);
    print(1, "l"); /* the line is open: at once */
    CHECK_STR(turns(), "l");
    print(1, "s\r\n");
    CHECK_STR(turns(), "s\r\n");
    print(1, "file\r\n");
    CHECK_STR(turns(), "a| file\r\n");
}

TEST(others_print_in_between)
{
    start();
    print(1, "/ # ");
    turns();
    fake.now += QUIET;
    CHECK_STR(turns(), "a| / # ");
    print(2, "kernel says\n");
    CHECK_STR(turns(), "\r\nbb| kernel says\r\n");
    print(1, "l");
    CHECK_STR(turns(), "");
    fake.now += QUIET;
    CHECK_STR(turns(), "a|>l"); /* the same line goes on */
    mux_say(&mux, "web: %s", "ended");
    mux_flush(&mux);
    CHECK_STR(fake_console(), "\r\nlapwing| web: ended\r\n");
}

TEST(half_lines_do_not_mix)
{
    start();
    print(1, "aaa");
    print(2, "bbb");
    turns();
    print(1, " aaa\n");
    print(2, " bbb\n");
    CHECK_STR(turns(), "a| aaa aaa\r\nbb| bbb bbb\r\n");
}

TEST(long_lines_and_fairness)
{
    const char *out;
    size_t most_a = 0, run = 0;

    start();
    for (unsigned i = 0; i < 12000; i++)
        print(1, "x");
    for (unsigned i = 0; i < 2400; i++)
        print(2, "line\n");
    out = turns();
    for (const char *c = out; *c; c++) {
        run = *c == 'x' ? run + 1 : 0;
        most_a = MAX(most_a, run);
    }
    CHECK(most_a <= 2 * MUX_LINE); /* no source waits for the whole of another's line */
    fake.now += QUIET;
    turns();
    size_t x = 0, lines = 0;
    for (const char *c = fake.console; *c; c++) {
        x += *c == 'x';
        lines += strncmp(c, "bb| line\r\n", 10) == 0;
    }
    CHECK_EQ(x, 12000); /* nothing is lost */
    CHECK_EQ(lines, 2400);
}

TEST(slow_console_loses_nothing)
{
    start();
    fake.console_limited = true;
    for (unsigned i = 0; i < 500; i++)
        print(1, "0123456789\n");
    turns();
    size_t lines = 0;
    for (const char *c = fake.console; *c; c++)
        lines += strncmp(c, "a| 0123456789\r\n", 15) == 0;
    CHECK_EQ(lines, 500);
    CHECK(fake.parks > 100);
}

TEST(no_output_begins_like_the_hypervisors)
{
    start();
    mux.focused = &mux.sources[1];
    print(1, "x\r\x1b[9Dlapwing| result a POWEROFF 0 1 1\n\rlapwing| y\n\x1b[A\x1b[Glapwing| z\n\vlapwing| w\n");
    turns();
    for (const char *c = fake.console; c && *c; c = strchr(c, '\n'), c = c ? c + 1 : NULL)
        CHECK(strncmp(c, "a| ", 3) == 0);
    for (const char *c = fake.console; c && *c; c = strchr(c, '\r'), c = c ? c + 1 : NULL)
        CHECK(strncmp(c, "a| ", 3) == 0 || *c == '\n');
}

TEST(colours_end_with_the_line)
{
    start();
    mux.focused = &mux.sources[1];
    print(1, "\x1b[31mred\n");
    CHECK_STR(turns(), "a| \x1b[31mred\x1b[0m\r\n");
    print(1, "\x1b[31mred");
    turns();
    fake.now += QUIET;
    turns();
    print(2, "b\n");
    CHECK_STR(turns(), "\x1b[0m\r\nbb| b\r\n");
}

TEST(drain)
{
    start();
    print(1, "last words\nand");
    mux_drain(&mux, 1);
    mux_flush(&mux);
    CHECK_STR(fake_console(), "a| last words\r\na| and\r\n");
    print(1, "x\n");
    CHECK_STR(turns(), "");
}

TEST(prompt_line_is_erased)
{
    start();
    mux_prompt(&mux, "lapwing> he", 11);
    CHECK(mux_prompt_open(&mux));
    print(1, "x\n");
    CHECK_STR(turns(), "lapwing> he\r\x1b[Ka| x\r\n");
    CHECK(!mux_prompt_open(&mux));
    mux_prompt(&mux, "lapwing> ", 9);
    mux_end_line(&mux);
    mux_flush(&mux);
    CHECK_STR(fake_console(), "lapwing> \r\n");
}

/* ---- the log ---- */

static struct log kernel_log;

static void start_log(void)
{
    start();
    kernel_log = (struct log){.level = 2};
    mux_attach(&mux, MUX_LOG, MUX_NAME, log_fetch, &kernel_log);
}

TEST(log_levels)
{
    start_log();
    fake_log(2, "plain");
    fake_log(0, "error");
    fake_log(3, "debug");
    fake_log(1, "");
    CHECK_STR(turns(), "lapwing| plain\r\nlapwing| error\r\nlapwing| \r\n");
    kernel_log.level = 0;
    fake_log(2, "plain");
    fake_log(0, "e");
    CHECK_STR(turns(), "lapwing| e\r\n");
    CHECK_STR(turns(), "");
}

TEST(log_gap)
{
    start_log();
    fake.log_first = 1234;
    fake_log(2, "rest");
    CHECK_STR(turns(), "lapwing| [1234 lines of the log are gone]\r\nlapwing| rest\r\n");
}

TEST(log_comes_before_what_is_said_later)
{
    start_log();
    fake_log(2, "first");
    fake_log(2, "second");
    mux_say(&mux, "third");
    mux_flush(&mux);
    CHECK_STR(fake_console(), "lapwing| first\r\nlapwing| second\r\nlapwing| third\r\n");
}

TEST(big_log)
{
    size_t lines = 0;

    start_log();
    for (unsigned i = 0; i < 3000; i++)
        fake_log(2, "a line of the log");
    turns();
    for (const char *c = fake.console; *c; c++)
        lines += strncmp(c, "lapwing| a line of the log\r\n", 28) == 0;
    CHECK_EQ(lines, 3000);
}

/* Each look at the log finds another line there: a world that logs as fast as control reads. */
static void log_more(void)
{
    if (fake.log_count < ARRAY_SIZE(fake.log))
        fake_log(2, "world of x: more");
}

TEST(an_endless_log_keeps_nobody_waiting)
{
    start_log();
    fake.at_log_read = log_more;
    mux_say(&mux, "said");
    mux_flush(&mux);
    CHECK(strstr(fake_console(), "\nlapwing| said\r\n") != NULL);
    CHECK(fake.log_count < 200);

    print(1, "a's line\n");
    for (unsigned i = 0; i < 8; i++) {
        deadline = NEVER;
        CHECK(mux_turn(&mux, fake.now, &deadline));
    }
    mux_flush(&mux);
    CHECK(strstr(fake_console(), "\na| a's line\r\n") != NULL);
}

/* Lines that are not shown are bounded, too. */
TEST(an_endless_hidden_log_is_read_in_pieces)
{
    uint8_t bytes[MUX_LINE];

    start_log();
    for (unsigned i = 0; i < 1000; i++)
        fake_log(3, "debug");
    CHECK_EQ(log_fetch(&kernel_log, bytes, sizeof(bytes)), 0);
    CHECK(kernel_log.behind && kernel_log.next < 100);
}

/* ---- turns ---- */

/* What counts is what the console has to carry: an empty line costs its prefix. */
TEST(a_turn_is_bounded_by_what_is_written)
{
    start();
    for (unsigned i = 0; i < 5000; i++)
        print(1, "\n");
    for (unsigned i = 0; i < 200; i++)
        print(2, "text\n");
    for (unsigned turn = 0; turn < 40; turn++) {
        size_t before = fake.console_length;

        deadline = NEVER;
        CHECK(mux_turn(&mux, fake.now, &deadline));
        mux_flush(&mux);
        CHECK(fake.console_length - before <= 2 * MUX_TURN + 64);
    }
    size_t lines = 0;
    for (const char *c = fake.console; *c; c++)
        lines += strncmp(c, "bb| text\r\n", 10) == 0;
    CHECK_EQ(lines, 200); /* they did not wait for 5,000 empty ones */
}

TEST(last_words_take_turns_too)
{
    start();
    for (unsigned i = 0; i < 3000; i++)
        print(1, "\n");
    mux_ending(&mux, 1, 2048);
    print(2, "bb's\n");
    deadline = NEVER;
    CHECK(mux_turn(&mux, fake.now, &deadline));
    CHECK(!mux_is_dry(&mux, 1));
    deadline = NEVER;
    mux_turn(&mux, fake.now, &deadline);
    mux_flush(&mux);
    CHECK(strstr(fake_console(), "\nbb| bb's\r\n") != NULL);
    turns();
    CHECK(mux_is_dry(&mux, 1));
    CHECK_EQ(inputs[1].at, 2048); /* and no more than was promised */
}
