/*
 * Every CPUID leaf and every MSR: each is read, written back and written with all ones. What answers and what faults is
 * the hypervisor's affair; that this CPU and the hypervisor go on is what counts. Prints a sum of both. `step=N`: every
 * Nth MSR only.
 */
#include "tests/guests/lib/apic.h"

#define CPUID_XSAVE  BIT(26)
#define CPUID_XSAVEC BIT(1)
#define XSAVE_LEGACY 576

const char guest_name[] = "cpuidmsr";

#define SUBLEAVES       64
#define LEAVES_BEHIND   16 /* also so many beyond the largest one */
#define BASE_HYPERVISOR 0x40000000u
#define BASE_EXTENDED   0x80000000u

static const struct range {
    uint32_t first, last;
} ranges[] = {
    {0, 0x1fff},
    {0x40000000, 0x40001fff},
    {0x4b564d00, 0x4b564dff}, /* KVM's */
    {0xc0000000, 0xc0001fff},
    {0xc0010000, 0xc0011fff},
};

static unsigned present, faults_read, faults_write;

static unsigned leaves(uint32_t base)
{
    uint32_t max = cpuid(base, 0).eax;
    unsigned n = 0;

    /* What is not a leaf of this range is an answer of another one's. */
    if (max < base || max > base + 0xffff)
        max = base;
    for (uint32_t leaf = base; leaf <= max + LEAVES_BEHIND; leaf++)
        for (uint32_t sub = 0; sub < SUBLEAVES; sub++) {
            struct cpuid a = cpuid(leaf, sub);

            n += (a.eax | a.ebx | a.ecx | a.edx) != 0;
        }
    cpuid(UINT32_MAX, UINT32_MAX);
    cpuid(base + 0xffff, UINT32_MAX);
    return n;
}

/* This CPU's way of life: what all ones would end on any machine is only read and written back. */
static bool vital(uint32_t msr)
{
    return msr == MSR_EFER || msr == MSR_APICBASE;
}

static void one(uint32_t msr)
{
    uint64_t value, again;

    if (try_rdmsr(msr, &value) != NO_TRAP) {
        faults_read++;
        value = 0;
    } else {
        present++;
    }
    faults_write += try_wrmsr(msr, value) != NO_TRAP;
    if (!vital(msr))
        faults_write += try_wrmsr(msr, UINT64_MAX) != NO_TRAP;
    try_wrmsr(msr, value);
    try_rdmsr(msr, &again);
}

/* Reserved bits of those two: a fault (SDM Vol. 3, 11.4.3; APM Vol. 2, 3.1.7), or on some emulators nothing. */
static void reserved(void)
{
    uint64_t efer = rdmsr(MSR_EFER), base = rdmsr(MSR_APICBASE);

    print("cpuidmsr: reserved bits of EFER: %s, of APIC_BASE: %s\n",
          try_wrmsr(MSR_EFER, efer | BIT(63)) == VECTOR_GP ? "#GP" : "none",
          try_wrmsr(MSR_APICBASE, base | BIT(63)) == VECTOR_GP ? "#GP" : "none");
    wrmsr(MSR_EFER, efer);
    wrmsr(MSR_APICBASE, base);
}

static void msrs(const char *mode)
{
    uint32_t step = (uint32_t)guest_option("step", 1);

    present = faults_read = faults_write = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++)
        for (uint32_t msr = ranges[i].first; msr <= ranges[i].last; msr += step)
            one(msr);
    print("cpuidmsr: %s: %u MSRs read, %u refused; %u writes refused\n", mode, present, faults_read, faults_write);
}

/* Leaf 13: the sizes for x87 and SSE alone, which is what XCR0 holds at reset, whether compacted (subleaf 1) or not. */
static void xsave_sizes(void)
{
    if (!(cpuid(1, 0).ecx & CPUID_XSAVE))
        return;
    check("size of the XSAVE area", XSAVE_LEGACY, cpuid(13, 0).ebx);
    if (cpuid(13, 1).eax & CPUID_XSAVEC)
        check("size of the compacted XSAVE area", XSAVE_LEGACY, cpuid(13, 1).ebx);
}

void guest_main(void)
{
    lapic_init(false);
    xsave_sizes();
    print("cpuidmsr: CPUID: %u answers from 0, %u from 0x40000000, %u from 0x80000000\n", leaves(0),
          leaves(BASE_HYPERVISOR), leaves(BASE_EXTENDED));
    msrs("xAPIC");
    reserved();
    if (x2apic_offered()) {
        lapic_init(true);
        msrs("x2APIC");
    }
    lapic_init(false);
}
