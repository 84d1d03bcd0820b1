/* Read and write little-endian numbers at any address. Neither alignment nor the type of the data there matters. */
#ifndef LIB_BYTES_H
#define LIB_BYTES_H

#include <stdint.h>

#include "lib/string.h"

static inline uint16_t get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void put16(uint8_t *p, uint64_t v)
{
    uint16_t w = (uint16_t)v;
    memcpy(p, &w, sizeof w);
}

static inline void put32(uint8_t *p, uint64_t v)
{
    uint32_t w = (uint32_t)v;
    memcpy(p, &w, sizeof w);
}

static inline void put64(uint8_t *p, uint64_t v) { memcpy(p, &v, sizeof v); }

#endif
