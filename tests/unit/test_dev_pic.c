/* The two 8259As, by their datasheet. */
// links: user/devices/clock.c user/devices/bus.c user/devices/irq.c user/devices/pc/pic.c user/devices/pc/ioapic.c
// links: lib/timerq.c lib/rbtree.c
#include "tests/unit/test.h"

#include "tests/unit/dev_env.h"
#include "user/devices/pc/pic.h"

static void setup(uint8_t master_mask, uint8_t slave_mask)
{
    fake_reset();
    fake_pic_setup(master_mask, slave_mask);
}

static uint8_t read_isr(uint16_t port)
{
    outb(port, 0x0b);
    return inb(port);
}

static uint8_t read_irr(uint16_t port)
{
    outb(port, 0x0a);
    return inb(port);
}

TEST(linux_probe_reads_the_mask_back)
{
    fake_reset();
    outb(0xa1, 0xff);
    outb(0x21, 0xfb);
    CHECK_EQ(inb(0x21), 0xfb);
    CHECK_EQ(inb(0xa1), 0xff);
}

TEST(edge_interrupt_through_master)
{
    setup(0xfe, 0xff);
    CHECK(!pic_intr());
    irq_set(0, true);
    CHECK(pic_intr());
    irq_flush();
    CHECK(fake.extint);
    CHECK_EQ(read_irr(0x20), 1);
    CHECK_EQ(pic_acknowledge(), 0x20);
    CHECK(!pic_intr());
    CHECK_EQ(read_isr(0x20), 1);
    CHECK_EQ(read_irr(0x20), 0);
    outb(0x20, 0x20);
    CHECK_EQ(read_isr(0x20), 0);
    irq_set(0, true);
    CHECK(!pic_intr()); /* the line is still high: no new edge */
    irq_set(0, false);
    irq_set(0, true);
    CHECK(pic_intr());
}

TEST(intr_costs_one_system_call_per_change)
{
    setup(0xfe, 0xff);
    irq_flush();
    fake.extints = 0;
    irq_set(0, true);
    irq_set(0, false);
    irq_set(0, true);
    irq_flush();
    irq_flush();
    CHECK_EQ(fake.extints, 1);
    pic_acknowledge();
    irq_flush();
    CHECK_EQ(fake.extints, 2);
    CHECK(!fake.extint);
}

TEST(cascade)
{
    setup(0xfb, 0xfe);
    irq_set(8, true);
    CHECK(pic_intr());
    CHECK_EQ(pic_acknowledge(), 0x28);
    CHECK_EQ(read_isr(0x20), 0x04);
    CHECK_EQ(read_isr(0xa0), 0x01);
    outb(0xa1, 0xfc);
    irq_set(9, true); /* lower than 8: waits for both EOIs */
    CHECK(!pic_intr());
    outb(0xa0, 0x20);
    CHECK(!pic_intr());
    outb(0x20, 0x20);
    CHECK(pic_intr());
    CHECK_EQ(pic_acknowledge(), 0x29);
}

TEST(priorities_and_nesting)
{
    setup(0x00, 0xff);
    irq_set(4, true);
    irq_set(1, true);
    CHECK_EQ(pic_acknowledge(), 0x21);
    CHECK(!pic_intr());
    irq_set(0, true);
    CHECK_EQ(pic_acknowledge(), 0x20);
    CHECK_EQ(read_isr(0x20), 0x03);
    outb(0x20, 0x20); /* the highest: 0 */
    CHECK_EQ(read_isr(0x20), 0x02);
    outb(0x20, 0x61); /* specific: 1 */
    CHECK_EQ(read_isr(0x20), 0x00);
    CHECK_EQ(pic_acknowledge(), 0x24);
}

TEST(spurious_vectors)
{
    setup(0x00, 0x00);
    irq_set(3, true);
    irq_set(3, false);
    CHECK(!pic_intr());
    CHECK_EQ(pic_acknowledge(), 0x27);
    CHECK_EQ(read_isr(0x20), 0); /* nothing is in service */

    /* A slave's request that goes away takes its cascade with it. */
    irq_set(10, true);
    CHECK(pic_intr());
    irq_set(10, false);
    CHECK(!pic_intr());
    CHECK_EQ(pic_acknowledge(), 0x27);
}

