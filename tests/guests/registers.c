/*
 * Registers that one guest leaves behind must not be seen by another one, nor by a world (docs/security.md).
 *
 *     fill=1     fills all it can reach with a pattern, and goes on doing so while others run on the same CPU
 *     fill=0     looks at all of them when it starts, and again and again: they are as after power-up
 *     probe=N    has its device world do number N of tests/boot/world_probe.asm, if that is in the world
 *
 * `ms=N` says for how long.
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "registers";

#define PATTERN      0xc7
#define AREA_SIZE    4096
#define HEADER       512 /* of the XSAVE area: XSTATE_BV */
#define FCW          0
#define FTW          4
#define FOP          6
#define FIP          8
#define FDP          16
#define MXCSR        24
#define MXCSR_MASK   28
#define REGISTERS    32 /* ST0 to ST7, XMM0 to XMM15 */
#define LEGACY_END   416
#define XCR0_X87_SSE 3
#define XCR0_ALL     0x2e7 /* AVX, AVX-512 and PKRU, too */
#define PKRU         9
#define PKRU_SIZE    4
#define LEAF_TIMING  0x40000010 /* EAX: the TSC's kHz */
#define LEAF_XSAVE   0xd
#define PORT_POST    0x80
#define SETTLING_US  200000
#define CR4_PKE      BIT(22)
#define DR6_RESET    0xffff0ff0
#define DR7_RESET    0x400

struct area {
    uint8_t bytes[AREA_SIZE];
} __attribute__((aligned(64)));

static struct area wanted[2], got[2];
static uint64_t xcr0 = XCR0_X87_SSE;
static bool xsave;

/* What a guest may write without a fault, and reads 0 after power-up. */
static const uint32_t msrs[] = {0x174, 0x175, 0x176, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102};
#define MSR_VALUE 0xc7c4 /* QEMU's SYSENTER_CS has 16 bits */

static void enable(void)
{
    xsave = cpuid(1, 0).ecx & BIT(26);
    if (!xsave)
        return;
    xcr0 = cpuid(LEAF_XSAVE, 0).eax & XCR0_ALL;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    __asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)xcr0), "d"(0));
}

static void load(const struct area *area)
{
    if (xsave)
        __asm__ volatile("xrstor64 %0" : : "m"(*area), "a"(UINT32_MAX), "d"(0));
    else
        __asm__ volatile("fxrstor64 %0" : : "m"(*area));
}

static void store(struct area *area)
{
    if (xsave)
        __asm__ volatile("xsave64 %0" : "+m"(*area) : "a"(UINT32_MAX), "d"(0));
    else
        __asm__ volatile("fxsave64 %0" : "=m"(*area));
}

/* As after power-up, or full. */
static void make(struct area *area, bool full)
{
    uint8_t fill = full ? PATTERN : 0;

    memset(area, 0, sizeof(*area));
    area->bytes[FCW] = full ? 0x7f : 0x40;
    area->bytes[FCW + 1] = full ? 3 : 0;
    area->bytes[FTW] = 0xff;
    area->bytes[FOP] = fill;
    memset(area->bytes + FIP, fill, 4);
    memset(area->bytes + FDP, fill, 4);
    area->bytes[MXCSR] = 0x80;
    area->bytes[MXCSR + 1] = full ? 0x9f : 0x1f;
    memset(area->bytes + REGISTERS, fill, LEGACY_END - REGISTERS);
    memcpy(area->bytes + HEADER, &xcr0, sizeof(xcr0));
    for (uint32_t i = 2; i < 10; i++)
        if (xsave && xcr0 >> i & 1) {
            struct cpuid part = cpuid(LEAF_XSAVE, i);

            memset(area->bytes + part.ebx, fill, i == PKRU ? PKRU_SIZE : part.eax);
        }
}

/* Of an x87 register 10 bytes count. FTW, FOP, FIP and FDP some CPUs keep only while an exception is
 * pending. */
static bool counts(unsigned at, bool full)
{
    if (at >= MXCSR_MASK && at < REGISTERS)
        return false;
    if (at >= REGISTERS && at < REGISTERS + 128)
        return (at - REGISTERS) % 16 < 10;
    return at < FOP || at >= MXCSR ? at < LEGACY_END || at >= HEADER + 64 : !full;
}

static void compare(const struct area *a, const struct area *b, bool full)
{
    for (unsigned i = 0; i < AREA_SIZE; i++)
        if (counts(i, full) && a->bytes[i] != b->bytes[i]) {
            print("registers: CPU %u, byte %u of the XSAVE area\n", cpu_index(), i);
            fail("x87, SSE, AVX, PKRU", a->bytes[i], b->bytes[i]);
        }
}

#define DEBUG_REGISTER(n)                                                                                              \
    static uint64_t read_dr##n(void)                                                                                   \
    {                                                                                                                  \
        uint64_t value;                                                                                                \
        __asm__ volatile("mov %%dr" #n ", %0" : "=r"(value));                                                          \
        return value;                                                                                                  \
    }
DEBUG_REGISTER(0)
DEBUG_REGISTER(1)
DEBUG_REGISTER(2)
DEBUG_REGISTER(3)
DEBUG_REGISTER(6)
DEBUG_REGISTER(7)

static void check_debug(uint64_t value, uint64_t dr6)
{
    check("DR0", value, read_dr0());
    check("DR1", value, read_dr1());
    check("DR2", value, read_dr2());
    check("DR3", value, read_dr3());
    check("CR2", value, read_cr2());
    check("DR6", dr6, read_dr6());
    check("DR7", DR7_RESET, read_dr7());
}

static void check_msrs(uint64_t value)
{
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        uint64_t read = 0;

        check("RDMSR", (uint64_t)NO_TRAP, (uint64_t)try_rdmsr(msrs[i], &read));
        if (read != value)
            print("registers: MSR 0x%x\n", msrs[i]);
        check("MSR", value, read);
    }
}

