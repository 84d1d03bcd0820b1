/* System calls: abi/abi.h says what each does. */
#ifndef KERNEL_SYSCALLS_SYSCALL_H
#define KERNEL_SYSCALLS_SYSCALL_H

#include "kernel/threads/thread.h"

/* Sets this CPU's MSRs for SYSCALL (SDM Vol. 3, 6.8.8). Called on each CPU. */
void syscall_init_cpu(void);
/* Control's system calls (kernel/syscalls/syscall_control.c). The caller has checked that control may make this one. */
int64_t syscall_control(struct abi_page *page, uint64_t a, uint64_t b, uint64_t c, uint64_t number);

#endif
