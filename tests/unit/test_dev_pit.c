/* The 8254 and port B, by the 82C54 datasheet and as kernels use them. */
// links: user/devices/clock.c user/devices/bus.c user/devices/irq.c user/devices/pc/pic.c user/devices/pc/ioapic.c
// links: user/devices/pc/pit.c user/devices/pc/pit_channel.c lib/timerq.c lib/rbtree.c
#include "tests/unit/test.h"

#include "tests/unit/dev_env.h"
#include "user/devices/pc/pit.h"

static void setup(void)
{
    fake_reset();
    pit_init();
    fake_ioapic_entry(2, 0x30);
}

static void run_clocks(uint64_t clocks)
{
    fake_run_until(fake.now + clock_ticks(clocks, PIT_HZ));
}

static void program(unsigned channel, unsigned mode, uint16_t count)
{
    outb(0x43, (uint8_t)(channel << 6 | 0x30 | mode << 1));
    outb((uint16_t)(0x40 + channel), (uint8_t)count);
    outb((uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

static uint16_t latched(unsigned channel)
{
    uint8_t low;

    outb(0x43, (uint8_t)(channel << 6));
    low = inb((uint16_t)(0x40 + channel));
    return (uint16_t)(low | inb((uint16_t)(0x40 + channel)) << 8);
}

static uint8_t status(unsigned channel)
{
    outb(0x43, (uint8_t)(0xe0 | 2u << channel));
    return inb((uint16_t)(0x40 + channel));
}

/* Latching loses at most the clock that has begun. */
static void check_near(unsigned value, unsigned expected)
{
    CHECK(value <= expected && value + 1 >= expected);
}

TEST(rate_generator_ticks)
{
    setup();
    program(0, 2, 11932);       /* HZ = 100 */
    CHECK_EQ(fake.messages, 1); /* OUT goes high with the control word */
    CHECK_EQ(latched(0), 11932);
    run_clocks(1000);
    CHECK_EQ(latched(0), 10932);
    fake.messages = 0;
    for (unsigned i = 1; i <= 500; i++) {
        fake_run_us(10000);
        CHECK_EQ(fake.messages, i); /* 100.0 Hz, without a drift over five seconds */
    }
    CHECK_EQ(status(0), 0xb4);
}

TEST(square_wave)
{
    setup();
    program(0, 3, 0); /* 65536 */
    fake.messages = 0;
    fake_run_us(1000000);
    CHECK_EQ(fake.messages, 18);
    program(0, 3, 10000);
    run_clocks(1000);
    CHECK_EQ(latched(0), 8000);
    CHECK_EQ(status(0), 0xb6);
    run_clocks(4500);
    CHECK_EQ(latched(0), 9000);
    CHECK_EQ(status(0), 0x36);
    program(0, 3, 9999); /* odd: high for 5000, low for 4999 */
    run_clocks(4999);
    CHECK_EQ(status(0), 0xb6);
    run_clocks(1);
    CHECK_EQ(status(0), 0x36);
}

TEST(one_interrupt_on_terminal_count)
{
    setup();
    program(0, 0, 1193);
    CHECK_EQ(fake.messages, 0);
    CHECK_EQ(status(0), 0x30);
    run_clocks(1192);
    CHECK_EQ(fake.messages, 0);
    check_near(latched(0), 1);
    run_clocks(2);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(status(0), 0xb0);
    run_clocks(100);
    CHECK(latched(0) > 0xff00); /* it counts on from FFFFh */
    run_clocks(1000000);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(clock_next_deadline(), CLOCK_NEVER);
    outb(0x40, 0x10); /* the first byte of a new count stops it, the second starts it */
    CHECK_EQ(status(0), 0x30);
    run_clocks(100);
    outb(0x40, 0x00);
    CHECK_EQ(latched(0), 0x10);
    run_clocks(0x11);
    CHECK_EQ(fake.messages, 2);
}

TEST(software_strobe_is_linux_one_shot)
{
    setup();
    outb(0x43, 0x38);
    fake.messages = 0;
    for (unsigned i = 1; i <= 3; i++) {
        outb(0x40, 0x0f);
        outb(0x40, 0x01);
        run_clocks(0x10e);
        CHECK_EQ(fake.messages, i - 1);
        run_clocks(3);
        CHECK_EQ(fake.messages, i);
        run_clocks(70000);
        CHECK_EQ(fake.messages, i);
    }
}

TEST(linux_shutdown_leaves_no_timer)
{
    setup();
    program(0, 2, 4772);
    outb(0x43, 0x30);
    outb(0x40, 0);
    outb(0x40, 0);
    fake.messages = 0;
    fake_run_us(10000000);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(clock_next_deadline(), CLOCK_NEVER);
}

TEST(linux_quick_calibration)
{
    uint64_t begin;
    unsigned expected = 0xff;

    setup();
    outb(0x61, (uint8_t)((inb(0x61) & ~0x02) | 0x01));
    outb(0x43, 0xb0);
    outb(0x42, 0xff);
    outb(0x42, 0xff);
    inb(0x42);
    inb(0x42);
    begin = fake.now;
    for (; expected > 0xf0; expected--) { /* the high byte counts down, 256 clocks each */
        unsigned reads = 0;

        for (; reads < 50000; reads++) {
            inb(0x42);
            if (inb(0x42) != expected)
                break;
            fake.now += 1000;
        }
        CHECK(reads > 5 && reads < 50000);
    }
    CHECK(clock_units(fake.now - begin, PIT_HZ) / 256 == 15);
}

TEST(linux_slow_calibration_waits_for_out2)
{
    unsigned loops = 0;

    setup();
    outb(0x61, (uint8_t)((inb(0x61) & ~0x02) | 0x01));
    program(2, 0, 59659); /* 50 ms */
    while (!(inb(0x61) & 0x20) && loops++ < 100000)
        fake.now += FAKE_HZ / 100000;
    CHECK(loops > 4990 && loops < 5010);
}

TEST(gate_of_channel_2)
{
    setup();
    outb(0x61, 0);
    program(2, 0, 1000);
    run_clocks(500);
    CHECK_EQ(latched(2), 1000); /* the gate is low */
    outb(0x61, 1);
    run_clocks(400);
    outb(0x61, 0);
    run_clocks(5000);
    check_near(latched(2), 600);
    CHECK_EQ(inb(0x61) & 0x20, 0);
    outb(0x61, 1);
    run_clocks(599);
    CHECK_EQ(inb(0x61) & 0x20, 0);
    run_clocks(2);
    CHECK_EQ(inb(0x61) & 0x20, 0x20);

    outb(0x61, 0);
    program(2, 1, 100); /* one-shot: the gate's rising edge triggers */
    run_clocks(1000);
    CHECK_EQ(inb(0x61) & 0x20, 0x20);
    outb(0x61, 1);
    CHECK_EQ(inb(0x61) & 0x20, 0);
    run_clocks(101);
    CHECK_EQ(inb(0x61) & 0x20, 0x20);
    outb(0x61, 0);
    outb(0x61, 1);
    CHECK_EQ(inb(0x61) & 0x20, 0);

    outb(0x61, 0);
    program(2, 3, 100); /* square wave: stopped, and OUT is high */
    run_clocks(75);
    CHECK_EQ(inb(0x61) & 0x20, 0x20);
    outb(0x61, 1);
    run_clocks(75);
    CHECK_EQ(inb(0x61) & 0x2f, 0x01);
    outb(0x61, 0x0e);
    CHECK_EQ(inb(0x61) & 0x2f, 0x2e);
}

/* The gate stops a rate, and the count that waits for the end of its period: both go on with the gate's rising edge. */
TEST(gate_stops_a_rate_whose_new_count_waits)
{
    setup();
    outb(0x61, 1);
    program(2, 2, 10000);
    run_clocks(100);
    outb(0x42, 100);
    outb(0x42, 0);
    outb(0x61, 0);
    for (unsigned i = 0; i < 300; i++) {
        run_clocks(97);
        CHECK_EQ(inb(0x61) & 0x20, 0x20);
    }
    CHECK_EQ(latched(2), latched(2));
    outb(0x61, 1);
    run_clocks(30);
    check_near(latched(2), 70);
}

/* Both bytes of a count that is not latched. */
static uint16_t live(unsigned channel)
{
    uint8_t low = inb((uint16_t)(0x40 + channel));

    return (uint16_t)(low | inb((uint16_t)(0x40 + channel)) << 8);
}

/* Latched, live, and some time later: the counter stands there. */
static void check_stands(unsigned channel, unsigned expected)
{
    uint16_t at = latched(channel);

    check_near(at, expected);
    CHECK_EQ(live(channel), at);
    run_clocks(77777);
    CHECK_EQ(latched(channel), at);
    CHECK_EQ(live(channel), at);
}

/* "GATE = 0 disables counting" in modes 0, 2, 3 and 4; it is a trigger and no more in modes 1 and 5. */
TEST(a_counter_without_gate_stands_where_it_was)
{
    static const struct {
        unsigned mode, left;
    } cases[] = {{0, 7000}, {2, 7000}, {3, 4000}, {4, 7000}};

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        setup();
        outb(0x61, 1);
        program(2, cases[i].mode, 10000);
        run_clocks(3000);
        outb(0x61, 0);
        check_stands(2, cases[i].left);
        outb(0x43, 0xe8);
        CHECK_EQ(inb(0x42) & 0x40, 0); /* the count has been loaded */
        outb(0x61, 1);
        run_clocks(1000);
        switch (cases[i].mode) {
        case 2: /* from the beginning */
            check_near(latched(2), 9000);
            break;
        case 3:
            check_near(latched(2), 8000);
            break;
        default: /* goes on */
            check_near(latched(2), 6000);
        }
    }
    for (unsigned mode = 1; mode <= 5; mode += 4) {
        setup();
        program(2, mode, 10000);
        outb(0x61, 1);
        run_clocks(3000);
        outb(0x61, 0);
        run_clocks(1000);
        check_near(latched(2), 6000);
    }
}

/* Modes 2 and 3 load the first count with the next clock, whatever the gate is, and a later one with the trigger. */
TEST(a_count_written_without_gate)
{
    for (unsigned mode = 2; mode <= 3; mode++) {
        setup();
        outb(0x61, 0);
        program(2, mode, 5000);
        CHECK_EQ(status(2) & 0x40, 0);
        check_stands(2, 5000);
        outb(0x42, 0x58);
        outb(0x42, 0x1b); /* 7000 */
        CHECK_EQ(status(2) & 0x40, 0x40);
        check_stands(2, 5000);
        outb(0x61, 1);
        CHECK_EQ(status(2) & 0x40, 0);
        check_near(latched(2), 7000);
    }
}

TEST(mode_0_stands_behind_the_first_byte)
{
    setup();
    outb(0x61, 1);
    program(2, 0, 10000);
    run_clocks(3000);
    outb(0x42, 0x10);
    check_stands(2, 7000);
    CHECK_EQ(inb(0x61) & 0x20, 0);
    outb(0x61, 0); /* the gate changes nothing now */
    outb(0x61, 1);
    check_stands(2, 7000);
    outb(0x42, 0x27);
    check_near(latched(2), 10000);

    run_clocks(20000); /* past zero */
    outb(0x42, 0x10);
    check_stands(2, 65536 - 10000);
    CHECK_EQ(inb(0x61) & 0x20, 0);
}

/* Behind a control word nothing counts until there is a count, in modes 1 and 5 until there is a trigger. */
TEST(a_counter_stands_behind_the_control_word)
{
    for (unsigned mode = 0; mode <= 5; mode++) {
        setup();
        outb(0x61, 1);
        program(2, 2, 10000);
        run_clocks(3000);
        outb(0x43, (uint8_t)(0xb0 | mode << 1));
        CHECK_EQ(status(2), 0x70 | mode << 1 | (mode == 0 ? 0 : 0x80));
        check_stands(2, 7000);
        if (mode == 1 || mode == 5) {
            outb(0x42, 100);
            outb(0x42, 0);
            CHECK_EQ(status(2) & 0x40, 0x40);
            check_stands(2, 7000);
            outb(0x61, 0);
            outb(0x61, 1);
            CHECK_EQ(status(2) & 0x40, 0);
            check_near(latched(2), 100);
        }
    }
}

TEST(new_count_of_a_running_rate_waits_for_the_period)
{
    setup();
    program(0, 2, 10000);
    run_clocks(1000);
    outb(0x40, 0x20);
    outb(0x40, 0x03); /* 800 */
    CHECK_EQ(status(0) & 0x40, 0x40);
    CHECK_EQ(latched(0), 9000);
    fake.messages = 0;
    run_clocks(8999);
    CHECK_EQ(fake.messages, 0);
    run_clocks(2);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(status(0) & 0x40, 0);
    run_clocks(800);
    CHECK_EQ(fake.messages, 2);
}

TEST(byte_access_latch_and_read_back)
{
    setup();
    outb(0x43, 0x14); /* low byte only */
    outb(0x40, 200);
    CHECK_EQ(latched(0) & 0xff, 200);
    outb(0x43, 0x24); /* high byte only */
    outb(0x40, 2);
    outb(0x43, 0x00);
    CHECK_EQ(inb(0x40), 2);
    program(0, 2, 0x1234);
    outb(0x43, 0xc2); /* status and count of channel 0; a second latch changes nothing */
    run_clocks(0x100);
    outb(0x43, 0x00);
    CHECK_EQ(inb(0x40), 0xb4);
    CHECK_EQ(inb(0x40), 0x34);
    CHECK_EQ(inb(0x40), 0x12);
    CHECK_EQ(inb(0x40), 0x34); /* live: 1134h, low then high */
    CHECK_EQ(inb(0x40), 0x11);
    program(2, 0, 100);
    outb(0x61, 1);
    outb(0x43, 0xe8);
    run_clocks(200);
    CHECK_EQ(status(2), 0x30); /* the first latch counts */
    CHECK_EQ(status(2), 0xb0);
    outb(0x43, 0x34);
    CHECK_EQ(status(0), 0xf4); /* null count until one is written */
    CHECK_EQ(inb(0x43), 0xff);
}

TEST(bcd)
{
    setup();
    outb(0x43, 0x35);
    outb(0x40, 0x00);
    outb(0x40, 0x10); /* 1000 */
    run_clocks(1);
    CHECK_EQ(latched(0), 0x0999);
    outb(0x43, 0x31);
    outb(0x40, 0x00);
    outb(0x40, 0x00); /* 10000 */
    run_clocks(10);
    CHECK_EQ(latched(0), 0x9990);
    outb(0x43, 0x31);
    outb(0x40, 0xff);
    outb(0x40, 0xff); /* no BCD at all: only not to be harmful */
    run_clocks(10);
    latched(0);
}

TEST(refresh_bit_toggles)
{
    unsigned changes = 0;
    uint8_t last;

    setup();
    last = inb(0x61) & 0x10;
    for (unsigned i = 0; i < 1000; i++) {
        fake.now += FAKE_HZ / 1000000;
        changes += (inb(0x61) & 0x10) != last;
        last = inb(0x61) & 0x10;
    }
    CHECK(changes >= 65 && changes <= 68); /* each 15.085 us */
}

TEST(absurd_rate_is_bounded)
{
    setup();
    program(0, 2, 1);
    fake.messages = 0;
    fake_run_us(100000);
    CHECK(fake.messages <= 1001);
    CHECK(fake.messages >= 990);
}

TEST(a_late_worker_gives_one_tick)
{
    setup();
    program(0, 2, 1193);
    fake.messages = 0;
    fake.now += FAKE_HZ;
    clock_run(fake.now);
    CHECK_EQ(fake.messages, 1);
    CHECK(clock_next_deadline() > fake.now);
    CHECK(clock_next_deadline() <= fake.now + FAKE_HZ / 999);
}
