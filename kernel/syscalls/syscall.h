/* System calls: abi/abi.h says what each does. */
#ifndef KERNEL_SYSCALLS_SYSCALL_H
#define KERNEL_SYSCALLS_SYSCALL_H

#include "kernel/threads/thread.h"

/* SYSCALL's MSRs of this CPU (SDM Vol. 3, 6.8.8). */
void syscall_init_cpu(void);
/* kernel/syscalls/syscall_control.c: those of control; the number has been checked. */
int64_t syscall_control(struct abi_page *page, uint64_t a, uint64_t b, uint64_t c, uint64_t number);

#endif
