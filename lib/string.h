/*
 * Memory and strings for freestanding code. The names and contracts are those of the C standard (strnlen: of POSIX), so
 * the compiler may call these functions too. lib/string.c is linked only into root and the worlds. Host builds get the
 * same names from their libc.
 */
#ifndef LIB_STRING_H
#define LIB_STRING_H

#include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);

/*
 * Copy the string src into dst, which has room for size bytes. If src is too long, the copy is cut off. If size > 0,
 * the copy ends with a NUL. Returns the length of src: the copy is whole if that is less than size.
 */
static inline size_t str_copy(char *dst, size_t size, const char *src)
{
    size_t length = strlen(src);

    if (size > 0) {
        size_t n = length < size ? length : size - 1;

        memcpy(dst, src, n);
        dst[n] = '\0';
    }
    return length;
}

#endif
