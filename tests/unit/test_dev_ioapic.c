/* The IOAPIC, by the 82093AA datasheet and as Linux uses it. */
// links: user/devices/clock.c user/devices/bus.c user/devices/irq.c user/devices/pc/pic.c user/devices/pc/ioapic.c
// links: lib/timerq.c lib/rbtree.c
#include "tests/unit/test.h"

#include "tests/unit/dev_env.h"
#include "user/devices/pc/ioapic.h"
#include "user/devices/pc/pic.h"

#define BASE         PLATFORM_IOAPIC_BASE
#define MASKED       0x10000ull
#define LEVEL        0x8000ull
#define REMOTE       0x4000u
#define SEND_PENDING 0x1000u

static uint32_t reg_read(uint8_t index)
{
    bus_memory_write(BASE, 4, index);
    return (uint32_t)bus_memory_read(BASE + 0x10, 4);
}

static void reg_write(uint8_t index, uint32_t value)
{
    bus_memory_write(BASE, 4, index);
    bus_memory_write(BASE + 0x10, 4, value);
}

static uint32_t entry_low(unsigned pin)
{
    return reg_read((uint8_t)(0x10 + 2 * pin));
}

TEST(registers)
{
    fake_reset();
    CHECK_EQ(reg_read(1), 0x00170011);
    CHECK_EQ(reg_read(0), 0);
    reg_write(0, 0xffffffff);
    CHECK_EQ(reg_read(0), 0x0f000000);
    CHECK_EQ(reg_read(2), 0x0f000000);
    reg_write(1, 0);
    CHECK_EQ(reg_read(1), 0x00170011);
    for (unsigned pin = 0; pin < 24; pin++) {
        CHECK_EQ(entry_low(pin), 0x10000);
        fake_ioapic_entry(pin, 0xab00000000000000 | MASKED | (0x31 + pin));
        CHECK_EQ(entry_low(pin), 0x10031 + pin);
        CHECK_EQ(reg_read((uint8_t)(0x11 + 2 * pin)), 0xab000000);
    }
    CHECK_EQ(reg_read(0x40), 0xffffffff);
    reg_write(0x40, 0);
    reg_write(0x12, 0xffffffff);
    CHECK_EQ(reg_read(0x12), 0x1afff); /* read-only: delivery status, remote IRR; reserved: zero */
    CHECK_EQ(bus_memory_read(BASE + 4, 4), 0xffffffff);
    CHECK_EQ(bus_memory_read(BASE + 0x11, 1), 0xaf);
    CHECK_EQ(bus_memory_read(BASE, 1), 0x12);
    bus_memory_write(BASE + 0x10, 1, 0); /* the window takes 32 bits only */
    CHECK_EQ(reg_read(0x12), 0x1afff);
    CHECK_EQ(fake.messages, 0);
}

TEST(edge)
{
    fake_reset();
    fake_ioapic_entry(4, 0x0300000000000000 | 0x35);
    irq_set(4, true);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(fake.message_address, 0xfee03000);
    CHECK_EQ(fake.message_data, 0x4035);
    irq_set(4, true);
    irq_set(4, false);
    CHECK_EQ(fake.messages, 1);
    irq_set(4, true);
    CHECK_EQ(fake.messages, 2);
    CHECK_EQ(entry_low(4), 0x35);
}

TEST(edge_at_a_masked_pin_is_lost)
{
    fake_reset();
    fake_ioapic_entry(4, MASKED | 0x35);
    irq_set(4, true);
    fake_ioapic_entry(4, 0x35);
    CHECK_EQ(fake.messages, 0);
}

TEST(timer_is_at_pin_2)
{
    fake_reset();
    fake_ioapic_entry(0, 0x40);
    fake_ioapic_entry(2, 0x30);
    irq_set(0, true);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(fake.message_data & 0xff, 0x30);
}

TEST(level_until_eoi)
{
    fake_reset();
    fake_ioapic_entry(9, LEVEL | 0x39);
    irq_set(9, true);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(fake.message_data, 0xc039);
    CHECK_EQ(entry_low(9), 0xc039);
    irq_set(9, false);
    irq_set(9, true);
    CHECK_EQ(fake.messages, 1); /* in service */
    ioapic_eoi(0x38);
    CHECK_EQ(fake.messages, 1);
    ioapic_eoi(0x39);
    CHECK_EQ(fake.messages, 2);
    CHECK(entry_low(9) & REMOTE);
    irq_set(9, false);
    ioapic_eoi(0x39);
    CHECK_EQ(fake.messages, 2);
    CHECK_EQ(entry_low(9), 0x8039);
}

