/* A VM's worth of LAPICs for the tests, with everything they report written down. Single-threaded. */
#ifndef TESTS_UNIT_TEST_LAPIC_H
#define TESTS_UNIT_TEST_LAPIC_H

#include "lapic/lapic.h"
#include "lapic/regs.h"
#include "tests/unit/test.h"

#define RIG_LAPICS 40

static struct lapic rig_lapic[RIG_LAPICS];
static struct lapic *rig_table[RIG_LAPICS];
static struct {
    unsigned int signals[5]; /* by enum lapic_signal */
    uint8_t sipi_vector;
    unsigned int eois, timer_changes, takes_more;
    uint8_t eoi_vector;
} rig_log[RIG_LAPICS];

static inline void rig_signal(void *ctx, uint32_t index, enum lapic_signal what, uint8_t vector)
{
    (void)ctx;
    rig_log[index].signals[what]++;
    if (what == LAPIC_SIGNAL_SIPI)
        rig_log[index].sipi_vector = vector;
}

static inline void rig_eoi(void *ctx, uint32_t index, uint8_t vector)
{
    (void)ctx;
    rig_log[index].eois++;
    rig_log[index].eoi_vector = vector;
}

static inline void rig_takes_more(void *ctx, uint32_t index)
{
    (void)ctx;
    rig_log[index].takes_more++;
}

static inline void rig_timer_changed(void *ctx, uint32_t index)
{
    (void)ctx;
    rig_log[index].timer_changes++;
}

static struct lapic_domain rig;

static inline void rig_forget(void) { memset(rig_log, 0, sizeof(rig_log)); }

/* count LAPICs as they are after power-up; vCPU 0 is the BSP. ID = index, but where ids says otherwise. */
static inline void rig_start_ids(uint32_t count, const uint32_t *ids)
{
    memset(&rig, 0, sizeof(rig));
    memset(rig_table, 0, sizeof(rig_table));
    memset(rig_lapic, 0xa5, sizeof(rig_lapic)); /* lapic_init() owes nothing to what was there */
    rig.count = count;
    rig.lapics = rig_table;
    rig.signal = rig_signal;
    rig.eoi = rig_eoi;
    rig.takes_more = rig_takes_more;
    rig.timer_changed = rig_timer_changed;
    for (uint32_t i = 0; i < count; i++) {
        lapic_init(&rig_lapic[i], &rig, i, ids ? ids[i] : i, i == 0);
        rig_table[i] = &rig_lapic[i];
    }
    rig_forget();
}

static inline uint32_t rig_read(uint32_t i, uint32_t offset)
{
    uint32_t value = 0xdeadbeef;
    CHECK_EQ(lapic_mmio_read(&rig_lapic[i], offset, 0, &value), OK);
    return value;
}

static inline void rig_write(uint32_t i, uint32_t offset, uint32_t value)
{
    CHECK_EQ(lapic_mmio_write(&rig_lapic[i], offset, value, 0), OK);
}

static inline uint64_t rig_rdmsr(uint32_t i, uint32_t msr)
{
    uint64_t value = 0xdeadbeef;
    CHECK_EQ(lapic_msr_read(&rig_lapic[i], msr, 0, &value), OK);
    return value;
}

static inline int rig_wrmsr(uint32_t i, uint32_t msr, uint64_t value)
{
    return lapic_msr_write(&rig_lapic[i], msr, value, 0);
}

static inline uint32_t rig_x2(uint32_t offset) { return 0x800 + (offset >> 4); }

/* As a kernel does it: software-enable, with spurious vector 0xff. */
static inline void rig_start(uint32_t count)
{
    rig_start_ids(count, NULL);
    for (uint32_t i = 0; i < count; i++)
        rig_write(i, APIC_SVR, 0x1ff);
}

static inline void rig_x2apic(uint32_t i)
{
    CHECK_EQ(rig_wrmsr(i, MSR_IA32_APIC_BASE, rig_rdmsr(i, MSR_IA32_APIC_BASE) | 0xc00), OK);
}

static inline void rig_start_x2apic(uint32_t count)
{
    rig_start(count);
    for (uint32_t i = 0; i < count; i++)
        rig_x2apic(i);
}

static inline int rig_msi(uint8_t dest, bool logical, uint32_t data)
{
    return lapic_message(&rig, 0xfee00000u | (uint32_t)dest << 12 | (logical ? 4 : 0), data);
}

/* Takes what is pending as a CPU would. */
static inline int rig_take(uint32_t i) { return lapic_take(&rig_lapic[i]); }

/* Which LAPICs have something pending, as a bit map; all of it is taken and ended. */
static inline uint64_t rig_who(int vector)
{
    uint64_t who = 0;
    for (uint32_t i = 0; i < rig.count; i++)
        for (int v; (v = rig_take(i)) != LAPIC_NONE && v != LAPIC_EXTINT;) {
            uint64_t base = rig_rdmsr(i, MSR_IA32_APIC_BASE);
            CHECK_EQ(v, vector);
            who |= 1ull << i;
            if (base & APIC_BASE_EXTD)
                CHECK_EQ(rig_wrmsr(i, 0x80b, 0), OK);
            else
                rig_write(i, APIC_EOI, 0);
        }
    return who;
}

/* Which LAPICs got this signal. */
static inline uint64_t rig_signalled(enum lapic_signal what)
{
    uint64_t who = 0;
    for (uint32_t i = 0; i < rig.count; i++)
        if (rig_log[i].signals[what])
            who |= 1ull << i;
    return who;
}

#endif
