/* The LAPIC's state: reset, priorities, EOI, errors, software and global disable (SDM Vol. 3, chapter 11). */
// links: lapic/lapic.c lapic/access.c lapic/ipi.c lapic/timer.c
#include "tests/unit/test_lapic.h"

static void check_reset(uint32_t i)
{
    static const struct {
        uint32_t offset, value;
    } after[] = {
        {APIC_VERSION, 0x00050014}, {APIC_TPR, 0},     {APIC_APR, 0},     {APIC_PPR, 0},    {APIC_LDR, 0},
        {APIC_DFR, 0xffffffff},     {APIC_SVR, 0xff},  {APIC_ESR, 0},     {APIC_ICR_LO, 0}, {APIC_ICR_HI, 0},
        {0x320, 0x10000},           {0x330, 0x10000},  {0x340, 0x10000},  {0x350, 0x10000}, {0x360, 0x10000},
        {0x370, 0x10000},           {APIC_INITIAL, 0}, {APIC_CURRENT, 0}, {APIC_DCR, 0},
    };
    for (unsigned int n = 0; n < ARRAY_SIZE(after); n++)
        CHECK_EQ(rig_read(i, after[n].offset), after[n].value);
    for (uint32_t offset = APIC_ISR; offset < APIC_ESR; offset += 16)
        CHECK_EQ(rig_read(i, offset), 0);
    CHECK_EQ(rig_read(i, APIC_ID), i << 24);
    CHECK_EQ(lapic_pending(&rig_lapic[i]), LAPIC_NONE);
    CHECK_EQ(lapic_timer_deadline(&rig_lapic[i]), NEVER);
}

/* Everything that software can change, and something in IRR, ISR, TMR, ESR and posted. */
static void make_busy(uint32_t i)
{
    rig_write(i, APIC_SVR, 0x1ff);
    rig_write(i, APIC_LDR, 0x55000000);
    rig_write(i, APIC_DFR, 0);
    for (uint32_t offset = 0x320; offset <= 0x370; offset += 16)
        rig_write(i, offset, 0x40);
    rig_write(i, APIC_INITIAL, 1000000);
    rig_write(i, APIC_DCR, 0xb);
    rig_write(i, APIC_ICR_HI, 0x77000000);
    rig_write(i, APIC_ICR_LO, 0x40005); /* an illegal vector to itself */
    rig_write(i, APIC_ESR, 0);
    rig_write(i, 0x0, 0); /* an illegal register */
    rig_msi((uint8_t)i, false, 0x8061);
    CHECK_EQ(rig_take(i), 0x61);
    rig_msi((uint8_t)i, false, 0x8055);
    CHECK_EQ(lapic_pending(&rig_lapic[i]), LAPIC_NONE);
    rig_write(i, APIC_TPR, 0x33);
    rig_msi((uint8_t)i, false, 0x70);
    rig_msi((uint8_t)i, false, 0x700);
}

/* 11.4.7.1 */
TEST(power_up)
{
    rig_start_ids(3, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        check_reset(i);
        CHECK_EQ(rig_rdmsr(i, MSR_IA32_APIC_BASE), i ? 0xfee00800 : 0xfee00900);
        CHECK_EQ(lapic_mmio_base(&rig_lapic[i]), 0xfee00000);
        CHECK_EQ(lapic_apic_id(&rig_lapic[i]), i);
    }
}

/* 11.4.7.3: INIT keeps the ID, and 11.12.5.1: the base register with the mode. */
TEST(init_resets)
{
    rig_start_ids(2, NULL);
    CHECK_EQ(rig_wrmsr(1, MSR_IA32_APIC_BASE, 0xfec00800), OK);
    make_busy(1);
    rig_forget();
    lapic_init_signal(&rig_lapic[1]);
    CHECK_EQ(rig_log[1].timer_changes, 1);
    check_reset(1);
    CHECK_EQ(rig_rdmsr(1, MSR_IA32_APIC_BASE), 0xfec00800);
    rig_write(1, APIC_ESR, 0);
    CHECK_EQ(rig_read(1, APIC_ESR), 0);
    rig_write(1, APIC_SVR, 0x1ff); /* not stuck: the vector that was posted before comes again */
    CHECK_EQ(rig_msi(1, false, 0x70), 1);
    CHECK_EQ(rig_take(1), 0x70);
    CHECK_EQ(rig_read(1, APIC_TMR + 0x30), 0);

    rig_x2apic(1);
    lapic_init_signal(&rig_lapic[1]);
    CHECK_EQ(rig_rdmsr(1, MSR_IA32_APIC_BASE), 0xfec00c00);
    CHECK_EQ(rig_rdmsr(1, 0x80d), 2);
    CHECK_EQ(rig_rdmsr(1, 0x80f), 0xff);

    CHECK_EQ(rig_wrmsr(1, MSR_IA32_APIC_BASE, 0xfec00000), OK);
    lapic_init_signal(&rig_lapic[1]);
    CHECK_EQ(rig_rdmsr(1, MSR_IA32_APIC_BASE), 0xfec00000);
}

