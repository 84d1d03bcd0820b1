#include "kernel/vm/topology.h"

/* How many bits an id needs if there are n processors. */
static unsigned bits_for(uint32_t n)
{
    unsigned bits = 0;

    while ((1u << bits) < n)
        bits++;
    return bits;
}

/* CPUID 1 (SDM Vol. 2): EBX[23:16] is the number of ids that the package has room for, 255 at most. HTT: that number is
 * valid. */
static void leaf_1(const struct topology *t, struct cpuid *r)
{
    enum { HTT = 1 << 28 };

    r->ebx = (r->ebx & 0xff00) | MIN(1u << bits_for(t->vcpus), 255u) << 16 | (t->index & 0xff) << 24;
    r->edx = (r->edx & ~(uint32_t)HTT) | (t->vcpus > 1 ? HTT : 0);
}

/* CPUID 4: EAX[31:26] is the number of ids for cores, less 1; 63 at most. If there are more cores, leaf 11 tells.
 * EAX[25:14] is 0: no two vCPUs share a cache. */
static void leaf_4(const struct topology *t, struct cpuid *r)
{
    enum { CACHE_TYPE = 0x1f };
    uint32_t cores = MIN((1u << bits_for(t->vcpus)) - 1, 63u);

    r->eax = (r->eax & 0x3fff) | (r->eax & CACHE_TYPE ? cores << 26 : 0);
}

/* CPUID 0Bh. */
static void leaf_11(const struct topology *t, uint32_t subleaf, struct cpuid *r)
{
    enum { SMT = 1, CORE = 2, TYPE_SHIFT = 8 };

    *r = (struct cpuid){0, 0, subleaf & 0xff, t->index};
    if (!t->lapic) {
        *r = (struct cpuid){0, 0, 0, 0};
    } else if (subleaf == 0) {
        r->ebx = 1;
        r->ecx |= SMT << TYPE_SHIFT;
    } else if (subleaf == 1) {
        r->eax = bits_for(t->vcpus);
        r->ebx = t->vcpus & 0xffff;
        r->ecx |= CORE << TYPE_SHIFT;
    }
}

/* On AMD, CMP_LEGACY says that HTT in leaf 1 means cores, not threads (APM Vol. 3, Fn8000_0001_ECX). Intel reserves
 * this bit. */
static void leaf_80000001(const struct topology *t, struct cpuid *r)
{
    enum { CMP_LEGACY = 1 << 1 };

    r->ecx = (r->ecx & ~(uint32_t)CMP_LEGACY) | (t->vcpus > 1 && t->amd ? CMP_LEGACY : 0);
}

/* APM Vol. 3, Fn8000_0008_ECX: the number of cores less 1, 255 at most; and in bits 15:12 how many bits of an id number
 * cores. Intel reserves ECX. */
static void leaf_80000008(const struct topology *t, struct cpuid *r)
{
    r->ecx = t->amd ? bits_for(t->vcpus) << 12 | MIN(t->vcpus - 1, 255u) : 0;
}

void topology_fill(const struct topology *t, uint32_t leaf, uint32_t subleaf, struct cpuid *r)
{
    switch (leaf) {
    case 1:
        leaf_1(t, r);
        return;
    case 4:
        leaf_4(t, r);
        return;
    case 11:
        leaf_11(t, subleaf, r);
        return;
    case 0x80000001:
        leaf_80000001(t, r);
        return;
    case 0x80000008:
        leaf_80000008(t, r);
        return;
    default:
        return;
    }
}
