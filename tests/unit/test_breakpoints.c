/* Which breakpoints an access hits: each type, length and enabling bit, at each place around them (SDM Vol. 3,
 * 18.2.4). */
#include "lib/breakpoints.h"

#include "tests/unit/test.h"

/* By the words of the manual: the bytes of the breakpoint, one by one. */
static bool expected(unsigned rw, unsigned len, uint64_t dr, uint64_t address, uint32_t size, unsigned access)
{
    static const unsigned lengths[4] = {1, 2, 8, 4};
    bool hit = false;

    for (uint32_t i = 0; i < size; i++)
        hit |= (address + i) / lengths[len] == dr / lengths[len];
    if (rw == 3)
        return hit && access != BREAK_ON_IO;
    return hit && rw == access;
}

TEST(all_types_lengths_and_places)
{
    static const uint32_t sizes[] = {1, 2, 4, 8};

    for (unsigned n = 0; n < BREAKPOINTS; n++)
        for (unsigned fields = 0; fields < 16; fields++)
            for (unsigned access = BREAK_ON_WRITE; access <= BREAK_ON_READ; access++)
                for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++)
                    for (uint64_t at = 0x5f0; at < 0x610; at++)
                        for (unsigned enabled = 0; enabled < 4; enabled++) {
                            uint64_t dr[BREAKPOINTS] = {0x603, 0x603, 0x603, 0x603};
                            uint64_t dr7 = 0x400 | (uint64_t)fields << (16 + 4 * n) | (uint64_t)enabled << 2 * n;
                            bool hit = enabled && expected(fields & 3, fields >> 2, dr[n], at, sizes[s], access);

                            CHECK_EQ(breakpoint_hits(dr7, dr, at, sizes[s], (enum breakpoint_access)access),
                                     hit ? 1u << n : 0);
                        }
}

/* DRn has more bits than a port. */
TEST(no_port_beyond_64_ki)
{
    uint64_t dr[BREAKPOINTS] = {0x10080, 0x80, 0, 0};

    CHECK_EQ(breakpoint_hits(0x220405, dr, 0x80, 1, BREAK_ON_IO), 2);
}
