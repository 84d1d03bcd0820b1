/*
 * One counter of an 8254. Its state is when it was started and with what count; what it counts and puts out at any
 * time follows from that, so a counter that nobody looks at costs nothing. Times are host TSC ticks, never before
 * those of earlier calls.
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
    bool running;        /* counting: since `start`, or stopped by the gate after `elapsed` clocks */
    uint32_t count;      /* 1..65536 */
    uint64_t start;      /* TSC */
    uint64_t stopped_at; /* clocks done when the gate stopped it; only if gate is low in modes 0, 4 */
    uint32_t standing;   /* not running: where the counting element stands, as running_count() has it */
    uint32_t next_count; /* modes 2, 3: taken over at next_at; 0: none */
    uint64_t next_at;

    bool write_high; /* the next byte is the high one */
    bool read_high;  /* the same, of a count that is not latched */
    uint8_t low_byte;
    unsigned latched; /* bytes of the latched count not yet read */
    uint16_t latch;
    bool status_latched;
    uint8_t status;
};

/* The control word's fields for this channel (access is not 0). */
void pit_channel_control(struct pit_channel *channel, uint64_t now, uint8_t control);
void pit_channel_write(struct pit_channel *channel, uint64_t now, uint8_t value);
/* A byte. Asks for the time itself, if it needs that. */
uint32_t pit_channel_read(struct pit_channel *channel);

void pit_channel_latch_count(struct pit_channel *channel, uint64_t now);
void pit_channel_latch_status(struct pit_channel *channel, uint64_t now);
void pit_channel_set_gate(struct pit_channel *channel, uint64_t now, bool gate);

/* The OUT pin. */
bool pit_channel_out(struct pit_channel *channel, uint64_t now);

/*
 * When OUT rises next after `now`: CLOCK_NEVER, or the TSC at which it is high again (the low pulse of one clock before
 * it in modes 2, 4 and 5 counts as part of the edge).
 */
uint64_t pit_channel_next_edge(struct pit_channel *channel, uint64_t now);

#endif
