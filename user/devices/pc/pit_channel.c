#include "user/devices/pc/pit_channel.h"

#include "user/devices/clock.h"
#include "user/devices/pc/pit.h"
#include "user/lib/env.h"

/* Fields of the control word and of the status byte (82C54, Control Word Format and Read-Back Command). */
#define CONTROL_BCD(word)    ((word)&1)
#define CONTROL_MODE(word)   ((word) >> 1 & 7)
#define CONTROL_ACCESS(word) ((word) >> 4 & 3)
#define STATUS_OUT           0x80
#define STATUS_NULL_COUNT    0x40

enum { INTERRUPT_ON_TERMINAL_COUNT, ONE_SHOT, RATE_GENERATOR, SQUARE_WAVE, SOFTWARE_STROBE, HARDWARE_STROBE };
enum { ACCESS_LOW = 1, ACCESS_HIGH, ACCESS_BOTH };

static bool periodic(const struct pit_channel *channel)
{
    return channel->mode == RATE_GENERATOR || channel->mode == SQUARE_WAVE;
}

static bool triggered_by_gate(const struct pit_channel *channel)
{
    return channel->mode == ONE_SHOT || channel->mode == HARDWARE_STROBE;
}

/* In these modes a low gate stops the count, and a high gate lets it go on. */
static bool suspended_by_gate(const struct pit_channel *channel)
{
    return channel->mode == INTERRUPT_ON_TERMINAL_COUNT || channel->mode == SOFTWARE_STROBE;
}

static uint32_t modulus(const struct pit_channel *channel)
{
    return channel->bcd ? 10000 : 65536;
}

static void begin(struct pit_channel *channel, uint64_t at)
{
    if (channel->next_count) {
        channel->count = channel->next_count;
        channel->next_count = 0;
    }
    channel->running = true;
    channel->start = at;
    channel->stopped_at = 0;
}

/* Clocks since the count was loaded. If a new count of a periodic mode is due, that count is loaded first. */
static uint64_t elapsed(struct pit_channel *channel, uint64_t now)
{
    if (channel->next_count && now >= channel->next_at)
        begin(channel, channel->next_at);

    if (!channel->gate && suspended_by_gate(channel))
        return channel->stopped_at;
    return clock_units(now - channel->start, PIT_HZ);
}

static uint64_t period_end(const struct pit_channel *channel, uint64_t clocks)
{
    return channel->start + clock_ticks((clocks / channel->count + 1) * channel->count, PIT_HZ);
}

/* The counting element's value while the counter runs. */
static uint32_t running_count(struct pit_channel *channel, uint64_t now)
{
    uint64_t clocks = elapsed(channel, now);
    uint32_t count = channel->count;

    if (channel->mode == RATE_GENERATOR) {
        return count - (uint32_t)(clocks % count);
    } else if (channel->mode == SQUARE_WAVE) {
        uint32_t half = (count + 1) / 2;
        uint32_t phase = (uint32_t)(clocks % count);

        return (count & ~1u) - 2 * (phase < half ? phase : phase - half);
    }
    return count + modulus(channel) - (uint32_t)(clocks % modulus(channel));
}

/* The counting element's value, whether the counter runs or not. */
static uint32_t counting_element(struct pit_channel *channel, uint64_t now)
{
    return channel->running ? running_count(channel, now) : channel->standing;
}

/* The counting element keeps its value until a count is loaded. */
static void stop(struct pit_channel *channel, uint64_t now)
{
    channel->standing = counting_element(channel, now);
    channel->running = false;
}

void pit_channel_control(struct pit_channel *channel, uint64_t now, uint8_t control)
{
    uint8_t mode = CONTROL_MODE(control);

    stop(channel, now);
    channel->mode = mode > HARDWARE_STROBE ? mode & 3 : mode;
    channel->access = CONTROL_ACCESS(control);
    channel->bcd = CONTROL_BCD(control);
    channel->armed = false;
    channel->next_count = 0;
    channel->write_high = false;
    channel->read_high = channel->access == ACCESS_HIGH;
    channel->latched = 0;
    channel->status_latched = false;
}

static void load(struct pit_channel *channel, uint64_t now, uint32_t raw)
{
    uint32_t count = raw;
    uint64_t clocks = elapsed(channel, now);
    bool first = !channel->armed;

    if (channel->bcd)
        count = (raw >> 12) * 1000 + (raw >> 8 & 15) * 100 + (raw >> 4 & 15) * 10 + (raw & 15);
    if (count == 0)
        count = modulus(channel);
    if (count == 1 && periodic(channel))
        count = 2; /* 1 is illegal there */

    channel->armed = true;
    channel->next_count = count;
    channel->next_at = CLOCK_NEVER; /* the count is loaded at the next trigger, except in these cases: */
    if (suspended_by_gate(channel))
        begin(channel, now);
    else if (periodic(channel) && channel->running)
        channel->next_at = period_end(channel, clocks);
    else if (periodic(channel) && (channel->gate || first))
        begin(channel, now);

    /* The first count is loaded whatever the gate is. Counting starts when the gate rises. */
    if (periodic(channel) && !channel->gate)
        stop(channel, now);
}

