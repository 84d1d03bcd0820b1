/* Backtraces: root is built with frame pointers, and its own symbol table is in its image (tools/symbols). */
#ifndef KERNEL_BASE_BACKTRACE_H
#define KERNEL_BASE_BACKTRACE_H

#include "abi/types.h"

/* The name of the function in which address lies, and *offset from its start. "?": address is not in root's text. */
const char *symbol_of(uint64_t address, uint64_t *offset);

/*
 * Logs one line by put() for each frame, from `frame` on, at most 24. Follows only frames that lie in the upper half,
 * are 8-byte aligned and belong to functions of root.
 */
void backtrace_log(uint64_t frame, void (*put)(const char *fmt, ...));

#endif