/* 11.8.3.1, table by TPR and the vector in service. */
TEST(ppr)
{
    static const struct {
        uint8_t tpr, in_service, ppr;
    } table[] = {
        {0x00, 0, 0x00},    {0x0f, 0, 0x0f},    {0x00, 0x1f, 0x10}, {0x2a, 0x1f, 0x2a}, {0x15, 0x1f, 0x15},
        {0x15, 0x2f, 0x20}, {0xff, 0xef, 0xff}, {0xef, 0xff, 0xf0}, {0x00, 0x80, 0x80}, {0x0f, 0x10, 0x10},
    };
    for (unsigned int n = 0; n < ARRAY_SIZE(table); n++) {
        rig_start(1);
        if (table[n].in_service) {
            rig_msi(0, false, table[n].in_service);
            CHECK_EQ(rig_take(0), table[n].in_service);
        }
        rig_write(0, APIC_TPR, table[n].tpr);
        CHECK_EQ(rig_read(0, APIC_PPR), table[n].ppr);
        CHECK_EQ(lapic_ppr(&rig_lapic[0]), table[n].ppr);
        if (table[n].in_service)
            rig_write(0, APIC_EOI, 0);
        CHECK_EQ(rig_read(0, APIC_PPR), table[n].tpr);
    }
}

/* 11.8.3.1: delivered is what is of a higher class than PPR, for every vector and every TPR class. */
TEST(delivery_by_class)
{
    rig_start(1);
    for (uint32_t vector = 16; vector < 256; vector++)
        for (uint32_t tpr = 0; tpr < 256; tpr += 13) {
            rig_write(0, APIC_TPR, tpr);
            CHECK_EQ(rig_msi(0, false, vector), 1);
            CHECK_EQ(lapic_pending(&rig_lapic[0]), vector >> 4 > tpr >> 4 ? (int)vector : LAPIC_NONE);
            CHECK_EQ(rig_read(0, APIC_IRR + (vector >> 5 << 4)), 1u << vector % 32);
            rig_write(0, APIC_TPR, 0);
            CHECK_EQ(rig_take(0), vector);
            CHECK_EQ(rig_read(0, APIC_IRR + (vector >> 5 << 4)), 0);
            CHECK_EQ(rig_read(0, APIC_ISR + (vector >> 5 << 4)), 1u << vector % 32);
            rig_write(0, APIC_EOI, 0);
            CHECK_EQ(rig_read(0, APIC_ISR + (vector >> 5 << 4)), 0);
        }
}

/* 11.8.4: nesting; one more of a vector in service waits in the IRR; EOI ends the highest. */
TEST(nesting_and_eoi)
{
    rig_start(1);
    rig_write(0, APIC_EOI, 0); /* nothing in service: nothing happens */
    rig_msi(0, false, 0x31);
    CHECK_EQ(rig_take(0), 0x31);
    rig_msi(0, false, 0x31);
    rig_msi(0, false, 0x3f); /* same class */
    CHECK_EQ(rig_take(0), LAPIC_NONE);
    rig_msi(0, false, 0xa0);
    rig_msi(0, false, 0x42);
    CHECK_EQ(rig_take(0), 0xa0);
    CHECK_EQ(rig_take(0), LAPIC_NONE);
    rig_write(0, APIC_EOI, 0);
    CHECK_EQ(rig_read(0, APIC_PPR), 0x30);
    CHECK_EQ(rig_take(0), 0x42);
    rig_write(0, APIC_EOI, 0);
    CHECK_EQ(rig_take(0), LAPIC_NONE);
    rig_write(0, APIC_EOI, 0xffffffff);
    CHECK_EQ(rig_take(0), 0x3f);
    rig_write(0, APIC_EOI, 0);
    CHECK_EQ(rig_take(0), 0x31);
    CHECK_EQ(rig_log[0].eois, 0); /* all of them were edge-triggered */
}

