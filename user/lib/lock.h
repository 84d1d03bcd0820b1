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

/* All zero: free. */
struct lock {
    uint32_t word;                              /* enum lock_word */
    uint32_t granted;                           /* 1 + the slot that the lock was handed to, 0: none */
    uint64_t waiters[(LOCK_SLOTS + 63) / 64];   /* who must be woken; set by itself, cleared by the waker */
    uint64_t impatient[(LOCK_SLOTS + 63) / 64]; /* of these, who lost the race too often */
    unsigned last;                              /* the slot woken last; owner only */
};

enum lock_word { LOCK_FREE, LOCK_HELD, LOCK_CONTENDED /* held, and perhaps there are waiters */ };

/* Of lock_take and lock_release, where the word is not what it is without contention. */
void lock_take_contended(struct lock *lock, unsigned slot);
void lock_release_contended(struct lock *lock);

/* slot is the caller's own, below LOCK_SLOTS. Not recursive. */
static inline void lock_take(struct lock *lock, unsigned slot)
{
    uint32_t expected = LOCK_FREE;

    if (__builtin_expect(
            !__atomic_compare_exchange_n(&lock->word, &expected, LOCK_HELD, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED),
            false))
        lock_take_contended(lock, slot);
}

static inline void lock_release(struct lock *lock)
{
    uint32_t expected = LOCK_HELD;

    if (__builtin_expect(
            !__atomic_compare_exchange_n(&lock->word, &expected, LOCK_FREE, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED),
            false))
        lock_release_contended(lock);
}

#endif
