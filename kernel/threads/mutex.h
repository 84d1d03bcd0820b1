/* A lock that threads sleep for, in the order in which they came; for whoever has to wait while holding it. */
#ifndef KERNEL_THREADS_MUTEX_H
#define KERNEL_THREADS_MUTEX_H

#include "kernel/base/spinlock.h"
#include "kernel/threads/thread.h"

/* All zero: free. */
struct mutex {
    struct spinlock lock;
    struct thread *_Atomic owner;
    struct thread *first, *last; /* who waits, by thread.mutex_next */
};

/* Threads in root, not by one that holds it. What the thread is woken for meanwhile is lost: look again behind it. */
void mutex_lock(struct mutex *m);
/* By its owner. The thread that comes next has to outlive this call. */
void mutex_unlock(struct mutex *m);

#endif
