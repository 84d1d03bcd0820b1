#include "kernel/vm/cpuid.h"

#include "kernel/base/time.h"
#include "kernel/vm/control_registers.h"
#include "kernel/vm/fpu.h"
#include "kernel/vm/topology.h"
#include "kernel/vm/vcpu.h"

enum reg { EAX, EBX, ECX, EDX };
enum { CR4_OSXSAVE = 1 << 18, SVM = 1 << 2 };

/* The feature bits that a guest sees if the CPU has them. Every other bit of these registers reads 0. There is no other
 * such table. */
static const struct feature {
    uint32_t leaf;
    enum reg reg;
    uint32_t offered;
} features[] = {
    /* SSE3 PCLMUL SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
    {1, ECX,
     1u | 1u << 1 | 1u << 9 | 1u << 12 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 22 | 1u << 23 | 1u << 25 | 1u << 26 |
         1u << 28 | 1u << 29 | 1u << 30},
    /* FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2 */
    {1, EDX,
     0xffu | 1u << 8 | 1u << 9 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 15 | 1u << 16 | 1u << 17 | 1u << 19 |
         7u << 23 | 1u << 26},
    /* FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS AVX512F AVX512DQ RDSEED ADX SMAP AVX512IFMA
     * CLFLUSHOPT CLWB AVX512CD SHA AVX512BW AVX512VL */
    {7, EBX,
     1u | 1u << 3 | 1u << 5 | 1u << 7 | 1u << 8 | 1u << 9 | 3u << 16 | 1u << 18 | 1u << 19 | 1u << 20 | 1u << 21 |
         1u << 23 | 1u << 24 | 1u << 28 | 1u << 29 | 3u << 30},
    /* AVX512VBMI UMIP GFNI VAES VPCLMULQDQ */
    {7, ECX, 1u << 1 | 1u << 2 | 1u << 8 | 1u << 9 | 1u << 10},
    {7, EDX, 1u << 4},  /* fast short REP MOV */
    {13, EAX, 1u | 2u}, /* XSAVEOPT, XSAVEC: subleaf 1 */
    /* LAHF ABM SSE4A MISALIGNSSE 3DNOWPREFETCH */
    {0x80000001, ECX, 1u | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8},
    /* The same as in leaf 1, and SYSCALL NX MMXEXT FFXSR PDPE1GB LM */
    {0x80000001, EDX,
     0xffu | 1u << 8 | 1u << 9 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 15 | 1u << 16 | 1u << 17 | 1u << 20 |
         1u << 22 | 1u << 23 | 1u << 24 | 1u << 25 | 1u << 26 | 1u << 29},
    {0x80000008, EBX, 1u | 1u << 9}, /* CLZERO, WBNOINVD */
};

/* Bits of what root provides, whether the CPU has it or not. */
enum {
    APIC = 1u << 9,
    TSC_ADJUST = 1u << 1,
    X2APIC = 1u << 21,
    TSC_DEADLINE = 1u << 24,
    OSXSAVE = 1u << 27,
    HYPERVISOR = 1u << 31
};
/* KVM's interface: CLOCKSOURCE, NOP_IO_DELAY, CLOCKSOURCE2, STEAL_TIME, CLOCKSOURCE_STABLE. */
#define KVM_FEATURES (1u | 1u << 1 | 1u << 3 | 1u << 5 | 1u << 24)

static uint32_t *reg_of(struct cpuid *r, enum reg reg)
{
    return reg == EAX ? &r->eax : reg == EBX ? &r->ebx : reg == ECX ? &r->ecx : &r->edx;
}

static void filter(struct cpuid *r, uint32_t leaf, uint32_t subleaf)
{
    for (unsigned i = 0; i < ARRAY_SIZE(features); i++)
        if (features[i].leaf == leaf && (leaf != 13 || subleaf == 1))
            *reg_of(r, features[i].reg) &= features[i].offered;
}

bool guest_has(uint32_t leaf, unsigned reg, unsigned bit)
{
    if (leaf > cpuid(leaf & 0x80000000, 0).eax) /* Intel's CPUs answer with the data of another leaf then */
        return false;

    struct cpuid r = cpuid(leaf, 0);
    filter(&r, leaf, 0);
    return *reg_of(&r, (enum reg)reg) >> bit & 1;
}

