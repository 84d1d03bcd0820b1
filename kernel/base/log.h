/*
 * The hypervisor's log. Its lines go to a ring, and to the serial port until control prints them. All functions but
 * log_take_over() and log_last() may be called on any CPU, at any time.
 */
#ifndef KERNEL_BASE_LOG_H
#define KERNEL_BASE_LOG_H

#include <stdarg.h>

#include "abi/types.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct abi_log_line;
struct log_budget;

/*
 * Logs one line of root's own, without a newline. Control characters become '?'. A line longer than ABI_LOG_TEXT bytes
 * is cut.
 */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Logs one line that root says about a VM and that the VM can cause. It is kept in that VM's part of the log, so that
 * it does not take the place of other lines.
 */
void log_vm_line(uint32_t vm, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * Logs one line of a VM's world: length bytes of text, which may change meanwhile. name: the guest's name. False: the
 * world's budget is used up, and the line is dropped. The log says that lines are dropped.
 */
bool log_world_line(uint32_t vm, const char *name, struct log_budget *budget, enum log_level level, const char *text,
                    uint32_t length);

/* The VM is gone. Logs how many lines of its world were dropped, if the log has not said so yet. */
void log_world_end(uint32_t vm, const char *name, const struct log_budget *budget);

/* Copies the oldest line that is kept and whose number is `number` or greater. False: there is none. */
bool log_read(uint64_t number, struct abi_log_line *line);

/* From now on lines do not go to the serial port. Control prints them, from the one with the returned number on. */
uint64_t log_hand_over(void);

/*
 * For kernel/base/panic.c only, when no other CPU runs any more. From log_take_over() on lines go to the serial port
 * again; it begins a new line there. log_last() is log_line() without the lock, which the code that panics may hold.
 */
void log_take_over(void);
void log_last(const char *fmt, va_list args);

#endif
