#include "user/devices/bus.h"

/* Regions in the order of their bases. */
struct space {
    unsigned count;
    const struct bus_region *regions[BUS_MAX_REGIONS];
};

static struct space ports, memory;

void bus_init(void)
{
    ports.count = 0;
    memory.count = 0;
}

static bool space_add(struct space *space, const struct bus_region *region)
{
    unsigned at = space->count;

    if (space->count == BUS_MAX_REGIONS)
        return false;
    while (at > 0 && space->regions[at - 1]->base > region->base)
        at--;
    if (at > 0 && space->regions[at - 1]->base + space->regions[at - 1]->size > region->base)
        return false;
    if (at < space->count && region->base + region->size > space->regions[at]->base)
        return false;
    for (unsigned i = space->count; i > at; i--)
        space->regions[i] = space->regions[i - 1];
    space->regions[at] = region;
    space->count++;
    return true;
}

bool bus_add_ports(const struct bus_region *region)
{
    return space_add(&ports, region);
}

bool bus_add_memory(const struct bus_region *region)
{
    return space_add(&memory, region);
}

static const struct bus_region *space_find(const struct space *space, uint64_t address)
{
    unsigned low = 0, high = space->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct bus_region *region = space->regions[middle];

        if (address < region->base)
            high = middle;
        else if (address - region->base >= region->size)
            low = middle + 1;
        else
            return region;
    }
    return NULL;
}

/* How many bytes of an access go in one piece: a power of two, aligned, no wider than the device. */
static unsigned piece(const struct bus_region *region, uint64_t address, unsigned bytes)
{
    unsigned n = region ? region->width : 1;

    while (n > 1 && (n > bytes || address % n != 0 || (region && address - region->base + n > region->size)))
        n /= 2;
    return n;
}

static uint64_t ones(unsigned bytes)
{
    return bytes >= 8 ? UINT64_MAX : BIT(8 * bytes) - 1;
}

static uint64_t space_read(const struct space *space, uint64_t address, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned done = 0, n; done < bytes; done += n) {
        const struct bus_region *region = space_find(space, address + done);
        uint64_t part = UINT64_MAX;

        n = piece(region, address + done, bytes - done);
        if (region)
            part = region->read((uint32_t)(address + done - region->base), n);
        value |= (part & ones(n)) << 8 * done;
    }
    return value;
}

static void space_write(const struct space *space, uint64_t address, unsigned bytes, uint64_t value)
{
    for (unsigned done = 0, n; done < bytes; done += n) {
        const struct bus_region *region = space_find(space, address + done);

        n = piece(region, address + done, bytes - done);
        if (region)
            region->write((uint32_t)(address + done - region->base), n, (uint32_t)(value >> 8 * done & ones(n)));
    }
}

uint32_t bus_port_read(uint16_t port, unsigned bytes)
{
    return (uint32_t)space_read(&ports, port, bytes);
}

void bus_port_write(uint16_t port, unsigned bytes, uint32_t value)
{
    space_write(&ports, port, bytes, value);
}

uint64_t bus_memory_read(uint64_t address, unsigned bytes)
{
    return space_read(&memory, address, bytes);
}

void bus_memory_write(uint64_t address, unsigned bytes, uint64_t value)
{
    space_write(&memory, address, bytes, value);
}