/* 11.8.4, 11.8.5: TMR, and the EOI broadcast of level-triggered vectors. */
TEST(level_triggered)
{
    rig_start(2);
    CHECK_EQ(rig_msi(1, false, 0xc091), 1);
    CHECK_EQ(rig_read(1, APIC_TMR + 0x40), 1u << 17); /* drained by the read */
    CHECK_EQ(rig_take(1), 0x91);
    rig_write(1, APIC_EOI, 0);
    CHECK_EQ(rig_log[1].eois, 1);
    CHECK_EQ(rig_log[1].eoi_vector, 0x91);
    CHECK_EQ(rig_log[0].eois, 0);
    rig_msi(1, false, 0x91); /* the same vector, edge */
    CHECK_EQ(rig_take(1), 0x91);
    CHECK_EQ(rig_read(1, APIC_TMR + 0x40), 0);
    rig_write(1, APIC_EOI, 0);
    CHECK_EQ(rig_log[1].eois, 1);
    rig_x2apic(1);
    rig_msi(1, false, 0xc0ff);
    CHECK_EQ(rig_take(1), 0xff);
    CHECK_EQ(rig_wrmsr(1, 0x80b, 0), OK);
    CHECK_EQ(rig_log[1].eois, 2);
}

/* 11.8.6: CR8 is TPR[7:4]. */
TEST(cr8)
{
    rig_start(1);
    for (uint32_t v = 0; v < 16; v++) {
        rig_write(0, APIC_TPR, 0xff);
        lapic_set_cr8(&rig_lapic[0], (uint8_t)v);
        CHECK_EQ(rig_read(0, APIC_TPR), v << 4);
        CHECK_EQ(rig_read(0, APIC_PPR), v << 4);
        rig_write(0, APIC_TPR, v << 4 | 9);
        CHECK_EQ(lapic_get_cr8(&rig_lapic[0]), v);
    }
    lapic_set_cr8(&rig_lapic[0], 0xff);
    CHECK_EQ(lapic_get_cr8(&rig_lapic[0]), 15);
}

/* 11.5.3: ESR shows at a write what was collected since the last; one interrupt between two writes. */
TEST(esr_write_then_read)
{
    rig_start(1);
    rig_write(0, APIC_LVT_ERROR, 0xfe);
    rig_write(0, 0x40, 0); /* reserved */
    CHECK_EQ(rig_read(0, APIC_ESR), 0);
    CHECK_EQ(rig_take(0), 0xfe);
    rig_write(0, APIC_EOI, 0);
    rig_write(0, 0x7f0, 0); /* a second error before the write: no second interrupt */
    CHECK_EQ(rig_take(0), LAPIC_NONE);
    rig_write(0, APIC_ESR, 0xffffffff);
    CHECK_EQ(rig_read(0, APIC_ESR), ESR_ILLEGAL_REGISTER);
    CHECK_EQ(rig_read(0, APIC_ESR), ESR_ILLEGAL_REGISTER);
    rig_write(0, APIC_ICR_LO, 0x4400f); /* send to self, vector 15 */
    CHECK_EQ(rig_read(0, APIC_ESR), ESR_ILLEGAL_REGISTER);
    CHECK_EQ(rig_take(0), 0xfe);
    rig_write(0, APIC_EOI, 0);
    rig_write(0, APIC_ESR, 0);
    CHECK_EQ(rig_read(0, APIC_ESR), ESR_SEND_ILLEGAL_VECTOR | ESR_RECEIVE_ILLEGAL_VECTOR);
    rig_write(0, APIC_ESR, 0);
    CHECK_EQ(rig_read(0, APIC_ESR), 0);
    rig_write(0, APIC_LVT_ERROR, 0x100fe); /* masked: collected all the same */
    rig_write(0, 0x3f0, 0x44);             /* SELF IPI exists in x2APIC mode only */
    CHECK_EQ(rig_take(0), LAPIC_NONE);
    rig_write(0, APIC_ESR, 0);
    CHECK_EQ(rig_read(0, APIC_ESR), ESR_ILLEGAL_REGISTER);
}

