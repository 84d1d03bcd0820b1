/* The PC as a whole: its devices under one lock, and its worker thread. */
#ifndef USER_DEVICES_MACHINE_H
#define USER_DEVICES_MACHINE_H

#include "abi/abi.h"
#include "user/devices/bus.h"
#include "user/lib/lock.h"

extern struct lock machine_lock;

/* Build the machine of this guest, in reset state. The worker calls this, once, before any vCPU runs. */
void machine_init(const struct abi_info *info, struct abi_console *console);

/*
 * Take and release the world's lock around calls into the device models. slot: the caller's own. At the release, root,
 * control and the worker are told what they have to know.
 */
static inline void machine_enter(unsigned slot) { lock_take(&machine_lock, slot); }

/* machine_leave() calls this if there is something to tell. */
void machine_leave_due(void);

static inline void machine_leave(void)
{
    if (__builtin_expect(bus_due, false))
        machine_leave_due();
    else
        lock_release(&machine_lock);
}

/*
 * Run the timers that are due, and move the console's bytes. Only the worker calls this, without the lock. Returns the
 * host TSC until which the worker may park (NEVER: for ever). It will be unparked for anything that comes earlier.
 */
uint64_t machine_work(void);

#endif