TEST(level_masked_and_unmasked)
{
    fake_reset();
    fake_ioapic_entry(9, MASKED | LEVEL | 0x39);
    irq_set(9, true);
    CHECK_EQ(fake.messages, 0);
    fake_ioapic_entry(9, LEVEL | 0x39);
    CHECK_EQ(fake.messages, 1);
    fake_ioapic_entry(9, MASKED | LEVEL | 0x39);
    ioapic_eoi(0x39);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(entry_low(9), 0x18039);
}

TEST(remote_irr_is_cleared_by_edge_mode)
{
    fake_reset();
    fake_ioapic_entry(9, LEVEL | 0x39);
    irq_set(9, true);
    irq_set(9, false);
    CHECK(entry_low(9) & REMOTE);
    fake_ioapic_entry(9, MASKED | 0x39);
    fake_ioapic_entry(9, LEVEL | 0x39);
    CHECK_EQ(entry_low(9), 0x8039);
    CHECK_EQ(fake.messages, 1);
}

TEST(nobody_takes_it)
{
    fake_reset();
    fake.refuse_messages = true;
    fake_ioapic_entry(9, LEVEL | 0x39);
    irq_set(9, true);
    CHECK_EQ(entry_low(9), 0x8039 | SEND_PENDING);
    fake.refuse_messages = false;
    fake_ioapic_entry(9, LEVEL | 0x3a);
    CHECK_EQ(entry_low(9), 0x803a | REMOTE);
    irq_set(9, false);
    ioapic_eoi(0x3a);
    fake.refuse_messages = true;
    irq_set(9, true);
    irq_set(9, false);
    CHECK_EQ(entry_low(9), 0x803a);
}

/* A LAPIC may take it now, or has ended something else. */
TEST(what_nobody_took_is_sent_again)
{
    static const uint64_t modes[] = {0x39, LEVEL | 0x39, LEVEL | 0x139, 0x400, 0x700, LEVEL | 0x400};

    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        fake_reset();
        fake.refuse_messages = true;
        fake_ioapic_entry(9, modes[i]);
        irq_set(9, true);
        CHECK_EQ(fake.messages, 1);
        CHECK_EQ(entry_low(9), modes[i] | SEND_PENDING);
        ioapic_eoi(ABI_EOI_NONE);
        CHECK_EQ(fake.messages, 2);
        CHECK_EQ(entry_low(9), modes[i] | SEND_PENDING);
        fake.refuse_messages = false;
        ioapic_eoi(ABI_EOI_NONE);
        CHECK_EQ(fake.messages, 3);
        CHECK_EQ(fake.message_data & 0x7ff, modes[i] & 0x7ff);
        CHECK_EQ(entry_low(9), modes[i] | (i == 1 || i == 2 ? REMOTE : 0));
        ioapic_eoi(ABI_EOI_NONE);
        ioapic_eoi(0x77);
        CHECK_EQ(fake.messages, 3); /* and not once more */
    }
}

/* A level that falls is gone; an edge has been seen. */
TEST(what_nobody_took_and_the_line)
{
    fake_reset();
    fake.refuse_messages = true;
    fake_ioapic_entry(9, LEVEL | 0x39);
    fake_ioapic_entry(4, 0x34);
    irq_set(9, true);
    irq_set(4, true);
    irq_set(9, false);
    irq_set(4, false);
    CHECK_EQ(entry_low(9), 0x8039);
    CHECK_EQ(entry_low(4), 0x34 | SEND_PENDING);
    fake.refuse_messages = false;
    fake.messages = 0;
    ioapic_eoi(ABI_EOI_NONE);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(fake.message_data & 0xff, 0x34);
}

