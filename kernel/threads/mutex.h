/*
 * A lock that threads sleep for. They get it in the order in which they came. For code that has to wait while it holds
 * the lock.
 */
#ifndef KERNEL_THREADS_MUTEX_H
#define KERNEL_THREADS_MUTEX_H

#include "kernel/base/spinlock.h"
#include "kernel/threads/thread.h"

/* All zero: nobody holds it. */
struct mutex {
    struct spinlock lock;
    struct thread *_Atomic owner;
    struct thread *first, *last; /* threads that wait, linked by thread.mutex_next; under `lock` */
};

/*
 * Called by threads in root, but not by the owner. If the thread is woken for something else while it waits, that
 * wake-up is lost: after this call, look again for what the thread is woken for.
 */
void mutex_lock(struct mutex *m);
/* Called by the owner. The thread that gets the lock next must exist until this call has returned. */
void mutex_unlock(struct mutex *m);

#endif
