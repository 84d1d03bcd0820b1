/*
 * A mutex for the threads of one world. Free: one atomic instruction to take it, one to release it. Contended: waiters
 * sleep in PARK, each release wakes one of them, in turn by slot, and a waiter that was woken and lost the race twice
 * is handed the lock, so nobody starves and nobody spins.
 *
 * PARK's permit is shared with whatever else the thread parks for: a caller must take its own wake-ups as hints, as it
 * has to anyway, and look again at what it waits for after it took the lock.
 */
#ifndef USER_LIB_LOCK_H
#define USER_LIB_LOCK_H

#include "abi/abi.h"

#define LOCK_SLOTS ABI_SLOT_VCPU(ABI_MAX_VCPUS)

/* LOCK_INIT: free. */
struct lock {
    int32_t word;                               /* enum lock_word */
    uint32_t granted;                           /* 1 + the slot that the lock was handed to, 0: none */
    uint64_t waiters[(LOCK_SLOTS + 63) / 64];   /* who must be woken; set by itself, cleared by the waker */
    uint64_t impatient[(LOCK_SLOTS + 63) / 64]; /* of these, who lost the race too often */
    unsigned last;                              /* the slot woken last; owner only */
};

/*
 * Who takes the lock counts up, who releases it counts down: one instruction that changes the word and tells whether
 * there is contention. Above LOCK_HELD it is held, and perhaps there are waiters; LOCK_CONTENDED is so far above that
 * all slots together cannot count out of there.
 */
enum lock_word { LOCK_FREE = -1, LOCK_HELD = 0, LOCK_CONTENDED = 0x40000000 };
#define LOCK_INIT                                                                                                      \
    {                                                                                                                  \
        .word = LOCK_FREE                                                                                              \
    }

/* The rest of lock_take and lock_release where there is contention; the lock is still held by whoever held it. */
void lock_take_contended(struct lock *lock, unsigned slot);
void lock_release_contended(struct lock *lock);

/* slot is the caller's own, below LOCK_SLOTS. Not recursive. */
static inline void lock_take(struct lock *lock, unsigned slot)
{
    if (__builtin_expect(__atomic_add_fetch(&lock->word, 1, __ATOMIC_ACQUIRE) != LOCK_HELD, false))
        lock_take_contended(lock, slot);
}

static inline void lock_release(struct lock *lock)
{
    if (__builtin_expect(__atomic_sub_fetch(&lock->word, 1, __ATOMIC_RELEASE) >= LOCK_HELD, false))
        lock_release_contended(lock);
}

#endif
