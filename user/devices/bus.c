#include "user/devices/bus.h"

#include "lib/string.h"

/* Memory regions in the order of their bases. */
static const struct bus_region *memory[BUS_MAX_REGIONS];
static unsigned memory_count;

/*
 * Ports have a table of two levels, because each port access of the guest looks here. There are 256 pages of 256 ports.
 * Few pages have devices; all others share the first part of the table, which stays empty. An entry is a region's
 * number; number 0 means that no device is there.
 */
#define PORT_PAGES 8
#define PAGE_PORTS 256
static uint16_t page_of[256]; /* where in port_table the page's ports begin */
static uint8_t port_table[PORT_PAGES * PAGE_PORTS];
static const struct bus_region *port_regions[1 + BUS_MAX_REGIONS];
static unsigned page_count, port_count;

bool bus_due;

static uint32_t nobody_read(UNUSED uint32_t offset, UNUSED unsigned bytes)
{
    return UINT32_MAX;
}

static void nobody_write(UNUSED uint32_t offset, UNUSED unsigned bytes, UNUSED uint32_t value)
{
}

/* The region where no device is. Its width is 1, since the next byte may be a device's. */
static const struct bus_region nobody = {.width = 1, .read = nobody_read, .write = nobody_write};

void bus_init(void)
{
    memory_count = 0;
    page_count = port_count = 1;
    memset(page_of, 0, sizeof(page_of));
    memset(port_table, 0, sizeof(port_table));
    port_regions[0] = &nobody;
}

static inline uint8_t *port_entry(size_t port)
{
    return &port_table[page_of[port / PAGE_PORTS] + port % PAGE_PORTS];
}

static const struct bus_region *find_port(uint64_t port)
{
    return port <= UINT16_MAX ? port_regions[*port_entry(port)] : &nobody;
}

bool bus_add_ports(const struct bus_region *region)
{
    uint64_t end = region->base + region->size;

    if (port_count == ARRAY_SIZE(port_regions) || end > UINT16_MAX + 1ull)
        return false;

    for (uint64_t port = region->base; port < end; port++)
        if (find_port(port) != &nobody || (!page_of[port / PAGE_PORTS] && page_count == PORT_PAGES))
            return false;
        else if (!page_of[port / PAGE_PORTS])
            page_of[port / PAGE_PORTS] = (uint16_t)(page_count++ * PAGE_PORTS);

    for (uint64_t port = region->base; port < end; port++)
        *port_entry(port) = (uint8_t)port_count;
    port_regions[port_count++] = region;
    return true;
}

bool bus_add_memory(const struct bus_region *region)
{
    unsigned at = memory_count;

    if (memory_count == BUS_MAX_REGIONS)
        return false;

    while (at > 0 && memory[at - 1]->base > region->base)
        at--;
    if (at > 0 && memory[at - 1]->base + memory[at - 1]->size > region->base)
        return false;
    if (at < memory_count && region->base + region->size > memory[at]->base)
        return false;

    for (unsigned i = memory_count; i > at; i--)
        memory[i] = memory[i - 1];
    memory[at] = region;
    memory_count++;
    return true;
}

static const struct bus_region *find_memory(uint64_t address)
{
    unsigned low = 0, high = memory_count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct bus_region *region = memory[middle];

        if (address < region->base)
            high = middle;
        else if (address - region->base >= region->size)
            low = middle + 1;
        else
            return region;
    }
    return &nobody;
}

typedef const struct bus_region *find_fn(uint64_t address);

/* Can the device serve an access that begins in the region in one piece? */
static inline bool is_whole(const struct bus_region *region, uint64_t address, unsigned bytes)
{
    return bytes == 1 || (bytes <= region->width && (bytes & (bytes - 1)) == 0 && (address & (bytes - 1)) == 0 &&
                          address - region->base + bytes <= region->size);
}

/* How many bytes of an access the device can serve in one piece: a power of two, aligned, no wider than the device. */
static unsigned piece(const struct bus_region *region, uint64_t address, unsigned bytes)
{
    unsigned n = region->width;

    while (n > 1 && (n > bytes || !is_whole(region, address, n)))
        n /= 2;
    return n;
}

/* A mask of so many bytes, 1..8. */
static uint64_t ones(unsigned bytes)
{
    return UINT64_MAX >> (64 - 8 * bytes) % 64;
}

__attribute__((noinline)) static uint64_t read_pieces(uint64_t address, unsigned bytes, find_fn *find)
{
    uint64_t value = 0;

    for (unsigned done = 0, n; done < bytes; done += n) {
        const struct bus_region *region = find(address + done);

        n = piece(region, address + done, bytes - done);
        value |= (region->read((uint32_t)(address + done - region->base), n) & ones(n)) << 8 * done;
    }
    return value;
}

__attribute__((noinline)) static void write_pieces(uint64_t address, unsigned bytes, uint64_t value, find_fn *find)
{
    for (unsigned done = 0, n; done < bytes; done += n) {
        const struct bus_region *region = find(address + done);

        n = piece(region, address + done, bytes - done);
        region->write((uint32_t)(address + done - region->base), n, (uint32_t)(value >> 8 * done & ones(n)));
    }
}

/* Inlined, because for memory this is most of what an access costs. */
static inline __attribute__((always_inline)) uint64_t read_any(uint64_t address, unsigned bytes, find_fn *find)
{
    const struct bus_region *region = find(address);

    if (!is_whole(region, address, bytes))
        return read_pieces(address, bytes, find);
    return region->read((uint32_t)(address - region->base), bytes) & ones(bytes);
}

static inline __attribute__((always_inline)) void write_any(uint64_t address, unsigned bytes, uint64_t value,
                                                            find_fn *find)
{
    const struct bus_region *region = find(address);

    if (!is_whole(region, address, bytes))
        write_pieces(address, bytes, value, find);
    else
        region->write((uint32_t)(address - region->base), bytes, (uint32_t)(value & ones(bytes)));
}

__attribute__((noinline)) static uint32_t read_wide(uint16_t port, unsigned bytes)
{
    return (uint32_t)read_any(port, bytes, find_port);
}

__attribute__((noinline)) static void write_wide(uint16_t port, unsigned bytes, uint32_t value)
{
    write_any(port, bytes, value, find_port);
}

/* Most port accesses are of one byte. The code for the others is in functions of its own. */
uint32_t bus_port_read(uint16_t port, unsigned bytes)
{
    const struct bus_region *region = port_regions[*port_entry(port)];

    return bytes == 1 ? region->read(port - (uint32_t)region->base, bytes) : read_wide(port, bytes);
}

void bus_port_write(uint16_t port, unsigned bytes, uint32_t value)
{
    const struct bus_region *region = port_regions[*port_entry(port)];

    if (bytes == 1)
        region->write(port - (uint32_t)region->base, bytes, (uint8_t)value);
    else
        write_wide(port, bytes, value);
}

uint64_t bus_memory_read(uint64_t address, unsigned bytes)
{
    return read_any(address, bytes, find_memory);
}

void bus_memory_write(uint64_t address, unsigned bytes, uint64_t value)
{
    write_any(address, bytes, value, find_memory);
}