TEST(level_triggered_by_elcr)
{
    setup(0x00, 0x00);
    outb(0x4d0, 0xff);
    outb(0x4d1, 0xff);
    CHECK_EQ(inb(0x4d0), 0xf8);
    CHECK_EQ(inb(0x4d1), 0xde);
    irq_set(5, true);
    CHECK_EQ(pic_acknowledge(), 0x25);
    CHECK(!pic_intr());
    outb(0x20, 0x20);
    CHECK(pic_intr()); /* still asserted */
    irq_set(5, false);
    CHECK(!pic_intr());
}

TEST(firmware_makes_the_sci_level_triggered)
{
    fake_reset();
    CHECK_EQ(inb(0x4d1), 0x02);
    CHECK_EQ(inb(0x21), 0xff);
}

TEST(auto_eoi_and_rotation)
{
    setup(0x00, 0xff);
    outb(0x20, 0x11);
    outb(0x21, 0x20);
    outb(0x21, 0x04);
    outb(0x21, 0x03);
    irq_set(3, true);
    CHECK_EQ(pic_acknowledge(), 0x23);
    CHECK_EQ(read_isr(0x20), 0);
    outb(0x20, 0x80); /* rotate in AEOI: an acknowledged input becomes the lowest */
    irq_set(4, true);
    CHECK_EQ(pic_acknowledge(), 0x24);
    irq_set(3, false);
    irq_set(4, false);
    irq_set(3, true);
    irq_set(4, true);
    irq_set(5, true);
    CHECK_EQ(pic_acknowledge(), 0x25);
}

TEST(auto_eoi_of_the_slave)
{
    setup(0x00, 0x00);
    outb(0xa0, 0x11);
    outb(0xa1, 0x28);
    outb(0xa1, 0x02);
    outb(0xa1, 0x03);
    irq_set(8, true);
    irq_set(9, true);
    CHECK_EQ(pic_acknowledge(), 0x28);
    outb(0x20, 0x20);
    CHECK(pic_intr()); /* the slave's INT fell and rose: an edge at the master */
    CHECK_EQ(pic_acknowledge(), 0x29);
}

TEST(rotate_and_set_priority)
{
    setup(0x00, 0xff);
    irq_set(1, true);
    CHECK_EQ(pic_acknowledge(), 0x21);
    outb(0x20, 0xa0); /* rotate on non-specific EOI: 1 is lowest */
    irq_set(1, false);
    irq_set(1, true);
    irq_set(0, true);
    irq_set(5, true);
    CHECK_EQ(pic_acknowledge(), 0x25);
    outb(0x20, 0x65);
    outb(0x20, 0xc7); /* set priority: 7 lowest, as at reset */
    CHECK_EQ(pic_acknowledge(), 0x20);
    outb(0x20, 0xe0); /* rotate on specific EOI 0 */
    CHECK_EQ(pic_acknowledge(), 0x21);
}

TEST(special_mask_mode)
{
    setup(0x00, 0xff);
    irq_set(2, true); /* not a line */
    irq_set(3, true);
    CHECK_EQ(pic_acknowledge(), 0x23);
    irq_set(6, true);
    CHECK(!pic_intr());
    outb(0x21, 0x08);
    CHECK(!pic_intr());
    outb(0x20, 0x68);
    CHECK(pic_intr()); /* lower ones get through past a masked input in service */
    CHECK_EQ(pic_acknowledge(), 0x26);
    outb(0x20, 0x20); /* non-specific: passes over 3, which is masked */
    CHECK_EQ(read_isr(0x20), 0x08);
    outb(0x20, 0x48);
    CHECK(!pic_intr());
}

TEST(special_fully_nested_mode)
{
    setup(0x00, 0x00);
    irq_set(12, true);
    CHECK_EQ(pic_acknowledge(), 0x2c);
    irq_set(8, true);
    CHECK(!pic_intr()); /* fully nested: the master blocks its input 2 */
    setup(0x00, 0x00);
    outb(0x20, 0x11);
    outb(0x21, 0x20);
    outb(0x21, 0x04);
    outb(0x21, 0x11);
    irq_set(12, false);
    irq_set(8, false);
    irq_set(12, true);
    CHECK_EQ(pic_acknowledge(), 0x2c);
    irq_set(8, true);
    CHECK(pic_intr());
    CHECK_EQ(pic_acknowledge(), 0x28);
}

