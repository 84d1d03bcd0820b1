/* The control world: the ring-3 program that owns the console and the guests' lives. */
#ifndef KERNEL_WORLDS_CONTROL_H
#define KERNEL_WORLDS_CONTROL_H

#include "kernel/worlds/world.h"

extern struct world *control_world; /* NULL: not there yet */

/* Creates it, with every boot module in it, and lets its thread run, which owner looks after. From now on the log is control's to print. False:
 * no memory. Once, on the BSP, when all CPUs run. */
bool control_start(const struct thread_owner *owner) MUST_CHECK;

/* Control's thread has something to look at. Any CPU, any context; nothing before control_start(). */
void control_wake(void);

#endif
