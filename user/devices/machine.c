#include "user/devices/machine.h"

#include "user/devices/bus.h"
#include "user/devices/clock.h"
#include "user/devices/console.h"
#include "user/devices/irq.h"
#include "user/devices/pc/acpi_pm.h"
#include "user/devices/pc/i8042.h"
#include "user/devices/pc/misc.h"
#include "user/devices/pc/pit.h"
#include "user/devices/pc/rtc.h"
#include "user/devices/pc/uart.h"
#include "user/devices/pc/vga.h"
#include "user/devices/pci/pci.h"
#include "user/lib/env.h"

/* A value of worker_deadline: no deadline is earlier. */
#define WORKER_AWAKE 0

struct lock machine_lock = LOCK_INIT;

/* The TSC until which the worker sleeps (CLOCK_NEVER: until it is unparked), or WORKER_AWAKE. Under the lock. */
static uint64_t worker_deadline;

void machine_init(const struct abi_info *info, struct abi_console *console)
{
    worker_deadline = WORKER_AWAKE;

    clock_init(info->tsc_hz);
    bus_init();
    irq_init(info->config.lapic);
    console_init(console);
    uart_init();
    pit_init();
    rtc_init(info);
    acpi_pm_init();
    i8042_init();
    pci_init();
    vga_init();
    misc_init(info->config.exit_device);
}

/*
 * Root is told INTR's level under the lock. Without the lock, two threads could tell its levels in the wrong order. The
 * wake-ups come after the release of the lock, because each may cost this thread its CPU.
 */
void machine_leave_due(void)
{
    bool wake = clock_next_deadline() < worker_deadline;
    bool notify = console_take_notify();

    bus_due = false;
    if (wake)
        worker_deadline = WORKER_AWAKE; /* one wake-up is enough: the worker will look again */
    irq_flush();
    lock_release(&machine_lock);

    if (wake)
        env_unpark(ABI_SLOT_WORKER);
    if (notify)
        env_notify();
}

uint64_t machine_work(void)
{
    uint64_t deadline;

    machine_enter(ABI_SLOT_WORKER);

    clock_run(env_now());
    uart_poll();
    deadline = clock_next_deadline();
    worker_deadline = deadline;

    machine_leave();
    return deadline;
}
