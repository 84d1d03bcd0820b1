/* Static keys: conditions that hardly ever change. When one does, the branches on it are patched in root's code. */
#ifndef KERNEL_CPU_KEY_H
#define KERNEL_CPU_KEY_H

#include "abi/types.h"

struct key {
    const char *name;
    uint32_t count; /* how many reasons the condition has; it holds while this is not 0 */
};

/*
 * Declares key_name and key_name_on(), which says whether the condition holds. In the code, that is a five-byte NOP
 * while the condition does not hold, and a jump while it does.
 */
#define DECLARE_KEY(key_name)                                                                                          \
    extern struct key key_name;                                                                                        \
    static inline bool key_name##_on(void)                                                                             \
    {                                                                                                                  \
        __asm__ goto("1: .byte 0x0f, 0x1f, 0x44, 0, 0\n"                                                               \
                     ".pushsection .keys, \"a\"\n"                                                                     \
                     ".quad 1b, %l[on], " #key_name "\n"                                                               \
                     ".popsection" ::                                                                                  \
                         :                                                                                             \
                     : on);                                                                                            \
        return false;                                                                                                  \
    on:                                                                                                                \
        return true;                                                                                                   \
    }

/*
 * Count one reason more, or one less. If that changes the condition, all CPUs execute the new code when the function
 * returns. Called by control's thread, without a lock, one call at a time, when all CPUs run that ever will.
 */
void key_increment(struct key *k);
void key_decrement(struct key *k);

void key_init(void);

/*
 * Replaces bytes of root's code. The caller sees to it that no CPU executes them meanwhile, and that each CPU that may
 * have fetched them executes a serializing instruction before it executes them (SDM Vol. 3, 8.1.3).
 */
void code_write(uint64_t at, const uint8_t *bytes, unsigned count);

#endif
