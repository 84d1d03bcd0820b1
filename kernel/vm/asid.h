/*
 * Address-space identifiers of one CPU (ASIDs, APM Vol. 2, 15.16; VPIDs, SDM Vol. 3, 29.1), as pure logic. They are
 * handed out in order. When they are used up, a new generation begins, and its first entry flushes all translations of
 * this CPU.
 */
#ifndef KERNEL_VM_ASID_H
#define KERNEL_VM_ASID_H

#include "abi/types.h"

struct asid_pool {
    uint64_t generation;  /* from 1 on */
    uint32_t next, count; /* ASIDs 1..count - 1 are usable */
    bool flush;
};

struct asid { /* of a vCPU */
    uint32_t cpu;
    uint32_t number;
    uint64_t generation; /* 0: none yet */
};

/* count: how many ASIDs the CPU has, number 0 included; at least 2. */
static inline void asid_pool_init(struct asid_pool *p, uint32_t count)
{
    *p = (struct asid_pool){.generation = 1, .next = 1, .count = count, .flush = true};
}

/* Gives the vCPU an ASID, if it has no valid one of this CPU. Called before each entry on that CPU. True: this entry
 * has to flush all translations. */
static inline bool asid_use(struct asid_pool *p, struct asid *a, uint32_t cpu)
{
    if (a->generation != p->generation || a->cpu != cpu) {
        if (p->next == p->count) {
            p->generation++;
            p->next = 1;
            p->flush = true;
        }
        *a = (struct asid){.cpu = cpu, .number = p->next++, .generation = p->generation};
    }

    bool flush = p->flush;
    p->flush = false;
    return flush;
}

#endif
