/*
 * FPU state. Every CPU fills all registers of x87, SSE, AVX and whatever else XCR0 allows with a pattern of its own,
 * does what makes a hypervisor run or switch to something else, and looks at the registers again. Then CR0.TS, EM and
 * #NM. `ms=N` says for how long.
 */
#include "tests/guests/lib/apic.h"

const char guest_name[] = "fpu";

#define AREA_SIZE    4096
#define LEGACY_SIZE  512
#define HEADER_SIZE  64
#define ST_BASE      32 /* of the FXSAVE image: ST0 to ST7, 10 bytes each in 16 */
#define XMM_BASE     160
#define XMM_END      416
#define FCW          0x37f
#define MXCSR        0x1f80
#define MXCSR_OFFSET 24
#define LEAF_XSAVE   0xd
#define XCR0_X87_SSE 3
#define XCR0_AVX     4
#define XCR0_AVX512  0xe0
#define VECTOR_TIMER 0x50
#define HLT_EVERY    16
#define PORT_POST    0x80
#define SPIN_TICKS   200000

#define CR0_MP BIT(1)
#define CR0_EM BIT(2)

struct area {
    uint8_t bytes[AREA_SIZE];
} __attribute__((aligned(64)));

static struct area wanted[MAX_CPUS], got[MAX_CPUS];
static volatile uint32_t done;
static volatile uint64_t rounds;
static bool xsave;
static uint64_t xcr0_all;

static uint64_t xcr0_read(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low | (uint64_t)high << 32;
}

static void xcr0_write(uint64_t value)
{
    __asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
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

static void fill(uint8_t *at, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        at[i] = (uint8_t)(seed >> 24);
    }
}

