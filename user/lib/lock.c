#include "user/lib/lock.h"

#include "user/lib/env.h"

#define LOCK_PATIENCE 2

static_assert(LOCK_SLOTS <= 256, "four words of slots");

static bool slot_test(const uint64_t *set, unsigned slot)
{
    return __atomic_load_n(&set[slot / 64], __ATOMIC_SEQ_CST) & BIT(slot % 64);
}

static void slot_set(uint64_t *set, unsigned slot)
{
    __atomic_fetch_or(&set[slot / 64], BIT(slot % 64), __ATOMIC_SEQ_CST);
}

/* Was it set? */
static bool slot_clear(uint64_t *set, unsigned slot)
{
    return __atomic_fetch_and(&set[slot / 64], ~BIT(slot % 64), __ATOMIC_SEQ_CST) & BIT(slot % 64);
}

/* The first slot of the set after `after`, around the end; -1: it is empty. */
static int slot_next(const uint64_t *set, unsigned after)
{
    unsigned words = ARRAY_SIZE(((struct lock *)0)->waiters);
    unsigned start = after + 1;

    for (unsigned i = 0; i <= words; i++) {
        unsigned word = (start / 64 + i) % words;
        uint64_t bits = __atomic_load_n(&set[word], __ATOMIC_SEQ_CST);

        if (i == 0)
            bits &= ~0ull << start % 64;
        if (bits)
            return (int)(word * 64 + (unsigned)__builtin_ctzll(bits));
    }
    return -1;
}

static bool is_granted(const struct lock *lock, unsigned slot)
{
    return __atomic_load_n(&lock->granted, __ATOMIC_ACQUIRE) == slot + 1;
}

void lock_take_contended(struct lock *lock, unsigned slot)
{
    for (unsigned tries = 0;; tries++) {
        if (tries >= LOCK_PATIENCE)
            slot_set(lock->impatient, slot);
        /* The bit before the look at the word; lock_release frees the word before it looks at the bits. */
        slot_set(lock->waiters, slot);
        if (__atomic_exchange_n(&lock->word, LOCK_CONTENDED, __ATOMIC_SEQ_CST) == LOCK_FREE)
            break;
        /*
         * Asleep until a waker took the bit. A grant comes after that and before its wake-up, so it has to be looked
         * for at every turn: a sleep that ends early may have set the bit again in between.
         */
        do
            env_park(NEVER);
        while (!is_granted(lock, slot) && slot_test(lock->waiters, slot));
        if (is_granted(lock, slot))
            break;
    }
    __atomic_store_n(&lock->granted, 0, __ATOMIC_RELAXED);
    slot_clear(lock->waiters, slot);
    slot_clear(lock->impatient, slot);
}

void lock_release_contended(struct lock *lock)
{
    unsigned after = lock->last;
    int slot;

    slot = slot_next(lock->impatient, after);
    if (slot >= 0 && slot_clear(lock->waiters, (unsigned)slot)) {
        lock->last = (unsigned)slot;
        /* The new owner has to look at who waits, whatever the count says. */
        __atomic_store_n(&lock->word, LOCK_CONTENDED, __ATOMIC_RELAXED);
        __atomic_store_n(&lock->granted, (uint32_t)slot + 1, __ATOMIC_RELEASE);
        env_unpark((unsigned)slot);
        return;
    }
    slot = slot_next(lock->waiters, after);
    if (slot >= 0)
        lock->last = (unsigned)slot;
    __atomic_store_n(&lock->word, LOCK_FREE, __ATOMIC_SEQ_CST);

    while ((slot = slot_next(lock->waiters, after)) >= 0)
        if (slot_clear(lock->waiters, (unsigned)slot)) {
            env_unpark((unsigned)slot);
            return;
        }
}
