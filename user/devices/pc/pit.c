#include "user/devices/pc/pit.h"

#include "user/devices/bus.h"
#include "user/devices/clock.h"
#include "user/devices/irq.h"
#include "user/devices/pc/pit_channel.h"
#include "user/devices/platform.h"
#include "user/lib/env.h"

#define CONTROL_PORT     3
#define CONTROL_CHANNEL  6 /* shift */
#define CONTROL_READBACK 3
#define READBACK_COUNT   0x20 /* 0: latch the count */
#define READBACK_STATUS  0x10

/* System control port B. */
#define PORT_B_GATE2    0x01
#define PORT_B_SPEAKER  0x02
#define PORT_B_WRITABLE 0x0f
#define PORT_B_REFRESH  0x10
#define PORT_B_OUT2     0x20
#define REFRESH_HZ      66288 /* the bit toggles with each DRAM refresh, every 15.085 us */

/* Periods shorter than this are merged into one interrupt: no PC could serve them, and they would cost the host. */
#define LEAST_INTERVAL_HZ 10000

static struct pit_channel channels[3];
static uint8_t port_b;
static struct clock_timer timer;

static void channel0_fire(uint64_t now)
{
    uint64_t edge;

    /* This is the rising edge of OUT, after a low pulse or the low half of a square wave. */
    irq_set(PLATFORM_IRQ_PIT, false);
    irq_set(PLATFORM_IRQ_PIT, true);

    edge = pit_channel_next_edge(&channels[0], now);
    clock_timer_set(&timer, MAX(edge, now + clock_hz() / LEAST_INTERVAL_HZ));
}

static void channel0_changed(uint64_t now)
{
    irq_set(PLATFORM_IRQ_PIT, pit_channel_out(&channels[0], now));
    clock_timer_set(&timer, pit_channel_next_edge(&channels[0], now));
}

static void control_write(uint64_t now, uint8_t value)
{
    unsigned channel = value >> CONTROL_CHANNEL;

    if (channel == CONTROL_READBACK) {
        for (unsigned i = 0; i < ARRAY_SIZE(channels); i++) {
            if (!(value & 2u << i))
                continue;
            if (!(value & READBACK_COUNT))
                pit_channel_latch_count(&channels[i], now);
            if (!(value & READBACK_STATUS))
                pit_channel_latch_status(&channels[i], now);
        }
        return;
    }

    if ((value & 0x30) == 0) {
        pit_channel_latch_count(&channels[channel], now);
        return;
    }

    pit_channel_control(&channels[channel], now, value);
    if (channel == 0)
        channel0_changed(now);
}

static void pit_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    uint64_t now = env_now();

    (void)bytes;
    if (offset == CONTROL_PORT) {
        control_write(now, (uint8_t)value);
        return;
    }

    pit_channel_write(&channels[offset], now, (uint8_t)value);
    if (offset == 0)
        channel0_changed(now);
}

static uint32_t pit_read(uint32_t offset, unsigned bytes)
{
    (void)bytes;
    if (offset == CONTROL_PORT)
        return UINT32_MAX;
    return pit_channel_read(&channels[offset]);
}

static uint32_t port_b_read(uint32_t offset, unsigned bytes)
{
    uint64_t now = env_now();
    uint32_t value = port_b;

    (void)offset;
    (void)bytes;

    if (clock_units(now, REFRESH_HZ) & 1)
        value |= PORT_B_REFRESH;
    if (pit_channel_out(&channels[2], now))
        value |= PORT_B_OUT2;
    return value;
}

static void port_b_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    (void)offset;
    (void)bytes;
    port_b = value & PORT_B_WRITABLE;
    pit_channel_set_gate(&channels[2], env_now(), value & PORT_B_GATE2);
}

void pit_init(void)
{
    static const struct bus_region region = {PLATFORM_PIT, 4, 1, pit_read, pit_write};
    static const struct bus_region port_b_region = {PLATFORM_PORT_B, 1, 1, port_b_read, port_b_write};

    for (unsigned i = 0; i < ARRAY_SIZE(channels); i++)
        channels[i] = (struct pit_channel){.access = 3, .gate = i != 2};
    port_b = 0;
    timer = (struct clock_timer){.fire = channel0_fire};
    bus_add_ports(&region);
    bus_add_ports(&port_b_region);
}