/* Only the slave itself is not locked out by its service: what is below it is. */
TEST(special_fully_nested_mode_keeps_lower_inputs_out)
{
    setup(0x00, 0x00);
    outb(0x20, 0x11);
    outb(0x21, 0x20);
    outb(0x21, 0x04);
    outb(0x21, 0x11);
    irq_set(12, true);
    CHECK_EQ(pic_acknowledge(), 0x2c);
    irq_set(5, true);
    CHECK(!pic_intr());
    irq_set(1, true);
    CHECK_EQ(pic_acknowledge(), 0x21);
    irq_set(8, true);
    CHECK(!pic_intr()); /* 1 is in service, and above */
    outb(0x20, 0x20);
    CHECK_EQ(pic_acknowledge(), 0x28);
    outb(0xa0, 0x60);
    outb(0xa0, 0x64);
    outb(0x20, 0x62);
    CHECK_EQ(pic_acknowledge(), 0x25);
}

/* The acknowledge cycle ends INT. What else requests raises it anew: an edge, which LINT0 or the IOAPIC may wait
 * for. */
TEST(int_falls_at_each_acknowledge)
{
    setup(0x00, 0xff);
    outb(0x20, 0x13);
    outb(0x21, 0x20);
    outb(0x21, 0x03); /* automatic EOI */
    irq_set(3, true);
    irq_set(4, true);
    irq_set(5, true);
    irq_flush();
    CHECK_EQ(fake.rises, 1);
    for (unsigned i = 3; i <= 5; i++) {
        CHECK_EQ(pic_acknowledge(), 0x20 + i);
        irq_flush();
        CHECK_EQ(fake.rises, i == 5 ? 3 : i - 1);
        CHECK_EQ(fake.extint, i != 5);
    }

    setup(0x00, 0xff); /* special mask mode: a lower request passes the one that is taken */
    irq_set(3, true);
    CHECK_EQ(pic_acknowledge(), 0x23);
    outb(0x21, 0x08);
    outb(0x20, 0x68);
    irq_set(5, true);
    irq_set(6, true);
    irq_flush();
    fake.rises = 0;
    outb(0x20, 0x0c); /* a poll is an acknowledge cycle too */
    CHECK_EQ(inb(0x20), 0x85);
    outb(0x20, 0x65);
    irq_flush();
    CHECK_EQ(fake.rises, 1);
}

/* A timer that nobody acknowledges, as for an NMI watchdog by LINT0: each tick is a rise. */
TEST(a_request_that_comes_again_is_a_rise)
{
    setup(0xfe, 0xff);
    for (unsigned i = 1; i <= 5; i++) {
        irq_set(0, false);
        irq_set(0, true);
        irq_flush();
        CHECK_EQ(fake.rises, i);
        CHECK(fake.extint);
    }
    irq_set(0, false);
    irq_set(0, true);
    irq_set(0, false);
    irq_flush();
    CHECK_EQ(fake.rises, 6);
    CHECK(!fake.extint);
    irq_flush();
    CHECK_EQ(fake.rises, 6);
}

TEST(poll)
{
    setup(0xff, 0xff);
    outb(0x21, 0x00);
    outb(0x20, 0x0c);
    CHECK_EQ(inb(0x20), 0x00);
    irq_set(6, true);
    outb(0x20, 0x0c);
    CHECK_EQ(inb(0x20), 0x86);
    CHECK_EQ(read_isr(0x20), 0x40);
    CHECK_EQ(inb(0x21), 0x00); /* the poll was for one read */
}

TEST(icw1_resets)
{
    setup(0x00, 0xff);
    irq_set(1, true);
    CHECK_EQ(pic_acknowledge(), 0x21);
    irq_set(4, true);
    outb(0x20, 0x13); /* single, with ICW4: no ICW3 follows */
    outb(0x21, 0x47);
    outb(0x21, 0x01);
    CHECK_EQ(inb(0x21), 0x00);
    CHECK_EQ(read_isr(0x20), 0);
    CHECK_EQ(read_irr(0x20), 0); /* 4 is high, but its edge was forgotten */
    irq_set(4, false);
    irq_set(4, true);
    CHECK_EQ(pic_acknowledge(), 0x44);
    outb(0x20, 0x12); /* single, no ICW4 */
    outb(0x21, 0x50);
    outb(0x21, 0xee);
    CHECK_EQ(inb(0x21), 0xee);
}
