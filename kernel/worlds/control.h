/* The control world: the ring-3 program that owns the console, and that creates and destroys guests. */
#ifndef KERNEL_WORLDS_CONTROL_H
#define KERNEL_WORLDS_CONTROL_H

#include "kernel/worlds/world.h"

extern struct world *control_world; /* NULL: it does not exist yet */

/*
 * Creates the control world, with every boot module mapped in it, and wakes its thread, whose owner is `owner`. From
 * now on control prints the log. Called once, on the BSP, when all CPUs run. False: no memory.
 */
bool control_start(const struct thread_owner *owner) MUST_CHECK;

/* Wakes control's thread to look for work. Any CPU, any context. Before control_start() it does nothing. */
void control_wake(void);

#endif
