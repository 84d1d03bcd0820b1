/* kernel/cpu/key.h without patching code: the count is looked at. */
#ifndef KERNEL_CPU_KEY_H
#define KERNEL_CPU_KEY_H

#include "abi/types.h"

struct key {
    const char *name;
    uint32_t count;
};

#define DECLARE_KEY(key_name)                                                                                          \
    extern struct key key_name;                                                                                        \
    static inline bool key_name##_on(void) { return __atomic_load_n(&key_name.count, __ATOMIC_RELAXED); }

static inline void key_increment(struct key *k) { __atomic_fetch_add(&k->count, 1, __ATOMIC_RELAXED); }

static inline void key_decrement(struct key *k) { __atomic_fetch_sub(&k->count, 1, __ATOMIC_RELAXED); }

#endif
