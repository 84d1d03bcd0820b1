/*
 * The outside of a device world for tests: user/lib/env.h with a clock that stands still until it is moved, and a
 * record of what the device models asked for. Include it in one C file per program, after tests/unit/test.h.
 */
#ifndef TESTS_UNIT_DEV_ENV_H
#define TESTS_UNIT_DEV_ENV_H

#include "user/devices/bus.h"
#include "user/devices/clock.h"
#include "user/devices/irq.h"
#include "user/devices/platform.h"
#include "user/lib/env.h"

#define FAKE_HZ 1000003000ull /* about 1 GHz, and no multiple of anything */

static struct {
    uint64_t now;
    unsigned unparks, notifies, extints, rises, messages;
    bool extint;
    uint64_t message_address; /* the last one */
    uint32_t message_data;
    bool refuse_messages;
    unsigned ends;
    enum abi_end end_reason;
    uint32_t end_status;
    bool lapic; /* one answers */
    unsigned lapic_reads, lapic_writes;
    uint32_t lapic_offset, lapic_value;
} fake;

uint64_t env_now(void) { return fake.now; }

void env_park(uint64_t deadline) { (void)deadline; }

void env_unpark(unsigned slot)
{
    (void)slot;
    fake.unparks++;
}

void env_notify(void) { fake.notifies++; }

bool env_apic_msg(uint64_t address, uint32_t data)
{
    fake.messages++;
    fake.message_address = address;
    fake.message_data = data;
    return !fake.refuse_messages;
}

void env_extint(bool level)
{
    fake.extints++;
    fake.rises += level && !fake.extint;
    fake.extint = level;
}

bool env_lapic_read(uint32_t offset, uint32_t *value)
{
    fake.lapic_reads++;
    *value = 0x11223300 + offset;
    return fake.lapic;
}

bool env_lapic_write(uint32_t offset, uint32_t value)
{
    fake.lapic_writes++;
    fake.lapic_offset = offset;
    fake.lapic_value = value;
    return fake.lapic;
}

uint64_t env_vector_read(UNUSED unsigned slot, unsigned n, uint8_t *value)
{
    memset(value, (int)n, 64);
    return 7;
}

void env_vector_write(UNUSED unsigned slot, UNUSED unsigned n, UNUSED const uint8_t *value) {}

unsigned env_physical_bits(void) { return 40; }

void env_vm_end(enum abi_end reason, uint32_t status)
{
    fake.ends++;
    fake.end_reason = reason;
    fake.end_status = status;
}

/* A fresh machine without devices, but with both interrupt controllers. The clock does not start at zero. */
static inline void fake_reset(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.now = 123456789012ull;
    clock_init(FAKE_HZ);
    bus_init();
    irq_init(true);
}

/* Let time pass, with each timer at its moment. */
static inline void fake_run_until(uint64_t end)
{
    while (clock_next_deadline() <= end) {
        fake.now = MAX(fake.now, clock_next_deadline());
        clock_run(fake.now);
    }
    fake.now = end;
}

static inline void fake_run_us(uint64_t us) { fake_run_until(fake.now + clock_ticks(us, 1000000)); }

static inline uint8_t inb(uint16_t port) { return (uint8_t)bus_port_read(port, 1); }

static inline void outb(uint16_t port, uint8_t value) { bus_port_write(port, 1, value); }

/* Initialize both 8259s as every kernel does, vectors 20h and 28h, with these masks. */
static inline void fake_pic_setup(uint8_t master_mask, uint8_t slave_mask)
{
    static const uint8_t words[][2] = {{0x20, 0x11}, {0x21, 0x20}, {0x21, 0x04}, {0x21, 0x01},
                                       {0xa0, 0x11}, {0xa1, 0x28}, {0xa1, 0x02}, {0xa1, 0x01}};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        outb(words[i][0], words[i][1]);
    outb(0x21, master_mask);
    outb(0xa1, slave_mask);
}

/* Program an IOAPIC redirection entry. */
static inline void fake_ioapic_entry(unsigned pin, uint64_t entry)
{
    bus_memory_write(PLATFORM_IOAPIC_BASE, 4, 0x10 + 2 * pin + 1);
    bus_memory_write(PLATFORM_IOAPIC_BASE + 0x10, 4, entry >> 32);
    bus_memory_write(PLATFORM_IOAPIC_BASE, 4, 0x10 + 2 * pin);
    bus_memory_write(PLATFORM_IOAPIC_BASE + 0x10, 4, entry & 0xffffffff);
}

#endif
