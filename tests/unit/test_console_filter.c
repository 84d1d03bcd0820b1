// links: user/control/console/filter.c lib/format.c
#include "tests/unit/test.h"
#include "user/control/console/filter.h"

/* What the terminal would get: '<' for the prefix, rewinding as CR '<'; newline as '|'. */
static const char *shown_by(struct filter *filter, const char *text, size_t length, bool focused)
{
    static char out[65536];
    size_t used = 0;

    for (size_t i = 0; i < length; i++) {
        struct filter_output o = filter_byte(filter, (uint8_t)text[i], focused);

        CHECK(o.length <= sizeof(o.bytes));
        if (o.rewind)
            out[used++] = '\r', out[used++] = '<';
        if (o.wrap)
            out[used++] = '>';
        i -= o.again;
        memcpy(out + used, o.bytes, o.length);
        used += o.length;
        if (o.newline)
            out[used++] = '|';
    }
    out[used] = '\0';
    return out;
}

static void check(const char *in, const char *focused, const char *other)
{
    struct filter a = {.limit = 60}, b = {.limit = 60};

    CHECK_STR(shown_by(&a, in, strlen(in), true), focused);
    CHECK_STR(shown_by(&b, in, strlen(in), false), other);
}

TEST(lines)
{
    check("hello\n", "hello|", "hello|");
    check("hello\r\nx\r\r\n", "hello|x|", "hello|x|");
    check("\n\n", "||", "||");
    check("10%\r20%\r\n", "10%\r<20%|", "10%\r<20%|");
    check("a\r\r\rb", "a\r<b", "a\r<b");
    check("\ra", "\r<a", "\r<a");
}

TEST(controls)
{
    check("a\x01\x02\x0b\x0c\x0e\x7f"
          "b",
          "ab", "ab");
    check("a\tb\t\t", "a       b               ", "a       b               ");
    check("12345678\t", "12345678        ", "12345678        ");
    check("a\a", "a\a", "a");
    check("ab\b\b\b\bc", "ab\b\bc", "ab\b\bc");
    check("a\r\b\b", "a", "a");
    check("a\r\bx\b\b", "a\r<x\b", "a\r<x\b");
    check("\t\b\bx", "        \b\bx", "        \b\bx");
}

TEST(escape_sequences)
{
    check("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m", "red");
    check("\x1b[1;32;44mx", "\x1b[1;32;44mx", "x");
    check("ab\x1b[5Dc", "ab\x1b[2Dc", "abc");
    check("ab\x1b[Dc", "ab\x1b[1Dc", "abc");
    check("\x1b[Dc", "c", "c");
    check("\x1b[99999999999C\x1b[9Dc", "\x1b[60C>c", "c");
    check("a\x1b[K\x1b[0K\x1b[J\x1b[1K\x1b[2J\x1b[2K", "a\x1b[K\x1b[0K\x1b[J", "a");
    check("\x1b[6n\x1b[5n\x1b[c", "", "");
    check("a\x1b[2P\x1b[@", "a\x1b[2P\x1b[@", "a");
    check("a\r\x1b[Jb", "a\r<\x1b[Jb", "a\r<b");
    check("\x1b[H\x1b[2;5H\x1b[A\x1b[5G\x1b[?25l\x1b[?2004h\x1b[>c\x1b[!p\x1b[4 qx", "x", "x");
    check("\x1b"
          "c\x1b(0\x1b)B\x1b#8\x1b=\x1bMx",
          "x", "x");
    check("\x1b]0;title\ax\x1b]2;t\x1b\\y\x1bPq#\x1b\\z", "xyz", "xyz");
    check("\x1b]never ends\nnext", "|next", "|next");
    check("\x1b[31\nnext", "|next", "|next");
    check("\x1b[31\x18x", "x", "x");
    check("\x1b\x1b[1mx", "\x1b[1mx", "x");
    check("\x1b[111111111111111111111111111111111111111111111111111mx", "x", "x");
    check("\x1b[1111111111111111111111111111111mx", "\x1b[1111111111111111111111111111111mx", "x");
}

