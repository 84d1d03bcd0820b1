/*
 * The unit-test framework: include it in one C file per program; it supplies main().
 *
 *     TEST(adds_up)
 *     {
 *         CHECK(1 + 1 == 2);
 *         CHECK_EQ(1 + 1, 2);
 *         CHECK_STR("two", "two");
 *     }
 *
 * A failed check prints one line and the test goes on. The last line of output is `N passed, N failed`, counting
 * TESTs; the exit code is 0 only if at least one TEST ran and none failed. An argument runs only the tests whose name
 * contains it. A line `// links: lib/format.c` (paths from the top) near the top of the test tells the Makefile what
 * to link it with.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_case {
    const char *name;
    void (*run)(void);
    struct test_case *next;
};

static struct test_case *test_first, **test_last = &test_first;
static unsigned test_bad_checks; /* in the running test */

/* More lines than this of one test help nobody. */
#define TEST_MAX_LINES 20

static inline void test_register(struct test_case *test)
{
    *test_last = test;
    test_last = &test->next;
}

/* True if the failure should be printed. */
static inline bool test_fail(void) { return ++test_bad_checks <= TEST_MAX_LINES; }

static inline void test_check(bool good, const char *file, int line, const char *what)
{
    if (!good && test_fail())
        printf("%s:%d: failed: %s\n", file, line, what);
}

static inline void test_check_eq(unsigned long long a, unsigned long long b, const char *file, int line,
                                 const char *what_a, const char *what_b)
{
    if (a != b && test_fail())
        printf("%s:%d: failed: %s == %s: %lld (0x%llx) against %lld (0x%llx)\n", file, line, what_a, what_b,
               (long long)a, a, (long long)b, b);
}

static inline void test_check_str(const char *a, const char *b, const char *file, int line, const char *what_a,
                                  const char *what_b)
{
    bool same = a && b ? strcmp(a, b) == 0 : a == b;

    if (!same && test_fail())
        printf("%s:%d: failed: %s == %s: \"%s\" against \"%s\"\n", file, line, what_a, what_b, a ? a : "(null)",
               b ? b : "(null)");
}

/* Pseudo-random numbers for tests (SplitMix64): the same seed gives the same numbers everywhere. */
static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

#define TEST(test_name)                                                                                                \
    static void test_run_##test_name(void);                                                                            \
    __attribute__((constructor)) static void test_add_##test_name(void)                                                \
    {                                                                                                                  \
        static struct test_case test = {#test_name, test_run_##test_name, NULL};                                       \
        test_register(&test);                                                                                          \
    }                                                                                                                  \
    static void test_run_##test_name(void)

#define CHECK(cond) test_check((cond) ? true : false, __FILE__, __LINE__, #cond)

/* For integers, enums, bools and pointers: both are compared as 64-bit values. */
#define CHECK_EQ(a, b) test_check_eq((unsigned long long)(a), (unsigned long long)(b), __FILE__, __LINE__, #a, #b)

/* For NUL-terminated strings; NULL equals only NULL. */
#define CHECK_STR(a, b) test_check_str((a), (b), __FILE__, __LINE__, #a, #b)

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct test_case *test = test_first; test; test = test->next) {
        if (argc > 1 && !strstr(test->name, argv[1]))
            continue;
        test_bad_checks = 0;
        test->run();
        if (test_bad_checks)
            printf("FAIL %s: %u checks\n", test->name, test_bad_checks);
        if (test_bad_checks)
            failed++;
        else
            passed++;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return passed > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
