/*
 * Copies use string instructions on quadwords. These execute few instructions on every machine, and need no vector
 * registers, which root must not touch.
 */
#include "lib/string.h"

#include <stdint.h>

/* Keeps the compiler from replacing a loop by a call of memmove or strlen, which would be a call of the function
 * itself. */
#define NOT_A_LIBRARY_CALL(x) __asm__("" : "+r"(x))

struct unaligned_u64 {
    uint64_t v;
} __attribute__((packed, may_alias));

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    void *d = dst;
    const void *s = src;
    size_t count = n / 8;

    __asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(count) : : "memory");
    count = n % 8;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(count) : : "memory");
    return dst;
}

void *memset(void *dst, int byte, size_t n)
{
    void *d = dst;
    size_t count = n / 8;
    uint64_t pattern = (uint8_t)byte * 0x0101010101010101ull;

    __asm__ volatile("rep stosq" : "+D"(d), "+c"(count) : "a"(pattern) : "memory");
    count = n % 8;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(count) : "a"(pattern) : "memory");
    return dst;
}

/* A copy upwards is also right if the two overlap and dst is below src. The copy downwards is a loop, because DF must
 * never be set: an NMI may come. */
void *memmove(void *dst, const void *src, size_t n)
{
    char *d = dst;
    const char *s = src;

    if ((uintptr_t)d - (uintptr_t)s >= n) {
        size_t quads = n / 8, bytes = n % 8;

        /* memcpy's contract forbids overlaps, so it is not called here. Upwards, quadwords that overlap by less than 8
         * bytes are fine. */
        __asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(quads) : : "memory");
        __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(bytes) : : "memory");
        return dst;
    }

    while (n >= 8) {
        n -= 8;
        NOT_A_LIBRARY_CALL(n);
        ((struct unaligned_u64 *)(d + n))->v = ((const struct unaligned_u64 *)(s + n))->v;
    }

    while (n > 0) {
        n--;
        NOT_A_LIBRARY_CALL(n);
        d[n] = s[n];
    }
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    for (; n > 0; n--, x++, y++) {
        if (*x != *y)
            return *x < *y ? -1 : 1;
    }
    return 0;
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n]) {
        n++;
        NOT_A_LIBRARY_CALL(n);
    }
    return n;
}

size_t strlen(const char *s)
{
    return strnlen(s, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n > 0; n--, a++, b++) {
        if (*a != *b)
            return (uint8_t)*a < (uint8_t)*b ? -1 : 1;
        if (!*a)
            break;
    }
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}
