/* Formatted text into a buffer: the part of snprintf that root and the worlds need. */
#ifndef LIB_FORMAT_H
#define LIB_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

#include "abi/types.h"

/*
 * Write at most size bytes to out, the final NUL included. If size is 0, nothing is written, and out may be NULL.
 * Returns the length of the whole text without its NUL: if it is size or more, the text was cut off.
 *
 * All mean what they mean in C:
 *   conversions  d i u x X c s p %. %s prints "(null)" for NULL; %p prints 0x and hex digits
 *   lengths      l ll z
 *   flags        '-' left-justified, '0' padded with zeros, '#' 0x before a nonzero x or X
 *   width        digits or '*'
 *   precision    digits or '*': the least number of digits, or the most bytes of a string, which then needs no NUL
 * At anything else, the rest of the format itself is printed, since nothing is known about the arguments that follow.
 */
int format(char *out, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
int vformat(char *out, size_t size, const char *fmt, va_list args) PRINTF_LIKE(3, 0);

#endif