/* The standard form of the XSAVE area (SDM Vol. 1, 13.4). Any ten bytes are a register of the x87's. */
static void make_pattern(struct area *area, uint64_t xcr0, uint32_t seed)
{
    uint32_t mxcsr = MXCSR;
    uint16_t fcw = FCW;

    memset(area, 0, sizeof(*area));
    memcpy(area->bytes, &fcw, sizeof(fcw));
    area->bytes[4] = 0xff; /* tags: all full */
    memcpy(area->bytes + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
    for (unsigned i = 0; i < 8; i++)
        fill(area->bytes + ST_BASE + (size_t)16 * i, 10, seed + i);
    fill(area->bytes + XMM_BASE, XMM_END - XMM_BASE, seed + 8);
    if (!xsave)
        return;
    memcpy(area->bytes + LEGACY_SIZE, &xcr0, sizeof(xcr0)); /* XSTATE_BV */
    for (uint32_t i = 2; i < 8; i++)
        if (xcr0 >> i & 1) {
            struct cpuid part = cpuid(LEAF_XSAVE, i);

            fill(area->bytes + part.ebx, part.eax, seed + 8 + i);
        }
}

/* The first byte of a component that is not as wanted: its offset, or 0. */
static unsigned differs(const struct area *a, const struct area *b, unsigned from, unsigned size)
{
    for (unsigned i = from; i < from + size; i++)
        if (a->bytes[i] != b->bytes[i])
            return i;
    return 0;
}

static void compare(const char *what, const struct area *a, const struct area *b, unsigned from, unsigned size)
{
    unsigned at = differs(a, b, from, size);

    if (at) {
        print("fpu: CPU %u, byte %u of the XSAVE area\n", cpu_index(), at);
        fail(what, a->bytes[at], b->bytes[at]);
    }
}

static void compare_all(const struct area *a, const struct area *b, uint64_t xcr0)
{
    compare("x87 control", a, b, 0, 2);
    for (unsigned i = 0; i < 8; i++)
        compare("x87 register", a, b, ST_BASE + 16 * i, 10);
    compare("MXCSR", a, b, MXCSR_OFFSET, 4);
    compare("XMM register", a, b, XMM_BASE, XMM_END - XMM_BASE);
    for (uint32_t i = 2; xsave && i < 8; i++)
        if (xcr0 >> i & 1) {
            struct cpuid part = cpuid(LEAF_XSAVE, i);

            compare("extended state", a, b, part.ebx, part.eax);
        }
}

static void on_timer(struct trap *t)
{
    (void)t;
    lapic_eoi();
}

/* Things that leave the guest, and time in which others run. */
static void leave(unsigned round)
{
    cpuid(0, 0);
    out8(PORT_POST, (uint8_t)round);
    (void)in8(PORT_POST);
    (void)rdmsr(MSR_APICBASE);
    for (uint64_t begin = rdtsc(); rdtsc() - begin < SPIN_TICKS;)
        pause();
    if (round % HLT_EVERY == 0) {
        lapic_write(APIC_TMICT, 100000);
        irq_wait();
    }
}

/* Odd CPUs do without AVX: what XCR0 holds is a CPU's own, too. */
static void keep(unsigned index)
{
    uint64_t xcr0 = index % 2 ? XCR0_X87_SSE : xcr0_all, end = rdtsc() + tsc_hz() / 1000 * guest_option("ms", 1000);
    unsigned round = 0;

    if (xsave) {
        write_cr4(read_cr4() | CR4_OSXSAVE);
        xcr0_write(xcr0);
    }
    lapic_write(APIC_TDCR, TDCR_1);
    lapic_write(APIC_LVTT, VECTOR_TIMER);
    do {
        make_pattern(&wanted[index], xcr0, index * 1000 + round);
        memset(&got[index], 0, sizeof(got[index]));
        load(&wanted[index]);
        for (unsigned i = 0; i < 4; i++)
            leave(round * 4 + i);
        store(&got[index]);
        compare_all(&wanted[index], &got[index], xcr0);
        if (xsave)
            check("XCR0", xcr0, xcr0_read());
        round++;
    } while (rdtsc() < end);
    __atomic_add_fetch(&rounds, round, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
}

/* EBX of leaf 0Dh follows XCR0 (SDM Vol. 1, 13.2): 576 bytes without AVX, and 256 more with it. */
static void sizes(void)
{
    struct cpuid avx = cpuid(LEAF_XSAVE, 2);

    xcr0_write(XCR0_X87_SSE);
    check("XSAVE area of x87 and SSE", LEGACY_SIZE + HEADER_SIZE, cpuid(LEAF_XSAVE, 0).ebx);
    if (xcr0_all & XCR0_AVX) {
        xcr0_write(XCR0_X87_SSE | XCR0_AVX);
        check("XSAVE area with AVX", avx.ebx + avx.eax, cpuid(LEAF_XSAVE, 0).ebx);
    }
    xcr0_write(xcr0_all);
}

static void bad_xcr0(void *value)
{
    xcr0_write(*(const uint64_t *)value);
}

/* SDM Vol. 2, XSETBV: without x87, AVX without SSE, a bit that is not offered. */
static void refused(void)
{
    static uint64_t values[] = {0, 2, 5, BIT(63), 0xffffffffffffffff};

    for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
        check("XSETBV of a value that it refuses", VECTOR_GP, (uint64_t)catch_trap(bad_xcr0, &values[i]));
    check("XCR0 behind it", xcr0_all, xcr0_read());
}

static void do_x87(void *unused)
{
    (void)unused;
    __asm__ volatile("fldz; fstp %st(0)");
}

static void do_sse(void *unused)
{
    (void)unused;
    __asm__ volatile("pxor %xmm0, %xmm0");
}

static void do_wait(void *unused)
{
    (void)unused;
    __asm__ volatile("fwait");
}

/* Not XSAVE: that of QEMU does not look at CR0.TS. */
static void do_store(void *unused)
{
    (void)unused;
    __asm__ volatile("fxsave64 %0" : "=m"(got[0]));
}

static volatile uint32_t nm;

static void on_nm(struct trap *t)
{
    (void)t;
    nm++;
    __asm__ volatile("clts");
}

/* SDM Vol. 3, table 2-2. The registers must not change on the way. */
static void task_switched(void)
{
    static void (*const uses[])(void *) = {do_x87, do_sse, do_wait, do_store};
    uint64_t cr0 = read_cr0() | CR0_MP;

    make_pattern(&wanted[0], xcr0_all, 77);
    load(&wanted[0]);
    for (unsigned i = 0; i < ARRAY_SIZE(uses); i++) {
        write_cr0(cr0 | CR0_TS);
        leave(1);
        check("CR0.TS behind exits", CR0_TS, read_cr0() & CR0_TS);
        check("use of the FPU under CR0.TS", VECTOR_NM, (uint64_t)catch_trap(uses[i], NULL));
        __asm__ volatile("clts");
        check("use of the FPU behind CLTS", (uint64_t)NO_TRAP, (uint64_t)catch_trap(uses[i], NULL));
        if (uses[i] == do_sse)
            load(&wanted[0]);
    }
    write_cr0(cr0 & ~CR0_MP & ~CR0_TS);
    load(&wanted[0]);
    write_cr0((cr0 & ~CR0_MP) | CR0_TS);
    check("WAIT under CR0.TS without CR0.MP", (uint64_t)NO_TRAP, (uint64_t)catch_trap(do_wait, NULL));
    trap_set(VECTOR_NM, on_nm);
    do_store(NULL); /* #NM, whose handler clears TS */
    trap_set(VECTOR_NM, NULL);
    check("#NM", 1, nm);
    store(&got[0]);
    compare_all(&wanted[0], &got[0], xcr0_all);
    write_cr0((cr0 & ~CR0_MP) | CR0_EM);
    check("x87 under CR0.EM", VECTOR_NM, (uint64_t)catch_trap(do_x87, NULL));
    check("SSE under CR0.EM", VECTOR_UD, (uint64_t)catch_trap(do_sse, NULL));
    write_cr0(cr0);
}

void guest_main(void)
{
    unsigned cpus;

    tsc_hz();
    trap_set(VECTOR_TIMER, on_timer);
    lapic_init(false);
    xsave = cpuid(1, 0).ecx & BIT(26);
    xcr0_all = XCR0_X87_SSE;
    if (xsave) {
        xcr0_all = cpuid(LEAF_XSAVE, 0).eax & (XCR0_X87_SSE | XCR0_AVX | XCR0_AVX512);
        write_cr4(read_cr4() | CR4_OSXSAVE);
        check("OSXSAVE in CPUID", BIT(27), cpuid(1, 0).ecx & BIT(27));
        sizes();
        refused();
    }
    task_switched();
    cpus = smp_start(keep);
    keep(0);
    if (!wait_for(&done, cpus, 30000))
        fail("CPUs that are through", cpus, done);
    print("fpu: %u CPUs, XCR0 0x%lx, %lu rounds\n", cpus, xcr0_all, rounds);
}