/* 11.5.3: received vectors 0-15 go to the ESR and never to the IRR, whoever sent them. */
TEST(esr_receive_illegal_vector)
{
    for (uint32_t vector = 0; vector < 18; vector++) {
        rig_start(1);
        CHECK_EQ(rig_msi(0, false, vector | 0xc000), vector < 16 ? 0 : 1);
        CHECK_EQ(lapic_pending(&rig_lapic[0]), vector < 16 ? LAPIC_NONE : (int)vector);
        CHECK_EQ(rig_read(0, APIC_IRR), vector < 16 ? 0 : 1u << vector);
        CHECK_EQ(rig_read(0, APIC_TMR), vector < 16 ? 0 : 1u << vector);
        rig_write(0, APIC_ESR, 0);
        CHECK_EQ(rig_read(0, APIC_ESR), vector < 16 ? ESR_RECEIVE_ILLEGAL_VECTOR : 0);
    }
    /* The error LVT's own vector is illegal: logged, and no end of events out of it. */
    rig_start(1);
    rig_write(0, APIC_LVT_ERROR, 0x03);
    rig_write(0, 0x10, 0);
    for (int n = 0; n < 4; n++)
        CHECK_EQ(lapic_pending(&rig_lapic[0]), LAPIC_NONE);
    CHECK(!lapic_posted(&rig_lapic[0]));
    rig_write(0, APIC_ESR, 0);
    CHECK_EQ(rig_read(0, APIC_ESR), ESR_ILLEGAL_REGISTER | ESR_RECEIVE_ILLEGAL_VECTOR);
}

/* 11.4.7.2 */
TEST(software_disable)
{
    rig_start(1);
    rig_msi(0, false, 0x50);
    for (uint32_t offset = 0x320; offset <= 0x370; offset += 16)
        rig_write(0, offset, 0x60);
    rig_write(0, APIC_INITIAL, 1000);
    CHECK(lapic_timer_deadline(&rig_lapic[0]) != NEVER);
    rig_write(0, APIC_SVR, 0xff);
    CHECK_EQ(lapic_timer_deadline(&rig_lapic[0]), NEVER);
    for (uint32_t offset = 0x320; offset <= 0x370; offset += 16) {
        CHECK_EQ(rig_read(0, offset), 0x10060);
        rig_write(0, offset, 0x61); /* the mask cannot be removed */
        CHECK_EQ(rig_read(0, offset), 0x10061);
    }
    CHECK_EQ(rig_msi(0, false, 0x51), 0);
    CHECK_EQ(rig_msi(0, false, 0x151), 0);
    CHECK_EQ(rig_msi(0, false, 0x400), 1);
    CHECK_EQ(rig_msi(0, false, 0x500), 1);
    CHECK_EQ(rig_signalled(LAPIC_SIGNAL_NMI), 1);
    CHECK_EQ(rig_signalled(LAPIC_SIGNAL_INIT), 1);
    CHECK_EQ(rig_take(0), 0x50); /* what was pending before is held */
    rig_write(0, APIC_EOI, 0);
    CHECK_EQ(rig_take(0), LAPIC_NONE);
    rig_write(0, APIC_SVR, 0x1ff);
    CHECK_EQ(rig_read(0, 0x350), 0x10061);
    rig_write(0, 0x350, 0x61);
    CHECK_EQ(rig_read(0, 0x350), 0x61);
}

/* 11.12.5, figure 11-27: all transitions. */
TEST(base_transitions)
{
    static const struct {
        uint32_t from, to;
        bool fault;
    } table[] = {
        {0x000, 0x000, false}, {0x000, 0x400, true}, {0x000, 0x800, false}, {0x000, 0xc00, true},
        {0x800, 0x000, false}, {0x800, 0x400, true}, {0x800, 0x800, false}, {0x800, 0xc00, false},
        {0xc00, 0x000, false}, {0xc00, 0x400, true}, {0xc00, 0x800, true},  {0xc00, 0xc00, false},
    };
    for (unsigned int n = 0; n < ARRAY_SIZE(table); n++) {
        rig_start(2);
        CHECK_EQ(rig_wrmsr(1, MSR_IA32_APIC_BASE, 0xfee00000 | table[n].from), OK);
        int err = rig_wrmsr(1, MSR_IA32_APIC_BASE, 0xfee00000 | table[n].to);
        CHECK_EQ(err < 0, table[n].fault);
        CHECK_EQ(rig_rdmsr(1, MSR_IA32_APIC_BASE), 0xfee00000 | (table[n].fault ? table[n].from : table[n].to));
        bool xapic = (table[n].fault ? table[n].from : table[n].to) == 0x800;
        uint32_t value;
        CHECK_EQ(lapic_mmio_base(&rig_lapic[1]), xapic ? 0xfee00000 : ~0ull);
        CHECK_EQ(lapic_mmio_read(&rig_lapic[1], APIC_ID, 0, &value), xapic ? OK : E_INVAL);
        CHECK_EQ(lapic_mmio_write(&rig_lapic[1], APIC_TPR, 0, 0), xapic ? OK : E_INVAL);
    }
}

