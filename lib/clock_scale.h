/* The scale with which KVM's paravirtual clock turns ticks into nanoseconds: (ticks << shift) * mul >> 32. If shift is
 * negative, the ticks are shifted to the right. */
#ifndef LIB_CLOCK_SCALE_H
#define LIB_CLOCK_SCALE_H

#include "lib/muldiv.h"

#define NS_PER_SECOND 1000000000ull

struct clock_scale {
    uint32_t mul;
    int8_t shift;
};

/*
 * The scale for a clock of hz, 1 MHz to 1 THz. mul is rounded to the nearest integer and is at least 2^31. So the
 * resulting clock is off by at most 2^-32, which is 0.23 ns in a second. Two clocks with the same scale and the same
 * base never differ.
 */
static inline struct clock_scale clock_scale_of(uint64_t hz)
{
    enum { LEAST_SHIFT = -11, MOST_SHIFT = 11 };
    struct clock_scale scale = {.shift = LEAST_SHIFT};

    for (; scale.shift < MOST_SHIFT; scale.shift++) {
        uint64_t twice = mul_div(2 * NS_PER_SECOND, BIT(32 - scale.shift), hz);

        if (twice >= 2ull * UINT32_MAX + 1)
            continue; /* mul would not fit */

        scale.mul = (uint32_t)((twice + 1) / 2);
        break;
    }
    return scale;
}

#endif
