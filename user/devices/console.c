#include "user/devices/console.h"

#include "user/devices/bus.h"
#include "user/devices/clock.h"
#include "user/lib/env.h"

struct ring_consumer console_in;

static struct {
    struct ring_producer out;
    bool owed;   /* control may sleep, and it was not told of some output */
    bool urgent; /* tell control now */
    struct clock_timer timer;
} console;

static void notify_if(bool urgent)
{
    if (!urgent)
        return;
    console.urgent = true;
    bus_due = true;
}

static void console_fire(uint64_t now)
{
    (void)now;
    notify_if(console.owed);
}

void console_init(struct abi_console *rings)
{
    ring_producer_init(&console.out, &rings->out);
    ring_consumer_init(&console_in, &rings->in);
    console.owed = console.urgent = false;
    console.timer = (struct clock_timer){.fire = console_fire};
}

bool console_put(uint8_t byte)
{
    bool peer_waits;

    if (ring_put(&console.out, &byte, 1, &peer_waits) == 0) {
        notify_if(console.owed);
        return false;
    }

    if (peer_waits && !console.owed) {
        console.owed = true;
        clock_timer_set(&console.timer, env_now() + clock_hz() / CONSOLE_DELAY_HZ);
    }

    notify_if(console.owed && (byte == '\n' || ring_space(&console.out) < ABI_RING_SIZE / 2));
    return true;
}

bool console_get(uint8_t *byte)
{
    bool peer_waits, got;

    got = ring_get(&console_in, byte, 1, &peer_waits) == 1;
    notify_if(peer_waits);
    return got;
}

bool console_take_notify(void)
{
    if (!console.urgent)
        return false;
    console.urgent = console.owed = false;
    clock_timer_set(&console.timer, CLOCK_NEVER);
    return true;
}
