/* What CPUID says of a guest's processors: there is one package, and each vCPU is a core of it with its own caches.
 * Pure logic. kernel/vm/topology.c */
#ifndef KERNEL_VM_TOPOLOGY_H
#define KERNEL_VM_TOPOLOGY_H

#include "kernel/base/asm.h"

struct topology {
    uint32_t vcpus; /* how many vCPUs the guest has: 1 or more */
    uint32_t index; /* of this vCPU; this is its APIC id, too */
    bool amd;       /* the host's CPU is one of AMD's, and so is the guest's */
    bool lapic;     /* the vCPU has a LAPIC */
};

/* *r: the host's answer. Changes the topology in leaves 1, 4, 11, 80000001 and 80000008 to what is right for this vCPU.
 * Other leaves stay as they are. */
void topology_fill(const struct topology *t, uint32_t leaf, uint32_t subleaf, struct cpuid *r);

#endif
