/*
 * The device that answers at a port, or at a guest-physical address outside RAM. Where no device is, reads are all ones
 * and writes are lost, as on a PC. The world's lock protects everything here.
 */
#ifndef USER_DEVICES_BUS_H
#define USER_DEVICES_BUS_H

#include "abi/types.h"

/*
 * A device's addresses [base, base + size). The device sees only naturally aligned accesses inside the region, of 1, 2
 * or 4 bytes, at most `width`. The bus splits all other accesses, low addresses first, as a PC's bus does with a 16-bit
 * access to an 8-bit device. offset is relative to base. Of what read returns, bits beyond `bytes` are ignored. The
 * value of a write is zero-extended.
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
 * Is there something to do outside the devices: a timer was set, INTR has changed, or control has to be woken? The code
 * that causes this sets the flag; machine_leave() clears it.
 */
extern bool bus_due;

/* Empty the bus: no device is on it. */
void bus_init(void);

/*
 * Put a region on the bus. The bus keeps the pointer, so the region must stay. False: the region overlaps another one,
 * there are BUS_MAX_REGIONS of the kind already, or ports would be in more than 7 of the 256 blocks of 256 ports.
 */
bool bus_add_ports(const struct bus_region *region);
bool bus_add_memory(const struct bus_region *region);

/*
 * Accesses of the guest. bytes: 1..8 for memory, 1..4 for ports; no alignment is needed. Values are little-endian. The
 * caller must ignore the bits that bus_port_read returns beyond `bytes`; bus_memory_read returns zeros there.
 */
uint32_t bus_port_read(uint16_t port, unsigned bytes);
void bus_port_write(uint16_t port, unsigned bytes, uint32_t value);
uint64_t bus_memory_read(uint64_t address, unsigned bytes);
void bus_memory_write(uint64_t address, unsigned bytes, uint64_t value);

#endif
