/* The hypervisor's log: lines in a ring, and on the serial port until control takes over. Any CPU, any time. */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include "abi/types.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* One call is one line (no newline in it; control characters become '?'); longer than 240 bytes is cut. */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Text of the log from byte number sequence on, whole or part of it: bytes copied; *first is the number of the first
 * one, greater than sequence if older text is gone. */
uint32_t log_read(uint64_t sequence, char *out, uint32_t size, uint64_t *first);

/* From now on lines do not go to the serial port: control prints them, from the byte with this number on. */
uint64_t log_hand_over(void);

struct trap_frame;
/* What cannot go on: all CPUs stop, and the serial port gets this line, the frame's registers and a backtrace. */
_Noreturn void panic_at(const struct trap_frame *frame, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define panic(...) panic_at(NULL, __VA_ARGS__)

#define ASSERT(cond) ((cond) ? (void)0 : panic("%s:%d: not true: %s", __FILE__, __LINE__, #cond))

#endif
