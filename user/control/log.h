/*
 * The hypervisor's log as a source of the console. A line of it may begin with its level, "<0>" to "<3>" (enum
 * config_log), which is not shown; one without is CONFIG_LOG_INFO.
 */
#ifndef USER_CONTROL_LOG_H
#define USER_CONTROL_LOG_H

#include "abi/types.h"

struct log {
    uint64_t sequence; /* of the next byte to read; 0: from the start */
    uint8_t level;     /* lines up to this one are shown */
    bool in_line;      /* the line's level is known */
    bool hidden;       /* and it is not to be shown */
    uint8_t mark_length;
    uint8_t mark[3];
};

/* For mux_attach, with a struct log as context: zeroed but for its level. */
uint32_t log_fetch(void *context, uint8_t *bytes, uint32_t max);

#endif
