#include "kernel/vm/fpu.h"

#include "kernel/base/asm.h"
#include "kernel/vm/vcpu.h"
#include "lib/string.h"

/* x87, SSE, AVX, AVX-512, PKRU. Guests get those that the CPU has. */
#define XCR0_KNOWN 0x2e7u
enum { CR0_TS = 8 };

static bool have_xsave;
static uint32_t xcr0_mask = 3; /* the low half of XCR0; the upper half has none of the bits of XCR0_KNOWN */
static unsigned area_order;

/* What the registers hold while they are no vCPU's, as an area for XRSTOR or FXRSTOR. XSTATE_BV is 0: every component
 * gets its initial state. MXCSR is loaded from the area all the same (SDM Vol. 1, 13.8.1). FCW is at 0, MXCSR at 24. */
static const uint8_t nobodys[576] __attribute__((aligned(64))) = {[0] = 0x7f, [1] = 3, [24] = 0x80, [25] = 0x1f};

static uint32_t xgetbv0(void)
{
    uint32_t lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo;
}

static void xsetbv0(uint32_t v)
{
    __asm__ volatile("xsetbv" ::"c"(0), "a"(v), "d"(0));
}

/* CR0.TS is set where the registers must not be used: in root, and in ring 3, where their use ends the world. allow()
 * clears CR0.TS, forbid() sets it. */
static void allow(void)
{
    __asm__ volatile("clts" ::: "memory");
}

static void forbid(void)
{
    write_cr0(read_cr0() | CR0_TS);
}

static void restore(const uint8_t *area)
{
    if (have_xsave)
        __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(xcr0_mask), "d"(0) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}

/* Leaves nothing of the last vCPU's state in the registers. CR0.TS alone is not enough, since some CPUs read the
 * registers before they take the #NM (CVE-2018-3665). FNINIT is needed, since some CPUs restore FIP, FDP and FOP only
 * while an exception is pending (CVE-2006-1056). */
static void clear(void)
{
    __asm__ volatile("fninit" ::: "memory");
    restore(nobodys);
}

void fpu_init(void)
{
    have_xsave = cpuid(1, 0).ecx >> 26 & 1;
    if (have_xsave) {
        struct cpuid d = cpuid(13, 0);
        xcr0_mask = d.eax & XCR0_KNOWN;
        xsetbv0(xcr0_mask);
        uint32_t size = cpuid(13, 0).ebx;
        while ((PAGE_SIZE << area_order) < size)
            area_order++;
    }

    allow();
    clear();
    forbid();
}

unsigned fpu_area_order(void)
{
    return area_order;
}

uint64_t fpu_xcr0_mask(void)
{
    return have_xsave ? xcr0_mask : 0;
}

void fpu_reset(uint8_t *area)
{
    /* FXSAVE image: FCW at 0, MXCSR at 24 (SDM Vol. 1, 10.5.1, 13.4.1). */
    memset(area, 0, PAGE_SIZE << area_order);
    area[0] = 0x40;
    area[4] = 0xff; /* no x87 register is empty: FTW is 5555h (SDM Vol. 3, table 10-1) */
    area[24] = 0x80;
    area[25] = 0x1f;
    area[512] = 3; /* XSTATE_BV: x87 and SSE come from the image */
}

static void save(struct vcpu *v)
{
    if (!have_xsave) {
        __asm__ volatile("fxsave64 (%0)" ::"r"(v->fpu) : "memory");
        return;
    }

    /* The guest may have changed XCR0, so it is read from the CPU. */
    v->xcr0 = xgetbv0();
    xsetbv0(xcr0_mask);
    __asm__ volatile("xsave64 (%0)" ::"r"(v->fpu), "a"(xcr0_mask), "d"(0) : "memory");
}

void fpu_switch_out(void)
{
    struct vcpu *v = this_cpu()->fpu_owner;
    if (!v)
        return;

    this_cpu()->fpu_owner = NULL;
    allow();
    save(v);
    clear();
    forbid();
}

void fpu_load(struct vcpu *v)
{
    if (this_cpu()->fpu_owner)
        fpu_switch_out();

    allow();
    restore(v->fpu);
    forbid();
    if (have_xsave)
        xsetbv0((uint32_t)v->xcr0); /* only bits of fpu_xcr0_mask() */
    this_cpu()->fpu_owner = v;
}
