/*
 * The guest's end of the console rings, and when control is woken for them: at the end of a line, when the ring is half
 * full, and otherwise a few milliseconds after the first byte, so that not every byte costs a system call and two
 * switches of the address space. World's lock.
 */
#ifndef USER_DEVICES_CONSOLE_H
#define USER_DEVICES_CONSOLE_H

#include "abi/abi.h"
#include "user/lib/ring.h"

#define CONSOLE_DELAY_HZ 250 /* output waits at most 1/250 s */

void console_init(struct abi_console *console);

/* Towards the terminal. False: the ring is full; control wakes the worker when there is room again. */
bool console_put(uint8_t byte);

/* From the terminal. False: there is nothing; control wakes the worker when there is. */
bool console_get(uint8_t *byte);

/* Can console_get have something? An inline look at what is mostly empty. */
extern struct ring_consumer console_in; /* of console_readable */
static inline bool console_readable(void) { return !ring_is_empty(&console_in); }

/*
 * Must control be woken (env_notify) for what happened since the last call? Asked under the world's lock, done after it
 * is released, for the wake-up may cost the caller its CPU.
 */
bool console_take_notify(void);

#endif
