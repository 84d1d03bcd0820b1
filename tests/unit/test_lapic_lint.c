/* LINT0 as the 8259s' INTR, and ExtINT messages: SDM Vol. 3, 11.5.1, 11.4.3. */
// links: lapic/lapic.c lapic/access.c lapic/ipi.c lapic/timer.c
#include "tests/unit/test_lapic.h"

/* LINT0 as the 8259s' INTR: 11.5.1 and 11.4.3. */
TEST(lint0_extint)
{
    rig_start(3);
    rig_write(0, APIC_LVT_LINT0, 0x700);
    rig_write(0, APIC_TPR, 0xff); /* no hindrance to ExtINT */
    lapic_extint(&rig, true);
    CHECK_EQ(rig_signalled(LAPIC_SIGNAL_EVENT), 1);
    CHECK_EQ(lapic_pending(&rig_lapic[0]), LAPIC_EXTINT);
    CHECK_EQ(lapic_pending(&rig_lapic[1]), LAPIC_NONE);
    lapic_extint(&rig, true);
    CHECK_EQ(rig_log[0].signals[LAPIC_SIGNAL_EVENT], 1);
    lapic_accept_extint(&rig_lapic[0]);
    CHECK_EQ(lapic_pending(&rig_lapic[0]), LAPIC_EXTINT); /* as long as the line is high */
    rig_write(0, APIC_LVT_LINT0, 0x10700);
    CHECK_EQ(lapic_pending(&rig_lapic[0]), LAPIC_NONE);
    rig_write(0, APIC_LVT_LINT0, 0x700);
    CHECK_EQ(lapic_pending(&rig_lapic[0]), LAPIC_EXTINT);
    lapic_extint(&rig, false);
    CHECK_EQ(lapic_pending(&rig_lapic[0]), LAPIC_NONE);
    /* Globally disabled: straight through. */
    rig_forget();
    CHECK_EQ(rig_wrmsr(2, MSR_IA32_APIC_BASE, 0xfee00000), OK);
    CHECK_EQ(rig_wrmsr(0, MSR_IA32_APIC_BASE, 0xfee00000), OK);
    lapic_extint(&rig, true);
    CHECK_EQ(rig_signalled(LAPIC_SIGNAL_EVENT), 5);
    CHECK_EQ(lapic_pending(&rig_lapic[0]), LAPIC_EXTINT);
    CHECK_EQ(lapic_pending(&rig_lapic[2]), LAPIC_EXTINT);
    CHECK_EQ(lapic_pending(&rig_lapic[1]), LAPIC_NONE);
}

/* Virtual wire mode, as firmware leaves it: only on the BSP, and only until an INIT. */
TEST(virtual_wire)
{
    rig_start(2);
    CHECK_EQ(rig_read(0, APIC_LVT_LINT0), 0x10000);
    lapic_virtual_wire(&rig_lapic[0]);
    CHECK_EQ(rig_read(0, APIC_SVR), 0x1ff);
    CHECK_EQ(rig_read(0, APIC_LVT_LINT0), 0x700);
    CHECK_EQ(rig_read(0, APIC_LVT_LINT0 + 0x10), 0x400);
    CHECK_EQ(rig_read(0, APIC_LVT_TIMER), 0x10000);
    CHECK_EQ(rig_read(0, APIC_LVT_ERROR), 0x10000);
    CHECK_EQ(rig_read(1, APIC_LVT_LINT0), 0x10000);
    lapic_extint(&rig, true);
    CHECK_EQ(rig_signalled(LAPIC_SIGNAL_EVENT), 1);
    CHECK_EQ(lapic_pending(&rig_lapic[0]), LAPIC_EXTINT);
    CHECK_EQ(lapic_pending(&rig_lapic[1]), LAPIC_NONE);
    lapic_init_signal(&rig_lapic[0]);
    CHECK_EQ(rig_read(0, APIC_SVR), 0xff);
    CHECK_EQ(rig_read(0, APIC_LVT_LINT0), 0x10000);
    CHECK_EQ(rig_read(0, APIC_LVT_LINT0 + 0x10), 0x10000);
    CHECK_EQ(lapic_pending(&rig_lapic[0]), LAPIC_NONE);
}

