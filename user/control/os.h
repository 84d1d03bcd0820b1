/*
 * All that the control world asks of the outside; nothing else in user/control makes a system call or touches memory
 * that root mapped. user/control/os.c does it on the target, tests/unit/fake_os.h on the host.
 */
#ifndef USER_CONTROL_OS_H
#define USER_CONTROL_OS_H

#include "abi/abi.h"

/* A system call of abi/abi.h; what it does not take is 0. RESET and HALT do not return on the target. */
int64_t os_call(enum abi_syscall number, uint64_t a, uint64_t b, uint64_t c);

/* The buffer of those calls, ABI_BUFFER_SIZE bytes; each call that answers into it overwrites it. */
uint8_t *os_buffer(void);

/* The host TSC. */
uint64_t os_now(void);

const struct abi_info *os_info(void);

/* The console rings of a VM; mapped from VM_CREATE to VM_DESTROY. */
struct abi_console *os_console(unsigned vm);

/* The content of a boot module. */
const char *os_module(const struct abi_module *module);

/* TSC ticks for milliseconds, and the other way for those and microseconds. */
static inline uint64_t os_ticks(uint64_t ms) { return os_info()->tsc_hz / 1000 * ms; }

static inline uint64_t os_us(uint64_t ticks)
{
    uint64_t ms = os_info()->tsc_hz / 1000;

    return ticks / ms * 1000 + ticks % ms * 1000 / ms;
}

static inline uint64_t os_ms(uint64_t ticks) { return ticks / (os_info()->tsc_hz / 1000); }

#endif
