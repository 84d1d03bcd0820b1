/* A device world: slot 0, the worker, loads and runs the machine. The other slots serve one upcall at each entry. */
#include "user/devices/guest_memory.h"
#include "user/devices/machine.h"
#include "user/devices/upcall.h"
#include "user/lib/log.h"
#include "user/lib/start.h"
#include "user/lib/syscall.h"
#include "user/loader/loader.h"

#include "lib/string.h"

/* The guest did not start: end it. Then park until root takes the world away. */
__attribute__((noreturn)) static void worker_end(enum abi_end reason)
{
    sys_vm_end(reason, 0);
    for (;;)
        sys_park(NEVER);
}

static void worker_boot(const struct abi_info *info)
{
    struct abi_regs bsp;
    int64_t error;

    memset(&bsp, 0, sizeof(bsp));

    error = guest_load(info, &bsp);
    if (error < 0)
        worker_end(ABI_END_LOAD);

    memcpy(world_page()->buffer, &bsp, sizeof(bsp));
    error = sys_boot();
    if (error < 0) {
        world_log("the boot CPU does not start: %s", err_text((int)error));
        worker_end(ABI_END_LOAD);
    }
}

/* noinline, so that code that runs once is not in the path of each upcall. */
__attribute__((noreturn, noinline)) static void worker_main(void)
{
    const struct abi_info *info = world_info();

    machine_init(info, (struct abi_console *)WORLD_CONSOLE_BASE);
    guest_memory_init(info, (uint8_t *)WORLD_RAM_BASE);
    worker_boot(info);

    for (;;)
        sys_park(machine_work());
}

void world_main(unsigned slot)
{
    if (slot == ABI_SLOT_WORKER)
        worker_main();
    upcall_serve(world_page_of(slot), slot);
    sys_reply();
}
