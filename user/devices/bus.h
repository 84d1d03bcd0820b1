/*
 * Which device answers at a port or at a guest-physical address outside RAM. Nobody: reads are all ones and writes are
 * lost, as on a PC. Everything here belongs to the world's lock.
 */
#ifndef USER_DEVICES_BUS_H
#define USER_DEVICES_BUS_H

#include "abi/types.h"

/*
 * A device's addresses [base, base + size). It sees naturally aligned accesses of 1, 2 or 4 bytes, at most `width`,
 * inside the region: the bus splits all others, low addresses first, the way an 8-bit device on a PC's bus sees a
 * 16-bit access. offset is relative to base; what read returns beyond `bytes` is ignored, and value is zero-extended.
 */
struct bus_region {
    uint64_t base;
    uint32_t size;
    uint8_t width; /* 1, 2 or 4 */
    uint32_t (*read)(uint32_t offset, unsigned bytes);
    void (*write)(uint32_t offset, unsigned bytes, uint32_t value);
};

#define BUS_MAX_REGIONS 32 /* of ports, and as many of memory */

/*
 * An access may have left something to do outside the devices: a timer was set, INTR has changed, control has to be
 * woken. Whoever causes that sets it, machine_leave() clears it.
 */
extern bool bus_due;

/* Nothing on the bus. */
void bus_init(void);

/*
 * Regions stay referenced, must not overlap, and there are at most BUS_MAX_REGIONS of a kind, those of ports in at most
 * 7 of the 256 blocks of 256 ports: false otherwise.
 */
bool bus_add_ports(const struct bus_region *region);
bool bus_add_memory(const struct bus_region *region);

/*
 * Accesses of the guest: bytes is 1..8 for memory, 1..4 for ports, with no alignment. Little-endian values. What
 * bus_port_read returns beyond `bytes` is for the caller to ignore; of the other three it is zero.
 */
uint32_t bus_port_read(uint16_t port, unsigned bytes);
void bus_port_write(uint16_t port, unsigned bytes, uint32_t value);
uint64_t bus_memory_read(uint64_t address, unsigned bytes);
void bus_memory_write(uint64_t address, unsigned bytes, uint64_t value);

#endif
