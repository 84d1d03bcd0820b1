/* Which registers exist, which bits of them can be written, and what happens where not: tables 11-1 and 11-6. */
// links: lapic/lapic.c lapic/access.c lapic/ipi.c lapic/timer.c
#include "tests/unit/test_lapic.h"

#define NO 0xffffffffu /* no access of this kind, or no such register */

/* By hand from the manual, not from access.c. written: what reads back after all ones; x2: bits WRMSR may set. */
static const struct {
    uint32_t offset;
    bool xapic, xapic_read;
    uint32_t written; /* NO: not checked by reading back */
    bool x2_read, x2_write;
    uint32_t x2;
} map[] = {
    {0x020, true, true, 0x00000000, true, false, 0},
    {0x030, true, true, 0x00050014, true, false, 0},
    {0x080, true, true, 0x000000ff, true, true, 0xff},
    {0x090, true, true, 0x00000000, false, false, 0},
    {0x0a0, true, true, 0x000000ff, true, false, 0}, /* follows the TPR above */
    {0x0b0, true, false, NO, false, true, 0},
    {0x0c0, true, true, 0x00000000, false, false, 0},
    {0x0d0, true, true, 0xff000000, true, false, 0},
    {0x0e0, true, true, 0xffffffff, false, false, 0},
    {0x0f0, true, true, 0x000003ff, true, true, 0x3ff},
    {0x280, true, true, 0x00000000, true, true, 0},
    {0x300, true, true, NO, true, true, 0xcdfff},
    {0x310, true, true, 0xff000000, false, false, 0},
    {0x320, true, true, 0x000700ff, true, true, 0x710ff},
    {0x330, true, true, 0x000107ff, true, true, 0x117ff},
    {0x340, true, true, 0x000107ff, true, true, 0x117ff},
    {0x350, true, true, 0x0001a7ff, true, true, 0x1f7ff},
    {0x360, true, true, 0x0001a7ff, true, true, 0x1f7ff},
    {0x370, true, true, 0x000100ff, true, true, 0x110ff},
    {0x380, true, true, 0xffffffff, true, true, 0xffffffff},
    {0x390, true, true, NO, true, false, 0},
    {0x3e0, true, true, 0x0000000b, true, true, 0xb},
    {0x3f0, false, false, NO, false, true, 0xff},
};

static bool is_map(uint32_t offset)
{
    return offset >= 0x100 && offset < 0x280;
}

static uint32_t errors(void)
{
    rig_write(0, APIC_ESR, 0);
    return rig_read(0, APIC_ESR);
}

TEST(xapic_registers)
{
    rig_start(1);
    for (uint32_t offset = 0; offset < 0x1000; offset += 16) {
        bool exists = is_map(offset), readable = exists;
        for (unsigned int n = 0; n < ARRAY_SIZE(map); n++)
            if (map[n].offset == offset) {
                exists = map[n].xapic;
                readable = map[n].xapic_read;
            }
        CHECK_EQ(errors(), 0);
        uint32_t value = rig_read(0, offset);
        if (offset != APIC_ESR)
            CHECK_EQ(errors(), exists ? 0 : ESR_ILLEGAL_REGISTER);
        if (!readable)
            CHECK_EQ(value, 0);
        if (offset != APIC_ICR_LO && offset != APIC_ESR) {
            rig_write(0, offset, value);
            CHECK_EQ(errors(), exists ? 0 : ESR_ILLEGAL_REGISTER);
        }
    }
}

TEST(xapic_writable_bits)
{
    rig_start(1);
    for (unsigned int n = 0; n < ARRAY_SIZE(map); n++)
        if (map[n].xapic && map[n].written != NO) {
            rig_write(0, map[n].offset, 0xffffffff);
            CHECK_EQ(rig_read(0, map[n].offset), map[n].written);
        }
    rig_start(1);
    rig_write(0, APIC_ICR_LO, 0xfffff7ff & ~0x000c0000u); /* ExtINT: nothing is sent */
    CHECK_EQ(rig_read(0, APIC_ICR_LO), 0xc7ff);
    rig_write(0, APIC_DFR, 0);
    CHECK_EQ(rig_read(0, APIC_DFR), 0x0fffffff);
    for (uint32_t offset = APIC_ISR; offset < APIC_ESR; offset += 16) {
        rig_write(0, offset, 0xffffffff);
        CHECK_EQ(rig_read(0, offset), 0);
    }
}

