/* Formatted text into a buffer: the part of snprintf that root and the worlds need. */
#ifndef LIB_FORMAT_H
#define LIB_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

#include "abi/types.h"

/*
 * Write at most size bytes to out, the final NUL among them (if size > 0; otherwise out may be NULL). Returns the
 * length that the whole text has without its NUL: it was cut off if that is size or more.
 *
 * Conversions: d i u x X c s p %. Lengths: l ll z. Flags: '-' left-justified, '0' padded with zeros, '#' 0x before a
 * nonzero x or X. Width and precision: digits or '*'; precision is the least number of digits, or the most bytes of a
 * string, which then needs no NUL. They mean what they mean in C. NULL for %s prints "(null)"; %p prints 0x and hex.
 * From anything else on, the format itself is printed, since nothing is known of the arguments that follow.
 */
int format(char *out, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
int vformat(char *out, size_t size, const char *fmt, va_list args) PRINTF_LIKE(3, 0);

#endif