static void fill_others(void)
{
    uint64_t value = MSR_VALUE;

    __asm__ volatile("mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3; mov %0, %%cr2" : : "r"(value));
    __asm__ volatile("mov %0, %%dr6" : : "r"((uint64_t)DR6_RESET | 1));
    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
        check("WRMSR", (uint64_t)NO_TRAP, (uint64_t)try_wrmsr(msrs[i], value));
}

/* What INIT resets, just before it comes. A breakpoint on the address where no code is. */
static void fill_for_init(void)
{
    __asm__ volatile("mov %0, %%dr7" : : "r"((uint64_t)DR7_RESET | 0x55));
    write_cr0(read_cr0() | CR0_TS);
    lapic_write(APIC_LVTT, LVT_MASKED | TIMER_PERIODIC | PATTERN);
    lapic_write(APIC_TDCR, 0xa);
    lapic_write(APIC_TMICT, UINT32_MAX);
    lapic_write(APIC_LINT1, PATTERN);
    lapic_write(APIC_LDR, (uint32_t)PATTERN << 24);
    lapic_write(APIC_TPR, PATTERN);
}

/* SDM Vol. 3, 11.4.7.3: as after power-up, but for the ID; the guest's frame has enabled it since. */
static void check_lapic(void)
{
    static const struct {
        uint32_t reg, value;
    } reset[] = {{APIC_TPR, 0},
                 {APIC_LDR, 0},
                 {APIC_ESR, 0},
                 {APIC_LVTT, LVT_MASKED},
                 {APIC_LINT0, LVT_MASKED},
                 {APIC_LINT1, LVT_MASKED},
                 {APIC_TMICT, 0},
                 {APIC_TMCCT, 0},
                 {APIC_TDCR, 0}};

    for (unsigned i = 0; i < ARRAY_SIZE(reset); i++) {
        if (lapic_read(reset[i].reg) != reset[i].value)
            print("registers: LAPIC register 0x%x behind INIT\n", reset[i].reg);
        check("LAPIC behind INIT", reset[i].value, lapic_read(reset[i].reg));
    }
    check("APIC ID behind INIT", 1, lapic_id());
}

static void keep(unsigned index)
{
    bool full = guest_option("fill", 0);
    uint64_t end = rdtsc() + tsc_hz() / 1000 * guest_option("ms", 1000);

    enable();
    make(&wanted[index], full);
    if (full) {
        load(&wanted[index]);
        fill_others();
    }
    do {
        store(&got[index]);
        compare(&wanted[index], &got[index], full);
        check_debug(full ? MSR_VALUE : 0, full ? DR6_RESET | 1 : DR6_RESET);
        check_msrs(full ? MSR_VALUE : 0);
        for (unsigned i = 0; i < 100; i++)
            (void)in8(PORT_POST);
    } while (rdtsc() < end);
}

/* Others have the CPU before, and while the world spins. */
static void probe(uint8_t number)
{
    enable();
    delay_us(SETTLING_US);
    out8(PORT_POST, number);
    fail("the device world after its probe", 0, number);
}

static volatile uint32_t through;

static void ap(unsigned index)
{
    keep(index);
    if (guest_option("fill", 0))
        fill_for_init();
    __atomic_add_fetch(&through, 1, __ATOMIC_SEQ_CST);
}

static uint64_t read_xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low | (uint64_t)high << 32;
}

/*
 * What INIT leaves and what it does not (SDM Vol. 3, table 10-1; APM Vol. 2, table 14-1), on an AP that was full. Of
 * CR0 and CR4 the way to here has changed more than INIT; tests/guests/park.c and real.c look at the state at a SIPI.
 */
static void after_init(unsigned index)
{
    (void)index; /* a CPU gets another one each time */
    check_debug(0, DR6_RESET);
    check_msrs(MSR_VALUE);
    check_lapic();
    check("CR4.OSXSAVE behind INIT", 0, read_cr4() & CR4_OSXSAVE);
    check("EFER behind INIT", EFER_LME | EFER_LMA, rdmsr(MSR_EFER));
    if (xsave) {
        write_cr4(read_cr4() | CR4_OSXSAVE);
        check("XCR0 behind INIT", xcr0, read_xcr0());
    }
    store(&got[1]);
    compare(&wanted[1], &got[1], true);
    __atomic_add_fetch(&through, 1, __ATOMIC_SEQ_CST);
}

void guest_main(void)
{
    unsigned cpus;

    tsc_hz_known(1000ull * cpuid(LEAF_TIMING, 0).eax);
    if (guest_option("probe", 0))
        probe((uint8_t)guest_option("probe", 0));
    lapic_init(false);
    cpus = smp_start(ap); /* one AP */
    keep(0);
    if (!wait_for(&through, cpus - 1, 30000))
        fail("APs that are through", cpus - 1, through);
    if (!guest_option("fill", 0) || cpus == 1)
        return;
    smp_start(after_init);
    if (!wait_for(&through, 2, 30000))
        fail("APs that are through behind INIT", 2, through);
}
