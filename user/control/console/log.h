/* The hypervisor's log as a source of the console: its lines up to a level, in the order of time. */
#ifndef USER_CONTROL_CONSOLE_LOG_H
#define USER_CONTROL_CONSOLE_LOG_H

#include "abi/types.h"

struct log {
    uint64_t next; /* number of the next line to read; 0: from the start */
    uint8_t level; /* lines up to this one (enum config_log) are shown */
    bool behind;   /* the last fetch stopped before the log's end */
};

/*
 * For mux_attach, with a struct log as context: zeroed but for its level. One call reads a bounded number of lines,
 * shown or not; it may give nothing and be behind.
 */
uint32_t log_fetch(void *context, uint8_t *bytes, uint32_t max);

#endif
