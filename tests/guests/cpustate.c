/*
 * What of CPUID and of the MSRs follows the state of the CPU, and what is reserved in them; the TSC, NMIs: as the
 * manuals have it, by vendor (SDM Vol. 2, CPUID, and Vol. 4; APM Vol. 3, appendix E, and Vol. 2, appendix A).
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "cpustate";

#define MSR_TSC_ADJUST      0x3b
#define MSR_MISC_ENABLE     0x1a0
#define MSR_MTRR_BASE0      0x200
#define MSR_MTRR_MASK0      0x201
#define MSR_MTRR_FIX64K     0x250
#define MSR_MTRR_DEF_TYPE   0x2ff
#define MSR_K7_EVNTSEL0     0xc0010000
#define MSR_K7_PERFCTR3     0xc0010007
#define MSR_SYSCFG          0xc0010010
#define MSR_HWCR            0xc0010015
#define MSR_KVM_SYSTEM_TIME 0x4b564d01
#define TIMER_VECTOR        0x40

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

/* ---- CPUID follows */

#define APIC_BIT BIT(9)

static void do_xsetbv(void *argument)
{
    __asm__ volatile("xsetbv" : : "c"((uint32_t)(uintptr_t)argument), "a"(1), "d"(0));
}

static int try_xsetbv(uintptr_t number)
{
    return catch_trap(do_xsetbv, (void *)number);
}

/* Without CR4.OSXSAVE it is #UD, whatever else is wrong; with it, a register that is none is #GP. */
static void xsetbv(void)
{
    if (!(cpuid(1, 0).ecx & BIT(26)))
        return;
    check("OSXSAVE", 0, cpuid(1, 0).ecx & BIT(27));
    check("XSETBV without OSXSAVE", VECTOR_UD, (uint64_t)try_xsetbv(0));
    check("XSETBV of another register without OSXSAVE", VECTOR_UD, (uint64_t)try_xsetbv(1));
    write_cr4(read_cr4() | CR4_OSXSAVE);
    check("OSXSAVE", BIT(27), cpuid(1, 0).ecx & BIT(27));
    check("XSETBV of another register", VECTOR_GP, (uint64_t)try_xsetbv(1));
    check("XSETBV", (uint64_t)NO_TRAP, (uint64_t)try_xsetbv(0));
    write_cr4(read_cr4() & ~CR4_OSXSAVE);
}

static void apic_bit(void)
{
    uint64_t base = rdmsr(MSR_APICBASE);

    for (unsigned i = 0; i < 2; i++) { /* the second time, what was said before might be remembered */
        check("leaf 1 with LAPIC", APIC_BIT, cpuid(1, 0).edx & APIC_BIT);
        check("leaf 80000001 with LAPIC", amd ? APIC_BIT : 0, cpuid(0x80000001, 0).edx & APIC_BIT);
        wrmsr(MSR_APICBASE, base & ~(uint64_t)APICBASE_ENABLE);
        check("leaf 1 without LAPIC", 0, cpuid(1, 0).edx & APIC_BIT);
        check("leaf 80000001 without LAPIC", 0, cpuid(0x80000001, 0).edx & APIC_BIT);
        wrmsr(MSR_APICBASE, base);
    }
}

static void topology(void)
{
    if (amd)
        return;
    check("cores by leaf 4", 1, cpuid(4, 0).eax >> 26); /* room for two */
    check("threads that share a cache", 0, cpuid(4, 0).eax >> 14 & 0xfff);
    check("leaf 80000008 ECX on Intel", 0, cpuid(0x80000008, 0).ecx);
}

/* ---- The TSC, which can be set */

#define SECOND_AHEAD 1000000000000ull /* more than this test lasts */
#define SLACK        1000000000ull

static void check_near(const char *what, uint64_t expected, uint64_t got)
{
    if (got - expected > SLACK)
        fail(what, expected, got);
}

static void tsc(void)
{
    uint64_t adjust = rdmsr(MSR_TSC_ADJUST), ahead = rdtsc() + SECOND_AHEAD;

    check("CPUID's TSC_ADJUST", BIT(1), cpuid(7, 0).ebx & BIT(1));
    check("TSC_ADJUST at first", 0, adjust);
    wrmsr(MSR_TSC, ahead);
    check_near("RDTSC behind WRMSR", ahead, rdtsc());
    check_near("RDMSR behind WRMSR", ahead, rdmsr(MSR_TSC));
    check_near("TSC_ADJUST behind WRMSR of TSC", SECOND_AHEAD - SLACK / 2, rdmsr(MSR_TSC_ADJUST));
    wrmsr(MSR_TSC_ADJUST, 5 * SECOND_AHEAD);
    check("TSC_ADJUST", 5 * SECOND_AHEAD, rdmsr(MSR_TSC_ADJUST));
    check_near("TSC behind TSC_ADJUST", ahead + 4 * SECOND_AHEAD, rdtsc());
    wrmsr(MSR_TSC, 0);
    check_near("TSC from 0 on", 0, rdtsc());
    wrmsr(MSR_TSC_ADJUST, 0);
    check_near("TSC as if nothing had been", ahead - SECOND_AHEAD, rdtsc());
}

static volatile uint32_t ticks;

static void timer_handler(struct trap *t)
{
    (void)t;
    ticks++;
    lapic_eoi();
}