/* LVT LINT0 in its other modes. */
TEST(lint0_other_modes)
{
    rig_start(2);
    rig_write(0, APIC_LVT_LINT0, 0x31); /* fixed, edge */
    rig_write(1, APIC_LVT_LINT0, 0x400);
    CHECK(!lapic_lint0_wakes(&rig_lapic[0]));
    CHECK(lapic_lint0_wakes(&rig_lapic[1]));
    lapic_extint(&rig, true);
    CHECK_EQ(rig_signalled(LAPIC_SIGNAL_NMI), 2);
    CHECK_EQ(rig_take(0), 0x31);
    rig_write(0, APIC_EOI, 0);
    CHECK_EQ(rig_take(0), LAPIC_NONE);
    CHECK_EQ(rig_log[0].eois, 0);
    lapic_extint(&rig, false);
    rig_write(0, APIC_LVT_LINT0, 0x8031); /* fixed, level */
    lapic_extint(&rig, true);
    CHECK_EQ(rig_read(0, APIC_LVT_LINT0), 0xc031); /* Remote IRR from acceptance ... */
    CHECK_EQ(rig_take(0), 0x31);
    CHECK_EQ(rig_read(0, APIC_LVT_LINT0), 0xc031);
    rig_write(0, APIC_EOI, 0);
    CHECK_EQ(rig_log[0].eois, 1);
    CHECK_EQ(rig_take(0), 0x31); /* ... to EOI, and again while high */
    lapic_extint(&rig, false);
    rig_write(0, APIC_EOI, 0);
    CHECK_EQ(rig_take(0), LAPIC_NONE);
    CHECK_EQ(rig_read(0, APIC_LVT_LINT0), 0x8031);
    lapic_extint(&rig, true);
    CHECK_EQ(rig_take(0), 0x31);
    rig_write(0, APIC_EOI, 0);
    CHECK_EQ(rig_take(0), 0x31);
    rig_msi(0, false, 0x99); /* the EOI of another does not raise it again */
    CHECK_EQ(rig_take(0), 0x99);
    rig_write(0, APIC_EOI, 0);
    CHECK_EQ(rig_read(0, APIC_IRR + 0x10), 0);
    rig_write(0, APIC_LVT_LINT0, 0x18031);
    rig_write(0, APIC_EOI, 0);
    CHECK_EQ(rig_take(0), LAPIC_NONE);
    rig_write(0, APIC_LVT_LINT0, 0x8031); /* unmasked while high */
    CHECK_EQ(rig_take(0), 0x31);
    /* Modes that an LVT has not: nothing. */
    lapic_extint(&rig, false);
    rig_forget();
    static const uint32_t none[] = {0x131, 0x331, 0x631};
    for (unsigned int n = 0; n < ARRAY_SIZE(none); n++) {
        rig_write(1, APIC_LVT_LINT0, none[n]);
        lapic_extint(&rig, true);
        lapic_extint(&rig, false);
        CHECK_EQ(lapic_pending(&rig_lapic[1]), LAPIC_NONE);
    }
    for (enum lapic_signal what = LAPIC_SIGNAL_NMI; what <= LAPIC_SIGNAL_SMI; what++)
        CHECK_EQ(rig_signalled(what), 0);
}

/* An ExtINT message is one request, whatever LINT0 says. */
TEST(extint_message)
{
    rig_start(2);
    CHECK_EQ(rig_msi(1, false, 0x700), 1);
    CHECK_EQ(rig_msi(1, false, 0x700), 1);
    CHECK_EQ(rig_log[1].signals[LAPIC_SIGNAL_EVENT], 1);
    CHECK_EQ(lapic_pending(&rig_lapic[1]), LAPIC_EXTINT);
    CHECK_EQ(lapic_pending(&rig_lapic[1]), LAPIC_EXTINT);
    CHECK_EQ(lapic_pending(&rig_lapic[0]), LAPIC_NONE);
    lapic_accept_extint(&rig_lapic[1]);
    CHECK_EQ(lapic_pending(&rig_lapic[1]), LAPIC_NONE);
}