void guest_features(uint32_t words[ABI_FEATURE_WORDS])
{
    static const struct {
        uint32_t leaf, subleaf;
        enum reg reg;
    } where[ABI_FEATURE_WORDS] = {
        [ABI_FEATURES_1_ECX] = {1, 0, ECX},
        [ABI_FEATURES_1_EDX] = {1, 0, EDX},
        [ABI_FEATURES_7_EBX] = {7, 0, EBX},
        [ABI_FEATURES_7_ECX] = {7, 0, ECX},
        [ABI_FEATURES_13_1_EAX] = {13, 1, EAX},
        [ABI_FEATURES_80000001_ECX] = {0x80000001, 0, ECX},
        [ABI_FEATURES_80000008_EBX] = {0x80000008, 0, EBX},
    };

    for (unsigned i = 0; i < ABI_FEATURE_WORDS; i++) {
        struct cpuid r = {0, 0, 0, 0};

        if (where[i].leaf <= cpuid(where[i].leaf & 0x80000000, 0).eax)
            r = cpuid(where[i].leaf, where[i].subleaf);
        filter(&r, where[i].leaf, where[i].subleaf);
        words[i] = *reg_of(&r, where[i].reg);
    }
}

/* This is called for each write of CR4 and EFER that exits. CPUID is slow if root itself runs under a hypervisor, so
 * the CPU is asked once and *known keeps the bits, which are not 0. Several CPUs may ask at the same time: all of them
 * get the same bits. */
static uint64_t ask_once(uint64_t *known, uint64_t (*ask)(feature_visible *has))
{
    uint64_t bits = __atomic_load_n(known, __ATOMIC_RELAXED);

    if (!bits) {
        bits = ask(guest_has);
        __atomic_store_n(known, bits, __ATOMIC_RELAXED);
    }
    return bits;
}

uint64_t guest_cr4_bits(void)
{
    static uint64_t known;
    return ask_once(&known, cr4_bits_of);
}

uint64_t guest_efer_bits(void)
{
    static uint64_t known;
    return ask_once(&known, efer_bits_of);
}

bool guest_has_tsc_adjust(void)
{
    return cpuid(0, 0).eax >= 7;
}

static struct topology topology_of(const struct vcpu *v)
{
    return (struct topology){.vcpus = v->vm->config.vcpus,
                             .index = v->index,
                             .amd = cpuid(0x80000001, 0).ecx & SVM, /* a bit that Intel reserves */
                             .lapic = vcpu_has_lapic(v)};
}

/* The APIC bit in EDX of leaf 1, and on AMD of leaf 80000001. It is IA32_APIC_BASE.EN (SDM Vol. 3, 11.4.3; APM Vol. 2,
 * 16.3.2). */
static uint32_t apic_bit(const struct vcpu *v)
{
    return vcpu_has_lapic(v) && lapic_mode(v->lapic) >= LAPIC_XAPIC ? APIC : 0;
}

static struct cpuid leaf_1(struct vcpu *v, struct cpuid r)
{
    r.edx = (r.edx & ~(uint32_t)APIC) | apic_bit(v);
    r.ecx |= HYPERVISOR | (backend->get_cr4(v) & CR4_OSXSAVE ? OSXSAVE : 0);
    if (vcpu_has_lapic(v))
        r.ecx |= X2APIC | TSC_DEADLINE;
    return r;
}

/* Bytes of an XSAVE area with the components of xcr0, in the standard or the compacted format (SDM Vol. 1, 13.4.2 and
 * 13.4.3). */
static uint32_t xsave_size(uint64_t xcr0, bool compacted)
{
    enum { LEGACY_AND_HEADER = 576, ALIGNED = 2 };
    uint32_t size = LEGACY_AND_HEADER;

    for (uint32_t i = 2; i < 63; i++) {
        if (!(xcr0 >> i & 1))
            continue;

        struct cpuid part = cpuid(13, i);
        uint32_t begin = part.ecx & ALIGNED ? (uint32_t)ALIGN_UP(size, 64) : size;
        size = compacted ? begin + part.eax : MAX(size, part.ebx + part.eax);
    }
    return size;
}