/* Either half of the entry, and what masks it or changes its kind withdraws it. */
TEST(what_nobody_took_and_the_entry)
{
    for (unsigned level = 0; level <= 1; level++) {
        fake_reset();
        fake.refuse_messages = true;
        fake_ioapic_entry(9, 0x0700000000000000 | (level ? LEVEL : 0) | 0x39);
        irq_set(9, true);
        fake.refuse_messages = false;
        fake.messages = 0;
        reg_write(0x23, 0x01000000); /* the destination */
        CHECK_EQ(fake.messages, 1);
        CHECK_EQ(fake.message_address, 0xfee01000);
        reg_write(0x23, 0x02000000);
        CHECK_EQ(fake.messages, 1);

        fake.refuse_messages = true;
        ioapic_eoi(0x39);
        irq_set(9, false);
        irq_set(9, true);
        CHECK(entry_low(9) & SEND_PENDING);
        reg_write(0x22, (uint32_t)(MASKED | (level ? LEVEL : 0) | 0x39));
        CHECK(!(entry_low(9) & SEND_PENDING));
        fake.refuse_messages = false;
        fake.messages = 0;
        ioapic_eoi(ABI_EOI_NONE);
        CHECK_EQ(fake.messages, 0);
        reg_write(0x22, (uint32_t)((level ? LEVEL : 0) | 0x39));
        CHECK_EQ(fake.messages, level); /* the level is still there, the edge is lost */
    }
    fake_reset();
    fake.refuse_messages = true;
    fake_ioapic_entry(9, 0x39);
    irq_set(9, true);
    irq_set(9, false);
    fake.messages = 0;
    fake_ioapic_entry(9, LEVEL | 0x39);
    CHECK_EQ(entry_low(9), 0x8039);
    irq_set(9, true);
    CHECK_EQ(entry_low(9), 0x8039 | SEND_PENDING);
    fake.refuse_messages = false;
    fake.messages = 0;
    fake_ioapic_entry(9, 0x3a); /* first half: sent as a level; second half: an edge, which has not come */
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(entry_low(9), 0x3a);
}

/* An NMI is an edge whatever the entry says: neither unmasking nor rewriting it sends another one. */
TEST(a_level_nmi_is_an_edge)
{
    fake_reset();
    fake_ioapic_entry(9, LEVEL | 0x400);
    irq_set(9, true);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(fake.message_data, 0x4400);
    fake_ioapic_entry(9, LEVEL | MASKED | 0x400);
    fake_ioapic_entry(9, 0x0100000000000000 | LEVEL | 0x400);
    CHECK_EQ(fake.messages, 1);
    irq_set(9, false);
    irq_set(9, true);
    CHECK_EQ(fake.messages, 2);
}

TEST(delivery_modes_and_destinations)
{
    fake_reset();
    fake_ioapic_entry(5, 0xff00000000000000 | 0x800 | 0x100 | 0x51); /* lowest priority, logical */
    irq_set(5, true);
    CHECK_EQ(fake.message_address, 0xfeeff00c);
    CHECK_EQ(fake.message_data, 0x4151);
    fake_ioapic_entry(6, 0x0100000000000000 | 0x800 | 0x52);
    irq_set(6, true);
    CHECK_EQ(fake.message_address, 0xfee01004);
    for (unsigned mode = 2; mode < 8; mode++) {
        fake_ioapic_entry(7, mode << 8);
        irq_set(7, false);
        irq_set(7, true);
        CHECK_EQ(fake.message_data, 0x4000 | mode << 8);
    }
    fake_ioapic_entry(3, LEVEL | 0x400); /* an NMI has no EOI, so no remote IRR */
    irq_set(3, true);
    CHECK_EQ(entry_low(3), 0x8400);
}

TEST(extint_pin)
{
    fake_reset();
    fake_pic_setup(0xfe, 0xff);
    fake_ioapic_entry(0, 0x700);
    irq_set(0, true);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(fake.message_data, 0x4700);
    CHECK_EQ(pic_acknowledge(), 0x20);
    outb(0x20, 0x20);
    irq_set(0, false);
    irq_set(0, true);
    CHECK_EQ(fake.messages, 2);
}

/* In automatic EOI nothing but the edge says that there is more. */
TEST(extint_pin_in_automatic_eoi)
{
    fake_reset();
    fake_pic_setup(0x00, 0xff);
    outb(0x20, 0x13);
    outb(0x21, 0x20);
    outb(0x21, 0x03);
    fake_ioapic_entry(0, 0x700);
    irq_set(3, true);
    irq_set(4, true);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(pic_acknowledge(), 0x23);
    CHECK_EQ(fake.messages, 2);
    CHECK_EQ(pic_acknowledge(), 0x24);
    CHECK_EQ(fake.messages, 2);
    CHECK(!pic_intr());
}

TEST(absent_without_lapics)
{
    fake_reset();
    bus_init();
    irq_init(false);
    CHECK_EQ(bus_memory_read(BASE, 4), 0xffffffff);
    irq_set(4, true);
    CHECK_EQ(fake.messages, 0);
}
