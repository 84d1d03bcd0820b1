/* What CPUID says of a guest's processors: one package, each vCPU a core of it, with caches of its own. Pure.
 * kernel/vm/topology.c */
#ifndef KERNEL_VM_TOPOLOGY_H
#define KERNEL_VM_TOPOLOGY_H

#include "kernel/base/asm.h"

struct topology {
    uint32_t vcpus; /* 1 and more */
    uint32_t index; /* which is its APIC id */
    bool amd;       /* the guest's CPU, as the host's, is one of AMD's */
    bool lapic;     /* it has one */
};

/* Makes of leaf 1, 4, 11, 80000001 or 80000008, as the host has it, what is right for this vCPU; others stay. */
void topology_fill(const struct topology *t, uint32_t leaf, uint32_t subleaf, struct cpuid *r);

#endif