void pit_channel_write(struct pit_channel *channel, uint64_t now, uint8_t value)
{
    switch (channel->access) {
    case ACCESS_LOW:
        load(channel, now, value);
        break;
    case ACCESS_HIGH:
        load(channel, now, (uint32_t)value << 8);
        break;
    case ACCESS_BOTH:
        if (channel->write_high) {
            load(channel, now, (uint32_t)value << 8 | channel->low_byte);
        } else {
            channel->low_byte = value;
            if (channel->mode == INTERRUPT_ON_TERMINAL_COUNT)
                stop(channel, now); /* in this mode the first byte stops the count */
        }
        channel->write_high = !channel->write_high;
        break;
    }
}

static uint32_t to_bcd(uint32_t value)
{
    value %= 10000;
    return value / 1000 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 | value % 10;
}

/* A count as software reads it: binary or BCD, in the low 16 bits. */
static uint32_t as_read(const struct pit_channel *channel, uint32_t count)
{
    return channel->bcd ? to_bcd(count) : count;
}

void pit_channel_latch_count(struct pit_channel *channel, uint64_t now)
{
    if (channel->latched)
        return;

    channel->latch = (uint16_t)as_read(channel, counting_element(channel, now));
    channel->latched = channel->access == ACCESS_BOTH ? 2 : 1;
}

void pit_channel_latch_status(struct pit_channel *channel, uint64_t now)
{
    bool out = pit_channel_out(channel, now);

    if (channel->status_latched)
        return;

    channel->status_latched = true;
    channel->status =
        (uint8_t)((out ? STATUS_OUT : 0) | (!channel->armed || channel->next_count ? STATUS_NULL_COUNT : 0) |
                  channel->access << 4 | channel->mode << 1 | channel->bcd);
}

static uint32_t byte_of(uint32_t value, bool high)
{
    return (high ? value >> 8 : value) & 0xff;
}

__attribute__((noinline)) static uint32_t read_counter(struct pit_channel *channel, bool high)
{
    uint32_t count = channel->running ? running_count(channel, env_now()) : channel->standing;

    return byte_of(as_read(channel, count), high);
}

uint32_t pit_channel_read(struct pit_channel *channel)
{
    bool both = channel->access == ACCESS_BOTH, high = channel->read_high;

    if (channel->status_latched) {
        channel->status_latched = false;
        return channel->status;
    }

    if (channel->latched) {
        if (both)
            high = channel->latched == 1;
        channel->latched--;
        return byte_of(channel->latch, high);
    }

    channel->read_high = high ^ both;
    return read_counter(channel, high);
}

void pit_channel_set_gate(struct pit_channel *channel, uint64_t now, bool gate)
{
    uint64_t clocks = elapsed(channel, now);

    if (gate == channel->gate)
        return;

    channel->gate = gate;
    if (suspended_by_gate(channel)) {
        if (gate)
            channel->start = now - clock_ticks(channel->stopped_at, PIT_HZ);
        else
            channel->stopped_at = clocks;
    } else if (gate && channel->armed) {
        begin(channel, now);
    } else if (periodic(channel)) {
        stop(channel, now);
        channel->next_at = CLOCK_NEVER;
    }
}

bool pit_channel_out(struct pit_channel *channel, uint64_t now)
{
    uint64_t clocks = elapsed(channel, now);

    if (!channel->running)
        return channel->mode != INTERRUPT_ON_TERMINAL_COUNT;

    switch (channel->mode) {
    case INTERRUPT_ON_TERMINAL_COUNT:
    case ONE_SHOT:
        return clocks >= channel->count;
    case RATE_GENERATOR:
        return clocks % channel->count != channel->count - 1;
    case SQUARE_WAVE:
        return clocks % channel->count < (channel->count + 1) / 2;
    default:
        return clocks != channel->count;
    }
}

uint64_t pit_channel_next_edge(struct pit_channel *channel, uint64_t now)
{
    uint64_t clocks = elapsed(channel, now);
    uint64_t last = channel->count;

    if (!channel->running || (!channel->gate && !triggered_by_gate(channel)))
        return CLOCK_NEVER;
    if (periodic(channel))
        return period_end(channel, clocks);

    if (channel->mode == SOFTWARE_STROBE || channel->mode == HARDWARE_STROBE)
        last++;
    return clocks < last ? channel->start + clock_ticks(last, PIT_HZ) : CLOCK_NEVER;
}