/* A count of the LAPIC's is none of the TSC's; a deadline is. */
static void timer_and_tsc(void)
{
    const uint64_t start = rdtsc();

    trap_set(TIMER_VECTOR, timer_handler);
    lapic_write(APIC_TDCR, TDCR_1);
    lapic_write(APIC_LVTT, TIMER_VECTOR);
    lapic_write(APIC_TMICT, 0xffffffff);
    wrmsr(MSR_TSC_ADJUST, SECOND_AHEAD);
    check_near("the count goes on", 0xffffffff - SLACK, lapic_read(APIC_TMCCT));
    lapic_write(APIC_TMICT, 0);
    check("timer interrupts", 0, ticks);

    lapic_write(APIC_LVTT, TIMER_DEADLINE | TIMER_VECTOR);
    wrmsr(MSR_DEADLINE, start + 2 * SECOND_AHEAD);
    irq_on();
    check("deadline in the TSC", start + 2 * SECOND_AHEAD, rdmsr(MSR_DEADLINE));
    check("no deadline yet", 0, ticks);
    wrmsr(MSR_TSC_ADJUST, 3 * SECOND_AHEAD);
    check("the TSC has jumped over the deadline", true, wait_for(&ticks, 1, 1000));
    irq_off();
    wrmsr(MSR_TSC_ADJUST, 0);
    lapic_write(APIC_LVTT, LVT_MASKED);
}

/* ---- kvmclock goes on, and says that the TSCs differ while they do */

static struct {
    uint32_t version, pad0;
    uint64_t tsc_timestamp, system_time;
    uint32_t mul;
    int8_t shift;
    uint8_t flags, pad[2];
} volatile clock_page __attribute__((aligned(64)));

static uint64_t kvmclock(void)
{
    uint64_t ticks_since = rdtsc() - clock_page.tsc_timestamp;

    ticks_since = clock_page.shift < 0 ? ticks_since >> -clock_page.shift : ticks_since << clock_page.shift;
    return clock_page.system_time + (uint64_t)((unsigned __int128)ticks_since * clock_page.mul >> 32);
}

static void clock_and_tsc(void)
{
    uint64_t before;

    wrmsr(MSR_KVM_SYSTEM_TIME, (uintptr_t)&clock_page | 1);
    check("TSCs are the same", 1, clock_page.flags & 1);
    before = kvmclock();
    wrmsr(MSR_TSC_ADJUST, SECOND_AHEAD);
    check_near("kvmclock while the TSC moves", before, kvmclock());
    check("TSCs differ", 0, clock_page.flags & 1);
    wrmsr(MSR_TSC_ADJUST, 0);
    check_near("kvmclock while the TSC moves back", before, kvmclock());
    check("TSCs are the same again", 1, clock_page.flags & 1);
    wrmsr(MSR_KVM_SYSTEM_TIME, 0);
}

/* ---- NMIs, and INIT */

static volatile uint32_t nmis, ap_tsc_moved, ap_runs;
static volatile uint64_t ap_adjust;

static void nmi_handler(struct trap *t)
{
    (void)t;
    nmis++;
}

static void ap(unsigned index)
{
    (void)index;
    if (!ap_tsc_moved)
        wrmsr(MSR_TSC_ADJUST, 7 * SECOND_AHEAD);
    ap_adjust = rdmsr(MSR_TSC_ADJUST);
    ap_tsc_moved = 1;
    ap_runs++;
    for (;;)
        pause();
}

/* Both CPUs share one: while one sends, the other one does not run. An NMI is in service then, and one behind it. */
static void two_nmis(void)
{
    trap_set(VECTOR_NMI, nmi_handler);
    for (unsigned i = 0; i < 20; i++) {
        nmis = 0;
        lapic_ipi(cpu_apic_id(1), ICR_NMI | ICR_ASSERT);
        lapic_ipi(cpu_apic_id(1), ICR_NMI | ICR_ASSERT);
        check("two NMIs", true, wait_for(&nmis, 2, 2000));
    }
    trap_set(VECTOR_NMI, NULL);
}

static void aps(void)
{
    check("CPUs", 2, smp_start(ap));
    check("the AP runs", true, wait_for(&ap_runs, 1, 2000));
    check("the AP's TSC_ADJUST", 7 * SECOND_AHEAD, ap_adjust);
    check("mine", 0, rdmsr(MSR_TSC_ADJUST));
    two_nmis();
    lapic_ipi(cpu_apic_id(1), ICR_INIT | ICR_ASSERT);
    delay_us(1000);
    lapic_ipi(cpu_apic_id(1), ICR_STARTUP | ICR_ASSERT | AP_CODE >> 12);
    check("the AP runs again", true, wait_for(&ap_runs, 2, 2000));
    check("INIT leaves TSC_ADJUST", 7 * SECOND_AHEAD, ap_adjust);
}

/* ---- What is reserved */

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

static int try_rdpmc(uintptr_t counter)
{
    return catch_trap(do_rdpmc, (void *)counter);
}

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
    lapic_init(x2apic_offered());
    xsetbv();
    topology();
    tsc();
    timer_and_tsc();
    clock_and_tsc();
    memory_types();
    if (amd)
        amd_msrs();
    else
        intel_msrs();
    aps();
    lapic_init(false);
    apic_bit();
}
