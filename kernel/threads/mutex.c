#include "kernel/threads/mutex.h"

#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"

void mutex_lock(struct mutex *m)
{
    struct thread *t = current_thread();

    ASSERT(atomic_load(&m->owner) != t);

    spin_lock(&m->lock);
    if (!atomic_load(&m->owner)) {
        atomic_store(&m->owner, t);
    } else {
        t->mutex_next = NULL;
        *(m->first ? &m->last->mutex_next : &m->first) = t;
        m->last = t;
    }
    spin_unlock(&m->lock);

    while (atomic_load(&m->owner) != t)
        thread_park();
}

void mutex_unlock(struct mutex *m)
{
    spin_lock(&m->lock);
    struct thread *next = m->first;
    if (next)
        m->first = next->mutex_next;
    atomic_store(&m->owner, next);
    spin_unlock(&m->lock);

    if (next)
        thread_wake(next);
}
