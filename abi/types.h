/* Basic types shared by root, ring 3 and the host tests. */
#ifndef ABI_TYPES_H
#define ABI_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define static_assert _Static_assert

/* Addresses of different spaces are different types, so that they do not mix. */
typedef struct {
    uint64_t v;
} paddr_t; /* host-physical */

typedef struct {
    uint64_t v;
} gpaddr_t; /* guest-physical */

static inline paddr_t pa(uint64_t v) { return (paddr_t){v}; }

static inline gpaddr_t gpa(uint64_t v) { return (gpaddr_t){v}; }

#define PAGE_SIZE       4096ull
#define PAGE_SHIFT      12
#define LARGE_PAGE_SIZE (2ull << 20)
#define HUGE_PAGE_SIZE  (1ull << 30)

#define ARRAY_SIZE(a)                 (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define ALIGN_UP(x, a)                (((x) + (a)-1) & ~((a)-1))
#define ALIGN_DOWN(x, a)              ((x) & ~((a)-1))
#define MIN(a, b)                     ((a) < (b) ? (a) : (b))
#define MAX(a, b)                     ((a) > (b) ? (a) : (b))
#define BIT(n)                        (1ull << (n))
#define UNUSED                        __attribute__((unused))
#define MUST_CHECK                    __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a)             __attribute__((format(printf, f, a)))

/* A deadline that does not come. 0 is a time like any other: it has passed. */
#define NEVER UINT64_MAX

#endif
