/* The MC146818A, by its datasheet and as kernels read it. */
// links: user/devices/clock.c user/devices/bus.c user/devices/irq.c user/devices/pc/pic.c user/devices/pc/ioapic.c
// links: user/devices/pc/rtc.c user/devices/pc/calendar.c lib/timerq.c lib/rbtree.c
#include "tests/unit/test.h"

#include "tests/unit/dev_env.h"
#include "user/devices/pc/rtc.h"

static uint8_t cmos_read(uint8_t index)
{
    outb(0x70, index);
    return inb(0x71);
}

static void cmos_write(uint8_t index, uint8_t value)
{
    outb(0x70, index);
    outb(0x71, value);
}

/* 2026-11-21 (a Saturday) 01:42:57 UTC at the clock's start. */
static void setup(void)
{
    static struct abi_info info;

    fake_reset();
    info.boot_tsc = fake.now;
    info.boot_wall_s = 1795225377;
    info.ram_low = 0xc0000000;
    info.ram_high = 0x140000000;
    info.config.vcpus = 4;
    rtc_init(&info);
    fake_ioapic_entry(8, 0x38);
}

static void check_time(unsigned century, unsigned year, unsigned month, unsigned day, unsigned hour, unsigned minute,
                       unsigned second)
{
    CHECK_EQ(cmos_read(0x32), century);
    CHECK_EQ(cmos_read(9), year);
    CHECK_EQ(cmos_read(8), month);
    CHECK_EQ(cmos_read(7), day);
    CHECK_EQ(cmos_read(4), hour);
    CHECK_EQ(cmos_read(2), minute);
    CHECK_EQ(cmos_read(0), second);
}

TEST(time_in_bcd_and_binary)
{
    setup();
    check_time(0x20, 0x26, 0x11, 0x21, 0x01, 0x42, 0x57);
    CHECK_EQ(cmos_read(6), 7);
    fake_run_us(3000000);
    check_time(0x20, 0x26, 0x11, 0x21, 0x01, 0x43, 0x00);
    cmos_write(0x0b, 0x06);
    check_time(20, 26, 11, 21, 1, 43, 0);
    fake_run_us(12ull * 3600 * 1000000);
    cmos_write(0x0b, 0x00);
    CHECK_EQ(cmos_read(4), 0x81); /* 1 pm */
    cmos_write(0x0b, 0x02);
    CHECK_EQ(cmos_read(4), 0x13);
    CHECK_EQ(cmos_read(0x0d), 0x80);
}

TEST(linux_sets_the_clock)
{
    uint8_t a, b;

    setup();
    b = cmos_read(0x0b);
    cmos_write(0x0b, b | 0x80);
    a = cmos_read(0x0a);
    cmos_write(0x0a, a | 0x70);
    cmos_write(9, 0x24);
    cmos_write(8, 0x02);
    cmos_write(7, 0x28);
    cmos_write(4, 0x23);
    cmos_write(2, 0x59);
    cmos_write(0, 0x58);
    cmos_write(0x32, 0x20);
    cmos_write(0x0b, b);
    fake_run_us(5000000); /* the divider stands */
    check_time(0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x58);
    cmos_write(0x0a, a);
    fake_run_us(490000);
    CHECK_EQ(cmos_read(0), 0x58);
    fake_run_us(20000); /* the first update comes after half a second */
    CHECK_EQ(cmos_read(0), 0x59);
    fake_run_us(1000000);
    check_time(0x20, 0x24, 0x02, 0x29, 0x00, 0x00, 0x00);
    CHECK_EQ(cmos_read(6), 1); /* the guest left it at Saturday, wrongly; one day later it is Sunday */
}

TEST(a_single_register_is_set)
{
    setup();
    cmos_write(4, 0x22);
    check_time(0x20, 0x26, 0x11, 0x21, 0x22, 0x42, 0x57);
    cmos_write(8, 0x00); /* no month: the first */
    CHECK_EQ(cmos_read(8), 0x01);
    for (unsigned value = 0; value < 256; value++)
        for (unsigned index = 0; index < 10; index++)
            cmos_write((uint8_t)index, (uint8_t)value);
}

TEST(set_freezes_the_time)
{
    setup();
    cmos_write(0x0b, 0x82);
    fake_run_us(10000000);
    CHECK_EQ(cmos_read(0), 0x57);
    CHECK_EQ(cmos_read(0x0c) & 0x30, 0);
    cmos_write(0x0b, 0x02);
    CHECK_EQ(cmos_read(0), 0x57);
}

TEST(uip_shows_before_each_update)
{
    unsigned with_uip = 0, changed_under_uip = 0;

    setup();
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t uip = cmos_read(0x0a) & 0x80, second = cmos_read(0);

        fake.now += FAKE_HZ / 100000; /* 10 us */
        with_uip += uip != 0;
        /* With UIP clear there are 244 us in which the time can be read. */
        changed_under_uip += uip == 0 && cmos_read(0) != second;
    }
    CHECK(with_uip >= 46 && with_uip <= 52);
    CHECK_EQ(changed_under_uip, 0);
    CHECK_EQ(cmos_read(0x0a) & 0x7f, 0x26);
}

