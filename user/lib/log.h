/* Lines of a world in the hypervisor's log. */
#ifndef USER_LIB_LOG_H
#define USER_LIB_LOG_H

#include "abi/types.h"

/*
 * One line, without the newline, formatted as lib/format.h says; cut at ABI_BUFFER_SIZE. Overwrites the calling
 * thread's buffer. Any thread of any world.
 */
void world_log(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
