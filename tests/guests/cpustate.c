/*
 * What of CPUID and of the MSRs follows the state of the CPU, and what is reserved in them: as the manuals have it, by
 * vendor (SDM Vol. 2, CPUID, and Vol. 4; APM Vol. 3, appendix E, and Vol. 2, appendix A).
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "cpustate";

#define MSR_MISC_ENABLE   0x1a0
#define MSR_MTRR_BASE0    0x200
#define MSR_MTRR_MASK0    0x201
#define MSR_MTRR_FIX64K   0x250
#define MSR_MTRR_DEF_TYPE 0x2ff
#define MSR_K7_EVNTSEL0   0xc0010000
#define MSR_K7_PERFCTR3   0xc0010007
#define MSR_SYSCFG        0xc0010010
#define MSR_HWCR          0xc0010015

static bool amd;

static void check_write(const char *what, int expected, uint32_t msr, uint64_t value)
{
    int got = try_wrmsr(msr, value);
    uint64_t again;

    if (got != expected)
        print("cpustate: WRMSR of 0x%lx to 0x%x\n", value, msr);
    check(what, (uint64_t)expected, (uint64_t)got);
    if (expected != NO_TRAP)
        return;
    check(what, (uint64_t)NO_TRAP, (uint64_t)try_rdmsr(msr, &again));
    check(what, value, again);
}

static void memory_types(void)
{
    uint64_t physical = cpuid(0x80000008, 0).eax & 0xff;

    check_write("MTRR base", NO_TRAP, MSR_MTRR_BASE0, 0xc0000006);
    check_write("MTRR base of a reserved type", VECTOR_GP, MSR_MTRR_BASE0, 2);
    check_write("MTRR base with a reserved bit", VECTOR_GP, MSR_MTRR_BASE0, 0x106);
    check_write("MTRR base beyond MAXPHYADDR", VECTOR_GP, MSR_MTRR_BASE0, BIT(physical));
    check_write("MTRR mask", NO_TRAP, MSR_MTRR_MASK0, (BIT(physical) - BIT(20)) | BIT(11));
    check_write("MTRR mask with a reserved bit", VECTOR_GP, MSR_MTRR_MASK0, 1);
    check_write("MTRR mask, off", NO_TRAP, MSR_MTRR_MASK0, 0);
    check_write("fixed MTRR", NO_TRAP, MSR_MTRR_FIX64K, 0x0606060606060605);
    check_write("fixed MTRR of a reserved type", VECTOR_GP, MSR_MTRR_FIX64K, 0x0606060306060606);
    check_write("default type", NO_TRAP, MSR_MTRR_DEF_TYPE, 0xc06);
    check_write("default type, reserved", VECTOR_GP, MSR_MTRR_DEF_TYPE, 0xc07);
    check_write("default type with a reserved bit", VECTOR_GP, MSR_MTRR_DEF_TYPE, 0x1c06);
}

static void do_rdpmc(void *argument)
{
    uint32_t low, high;

    __asm__ volatile("rdpmc" : "=a"(low), "=d"(high) : "c"((uint32_t)(uintptr_t)argument));
    check("counter by RDPMC", 0x123456789abc, low | (uint64_t)high << 32);
}

static int try_rdpmc(uintptr_t counter) { return catch_trap(do_rdpmc, (void *)counter); }

static void amd_msrs(void)
{
    uint64_t value;

    check("MISC_ENABLE, which is Intel's", VECTOR_GP, (uint64_t)try_rdmsr(MSR_MISC_ENABLE, &value));
    for (uint32_t msr = MSR_K7_EVNTSEL0; msr <= MSR_K7_PERFCTR3; msr++)
        check_write("K7 performance counter", NO_TRAP, msr, 0x530076);
    wrmsr(MSR_K7_EVNTSEL0, UINT64_MAX);
    check("reserved bits of an event select", 0xfffd7ffff, rdmsr(MSR_K7_EVNTSEL0));
    wrmsr(MSR_K7_EVNTSEL0, 0);
    wrmsr(MSR_K7_PERFCTR3, 0xffff123456789abc);
    check("48 bits of a counter", 0x123456789abc, rdmsr(MSR_K7_PERFCTR3));
    check("RDPMC", (uint64_t)NO_TRAP, (uint64_t)try_rdpmc(3));
    check("RDPMC of no counter", VECTOR_GP, (uint64_t)try_rdpmc(4));
    check_write("SYSCFG", NO_TRAP, MSR_SYSCFG, BIT(20));
    check_write("SYSCFG with a reserved bit", VECTOR_GP, MSR_SYSCFG, BIT(23));
    check_write("HWCR", NO_TRAP, MSR_HWCR, BIT(18));
    check_write("HWCR with a reserved bit", VECTOR_GP, MSR_HWCR, BIT(17));
    check_write("HWCR", NO_TRAP, MSR_HWCR, 0);
    check_write("SYSCFG", NO_TRAP, MSR_SYSCFG, 0);
}

static void intel_msrs(void)
{
    uint64_t value;

    check("K7 counters on Intel", VECTOR_GP, (uint64_t)try_rdmsr(MSR_K7_EVNTSEL0, &value));
    check("SYSCFG on Intel", VECTOR_GP, (uint64_t)try_rdmsr(MSR_SYSCFG, &value));
    check("RDPMC without counters", VECTOR_GP, (uint64_t)try_rdpmc(0));
    value = rdmsr(MSR_MISC_ENABLE);
    check_write("MISC_ENABLE", NO_TRAP, MSR_MISC_ENABLE, value ^ 1);
    check_write("MISC_ENABLE", NO_TRAP, MSR_MISC_ENABLE, value);
    check_write("MISC_ENABLE with MONITOR, which is not offered", VECTOR_GP, MSR_MISC_ENABLE, value | BIT(18));
    check_write("MISC_ENABLE with a reserved bit", VECTOR_GP, MSR_MISC_ENABLE, value | BIT(63));
}

void guest_main(void)
{
    amd = cpuid(0, 0).ecx != 0x6c65746e; /* GenuineI-ntel */
    memory_types();
    if (amd)
        amd_msrs();
    else
        intel_msrs();
}