/* Leaf 13. The sizes are those for the guest's XCR0, not for the XCR0 of the CPU now. */
static struct cpuid xsave_area(const struct vcpu *v, uint32_t subleaf, struct cpuid r)
{
    uint64_t mask = fpu_xcr0_mask();

    if (subleaf == 0) {
        r.eax = (uint32_t)mask;
        r.edx = (uint32_t)(mask >> 32);
        r.ebx = xsave_size(v->xcr0, false);
        r.ecx = xsave_size(mask, false);
    } else if (subleaf == 1) {
        r.ebx = xsave_size(v->xcr0, true);
        r.ecx = r.edx = 0;
    } else if (subleaf > 62 || !(mask >> subleaf & 1)) {
        r = (struct cpuid){0, 0, 0, 0};
    }
    return r;
}

static struct cpuid hypervisor_leaf(uint32_t leaf)
{
    uint32_t khz = (uint32_t)(tsc_hz() / 1000);

    switch (leaf) {
    case 0x40000000:
        return (struct cpuid){0x40000010, 0x4b4d564b, 0x564b4d56, 0x4d}; /* KVMKVMKVM */
    case 0x40000001:
        return (struct cpuid){KVM_FEATURES, 0, 0, 0};
    case 0x40000010: /* the frequencies of the TSC and of the APIC timer, in kHz: they are the same */
        return (struct cpuid){khz, khz, 0, 0};
    default:
        return (struct cpuid){0, 0, 0, 0};
    }
}

static struct cpuid answer(struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
    const struct cpuid none = {0, 0, 0, 0};

    if (leaf >> 16 == 0x4000)
        return hypervisor_leaf(leaf);
    uint32_t max = cpuid(leaf & 0x80000000, 0).eax;
    max = leaf & 0x80000000 ? MIN(max, 0x80000008u) : MIN(max, 13u);
    if (leaf > max)
        return none;

    struct cpuid r = cpuid(leaf, subleaf);
    filter(&r, leaf, subleaf);
    struct topology t = topology_of(v);
    topology_fill(&t, leaf, subleaf, &r);

    switch (leaf) {
    case 0:
    case 0x80000000:
        r.eax = max;
        return r;
    case 1:
        return leaf_1(v, r);
    case 2:
    case 4:
    case 11:
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
    case 0x80000005:
    case 0x80000006:
        return r;
    case 7:
        if (subleaf)
            return none;
        r.eax = 0;
        r.ebx |= TSC_ADJUST;
        return r;
    case 13:
        return fpu_xcr0_mask() ? xsave_area(v, subleaf, r) : none;
    case 0x80000001:
        r.ebx = 0;
        r.edx &= ~(uint32_t)APIC | apic_bit(v);
        return r;
    case 0x80000008:
        r.eax &= 0xffff;
        r.edx = 0;
        return r;
    default: /* MONITOR, power, performance counters, ... */
        return none;
    }
}

/* Does the answer change with the vCPU's state? Such an answer must not be kept. */
static bool is_live(uint32_t leaf)
{
    return leaf == 1 || leaf == 13 || leaf == 0x80000001;
}

/*
 * Keeps the answer in e. The answer of a live leaf gets a key that belongs to another entry, so it is not found again.
 * The key of an empty entry is 0, that of leaf 0xffffffff, subleaf 0xffffffff. The answer for these is all 0, as in an
 * empty entry.
 */
static __attribute__((noinline)) const struct cpuid_entry *fill(struct vcpu *v, struct cpuid_entry *e, uint32_t leaf,
                                                                uint32_t subleaf, uint64_t key)
{
    struct cpuid r = answer(v, leaf, subleaf);

    *e = (struct cpuid_entry){is_live(leaf) ? key ^ 1 : key, r.eax, r.ebx, r.ecx, r.edx};
    return e;
}

const struct cpuid_entry *guest_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
    uint64_t key = ~(leaf | (uint64_t)subleaf << 32);
    struct cpuid_entry *e = &v->cpuid[(leaf ^ subleaf) % VCPU_CPUID_ENTRIES];

    return e->key == key ? e : fill(v, e, leaf, subleaf, key);
}
