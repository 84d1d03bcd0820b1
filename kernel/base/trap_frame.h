/* The registers that the entry stub of an exception and the CPU push (kernel/cpu/trap.asm). */
#ifndef KERNEL_BASE_TRAP_FRAME_H
#define KERNEL_BASE_TRAP_FRAME_H

#include "abi/types.h"

struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error_code; /* NO_ERROR_CODE: the exception has an error code, but the CPU has pushed none */
    uint64_t rip, cs, rflags, rsp, ss;
};

#define NO_ERROR_CODE UINT64_MAX

static inline bool trap_from_user(const struct trap_frame *f) { return f->cs & 3; }

#endif
