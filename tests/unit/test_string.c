/* lib/string.c under other names, since the host's libc has these; against plain loops and the libc. */
#include "tests/unit/test.h"

#define memcpy  own_memcpy
#define memmove own_memmove
#define memset  own_memset
#define memcmp  own_memcmp
#define strlen  own_strlen
#define strnlen own_strnlen
#define strcmp  own_strcmp
#define strncmp own_strncmp
#include "lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp

#define SIZE 256

static void fill(uint8_t *bytes, size_t n, uint64_t *seed)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)test_random(seed);
}

/* Every operation on random areas of a buffer must leave the whole buffer as the libc's leaves a copy of it. */
TEST(copies_like_the_libc)
{
    uint8_t own[SIZE], libc[SIZE];
    uint64_t seed = 1;

    for (int round = 0; round < 50000; round++) {
        size_t n = test_random(&seed) % 100, half = SIZE / 2;
        size_t to = test_random(&seed) % (half - n), from = half + test_random(&seed) % (half - n);

        fill(own, SIZE, &seed);
        memcpy(libc, own, SIZE);
        CHECK(own_memcpy(own + to, own + from, n) == own + to);
        memcpy(libc + to, libc + from, n);
        CHECK(memcmp(own, libc, SIZE) == 0);

        from = test_random(&seed) % (SIZE - n);
        to = test_random(&seed) % (SIZE - n);
        CHECK(own_memmove(own + to, own + from, n) == own + to);
        memmove(libc + to, libc + from, n);
        CHECK(memcmp(own, libc, SIZE) == 0);

        CHECK(own_memset(own + to, (int)(round % 300) - 20, n) == own + to);
        memset(libc + to, (int)(round % 300) - 20, n);
        CHECK(memcmp(own, libc, SIZE) == 0);
    }
}

TEST(moves_over_every_distance)
{
    uint8_t own[SIZE], libc[SIZE];
    uint64_t seed = 2;

    for (size_t n = 0; n <= 40; n++) {
        for (size_t to = 0; to <= 80; to++) {
            fill(own, SIZE, &seed);
            memcpy(libc, own, SIZE);
            own_memmove(own + to, own + 40, n);
            memmove(libc + to, libc + 40, n);
            CHECK(memcmp(own, libc, SIZE) == 0);
        }
    }
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

TEST(compares_like_the_libc)
{
    uint64_t seed = 3;

    for (int round = 0; round < 100000; round++) {
        char a[12], b[12];
        size_t n = test_random(&seed) % sizeof(a);

        /* Few letters, so that long common beginnings occur; one above 127, so that signedness matters. */
        for (size_t i = 0; i < sizeof(a) - 1; i++) {
            a[i] = "a\xff"[test_random(&seed) % 2];
            b[i] = test_random(&seed) % 4 ? a[i] : "ab\0\xff"[test_random(&seed) % 4];
        }
        a[n] = '\0';
        a[sizeof(a) - 1] = b[sizeof(b) - 1] = '\0';
        n = test_random(&seed) % sizeof(a);
        CHECK_EQ(sign(own_memcmp(a, b, n)), sign(memcmp(a, b, n)));
        CHECK_EQ(sign(own_strcmp(a, b)), sign(strcmp(a, b)));
        CHECK_EQ(sign(own_strncmp(a, b, n)), sign(strncmp(a, b, n)));
        CHECK_EQ(own_strlen(a), strlen(a));
        CHECK_EQ(own_strnlen(a, n), strnlen(a, n));
    }
}

TEST(copies_strings_and_cuts_them_off)
{
    char out[8] = "xxxxxxx";

    CHECK_EQ(str_copy(out, sizeof(out), "seven.."), 7);
    CHECK_STR(out, "seven..");
    CHECK_EQ(str_copy(out, sizeof(out), "eight..."), 8);
    CHECK_STR(out, "eight..");
    CHECK_EQ(str_copy(out, 1, "abc"), 3);
    CHECK_STR(out, "");
    out[0] = 'x';
    CHECK_EQ(str_copy(out, 0, "abc"), 3);
    CHECK_EQ(out[0], 'x');
    CHECK_EQ(str_copy(out, sizeof(out), ""), 0);
    CHECK_STR(out, "");
}
