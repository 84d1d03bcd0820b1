/* Who called: root is built with frame pointers and carries its own symbol table (tools/symbols). */
#ifndef KERNEL_BASE_BACKTRACE_H
#define KERNEL_BASE_BACKTRACE_H

#include "abi/types.h"

/* The name of the function that address lies in and the distance from its start; "?" outside root's text. */
const char *symbol_of(uint64_t address, uint64_t *offset);

/* One line for each frame, at most 24, through put. Follows only frames that lie in root's mapped stacks. */
void backtrace_log(uint64_t frame, void (*put)(const char *fmt, ...));

#endif