TEST(update_interrupt)
{
    setup();
    cmos_write(0x0b, 0x12);
    fake_run_us(1000);
    CHECK_EQ(fake.messages, 0);
    fake_run_us(1000000);
    CHECK_EQ(fake.messages, 1);
    fake_run_us(5000000);
    CHECK_EQ(fake.messages, 1); /* until register C is read */
    CHECK_EQ(cmos_read(0x0c), 0x90 | 0x40);
    CHECK_EQ(cmos_read(0x0c), 0);
    fake_run_us(1000000);
    CHECK_EQ(fake.messages, 2);
    CHECK_EQ(fake.message_data & 0xff, 0x38);
    cmos_write(0x0b, 0x92); /* SET clears UIE */
    CHECK_EQ(cmos_read(0x0b), 0x82);
}

TEST(periodic_interrupt)
{
    unsigned count = 0;

    setup();
    cmos_read(0x0c);
    cmos_write(0x0b, 0x42);
    for (unsigned i = 0; i < 10000; i++) {
        fake_run_us(100);
        if (cmos_read(0x0c) & 0x80)
            count++;
    }
    CHECK(count >= 1023 && count <= 1024);
    CHECK_EQ(fake.messages, count);
    cmos_write(0x0a, 0x2f); /* 2 Hz */
    cmos_read(0x0c);
    fake.messages = 0;
    for (unsigned i = 0; i < 100; i++) {
        fake_run_us(100000);
        cmos_read(0x0c);
    }
    CHECK_EQ(fake.messages, 20);
    cmos_write(0x0a, 0x21); /* 256 Hz */
    fake.messages = 0;
    for (unsigned i = 0; i < 1000; i++) {
        fake_run_us(1000);
        cmos_read(0x0c);
    }
    CHECK(fake.messages >= 255 && fake.messages <= 257);
    cmos_write(0x0a, 0x20); /* none */
    fake.messages = 0;
    fake_run_us(3000000);
    CHECK_EQ(fake.messages, 0);
    CHECK_EQ(clock_next_deadline(), CLOCK_NEVER);
}

TEST(alarm)
{
    setup();
    cmos_write(5, 0x01);
    cmos_write(3, 0x43);
    cmos_write(1, 0x05);
    cmos_write(0x0b, 0x22);
    fake_run_us(7900000);
    CHECK_EQ(fake.messages, 0);
    fake_run_us(200000);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(cmos_read(0x0c) & 0xa0, 0xa0);
    fake_run_us(23ull * 3600 * 1000000);
    CHECK_EQ(fake.messages, 1);
    fake_run_us(1ull * 3600 * 1000000);
    CHECK_EQ(fake.messages, 2);
    cmos_read(0x0c);
    cmos_write(5, 0x02); /* in the next hour, in an earlier minute */
    cmos_write(3, 0x01);
    fake_run_us((17 * 60 + 58) * 1000000ull);
    CHECK_EQ(fake.messages, 2);
    fake_run_us(3000000);
    CHECK_EQ(fake.messages, 3);
    cmos_read(0x0c);
    cmos_write(5, 0xff); /* every hour, every minute */
    cmos_write(3, 0xc0);
    fake.messages = 0;
    for (unsigned i = 0; i < 600; i++) {
        fake_run_us(1000000);
        cmos_read(0x0c);
    }
    CHECK_EQ(fake.messages, 10);
    cmos_write(1, 0x77); /* never */
    CHECK_EQ(clock_next_deadline(), CLOCK_NEVER);
    cmos_write(1, 0x05);
    cmos_write(0x0b, 0x02);
    cmos_read(0x0c);
    fake_run_us(61000000);
    CHECK_EQ(cmos_read(0x0c), 0x70); /* flags without interrupts */
}

TEST(memory)
{
    setup();
    CHECK_EQ(cmos_read(0x15) | cmos_read(0x16) << 8, 640);
    CHECK_EQ(cmos_read(0x17) | cmos_read(0x18) << 8, 0xffff);
    CHECK_EQ(cmos_read(0x34) | cmos_read(0x35) << 8, 0xbf00);
    CHECK_EQ(cmos_read(0x5b) | cmos_read(0x5c) << 8 | cmos_read(0x5d) << 16, 0x14000);
    CHECK_EQ(cmos_read(0x5f), 3);
    cmos_write(0x0f, 0x0a); /* shutdown status, for an AP's start by warm reset */
    CHECK_EQ(cmos_read(0x0f), 0x0a);
    cmos_write(0x8f, 0x0b); /* bit 7 masks NMIs */
    CHECK_EQ(cmos_read(0x0f), 0x0b);
    CHECK_EQ(inb(0x70), 0xff);
    for (unsigned i = 0x40; i < 0x5b; i++)
        cmos_write((uint8_t)i, (uint8_t)~i);
    for (unsigned i = 0x40; i < 0x5b; i++)
        CHECK_EQ(cmos_read((uint8_t)i), (uint8_t)~i);
}
