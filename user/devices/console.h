/*
 * The guest's end of the console rings. For output, control is woken at the end of a line, when the ring is half full,
 * and otherwise a few milliseconds after the first byte. So not every byte costs a system call and two switches of the
 * address space. The world's lock protects everything here.
 */
#ifndef USER_DEVICES_CONSOLE_H
#define USER_DEVICES_CONSOLE_H

#include "abi/abi.h"
#include "user/lib/ring.h"

#define CONSOLE_DELAY_HZ 250 /* output waits at most 1/250 s */

void console_init(struct abi_console *console);

/* Put a byte towards the terminal. False: the ring is full; control wakes the worker when there is room again. */
bool console_put(uint8_t byte);

/* Get a byte from the terminal. False: there is none; control wakes the worker when there is one. */
bool console_get(uint8_t *byte);

/* Can console_get return a byte? Inline, since the ring is mostly empty. Only console_readable may use console_in. */
extern struct ring_consumer console_in;
static inline bool console_readable(void) { return !ring_is_empty(&console_in); }

/*
 * Must control be woken (env_notify) for what happened since the last call? Ask this under the world's lock. Wake
 * control after the lock is released, since the wake-up may cost the caller its CPU.
 */
bool console_take_notify(void);

#endif