/* 11.4.4: relocation, reserved bits, the BSP flag. */
TEST(base_address)
{
    rig_start(2);
    CHECK_EQ(rig_wrmsr(1, MSR_IA32_APIC_BASE, 0xffffffffff800), OK);
    CHECK_EQ(lapic_mmio_base(&rig_lapic[1]), 0xffffffffff000);
    CHECK(rig_wrmsr(1, MSR_IA32_APIC_BASE, 0x10000000000800) < 0);
    rig.maxphyaddr = 36;
    CHECK(rig_wrmsr(1, MSR_IA32_APIC_BASE, 0x1000000800) < 0);
    CHECK_EQ(rig_wrmsr(1, MSR_IA32_APIC_BASE, 0xffffff800), OK);
    for (unsigned int bit = 0; bit < 10; bit++)
        CHECK_EQ(rig_wrmsr(1, MSR_IA32_APIC_BASE, 0xfee00800 | BIT(bit)) < 0, bit != 8);
    CHECK_EQ(rig_rdmsr(1, MSR_IA32_APIC_BASE), 0xfee00800); /* BSP cannot be had by writing it ... */
    CHECK_EQ(rig_wrmsr(0, MSR_IA32_APIC_BASE, 0xfee00800), OK);
    CHECK_EQ(rig_rdmsr(0, MSR_IA32_APIC_BASE), 0xfee00900); /* ... nor given away */
}

/* 11.4.3: disabling loses the state; a LAPIC that is off takes no message at all. */
TEST(global_disable)
{
    rig_start_ids(2, NULL);
    make_busy(1);
    rig_forget();
    CHECK_EQ(rig_wrmsr(1, MSR_IA32_APIC_BASE, 0xfee00000), OK);
    CHECK_EQ(rig_log[1].timer_changes, 1);
    CHECK_EQ(lapic_pending(&rig_lapic[1]), LAPIC_NONE);
    CHECK_EQ(rig_msi(1, false, 0x71), 0);
    CHECK_EQ(rig_msi(1, false, 0x400), 0);
    CHECK_EQ(rig_msi(0xff, false, 0x500), 1);
    CHECK_EQ(rig_signalled(LAPIC_SIGNAL_INIT), 1);
    uint64_t value;
    CHECK(lapic_msr_read(&rig_lapic[1], 0x802, 0, &value) < 0);
    CHECK_EQ(rig_wrmsr(1, MSR_IA32_TSC_DEADLINE, 5), OK);
    CHECK_EQ(rig_rdmsr(1, MSR_IA32_TSC_DEADLINE), 0);
    CHECK_EQ(rig_wrmsr(1, MSR_IA32_APIC_BASE, 0xfee00800), OK);
    check_reset(1);
}

/* 11.12.5.1: what survives the step to x2APIC mode. */
TEST(enter_x2apic)
{
    rig_start(35);
    rig_write(34, APIC_LDR, 0xff000000);
    rig_write(34, APIC_ICR_HI, 0x12000000);
    rig_write(34, APIC_LVT_LINT0, 0x107ab);
    rig_write(34, APIC_TPR, 0x20);
    rig_msi(34, false, 0x30);
    rig_x2apic(34);
    CHECK_EQ(rig_rdmsr(34, 0x802), 34);
    CHECK_EQ(rig_rdmsr(34, 0x80d), 0x20004);
    CHECK_EQ(rig_rdmsr(34, 0x830), 0);
    CHECK_EQ(rig_rdmsr(34, 0x835), 0x107ab);
    CHECK_EQ(rig_rdmsr(34, 0x808), 0x20);
    CHECK_EQ(rig_rdmsr(34, 0x803), 0x50014);
    CHECK_EQ(rig_rdmsr(34, 0x80f), 0x1ff);
    CHECK_EQ(rig_take(34), 0x30);
    CHECK_EQ(rig_rdmsr(34, 0x811), 1u << 16);
    CHECK_EQ(rig_wrmsr(34, MSR_IA32_APIC_BASE, 0xfee00000), OK);
    CHECK_EQ(rig_wrmsr(34, MSR_IA32_APIC_BASE, 0xfee00800), OK);
    check_reset(34);
}
