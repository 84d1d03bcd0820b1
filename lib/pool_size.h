/* How much of a machine's memory root keeps for itself. The checker on the host uses the same function. */
#ifndef LIB_POOL_SIZE_H
#define LIB_POOL_SIZE_H

#include "abi/types.h"

#define POOL_MIN   (8ull << 20)
#define POOL_BASIC (24ull << 20) /* for root itself and a few dozen vCPUs */
#define POOL_MAX   (2ull << 30)

/* The size in bytes, a multiple of 2 MiB. ram: bytes of RAM that the machine has. */
static inline uint64_t pool_size_of(uint64_t ram)
{
    uint64_t size = MIN(POOL_BASIC + ram / 32, ram / 4);

    return ALIGN_DOWN(MIN(MAX(size, POOL_MIN), POOL_MAX), LARGE_PAGE_SIZE);
}

#endif
