#include "kernel/cpu/apic.h"

#include "kernel/base/asm.h"
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "kernel/base/time.h"
#include "kernel/cpu/trap.h"
#include "kernel/memory/paging.h"

enum { IA32_APIC_BASE = 0x1b, IA32_TSC_DEADLINE = 0x6e0, X2APIC_MSRS = 0x800 };
enum { BASE_X2APIC = 1 << 10, BASE_ENABLE = 1 << 11 };
/* Register offsets of the xAPIC page (SDM Vol. 3, table 11-1); the x2APIC MSR is 0x800 + offset / 16. */
enum {
    ID = 0x20,
    TPR = 0x80,
    EOI = 0xb0,
    SVR = 0xf0,
    ISR = 0x100,
    ICR = 0x300,
    ICR_HIGH = 0x310,
    LVT_TIMER = 0x320,
    LVT_THERMAL = 0x330,
    LVT_PERF = 0x340,
    LVT_LINT0 = 0x350,
    LVT_LINT1 = 0x360,
    LVT_ERROR = 0x370,
    INITIAL = 0x380,
    CURRENT = 0x390,
    DIVIDE = 0x3e0
};
enum {
    LVT_MASKED = 1 << 16,
    LVT_NMI = 4 << 8,
    TIMER_DEADLINE = 2 << 17,
    ICR_PENDING = 1 << 12,
    ICR_ASSERT = 1 << 14,
    ICR_SELF = 1 << 18,
    ICR_OTHERS = 3 << 18,
    DELIVER_NMI = 4 << 8,
    DELIVER_INIT = 5 << 8,
    DELIVER_STARTUP = 6 << 8
};

#define ICR_LOOKS 100000 /* longest wait for the ICR, in looks: an IPI is sent within microseconds */

volatile uint32_t *apic_page; /* NULL: x2APIC mode. kernel/cpu/trap.asm reads it, too */
static bool tsc_deadline;
static uint64_t timer_hz;
static uint64_t timer_per_tick; /* the timer's counts in one TSC tick, times 2^24 */

static uint32_t get(uint32_t reg)
{
    return apic_page ? apic_page[reg / 4] : (uint32_t)rdmsr(X2APIC_MSRS + reg / 16);
}

static void set(uint32_t reg, uint32_t v)
{
    if (apic_page)
        apic_page[reg / 4] = v;
    else
        wrmsr(X2APIC_MSRS + reg / 16, v);
}

static void wait_for_icr(volatile const uint32_t *page)
{
    for (unsigned looks = 0; (page[ICR / 4] & ICR_PENDING) && looks < ICR_LOOKS; looks++)
        cpu_pause();
}

/*
 * In x2APIC mode the write to the ICR does not wait for earlier stores (SDM Vol. 3, 11.12.3). The fences see to it that
 * the target of the IPI sees those stores.
 */
static inline void send(uint32_t destination, uint32_t command)
{
    volatile uint32_t *page = apic_page;

    if (!page) {
        __asm__ volatile("mfence; lfence" ::: "memory");
        wrmsr(X2APIC_MSRS + ICR / 16, (uint64_t)destination << 32 | command);
        return;
    }

    wait_for_icr(page);
    page[ICR_HIGH / 4] = destination << 24;
    page[ICR / 4] = command;
}

static void error_interrupt(void)
{
    set(0x280, 0);
    log_line(LOG_WARNING, "CPU %u: its LAPIC reports error 0x%x", this_cpu()->index, get(0x280));
}

bool apic_init(void)
{
    if (!(cpuid(1, 0).edx >> 9 & 1)) {
        log_line(LOG_ERROR, "this CPU has no local APIC, or the firmware switched it off: enable it in its set-up");
        return false;
    }

    tsc_deadline = cpuid(1, 0).ecx >> 24 & 1;
    irq_register(VECTOR_ERROR, error_interrupt);

    if (cpuid(1, 0).ecx >> 21 & 1)
        return true;

    apic_page = map_device(pa(rdmsr(IA32_APIC_BASE) & 0xffffff000ull), PAGE_SIZE);
    return apic_page;
}

