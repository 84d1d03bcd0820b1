/* A ticket lock, for short critical sections in root. Interrupts are off in root, so no flags have to be saved. */
#ifndef KERNEL_BASE_SPINLOCK_H
#define KERNEL_BASE_SPINLOCK_H

#include <stdatomic.h>

#include "kernel/base/asm.h"

struct spinlock {
    _Atomic uint32_t next, serving;
};

static inline void spin_lock(struct spinlock *l)
{
    uint32_t ticket = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
    while (atomic_load_explicit(&l->serving, memory_order_acquire) != ticket)
        cpu_pause();
}

static inline void spin_unlock(struct spinlock *l)
{
    uint32_t serving = atomic_load_explicit(&l->serving, memory_order_relaxed);
    atomic_store_explicit(&l->serving, serving + 1, memory_order_release);
}

#endif
