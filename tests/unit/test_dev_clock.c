/* Tick conversions and timers of the device world, the bus, and dates. */
// links: user/devices/clock.c user/devices/bus.c user/devices/irq.c user/devices/pc/pic.c user/devices/pc/ioapic.c
// links: user/devices/pc/calendar.c lib/timerq.c lib/rbtree.c
#include <time.h>

#include "tests/unit/test.h"

#include "lib/muldiv.h"
#include "tests/unit/dev_env.h"
#include "user/devices/pc/calendar.h"

TEST(conversions_are_exact)
{
    uint64_t state = 1;

    for (unsigned i = 0; i < 200000; i++) {
        uint64_t hz = 1 + test_random(&state) % 10000000000ull;
        uint64_t ticks = test_random(&state) >> test_random(&state) % 64;
        uint64_t unit_hz = 1 + test_random(&state) % 100000000;
        unsigned __int128 units = (unsigned __int128)ticks * unit_hz / hz;

        clock_init(hz);
        CHECK_EQ(clock_units(ticks, unit_hz), units > UINT64_MAX ? UINT64_MAX : (uint64_t)units);
        if (units > 1ull << 40)
            continue;
        ticks = clock_ticks((uint64_t)units, unit_hz);
        CHECK((unsigned __int128)ticks * unit_hz / hz >= units);
        CHECK(units == 0 || (unsigned __int128)(ticks - 1) * unit_hz / hz < units);
    }
    CHECK_EQ(mul_div(5, 7, 0), UINT64_MAX);
    CHECK_EQ(mul_div(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
}

static unsigned fired;
static struct clock_timer again;

static void fire_count(uint64_t now)
{
    (void)now;
    fired++;
}

static void fire_again(uint64_t now)
{
    fired++;
    clock_timer_set(&again, now - 1);
}

TEST(timers_fire_once_when_due)
{
    static struct clock_timer a = {.fire = fire_count}, b = {.fire = fire_count};

    clock_init(1000);
    fired = 0;
    CHECK_EQ(clock_next_deadline(), CLOCK_NEVER);
    clock_timer_set(&a, 100);
    clock_timer_set(&b, 50);
    CHECK_EQ(clock_next_deadline(), 50);
    clock_run(49);
    CHECK_EQ(fired, 0);
    clock_run(50);
    CHECK_EQ(fired, 1);
    CHECK_EQ(clock_next_deadline(), 100);
    clock_timer_set(&a, CLOCK_NEVER);
    clock_timer_set(&a, CLOCK_NEVER);
    clock_run(1000);
    CHECK_EQ(fired, 1);
    again = (struct clock_timer){.fire = fire_again};
    clock_timer_set(&again, 10);
    clock_run(1000);
    CHECK_EQ(fired, 2);
    CHECK_EQ(clock_next_deadline(), 999);
}

static char trace[256];

static uint32_t note_read(uint32_t offset, unsigned bytes)
{
    snprintf(trace + strlen(trace), sizeof(trace) - strlen(trace), "r%u.%u ", offset, bytes);
    return 0xa0a0a0a0 + offset * 0x01010101;
}

static void note_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    snprintf(trace + strlen(trace), sizeof(trace) - strlen(trace), "w%u.%u=%x ", offset, bytes, value);
}

TEST(bus_splits_accesses)
{
    static const struct bus_region narrow = {0x100, 4, 1, note_read, note_write};
    static const struct bus_region wide = {0x200, 8, 4, note_read, note_write};
    static const struct bus_region word = {0x104, 3, 2, note_read, note_write};

    bus_init();
    CHECK(bus_add_ports(&wide) && bus_add_ports(&narrow) && bus_add_ports(&word) && bus_add_memory(&wide));
    CHECK(!bus_add_ports(&word));

    trace[0] = 0;
    CHECK_EQ(bus_port_read(0x100, 4), 0xa3a2a1a0);
    CHECK_STR(trace, "r0.1 r1.1 r2.1 r3.1 ");
    trace[0] = 0;
    bus_port_write(0x103, 4, 0x44332211); /* over the end of one, aligned and cut in the other */
    CHECK_STR(trace, "w3.1=11 w0.2=3322 w2.1=44 ");
    trace[0] = 0;
    CHECK_EQ(bus_port_read(0x106, 2), 0xffa2);
    CHECK_STR(trace, "r2.1 ");
    trace[0] = 0;
    bus_port_write(0x201, 4, 0x44332211);
    CHECK_STR(trace, "w1.1=11 w2.2=3322 w4.1=44 ");
    trace[0] = 0;
    bus_memory_write(0x200, 8, 0x8877665544332211);
    CHECK_STR(trace, "w0.4=44332211 w4.4=88776655 ");
    trace[0] = 0;
    CHECK_EQ(bus_memory_read(0x1fe, 6), 0xa0a0a0a0ffff);
    CHECK_STR(trace, "r0.4 ");
    trace[0] = 0;
    CHECK_EQ(bus_port_read(0xffff, 4), 0xffffffff);
    CHECK_EQ(inb(0x42), 0xff);
    CHECK_EQ(bus_port_read(0x42, 2), 0xffff);
    CHECK_EQ(bus_memory_read(UINT64_MAX, 8), UINT64_MAX);
    bus_memory_write(UINT64_MAX - 3, 8, 0);
    CHECK_STR(trace, "");
}

TEST(bus_is_full_at_its_limit)
{
    static struct bus_region regions[BUS_MAX_REGIONS + 1];

    bus_init();
    for (unsigned i = 0; i <= BUS_MAX_REGIONS; i++) {
        regions[i] = (struct bus_region){(BUS_MAX_REGIONS - i) * 4, 4, 4, note_read, note_write};
        CHECK_EQ(bus_add_ports(&regions[i]), i < BUS_MAX_REGIONS);
    }
    for (unsigned i = 1; i <= BUS_MAX_REGIONS; i++)
        CHECK_EQ(bus_port_read((uint16_t)(i * 4), 4), 0xa0a0a0a0);
    CHECK_EQ(bus_port_read(0, 4), 0xffffffff);
}

TEST(bus_has_ports_in_few_blocks)
{
    static struct bus_region regions[9];
    static const struct bus_region beyond = {0xfffe, 4, 1, note_read, note_write};

    bus_init();
    CHECK(!bus_add_ports(&beyond));
    for (unsigned i = 0; i < ARRAY_SIZE(regions); i++) {
        regions[i] = (struct bus_region){0x2000 * i + 0xff, 1, 1, note_read, note_write};
        CHECK_EQ(bus_add_ports(&regions[i]), i < 7);
    }
    for (unsigned i = 0; i < 7; i++) {
        CHECK_EQ(inb((uint16_t)regions[i].base), 0xa0);
        CHECK_EQ(inb((uint16_t)(regions[i].base + 0x1000)), 0xff);
    }
    bus_init();
    CHECK_EQ(inb(0xff), 0xff);
}

TEST(dates_agree_with_libc)
{
    for (int64_t day = -800000; day < 3000000; day += 37) {
        time_t seconds = day * CALENDAR_DAY_SECONDS;
        struct calendar_date date = calendar_from_days(day);
        struct tm tm;

        gmtime_r(&seconds, &tm);
        CHECK_EQ(date.year, tm.tm_year + 1900);
        CHECK_EQ(date.month, tm.tm_mon + 1);
        CHECK_EQ(date.day, tm.tm_mday);
        CHECK_EQ(date.weekday, tm.tm_wday);
        CHECK_EQ(calendar_to_days(date.year, date.month, date.day), day);
    }
    CHECK_EQ(calendar_to_days(2024, 2, 30), calendar_to_days(2024, 3, 1));
}
