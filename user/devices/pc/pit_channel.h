/*
 * One counter of an 8254. Its state is when it was started, and with what count. Its count and output at any time
 * follow from that, so a counter costs nothing until it is looked at. Times are host TSC ticks, and never earlier than
 * in the calls before.
 */
#ifndef USER_DEVICES_PC_PIT_CHANNEL_H
#define USER_DEVICES_PC_PIT_CHANNEL_H

#include "abi/types.h"

struct pit_channel {
    uint8_t mode;   /* 0..5 */
    uint8_t access; /* 1 low byte, 2 high byte, 3 both, low first */
    bool bcd;
    bool gate;
    bool armed;          /* a count was written since the control word */
    bool running;        /* counting since `start`, or stopped by the gate after `stopped_at` clocks */
    uint32_t count;      /* 1..65536 */
    uint64_t start;      /* TSC */
    uint64_t stopped_at; /* clocks done when the gate stopped the count; modes 0 and 4 with a low gate only */
    uint32_t standing;   /* not running: the counting element's value, in the form of running_count() */
    uint32_t next_count; /* the count that is loaded at next_at, or at the next trigger; 0: none */
    uint64_t next_at;

    bool write_high; /* the next byte written is the high one */
    bool read_high;  /* the next byte read of a count that is not latched is the high one */
    uint8_t low_byte;
    unsigned latched; /* how many bytes of the latched count are not read yet */
    uint16_t latch;
    bool status_latched;
    uint8_t status;
};

/* The control word's fields for this channel (access is not 0). */
void pit_channel_control(struct pit_channel *channel, uint64_t now, uint8_t control);
void pit_channel_write(struct pit_channel *channel, uint64_t now, uint8_t value);

/* Read a byte. The function gets the time itself, if it needs the time. */
uint32_t pit_channel_read(struct pit_channel *channel);

void pit_channel_latch_count(struct pit_channel *channel, uint64_t now);
void pit_channel_latch_status(struct pit_channel *channel, uint64_t now);
void pit_channel_set_gate(struct pit_channel *channel, uint64_t now, bool gate);

/* The OUT pin. */
bool pit_channel_out(struct pit_channel *channel, uint64_t now);

/*
 * When OUT rises next after `now`: the TSC at which OUT is high again, or CLOCK_NEVER. In modes 2, 4 and 5, the low
 * pulse of one clock before the rise counts as part of the edge.
 */
uint64_t pit_channel_next_edge(struct pit_channel *channel, uint64_t now);

#endif
