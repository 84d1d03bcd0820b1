// links:
// Where guest RAM lies: the pieces, and an address's place among them.
#include "tests/unit/test.h"

#include "abi/ram.h"

#define LOW  0x200000ull
#define HIGH 0x3000ull

/* The pieces are in order, overlap nowhere, and are as large as low and high together, but for the hole. */
TEST(pieces)
{
    static const uint64_t sizes[][2] = {{LOW, 0}, {LOW, HIGH}, {ABI_RAM_LOW_MAX, 0}, {ABI_RAM_LOW_MAX, 1ull << 39}};

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint64_t end = 0, sum = 0;

        for (unsigned n = 0; n < ABI_RAM_PIECES; n++) {
            struct abi_ram_piece piece = abi_ram_piece(sizes[i][0], sizes[i][1], n);

            CHECK(piece.base >= end);
            CHECK(!piece.size || piece.index < sizes[i][0] + sizes[i][1]);
            end = piece.base + piece.size;
            sum += piece.size;
        }
        CHECK_EQ(sum, sizes[i][0] + sizes[i][1] - (ABI_VGA_HOLE_END - ABI_VGA_HOLE_BASE));
    }
}

TEST(borders)
{
    const uint64_t none = UINT64_MAX;
    static const struct {
        uint64_t at, size, index;
    } cases[] = {
        {0, 1, 0},
        {ABI_VGA_HOLE_BASE - 1, 1, ABI_VGA_HOLE_BASE - 1},
        {ABI_VGA_HOLE_BASE - 1, 2, UINT64_MAX},
        {ABI_VGA_HOLE_BASE, 1, UINT64_MAX},
        {ABI_VGA_HOLE_END - 1, 1, UINT64_MAX},
        {ABI_VGA_HOLE_END - 1, 2, UINT64_MAX},
        {ABI_VGA_HOLE_END, 1, ABI_VGA_HOLE_END},
        {ABI_VGA_HOLE_BASE - 1, 0x20000, UINT64_MAX},
        {LOW - 1, 1, LOW - 1},
        {LOW - 1, 2, UINT64_MAX},
        {LOW, 1, UINT64_MAX},
        {ABI_RAM_HIGH_BASE - 1, 1, UINT64_MAX},
        {ABI_RAM_HIGH_BASE - 1, 2, UINT64_MAX},
        {ABI_RAM_HIGH_BASE, HIGH, LOW},
        {ABI_RAM_HIGH_BASE, HIGH + 1, UINT64_MAX},
        {ABI_RAM_HIGH_BASE + HIGH - 1, 1, LOW + HIGH - 1},
        {ABI_RAM_HIGH_BASE + HIGH, 1, UINT64_MAX},
        {UINT64_MAX, 1, UINT64_MAX},
        {0, UINT64_MAX, UINT64_MAX},
        {LOW - 1, UINT64_MAX, UINT64_MAX},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        CHECK_EQ(abi_ram_index(LOW, HIGH, cases[i].at, cases[i].size), cases[i].index);
    CHECK_EQ(abi_ram_index(LOW, 0, ABI_RAM_HIGH_BASE, 1), none);
}
