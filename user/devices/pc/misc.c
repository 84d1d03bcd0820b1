#include "user/devices/pc/misc.h"

#include "user/devices/bus.h"
#include "user/devices/platform.h"
#include "user/lib/env.h"

static uint8_t post_code;

/* Kernels write here to pass a microsecond. The code is not displayed, but it reads back, as on a PC. */
static uint32_t post_read(uint32_t offset, unsigned bytes)
{
    (void)offset;
    (void)bytes;
    return post_code;
}

static void post_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    (void)offset;
    (void)bytes;
    post_code = (uint8_t)value;
}

static uint32_t exit_read(uint32_t offset, unsigned bytes)
{
    (void)offset;
    (void)bytes;
    return UINT32_MAX;
}

static void exit_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    (void)bytes;
    if (offset == 0)
        env_vm_end(ABI_END_EXIT, value);
}

void misc_init(bool exit_device)
{
    static const struct bus_region post = {PLATFORM_POST, 1, 1, post_read, post_write};
    static const struct bus_region exit_region = {PLATFORM_EXIT, 4, 4, exit_read, exit_write};

    post_code = 0;
    bus_add_ports(&post);
    if (exit_device)
        bus_add_ports(&exit_region);
}
