#include "user/control/os.h"

#include "user/lib/syscall.h"

int64_t os_call(enum abi_syscall number, uint64_t a, uint64_t b, uint64_t c)
{
    return syscall3(number, a, b, c);
}

uint8_t *os_buffer(void)
{
    return world_page()->buffer;
}

uint64_t os_now(void)
{
    return world_tsc();
}

const struct abi_info *os_info(void)
{
    return world_info();
}

struct abi_console *os_console(unsigned vm)
{
    return (struct abi_console *)(WORLD_CONSOLE_BASE + vm * sizeof(struct abi_console));
}

const char *os_module(const struct abi_module *module)
{
    return (const char *)module->address;
}
