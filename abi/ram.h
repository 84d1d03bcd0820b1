/*
 * Where guest RAM lies: `low` bytes from 0, with one hole in them, and `high` bytes from 4 GiB. This is the only place
 * that says it, for root, device worlds and loaders.
 */
#ifndef ABI_RAM_H
#define ABI_RAM_H

#include "abi/types.h"

#define ABI_RAM_LOW_MAX   0xc0000000ull /* the most that low can be; the rest of a guest's memory is high */
#define ABI_RAM_HIGH_BASE 0x100000000ull

/* The hole is MMIO, not RAM. Above it, 0xb8000-0xbffff is plain RAM: a text screen that no device displays, but that
 * can be dumped. 0xc0000-0xfffff is RAM with the contents that firmware would leave there. */
#define ABI_VGA_HOLE_BASE 0xa0000ull
#define ABI_VGA_HOLE_END  0xb8000ull

struct abi_ram_piece {
    uint64_t base; /* guest-physical */
    uint64_t size;
    uint64_t index; /* of base, if all of the guest's memory, the hole included, is one array */
};

#define ABI_RAM_PIECES 3

/* Piece n (0..ABI_RAM_PIECES - 1), in ascending order. A piece that does not exist has size 0. */
static inline struct abi_ram_piece abi_ram_piece(uint64_t low, uint64_t high, unsigned n)
{
    switch (n) {
    case 0:
        return (struct abi_ram_piece){0, MIN(low, ABI_VGA_HOLE_BASE), 0};
    case 1:
        return (struct abi_ram_piece){ABI_VGA_HOLE_END, low > ABI_VGA_HOLE_END ? low - ABI_VGA_HOLE_END : 0,
                                      ABI_VGA_HOLE_END};
    default:
        return (struct abi_ram_piece){ABI_RAM_HIGH_BASE, high, low};
    }
}

/* Is that byte RAM? Each page is RAM as a whole, or not at all. */
static inline bool abi_ram_has(uint64_t low, uint64_t high, uint64_t at)
{
    if (at < low)
        return at < ABI_VGA_HOLE_BASE || at >= ABI_VGA_HOLE_END;
    return at - ABI_RAM_HIGH_BASE < high; /* below 4 GiB the difference is greater than any size of memory */
}

/* The index of `at`, if all of [at, at + size) is in one piece; else UINT64_MAX. */
static inline uint64_t abi_ram_index(uint64_t low, uint64_t high, uint64_t at, uint64_t size)
{
    uint64_t index = at, end = low;

    if (!abi_ram_has(low, high, at))
        return UINT64_MAX;

    if (at >= low) {
        index = at - ABI_RAM_HIGH_BASE + low;
        end = ABI_RAM_HIGH_BASE + high;
    } else if (at < ABI_VGA_HOLE_BASE) {
        end = MIN(low, ABI_VGA_HOLE_BASE);
    }
    return size <= end - at ? index : UINT64_MAX;
}

#endif
