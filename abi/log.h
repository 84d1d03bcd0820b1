/* Lines of the hypervisor's log, as control reads them. */
#ifndef ABI_LOG_H
#define ABI_LOG_H

#include "abi/types.h"

/*
 * LOG_READ: a line of the log. Lines are numbered from 0 in the order of time. If the answer's number is greater than
 * the number that was asked for, the lines between are gone.
 */
#define ABI_LOG_TEXT 240
struct abi_log_line {
    uint64_t number;
    uint8_t level; /* 0 error, 1 warning, 2 info, 3 debug */
    uint8_t length;
    char text[246]; /* printable; at most ABI_LOG_TEXT bytes are used */
};
static_assert(sizeof(struct abi_log_line) == 256, "no room between lines");

#endif
