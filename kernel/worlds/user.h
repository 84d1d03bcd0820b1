/* Ring 3: how a thread goes there and comes back, and exceptions there. */
#ifndef KERNEL_WORLDS_USER_H
#define KERNEL_WORLDS_USER_H

#include "kernel/worlds/world.h"

/*
 * The calling thread goes to ring 3, with `arg` in RDI (kernel/worlds/user.asm). Returns the result of user_leave(), or
 * OK: the vCPU's thread has called SYS_REPLY.
 */
int64_t user_enter(uint64_t rip, uint64_t rsp, uint64_t arg);
/* Makes the calling thread's user_enter() return `result`. */
_Noreturn void user_leave(int64_t result);

/* Zeroes [address, address + size) in the calling thread's world. These pages must be mapped there. */
void user_zero(uint64_t address, uint64_t size);

/* From now on an exception in ring 3 calls the world's crashed(). Called once. */
void user_init(void);

#endif
