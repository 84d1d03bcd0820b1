/* The hypervisor's log: lines in a ring, and on the serial port until control takes over. Any CPU, any time. */
#ifndef KERNEL_BASE_LOG_H
#define KERNEL_BASE_LOG_H

#include <stdarg.h>

#include "abi/types.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct abi_log_line;
struct log_budget;

/* One call is one line of root's (no newline in it; control characters become '?'); longer than ABI_LOG_TEXT is cut. */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* What root says about a VM, and the VM can cause: kept in that VM's part of the log, so that it takes no other's
 * place. */
void log_vm_line(uint32_t vm, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * A line of text of a VM's world, length bytes, which may change meanwhile; name is the guest's. False: its budget is
 * used up, and the line is dropped, which the log says.
 */
bool log_world_line(uint32_t vm, const char *name, struct log_budget *budget, enum log_level level, const char *text,
                    uint32_t length);

/* The VM is gone: says how many lines of its world were dropped, if that was not said yet. */
void log_world_end(uint32_t vm, const char *name, const struct log_budget *budget);

/* The oldest line that is kept, of this number or a greater one. False: there is none. */
bool log_read(uint64_t number, struct abi_log_line *line);

/* From now on lines do not go to the serial port: control prints them, from the one with this number on. */
uint64_t log_hand_over(void);

/*
 * For kernel/base/panic.c alone, when no other CPU runs any more. From log_take_over() on lines go to the serial port, which
 * begins a new one. log_last() is log_line() without the lock, which may be held by whoever is in trouble.
 */
void log_take_over(void);
void log_last(const char *fmt, va_list args);

#endif
