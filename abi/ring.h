/* The console rings between a guest and the terminal. */
#ifndef ABI_RING_H
#define ABI_RING_H

#include "abi/types.h"

/*
 * A ring with one producer and one consumer, which do not trust each other: each masks the other's index. head counts
 * bytes put, tail bytes taken, both modulo 2^32; head - tail <= ABI_RING_SIZE or the peer is broken (treat as
 * empty/full). Producer: write data, then head with release. Consumer: read head with acquire, data, then tail with
 * release.
 */
#define ABI_RING_SIZE 2048u
struct abi_ring {
    uint32_t head; /* written by the producer only */
    uint32_t pad0[15];
    uint32_t tail; /* written by the consumer only */
    uint32_t pad1[15];
    uint8_t data[ABI_RING_SIZE];
};
/* One page per direction: `out` is guest to terminal. */
struct abi_console {
    union {
        struct abi_ring out;
        uint8_t out_page[PAGE_SIZE];
    };
    union {
        struct abi_ring in;
        uint8_t in_page[PAGE_SIZE];
    };
};
static_assert(sizeof(struct abi_console) == 2 * PAGE_SIZE, "abi_console is two pages");

#endif
