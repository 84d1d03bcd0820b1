/* The console rings between a guest and the terminal. */
#ifndef ABI_RING_H
#define ABI_RING_H

#include "abi/types.h"

/*
 * A ring with one producer and one consumer. They do not trust each other: each masks the other's index.
 *   head      counts the bytes put, modulo 2^32
 *   tail      counts the bytes taken, modulo 2^32
 *   producer  writes the data, then head with release
 *   consumer  reads head with acquire, then the data, then writes tail with release
 * If head - tail > ABI_RING_SIZE, the peer is broken: the consumer then treats the ring as empty, the producer as full.
 */
#define ABI_RING_SIZE 2048u
struct abi_ring {
    uint32_t head; /* written by the producer only */
    uint32_t pad0[15];
    uint32_t tail; /* written by the consumer only */
    uint32_t pad1[15];
    uint8_t data[ABI_RING_SIZE];
};

/* One page for each direction: `out` goes from the guest to the terminal, `in` from the terminal to the guest. */
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
