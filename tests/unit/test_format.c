/* lib/format.c against the host's snprintf. */
// links: lib/format.c
#include "lib/format.h"

#include "tests/unit/test.h"

#define AREA 128

/* Both write into an area of which they are told only a part; the whole areas and the results must be equal. */
#define COMPARE(size, ...)                                                                                             \
    do {                                                                                                               \
        char own_[AREA], libc_[AREA];                                                                                  \
        memset(own_, '#', AREA);                                                                                       \
        memset(libc_, '#', AREA);                                                                                      \
        int own_length_ = format(own_, (size), __VA_ARGS__);                                                           \
        CHECK_EQ(own_length_, snprintf(libc_, (size), __VA_ARGS__));                                                   \
        CHECK(memcmp(own_, libc_, AREA) == 0);                                                                         \
        if (memcmp(own_, libc_, AREA) != 0 && (size) > 0)                                                              \
            CHECK_STR(own_, libc_);                                                                                    \
    } while (0)

/* A random conversion specification, with '*' where the caller will pass the numbers. */
static void random_spec(char *out, uint64_t *seed, const char *length, char conversion, const char *flags)
{
    uint64_t r = test_random(seed);
    char number[16];

    strcpy(out, "<%");
    for (; *flags; flags++, r >>= 1) {
        if (r & 1)
            strncat(out, flags, 1);
    }
    if (r & 1) {
        sprintf(number, "%d", (int)(r >> 8 & 31));
        strcat(out, number[0] == '0' ? "" : number);
    }
    if (r & 2 && conversion != 'c') {
        sprintf(number, r & 4 ? "." : ".%d", (int)(r >> 16 & 15));
        strcat(out, number);
    }
    sprintf(number, "%s%c>", length, conversion);
    strcat(out, number);
}

/* Every size of number is as likely as any other, and extremes come up. */
static uint64_t random_value(uint64_t *seed)
{
    uint64_t value = test_random(seed);

    value = value % 8 == 0 ? 0 : test_random(seed) >> test_random(seed) % 64;
    return test_random(seed) % 2 ? 0 - value : value;
}

TEST(numbers_like_the_libc)
{
    static const char *const lengths[] = {"", "l", "ll", "z"};
    uint64_t seed = 1;

    for (int round = 0; round < 200000; round++) {
        const char *length = lengths[test_random(&seed) % 4];
        char conversion = "diuxX"[test_random(&seed) % 5];
        bool hex = conversion == 'x' || conversion == 'X';
        uint64_t value = random_value(&seed);
        size_t size = test_random(&seed) % 4 ? AREA : test_random(&seed) % 40;
        char fmt[32];

        /* '#' has no meaning in C for decimal conversions. */
        random_spec(fmt, &seed, length, conversion, hex ? "-0#" : "-0");
        if (length[0])
            COMPARE(size, fmt, value);
        else
            COMPARE(size, fmt, (unsigned)value);
    }
}

TEST(strings_like_the_libc)
{
    uint64_t seed = 2;

    for (int round = 0; round < 50000; round++) {
        size_t size = test_random(&seed) % 4 ? AREA : test_random(&seed) % 40;
        char fmt[32], text[24];
        size_t n = test_random(&seed) % sizeof(text);

        for (size_t i = 0; i < n; i++)
            text[i] = (char)('a' + test_random(&seed) % 26);
        text[n] = '\0';
        random_spec(fmt, &seed, "", 's', "-");
        COMPARE(size, fmt, text);
        random_spec(fmt, &seed, "", 'c', "-");
        COMPARE(size, fmt, text[0]);
    }
}

TEST(stars_and_mixtures_like_the_libc)
{
    uint64_t seed = 3;

    for (int round = 0; round < 20000; round++) {
        int width = (int)(test_random(&seed) % 40) - 20, precision = (int)(test_random(&seed) % 12) - 4;
        uint64_t value = random_value(&seed);
        size_t size = test_random(&seed) % AREA;

        COMPARE(size, "%*.*llx|%*d", width, precision, (unsigned long long)value, width, (int)value);
        COMPARE(size, "a %.*s b %-*u c", precision, "precision", width, (unsigned)value);
        COMPARE(size, "%s: %zu bytes at %#lx, %d%% of %c", "name", (size_t)value, (long)value, precision, 'x');
    }
    COMPARE(AREA, "%s", "");
    COMPARE(AREA, "%d %d", -2147483647 - 1, 2147483647);
    COMPARE(AREA, "%lld %llu", (long long)(1ull << 63), ~0ull);
}

TEST(pointers)
{
    char out[AREA];

    CHECK_EQ(format(out, AREA, "%p", (void *)0xffffffff80001234ull), 18);
    CHECK_STR(out, "0xffffffff80001234");
    CHECK_EQ(format(out, AREA, "%12p|%-8p|", (void *)0x1000, NULL), 22);
    CHECK_STR(out, "      0x1000|0x0     |");
}

TEST(strings_need_no_nul_within_the_precision)
{
    char *text = malloc(3), *volatile null = NULL, out[AREA]; /* volatile: gcc would warn of what is meant here */

    memcpy(text, "abc", 3); /* the sanitizer sees a read beyond it */
    CHECK_EQ(format(out, AREA, "<%.3s>", text), 5);
    CHECK_STR(out, "<abc>");
    free(text);
    CHECK_EQ(format(out, AREA, "<%8s>", null), 10);
    CHECK_STR(out, "<  (null)>");
}

TEST(no_room)
{
    char out[4] = "xyz";

    CHECK_EQ(format(NULL, 0, "%d", 12345), 5);
    CHECK_EQ(format(out, 1, "%d", 12345), 5);
    CHECK_STR(out, "");
    CHECK_EQ(out[1], 'y');
    CHECK_EQ(format(out, 4, "%d", 12345), 5);
    CHECK_STR(out, "123");
}

TEST(unknown_conversions_end_the_formatting)
{
    static const char *const formats[] = {"a %y %s", "a %hd %s", "a %", "a %-08", "a %llls %s", "a %.3"};
    char out[AREA];

    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        const char *fmt = formats[i];

        /* An address that may not be read: the %s behind the unknown conversion must not be followed. */
        CHECK_EQ(format(out, AREA, fmt, (char *)1, (char *)1), strlen(fmt));
        CHECK_STR(out, fmt);
    }
}