TEST(utf8)
{
    check("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa6", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa6",
          "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa6");
    check("\xc2\x9b"
          "31mx",
          "31mx", "31mx"); /* CSI as a C1 control */
    check("\x9b"
          "31mx",
          "?31mx", "?31mx");            /* the same, raw */
    check("\xe0\x82\x9bx", "?x", "?x"); /* overlong C2 9B */
    check("\xc3x\xc3\n\xe2\x82", "?x?|", "?x?|");
    check("\xc3\xc3\xa9", "?\xc3\xa9", "?\xc3\xa9");
    check("\xff\xc0\xaf", "???", "???");
    check("\xed\xa0\x80\xf4\x90\x80\x80\xf0\x80\x80\x80", "???", "???"); /* a surrogate, beyond the last, overlong */
    check("a\xe2\x80\xa8"
          "b\xe2\x80\xa9"
          "c\xe2\x80\xae"
          "d\xe2\x81\xa6",
          "a?b?c?d?", "a?b?c?d?"); /* separators, right to left */
    /* characters without a width: backspace may not walk into the prefix */
    check("\xcc\x80\xcc\x80\b\bx", "\xcc\x80\xcc\x80x", "\xcc\x80\xcc\x80x");
    check("\xc3\b\bx", "?\bx", "?\bx");
}

static const char *shown_in(uint32_t limit, const char *text)
{
    struct filter filter = {.limit = limit};

    return shown_by(&filter, text, strlen(text), true);
}

TEST(long_lines)
{
    CHECK_STR(shown_in(4, "abcdefghij"), "abcd>efgh>ij");
    CHECK_STR(shown_in(4, "abcd\nefgh"), "abcd|efgh");
    CHECK_STR(shown_in(4, "abcd\r\nx"), "abcd|x");
    CHECK_STR(shown_in(4, "abc\rdefgh"), "abc\r<defg>h");
    CHECK_STR(shown_in(4, "abcdef\rx"), "abcd>ef\r<x");
    CHECK_STR(shown_in(5, "\xc3\xa9\xc3\xa9\xc3\xa9"), "\xc3\xa9\xc3\xa9>\xc3\xa9");
    CHECK_STR(shown_in(4, "abcd\b\bxyz"), "abcd\b\bxy>z");
    CHECK_STR(shown_in(4, "a\tb"), "a   >b");
    CHECK_STR(shown_in(4, "abcd\tb"), "abcd>b");
    CHECK_STR(shown_in(4, "a\x1b[9Cb"), "a\x1b[3C>b");
    CHECK_STR(shown_in(4, "abcd\x1b[Cb"), "abcd>b");
    CHECK_STR(shown_in(4, "abc\xc3z"), "abc?>z");
    CHECK_STR(shown_in(4, "abcdef\b\b\b\bx"), "abcd>ef\b\bx"); /* not up into the row before */
}

TEST(breaks)
{
    struct filter filter = {.limit = 60};

    shown_by(&filter, "abc\x1b[31m", 8, true);
    CHECK(filter_break(&filter));
    CHECK_EQ(filter.colours_length, 5); /* they go on behind the next prefix */
    CHECK_STR(shown_by(&filter, "\b\bx", 3, true), "x");
    shown_by(&filter, "\x1b[31m\x1b[0;1m\x1b[m\n", 15, true);
    CHECK(!filter_break(&filter));
}

/*
 * Whatever a guest prints, a terminal's cursor never comes to the left of the guest's own, and nothing but the allowed
 * bytes comes out. The terminal here has one endless line.
 */
TEST(any_bytes)
{
    static const char alphabet[] = "\x1b\x1b[[;0123456789mCDKJPn@H\b\b\r\n\t\a ab\xc2\x9b\xe0\x82\xcc\x80]\\P?(";
    uint64_t seed = 1;
    struct filter filter = {.limit = 30};
    long column = 0;

    for (unsigned i = 0; i < 2000000; i++) {
        uint64_t r = test_random(&seed);
        uint8_t byte = r % 16 ? (uint8_t)alphabet[r / 16 % (sizeof(alphabet) - 1)] : (uint8_t)(r >> 32);
        struct filter_output o = filter_byte(&filter, byte, true);

        i -= o.again;
        if (o.rewind || o.wrap)
            column = 0;
        for (unsigned k = 0; k < o.length; k++) {
            uint8_t c = o.bytes[k];

            if (c == 0x1b) {
                int n = atoi((const char *)o.bytes + k + 2);
                uint8_t final = o.bytes[o.length - 1];

                CHECK_EQ(o.bytes[k + 1], '[');
                CHECK(strchr("mCDKJP@", final) != NULL);
                CHECK(final != 'D' || n > 0);
                column -= final == 'D' ? n : 0;
                break;
            }
            CHECK(c == '\b' || c == '\a' || (c >= 0x20 && c != 0x7f));
            column += c == '\b' ? -1 : c >= 0x20 && c < 0x7f;
        }
        CHECK(column >= 0);
        if (o.newline)
            column = 0;
    }
}
