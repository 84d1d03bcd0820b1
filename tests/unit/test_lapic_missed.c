/* Messages that nobody takes, and when they are worth another try: SDM Vol. 3, 11.4.3, 11.4.7.2, 11.6.2, 11.12.5. */
// links: lapic/lapic.c lapic/access.c lapic/ipi.c lapic/timer.c
#include "tests/unit/test_lapic.h"

static unsigned int told(void)
{
    unsigned int n = 0;
    for (uint32_t i = 0; i < rig.count; i++)
        n += rig_log[i].takes_more;
    return n;
}

/* Each way in which a LAPIC may come to take what it did not. */
TEST(told_once_when_a_lapic_takes_more)
{
    rig_start_ids(4, NULL);
    CHECK_EQ(rig_msi(1, false, 0x41), 0); /* software-disabled */
    rig_write(2, APIC_TPR, 0);
    rig_write(2, APIC_LVT_TIMER, 0x10041);
    CHECK_EQ(told(), 0);
    rig_write(1, APIC_SVR, 0x1ff);
    CHECK_EQ(rig_log[1].takes_more, 1);
    CHECK_EQ(rig_msi(1, false, 0x41), 1);
    rig_write(1, APIC_SVR, 0xff);
    rig_write(1, APIC_SVR, 0x1ff);
    CHECK_EQ(told(), 1); /* nothing was missed since */

    CHECK_EQ(rig_msi(2, true, 0x41), 0); /* LDRs are 0 */
    CHECK_EQ(rig_msi(4, true, 0x41), 0);
    rig_write(1, APIC_LDR, 0x02000000);
    CHECK_EQ(told(), 2); /* once for both */
    CHECK_EQ(rig_msi(2, true, 0x41), 1);

    CHECK_EQ(rig_msi(0x11, true, 0x41), 0);
    rig_write(1, APIC_LDR, 0x11000000);
    CHECK_EQ(rig_msi(0x21, true, 0x41), 1); /* flat */
    rig_write(1, APIC_DFR, 0);
    CHECK_EQ(rig_msi(0x21, true, 0x41), 0); /* another cluster */
    rig_forget();
    rig_write(1, APIC_DFR, 0xf0000000);
    CHECK_EQ(told(), 1);

    CHECK_EQ(rig_wrmsr(3, MSR_IA32_APIC_BASE, 0xfee00000), OK);
    CHECK_EQ(rig_msi(3, false, 0x400), 0); /* disabled altogether: not even an NMI */
    rig_forget();
    CHECK_EQ(rig_wrmsr(3, MSR_IA32_APIC_BASE, 0xfee00000), OK);
    CHECK_EQ(told(), 0);
    CHECK_EQ(rig_wrmsr(3, MSR_IA32_APIC_BASE, 0xfee00800), OK);
    CHECK_EQ(rig_log[3].takes_more, 1);
    CHECK_EQ(rig_msi(3, false, 0x400), 1);

    CHECK_EQ(rig_msi(0x02, true, 0x42), 0);
    rig_forget();
    rig_x2apic(1); /* logical ID 2 */
    CHECK_EQ(rig_log[1].takes_more, 1);
    CHECK_EQ(rig_msi(0x02, true, 0x42), 1);
}

/* What no LAPIC ever takes is not told of, or its sender would try for ever. IPIs are tried once. */
TEST(not_told_of_what_nobody_can_take)
{
    rig_start_ids(2, NULL);
    CHECK_EQ(rig_msi(1, false, 0x0f), 0);
    CHECK_EQ(rig_msi(1, false, 0x641), 0);
    CHECK_EQ(rig_msi(1, false, 0x341), 0);
    rig_write(0, APIC_ICR_HI, 0x01000000);
    rig_write(0, APIC_ICR_LO, 0x4041);
    for (uint32_t i = 0; i < 2; i++) {
        rig_write(i, APIC_SVR, 0x1ff);
        CHECK_EQ(rig_msi((uint8_t)i, false, 0x0f), 0);
        rig_write(i, APIC_LDR, 0x01000000);
    }
    CHECK_EQ(told(), 0);
}
