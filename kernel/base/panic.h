/* Panic: root cannot go on. */
#ifndef KERNEL_BASE_PANIC_H
#define KERNEL_BASE_PANIC_H

#include "abi/types.h"

struct trap_frame;

/* Adds lines to what is said of a panic, by put(). */
typedef void panic_details(const void *what, void (*put)(const char *fmt, ...));

/*
 * Stops all CPUs, and prints on the serial port this line, what details(what) adds, the frame's registers, and a
 * backtrace. details NULL: there are no details. frame NULL: no registers are printed. Any CPU, any context, with any
 * lock held.
 */
_Noreturn void panic_with(const struct trap_frame *frame, panic_details *details, const void *what, const char *fmt,
                          ...) PRINTF_LIKE(4, 5);
#define panic_at(frame, ...) panic_with(frame, NULL, NULL, __VA_ARGS__)
#define panic(...)           panic_at(NULL, __VA_ARGS__)

#define ASSERT(cond) ((cond) ? (void)0 : panic("%s:%d: not true: %s", __FILE__, __LINE__, #cond))

/* stop_others() is how a panic stops the other CPUs. Called once, before other CPUs run. */
void panic_set_stop(void (*stop_others)(void));

#endif