/* 11.4.1: registers are accessed at multiples of 16; what lies between is nothing. */
TEST(xapic_unaligned)
{
    rig_start(1);
    static const uint32_t offsets[] = {APIC_TPR, APIC_ISR, APIC_LVT_TIMER, APIC_LVT_LINT0, APIC_DCR};
    rig_msi(0, false, 0x10);
    CHECK_EQ(rig_take(0), 0x10);
    for (unsigned int n = 0; n < ARRAY_SIZE(offsets); n++) {
        rig_write(0, offsets[n], 0x1);
        uint32_t before = rig_read(0, offsets[n]);
        CHECK(before != 0);
        for (uint32_t offset = offsets[n] + 1; offset < offsets[n] + 16; offset++) {
            CHECK_EQ(rig_read(0, offset), 0);
            rig_write(0, offset, 0xa);
            CHECK_EQ(rig_read(0, offsets[n]), before);
        }
    }
    CHECK_EQ(errors(), 0);
    uint32_t value;
    CHECK_EQ(lapic_mmio_read(&rig_lapic[0], 0x1000, 0, &value), E_INVAL);
    CHECK_EQ(lapic_mmio_write(&rig_lapic[0], 0x1080, 0, 0), E_INVAL);
    CHECK_EQ(lapic_mmio_read(&rig_lapic[0], 0xffffffff, 0, &value), E_INVAL);
}

/* 11.12.1.2, 11.12.1.3: reserved MSRs, read-only and write-only ones, reserved bits, high halves. */
TEST(x2apic_msrs)
{
    uint64_t value;
    for (uint32_t msr = 0x7ff; msr <= 0x901; msr++) {
        uint32_t offset = (msr - 0x800) << 4;
        bool readable = msr >= 0x800 && msr < 0x900 && is_map(offset), writable = false;
        uint64_t bits = 0;
        for (unsigned int n = 0; n < ARRAY_SIZE(map); n++)
            if (rig_x2(map[n].offset) == msr) {
                readable = map[n].x2_read;
                writable = map[n].x2_write;
                bits = map[n].x2;
            }
        rig_start(1);
        CHECK(lapic_msr_read(&rig_lapic[0], msr, 0, &value) < 0); /* xAPIC mode: none of them */
        CHECK(rig_wrmsr(0, msr, 0) < 0);
        rig_x2apic(0);
        CHECK_EQ(lapic_msr_read(&rig_lapic[0], msr, 0, &value) < 0, !readable);
        CHECK_EQ(rig_wrmsr(0, msr, 0) < 0, !writable);
        if (msr == 0x830)
            bits |= 0xffffffff00000000;
        for (unsigned int bit = 0; bit < 64 && writable; bit++)
            if (rig_wrmsr(0, msr, BIT(bit)) < 0 ? bits & BIT(bit) : !(bits & BIT(bit)))
                printf("MSR 0x%x bit %u\n", msr, bit), CHECK(false);
        CHECK_EQ(rig_wrmsr(0, 0x828, 0), OK); /* #GP is not an APIC error */
        CHECK(!(rig_rdmsr(0, 0x828) & ESR_ILLEGAL_REGISTER));
    }
}

/* MSR numbers whose offset would fit only after it lost its high bits. */
TEST(x2apic_far_msrs)
{
    uint64_t value;
    rig_start_x2apic(1);
    CHECK(lapic_msr_read(&rig_lapic[0], 0x10000802, 0, &value) < 0);
    CHECK(lapic_msr_read(&rig_lapic[0], 0xf0000802, 0, &value) < 0);
    CHECK(rig_wrmsr(0, 0x10000808, 0) < 0);
    CHECK(lapic_msr_read(&rig_lapic[0], 0, 0, &value) < 0);
}

