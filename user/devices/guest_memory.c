#include "user/devices/guest_memory.h"

#include "user/devices/bus.h"
#include "user/devices/machine.h"
#include "user/devices/platform.h"
#include "user/lib/env.h"

#include "lib/string.h"

static uint8_t *ram;
static uint64_t ram_low, ram_high;

void *guest_ram(uint64_t gpa, uint64_t n)
{
    return abi_ram_index(ram_low, ram_high, gpa, n) == UINT64_MAX ? NULL : ram + gpa;
}

static void *ram_page(void *ctx, uint64_t gpa)
{
    (void)ctx;
    return abi_ram_has(ram_low, ram_high, gpa) ? ram + ALIGN_DOWN(gpa, PAGE_SIZE) : NULL;
}

static unsigned slot_of(void *ctx)
{
    return (unsigned)(uintptr_t)ctx;
}

/* The address of each vCPU's own xAPIC page, by slot. Only the slot's thread looks at its entry. */
static uint64_t lapic_bases[1 + ABI_MAX_VCPUS];

void guest_memory_set_lapic(unsigned slot, uint64_t base)
{
    lapic_bases[slot] = base;
}

/* The LAPIC takes precedence over a device at the same address. It does not over RAM: that is mapped for all vCPUs, so
 * no access to RAM comes here. */
static bool is_lapic(void *ctx, uint64_t gpa)
{
    return ALIGN_DOWN(gpa, PAGE_SIZE) == lapic_bases[slot_of(ctx)];
}

/*
 * LAPIC registers are 32 bits wide and aligned (SDM Vol. 3, 11.4.1). The SDM does not define other accesses. Here, such
 * a read gives the bytes of the registers that it touches, and such a write is lost.
 */
static bool lapic_load(uint64_t gpa, uint64_t *value, uint32_t size)
{
    uint32_t offset = (uint32_t)(gpa % PAGE_SIZE);

    *value = 0;
    for (uint32_t done = 0; done < size; done++) {
        uint32_t word;

        if (!env_lapic_read((offset + done) & ~3u, &word))
            return false;
        *value |= (uint64_t)(uint8_t)(word >> 8 * ((offset + done) & 3)) << 8 * done;
    }
    return true;
}

static bool lapic_access(uint64_t gpa, uint64_t *value, uint32_t size, bool write)
{
    uint32_t offset = (uint32_t)(gpa % PAGE_SIZE), word;

    if (size == 4 && offset % 4 == 0 && write)
        return env_lapic_write(offset, (uint32_t)*value);

    if (size == 4 && offset % 4 == 0) {
        bool there = env_lapic_read(offset, &word);

        *value = word;
        return there;
    }

    return write ? env_lapic_read(offset & ~3u, &word) : lapic_load(gpa, value, size);
}

static int read_physical(void *ctx, uint64_t gpa, void *dst, uint32_t size)
{
    uint64_t value;

    if (!is_lapic(ctx, gpa) || !lapic_access(gpa, &value, size, false)) {
        machine_enter(slot_of(ctx));
        value = bus_memory_read(gpa, size);
        machine_leave();
    }

    memcpy(dst, &value, size);
    return OK;
}

static int write_physical(void *ctx, uint64_t gpa, const void *src, uint32_t size)
{
    uint64_t value = 0;

    memcpy(&value, src, size);
    if (is_lapic(ctx, gpa) && lapic_access(gpa, &value, size, true))
        return OK;

    machine_enter(slot_of(ctx));
    bus_memory_write(gpa, size, value);
    machine_leave();
    return OK;
}

static int port_in(void *ctx, uint16_t port, uint8_t size, uint32_t *value)
{
    machine_enter(slot_of(ctx));
    *value = bus_port_read(port, size) & UINT32_MAX >> (32 - 8 * size);
    machine_leave();
    return OK;
}

static int port_out(void *ctx, uint16_t port, uint8_t size, uint32_t value)
{
    machine_enter(slot_of(ctx));
    bus_port_write(port, size, value);
    machine_leave();
    return OK;
}

static uint64_t vector_read(void *ctx, unsigned n, struct emul_vector *value)
{
    return env_vector_read(slot_of(ctx), n, value->bytes);
}

static void vector_write(void *ctx, unsigned n, const struct emul_vector *value)
{
    env_vector_write(slot_of(ctx), n, value->bytes);
}

static struct emul_ops ops = {
    .phys_read = read_physical,
    .phys_write = write_physical,
    .port_in = port_in,
    .port_out = port_out,
    .ram = ram_page,
    .vector_read = vector_read,
    .vector_write = vector_write,
};

void guest_memory_init(const struct abi_info *info, uint8_t *ram_base)
{
    ram = ram_base;
    ram_low = info->ram_low;
    ram_high = info->ram_high;
    ops.maxphyaddr_bits = env_physical_bits();
    memcpy(ops.features, info->features, sizeof(ops.features));
}

const struct emul_ops *guest_memory_ops(void)
{
    return &ops;
}
