/* mul_div(): a * b / c with the product in 128 bits, rounded down. UINT64_MAX: the result does not fit, or c is 0. In C
 * this would be a 128-bit division, for which the compiler calls a library that is not linked. */
#ifndef LIB_MULDIV_H
#define LIB_MULDIV_H

#include "abi/types.h"

static inline uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t high, low;

    __asm__("mulq %3" : "=a"(low), "=d"(high) : "a"(a), "r"(b) : "cc");
    if (high >= c)
        return UINT64_MAX;

    __asm__("divq %2" : "+a"(low), "+d"(high) : "r"(c) : "cc");
    return low;
}

#endif
