/* Ring 3: the way there and back, and what goes wrong there. */
#ifndef KERNEL_WORLDS_USER_H
#define KERNEL_WORLDS_USER_H

#include "kernel/worlds/world.h"

/* To ring 3 and back (kernel/worlds/user.asm): returns what user_leave() gives. */
int64_t user_enter(uint64_t rip, uint64_t rsp, uint64_t arg);
_Noreturn void user_leave(int64_t result);

/* Zeroes [address, address + size) of the calling thread's world, which must be mapped there. */
void user_zero(uint64_t address, uint64_t size);

/* Exceptions in ring 3 come to the world's crashed(), from now on. Once. */
void user_init(void);

#endif