/* Measures the counter's frequency: lets it run for 10 ms, by the TSC. */
static void calibrate(void)
{
    uint64_t begin = tsc_now(), length = tsc_hz() / 100;

    set(LVT_TIMER, LVT_MASKED);
    set(INITIAL, UINT32_MAX);
    while (tsc_now() - begin < length)
        cpu_pause();

    uint64_t counted = UINT32_MAX - get(CURRENT), passed = tsc_now() - begin;
    set(INITIAL, 0);

    timer_hz = counted * 1000 / (passed * 1000 / tsc_hz() ? passed * 1000 / tsc_hz() : 1);
    timer_hz = timer_hz ? timer_hz : 1;
    timer_per_tick = (timer_hz << 24) / tsc_hz();
}

void apic_enable(void)
{
    uint64_t base = rdmsr(IA32_APIC_BASE) | BASE_ENABLE;

    if (!apic_page)
        base |= BASE_X2APIC;
    wrmsr(IA32_APIC_BASE, base);

    set(SVR, 0x100 | VECTOR_SPURIOUS);
    set(TPR, 0);
    set(LVT_THERMAL, LVT_MASKED);
    set(LVT_PERF, LVT_MASKED);
    set(LVT_LINT0, LVT_MASKED);
    set(LVT_LINT1, LVT_NMI);
    set(LVT_ERROR, VECTOR_ERROR);
    set(DIVIDE, 0xb); /* by 1 */

    if (!timer_hz)
        calibrate();

    set(LVT_TIMER, VECTOR_TIMER | (tsc_deadline ? TIMER_DEADLINE : 0));
    __asm__ volatile("mfence" ::: "memory"); /* the mode must be set before the first deadline (SDM Vol. 3, 11.5.4.1) */
}

uint32_t apic_id(void)
{
    return apic_page ? get(ID) >> 24 : get(ID);
}

void apic_eoi(void)
{
    set(EOI, 0);
}

bool apic_in_service(uint8_t vector)
{
    /* Before apic_enable() no vector is in service, and the x2APIC's registers must not be read. */
    if (!apic_page && !(rdmsr(IA32_APIC_BASE) & BASE_X2APIC))
        return false;
    return get(ISR + vector / 32 * 0x10u) >> vector % 32 & 1;
}

void apic_ipi(uint32_t cpu, uint8_t vector)
{
    send(percpu_of(cpu)->apic_id, vector | ICR_ASSERT);
}

/* Leaves ICR_HIGH as it is: the exception may have come in send(), between its writes of ICR_HIGH and ICR. */
void apic_ipi_self(uint8_t vector)
{
    if (!apic_page) {
        send(0, vector | ICR_ASSERT | ICR_SELF);
        return;
    }

    wait_for_icr(apic_page);
    set(ICR, vector | ICR_ASSERT | ICR_SELF);
}

void apic_send_init(uint32_t id)
{
    send(id, DELIVER_INIT | ICR_ASSERT);
}

void apic_send_startup(uint32_t id, uint8_t start_page)
{
    send(id, DELIVER_STARTUP | ICR_ASSERT | start_page);
}

void apic_send_nmi_to_others(void)
{
    send(0, DELIVER_NMI | ICR_ASSERT | ICR_OTHERS);
}

void apic_timer_set(uint64_t deadline)
{
    if (tsc_deadline) {
        /*
         * A deadline of 0 would switch the timer off (SDM Vol. 3, 11.5.4.1). So each deadline is set one tick late. For
         * NEVER, that makes 0.
         */
        wrmsr(IA32_TSC_DEADLINE, deadline + 1);
        return;
    }

    if (deadline == NEVER) {
        set(INITIAL, 0);
        return;
    }

    uint64_t now = tsc_now(), left = deadline > now ? deadline - now : 0;
    /* If more than 1 s is left, the interrupt comes early. That keeps the product small. */
    uint64_t count = (MIN(left, tsc_hz()) * timer_per_tick >> 24) + 1;
    set(INITIAL, (uint32_t)MIN(count, (uint64_t)UINT32_MAX));
}
