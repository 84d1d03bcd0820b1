/* Static keys: conditions that hardly ever change, as branches that are patched into root's code. */
#ifndef KERNEL_CPU_KEY_H
#define KERNEL_CPU_KEY_H

#include "abi/types.h"

struct key {
    const char *name;
    uint32_t count; /* of reasons; the condition holds while it is not 0 */
};

/* Declares name_on(): does the condition hold? A five-byte NOP while it does not, a jump while it does. */
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

/* Counts one reason more or one less. Where that changes the condition, all CPUs have the new code when this returns.
 * Control's thread, without a lock; one at a time; all CPUs run that ever will. */
void key_increment(struct key *k);
void key_decrement(struct key *k);

void key_init(void);

/* Replaces bytes of root's code. The caller sees to it that no CPU executes them meanwhile, and that each one that may
 * have fetched them serializes before it does (SDM Vol. 3, 8.1.3). */
void code_write(uint64_t at, const uint8_t *bytes, unsigned count);

#endif
