/* Breakpoints on data and ports: DR0 to DR3 and DR7 (SDM Vol. 3, 18.2.4 and 18.2.5). */
#ifndef LIB_BREAKPOINTS_H
#define LIB_BREAKPOINTS_H

#include "abi/types.h"

#define BREAKPOINTS 4u
#define DR7_ENABLED 0xffu /* G0 to G3, L0 to L3 */

/* Kinds of accesses, with the numbers of DR7's R/W fields. There, 3 stands for reads and writes. */
enum breakpoint_access { BREAK_ON_WRITE = 1, BREAK_ON_IO, BREAK_ON_READ };

/* Is breakpoint n enabled, and for accesses of this kind? */
static inline bool breakpoint_is_for(uint64_t dr7, unsigned n, enum breakpoint_access access)
{
    unsigned wanted = dr7 >> (16 + 4 * n) & 3;
    bool enabled = dr7 >> 2 * n & 3;

    return enabled && (wanted == (unsigned)access || (wanted == BREAK_ON_READ && access == BREAK_ON_WRITE));
}

/* Does breakpoint n, with dr in DRn, overlap [address, address + size)? The field LEN stands for 1, 2, 8 or 4 bytes.
 * The low bits of DRn do not count. */
static inline bool breakpoint_overlaps(uint64_t dr7, unsigned n, uint64_t dr, uint64_t address, uint32_t size)
{
    static const uint8_t lengths[4] = {1, 2, 8, 4};
    uint64_t length = lengths[dr7 >> (18 + 4 * n) & 3], first = ALIGN_DOWN(dr, length);

    return address <= first + (length - 1) && first <= address + (size - 1);
}

/* The breakpoints that an access to [address, address + size) hits, as in DR6: bits 0 to 3. Breakpoints on ports need
 * CR4.DE; the caller checks that. */
static inline uint32_t breakpoint_hits(uint64_t dr7, const uint64_t dr[BREAKPOINTS], uint64_t address, uint32_t size,
                                       enum breakpoint_access access)
{
    uint32_t hits = 0;

    for (unsigned n = 0; n < BREAKPOINTS; n++)
        if (breakpoint_is_for(dr7, n, access) && breakpoint_overlaps(dr7, n, dr[n], address, size))
            hits |= 1u << n;
    return hits;
}

#endif
