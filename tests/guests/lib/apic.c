#include "tests/guests/lib/apic.h"

#define X2APIC_MSR(reg) (0x800 + ((reg) >> 4))
#define IOREGSEL        0x00
#define IOWIN           0x10
#define IOREDTBL        0x10
#define LEAF_TOPOLOGY   0xb
#define LEVEL_CORE      2

extern volatile uint32_t ap_ticket;
extern uint64_t ap_began[MAX_CPUS];
extern const char ap_code[], ap_code_end[];

void ap_start(unsigned index);

static bool x2apic; /* the mode of all CPUs */
static ap_function *function;
static uint32_t ids[MAX_CPUS];
static volatile uint32_t started;

static volatile uint32_t *page(uint32_t reg)
{
    return (volatile uint32_t *)(LAPIC_BASE + reg);
}

bool lapic_offered(void)
{
    return cpuid(1, 0).edx & BIT(9);
}

bool x2apic_offered(void)
{
    return cpuid(1, 0).ecx & BIT(21);
}

/* From x2APIC mode to xAPIC mode the way leads over "disabled" (SDM Vol. 3, 11.12.5). */
void lapic_init(bool want_x2apic)
{
    uint64_t base = rdmsr(MSR_APICBASE) & ~(uint64_t)(APICBASE_ENABLE | APICBASE_X2APIC);
    uint64_t is = rdmsr(MSR_APICBASE);

    if (!want_x2apic && (is & APICBASE_X2APIC))
        wrmsr(MSR_APICBASE, base);
    if (!want_x2apic || !(is & APICBASE_X2APIC)) /* an INIT leaves a CPU in x2APIC mode */
        wrmsr(MSR_APICBASE, base | APICBASE_ENABLE);
    if (want_x2apic)
        wrmsr(MSR_APICBASE, base | APICBASE_ENABLE | APICBASE_X2APIC);
    if (cpu_index() == 0)
        x2apic = want_x2apic;
    lapic_write(APIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
    lapic_write(APIC_TPR, 0);
}

uint32_t lapic_read(uint32_t reg)
{
    return x2apic ? (uint32_t)rdmsr(X2APIC_MSR(reg)) : *page(reg);
}

void lapic_write(uint32_t reg, uint32_t value)
{
    if (x2apic)
        wrmsr(X2APIC_MSR(reg), value);
    else
        *page(reg) = value;
}

uint32_t lapic_id(void)
{
    return x2apic ? lapic_read(APIC_ID) : lapic_read(APIC_ID) >> 24;
}

void lapic_eoi(void)
{
    lapic_write(APIC_EOI, 0);
}

bool lapic_bit(uint32_t reg, uint8_t vector)
{
    return lapic_read(reg + vector / 32 * 16) >> vector % 32 & 1;
}

void lapic_ipi(uint32_t destination, uint32_t low)
{
    if (x2apic) {
        __asm__ volatile("mfence" : : : "memory"); /* such a WRMSR is not serializing (SDM Vol. 3, 11.12.3) */
        wrmsr(X2APIC_MSR(APIC_ICR), (uint64_t)destination << 32 | low);
        return;
    }
    *page(APIC_ICR2) = destination << 24;
    *page(APIC_ICR) = low;
    while (*page(APIC_ICR) & ICR_BUSY)
        pause();
}

static volatile uint32_t *ioapic(uint32_t reg)
{
    return (volatile uint32_t *)(IOAPIC_BASE + reg);
}

uint32_t ioapic_read(uint8_t reg)
{
    *ioapic(IOREGSEL) = reg;
    return *ioapic(IOWIN);
}

void ioapic_write(uint8_t reg, uint32_t value)
{
    *ioapic(IOREGSEL) = reg;
    *ioapic(IOWIN) = value;
}

/* Masked while it is half written. */
void ioapic_entry(unsigned n, uint64_t value)
{
    uint8_t reg = (uint8_t)(IOREDTBL + 2 * n);

    ioapic_write(reg, LVT_MASKED);
    ioapic_write(reg + 1, (uint32_t)(value >> 32));
    ioapic_write(reg, (uint32_t)value);
}

void ap_start(unsigned index)
{
    trap_init(index);
    lapic_init(x2apic);
    ids[index] = lapic_id();
    __atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
    function(index);
}

/* What CPUID says; 0: nothing (SDM Vol. 2, CPUID leaf 0Bh: EBX of the core level). */
static unsigned cpus_by_cpuid(void)
{
    if (cpuid(0, 0).eax < LEAF_TOPOLOGY)
        return 0;
    for (uint32_t level = 0;; level++) {
        struct cpuid r = cpuid(LEAF_TOPOLOGY, level);

        if (!(r.ecx >> 8 & 0xff))
            return 0;
        if ((r.ecx >> 8 & 0xff) == LEVEL_CORE)
            return r.ebx & 0xffff;
    }
}

void smp_prepare(ap_function *f)
{
    function = f;
    ids[0] = lapic_id();
    memcpy((void *)(uintptr_t)AP_CODE, ap_code, (size_t)(ap_code_end - ap_code));
}

const volatile uint32_t *smp_started(void)
{
    return &started;
}

/* SDM Vol. 3, 9.4.4.1: INIT, 10 ms, SIPI, 200 us, SIPI. APs that know neither number come within a second. */
unsigned smp_start(ap_function *f)
{
    unsigned expected = cpus_by_cpuid();

    smp_prepare(f);
    lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_INIT);
    delay_us(10000);
    for (unsigned i = 0; i < 2; i++) {
        lapic_ipi(0, ICR_ALL_BUT_ME | ICR_ASSERT | ICR_STARTUP | AP_CODE >> 12);
        delay_us(200);
    }
    if (expected)
        wait_for(&started, expected - 1, 20000);
    else
        delay_us(1000000);
    wait_for(&started, ap_ticket, 20000);
    return 1 + started;
}

uint32_t cpu_apic_id(unsigned index)
{
    return ids[index];
}

uint64_t cpu_began(unsigned index)
{
    return ap_began[index];
}