/* 11.5.4: the fourth timer mode is reserved. */
TEST(x2apic_timer_mode)
{
    rig_start_x2apic(1);
    CHECK_EQ(rig_wrmsr(0, 0x832, 0x400ec), OK);
    CHECK(rig_wrmsr(0, 0x832, 0x600ec) < 0);
    CHECK_EQ(rig_rdmsr(0, 0x832), 0x400ec);
}

/* 11.12.9: one 64-bit ICR; the delivery status is gone. */
TEST(x2apic_icr)
{
    rig_start_x2apic(2);
    CHECK_EQ(rig_wrmsr(0, 0x830, 0x0000000100005055), OK);
    CHECK_EQ(rig_rdmsr(0, 0x830), 0x0000000100004055);
    CHECK_EQ(rig_who(0x55), 2);
}

/* Arbitrary accesses: nothing breaks, and IRR, ISR and ESR never show what they cannot. */
TEST(random_accesses)
{
    uint64_t seed = 1, now = 0;
    rig_start(8);
    for (int n = 0; n < 400000; n++) {
        uint64_t r = test_random(&seed);
        uint32_t i = r % 8, value32;
        uint64_t value = test_random(&seed), value64;
        struct lapic *l = &rig_lapic[i];
        now += r >> 44;
        if (r & BIT(20)) /* bits that are legal more often */
            value &= 0x000fdfff;
        switch (r >> 8 & 15) {
        case 0:
            lapic_mmio_read(l, r >> 24 & 0x3f0, now, &value32);
            break;
        case 1:
        case 2:
            lapic_mmio_write(l, r >> 24 & 0x3f0, (uint32_t)value, now);
            break;
        case 3:
            lapic_msr_read(l, 0x800 + (r >> 24 & 0x3f), now, &value64);
            break;
        case 4:
        case 5:
            lapic_msr_write(l, 0x800 + (r >> 24 & 0x3f), value, now);
            break;
        case 6:
            lapic_msr_write(l, MSR_IA32_APIC_BASE, 0xfee00000 | (value & 0xc00), now);
            break;
        case 7:
            lapic_msr_write(l, MSR_IA32_TSC_DEADLINE, value >> 40, now);
            break;
        case 8:
            lapic_message(&rig, 0xfee00000 | (value & 0xff00c), (uint32_t)(value >> 32) & 0xc7ff);
            break;
        case 9:
            lapic_extint(&rig, value & 1);
            break;
        case 10:
            lapic_timer_expire(l, now);
            break;
        case 11:
            if (value & 0xff0)
                lapic_set_cr8(l, value & 15);
            else
                lapic_init_signal(l);
            break;
        case 12:
            lapic_mmio_write(l, APIC_SVR, 0x1ff, now);
            lapic_msr_write(l, 0x80f, 0x1ff, now);
            break;
        default: {
            int ppr = lapic_ppr(l), vector = lapic_take(l);
            if (vector == LAPIC_EXTINT)
                lapic_accept_extint(l);
            else if (vector != LAPIC_NONE) {
                CHECK(vector >= 16 && vector < 256 && vector >> 4 > ppr >> 4);
                CHECK(lapic_ppr(l) >> 4 >= vector >> 4);
            }
        }
        }
        if (lapic_mmio_read(l, APIC_IRR, now, &value32) == OK)
            CHECK_EQ(value32 & 0xffff, 0);
        if (lapic_mmio_read(l, APIC_ESR, now, &value32) == OK)
            CHECK_EQ(value32 & ~0xe0u, 0);
        uint64_t deadline = lapic_timer_deadline(l);
        if (deadline == NEVER)
            continue;
        lapic_timer_expire(l, deadline);
        CHECK(lapic_timer_deadline(l) > deadline);
    }
}
