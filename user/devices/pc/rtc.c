#include "user/devices/pc/rtc.h"

#include "user/devices/bus.h"
#include "user/devices/clock.h"
#include "user/devices/irq.h"
#include "user/devices/pc/calendar.h"
#include "user/devices/platform.h"
#include "user/lib/env.h"

#include "lib/string.h"

/* Registers (MC146818A datasheet). From 0Eh on, the rest is memory. */
enum {
    RTC_SECONDS,
    RTC_SECONDS_ALARM,
    RTC_MINUTES,
    RTC_MINUTES_ALARM,
    RTC_HOURS,
    RTC_HOURS_ALARM,
    RTC_WEEKDAY,
    RTC_DAY,
    RTC_MONTH,
    RTC_YEAR,
    RTC_A,
    RTC_B,
    RTC_C,
    RTC_D,
    RTC_SIZE = 128
};

#define A_UIP        0x80
#define A_DIVIDER    0x70
#define A_RESET      0x60 /* this value, or 70h, holds the divider in reset */
#define A_RATE       0x0f
#define B_SET        0x80
#define B_UIE        0x10
#define B_BINARY     0x04
#define B_24H        0x02
#define C_IRQF       0x80
#define C_PF         0x40
#define C_AF         0x20
#define C_UF         0x10
#define C_FLAGS      (C_PF | C_AF | C_UF)
#define D_VRT        0x80
#define HOUR_PM      0x80
#define ALARM_ANY    0xc0 /* from this value on: every time matches */
#define ALARM_NEVER  (-1)
#define ALARM_ALWAYS (-2)
#define DIVIDER_HZ   32768
#define SECOND_SHIFT 15
#define UIP_PERIODS  8     /* UIP is set for 244 us before an update */
#define AFTER_RESET  16384 /* the first update comes half a second after the divider's reset ends */
#define INDEX_MASK   0x7f

/*
 * The divider chain counts periods of 1/32768 s from base_tsc. The time is base_seconds plus the divider's whole
 * seconds. While SET is 1, the time registers are plain memory, in reg[]. Otherwise their values in reg[] are stale,
 * and are filled in when they are needed.
 */
static struct {
    uint8_t index;
    uint8_t reg[RTC_SIZE];
    int64_t base_seconds; /* since 1970 */
    uint64_t base_tsc;
    bool held;            /* the divider is in reset: it stands at 0 */
    uint64_t checked;     /* register C has the flags of all events up to this period */
    unsigned weekday_set; /* by how many days the guest's weekday is ahead of the calendar's, 0..6 */
    struct clock_timer timer;
} rtc;

static uint64_t divider(uint64_t now)
{
    return rtc.held ? 0 : clock_units(now - rtc.base_tsc, DIVIDER_HZ);
}

static uint8_t encode(unsigned value)
{
    return (uint8_t)(rtc.reg[RTC_B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static unsigned decode(uint8_t raw)
{
    return rtc.reg[RTC_B] & B_BINARY ? raw : (raw >> 4) * 10u + (raw & 15);
}

static uint8_t encode_hour(unsigned hour)
{
    if (rtc.reg[RTC_B] & B_24H)
        return encode(hour);
    return encode(hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(uint8_t raw)
{
    if (rtc.reg[RTC_B] & B_24H)
        return decode(raw);
    return decode(raw & (uint8_t)~HOUR_PM) % 12 + (raw & HOUR_PM ? 12 : 0);
}

static int64_t day_of(int64_t seconds)
{
    return seconds / CALENDAR_DAY_SECONDS - (seconds % CALENDAR_DAY_SECONDS < 0);
}

static void registers_from_time(int64_t seconds)
{
    int64_t day = day_of(seconds);
    unsigned second = (unsigned)(seconds - day * CALENDAR_DAY_SECONDS);
    struct calendar_date date = calendar_from_days(day);

    rtc.reg[RTC_SECONDS] = encode(second % 60);
    rtc.reg[RTC_MINUTES] = encode(second / 60 % 60);
    rtc.reg[RTC_HOURS] = encode_hour(second / 3600);
    rtc.reg[RTC_WEEKDAY] = encode((date.weekday + rtc.weekday_set) % 7 + 1);
    rtc.reg[RTC_DAY] = encode(date.day);
    rtc.reg[RTC_MONTH] = encode(date.month);
    rtc.reg[RTC_YEAR] = encode((unsigned)(date.year % 100));
    rtc.reg[PLATFORM_RTC_CENTURY] = encode((unsigned)(date.year / 100));
}

static int64_t time_from_registers(void)
{
    unsigned month = MIN(MAX(decode(rtc.reg[RTC_MONTH]), 1u), 12u);
    int64_t year = decode(rtc.reg[PLATFORM_RTC_CENTURY]) * 100 + decode(rtc.reg[RTC_YEAR]);
    int64_t day = calendar_to_days(year, month, decode(rtc.reg[RTC_DAY]));

    rtc.weekday_set = (decode(rtc.reg[RTC_WEEKDAY]) + 13 - calendar_from_days(day).weekday) % 7;
    return day * CALENDAR_DAY_SECONDS + decode_hour(rtc.reg[RTC_HOURS]) * 3600 + decode(rtc.reg[RTC_MINUTES]) * 60 +
           decode(rtc.reg[RTC_SECONDS]);
}

static bool is_time_register(unsigned index)
{
    switch (index) {
    case RTC_SECONDS:
    case RTC_MINUTES:
    case RTC_HOURS:
    case RTC_WEEKDAY:
    case RTC_DAY:
    case RTC_MONTH:
    case RTC_YEAR:
    case PLATFORM_RTC_CENTURY:
        return true;
    default:
        return false;
    }
}

/* The value that an alarm register waits for: a value below limit, ALARM_ALWAYS or ALARM_NEVER. */
static int alarm_field(unsigned index, unsigned limit)
{
    uint8_t raw = rtc.reg[index];
    unsigned value = index == RTC_HOURS_ALARM ? decode_hour(raw) : decode(raw);

    if (raw >= ALARM_ANY)
        return ALARM_ALWAYS;
    if (value >= limit || (index == RTC_HOURS_ALARM ? encode_hour(value) : encode(value)) != raw)
        return ALARM_NEVER;
    return (int)value;
}

static bool alarm_matches(int field, unsigned value)
{
    return field == ALARM_ALWAYS || field == (int)value;
}

/* The first second after `seconds` at which the alarm goes off; INT64_MAX: never. */
static int64_t next_alarm(int64_t seconds)
{
    int hour = alarm_field(RTC_HOURS_ALARM, 24);
    int minute = alarm_field(RTC_MINUTES_ALARM, 60);
    int second = alarm_field(RTC_SECONDS_ALARM, 60);

    if (hour == ALARM_NEVER || minute == ALARM_NEVER || second == ALARM_NEVER)
        return INT64_MAX;

    for (seconds++;;) {
        unsigned of_day = (unsigned)(seconds - day_of(seconds) * CALENDAR_DAY_SECONDS);

        if (!alarm_matches(hour, of_day / 3600))
            seconds += 3600 - of_day % 3600;
        else if (!alarm_matches(minute, of_day / 60 % 60))
            seconds += 60 - of_day % 60;
        else if (!alarm_matches(second, of_day % 60))
            seconds++;
        else
            return seconds;
    }
}

/* The divider's periods between two periodic interrupts; 0: the periodic interrupt is off. */
static uint64_t rate_periods(void)
{
    unsigned rate = rtc.reg[RTC_A] & A_RATE;

    return rate == 0 ? 0 : 1ull << (rate <= 2 ? rate + 6 : rate - 1);
}

static bool updating(void)
{
    return !(rtc.reg[RTC_B] & B_SET) && !rtc.held;
}

/* Bring the flags of register C up to date, and the interrupt line with them. */
static void sync(uint64_t now)
{
    uint64_t reached = divider(now), periods = rate_periods();
    uint64_t second = reached >> SECOND_SHIFT, last_second = rtc.checked >> SECOND_SHIFT;

    if (periods && reached / periods > rtc.checked / periods)
        rtc.reg[RTC_C] |= C_PF;

    if (updating() && second > last_second) {
        rtc.reg[RTC_C] |= C_UF;
        if (next_alarm(rtc.base_seconds + (int64_t)last_second) <= rtc.base_seconds + (int64_t)second)
            rtc.reg[RTC_C] |= C_AF;
    }
    rtc.checked = reached;

    rtc.reg[RTC_C] &= C_FLAGS;
    if (rtc.reg[RTC_C] & rtc.reg[RTC_B])
        rtc.reg[RTC_C] |= C_IRQF;
    irq_set(PLATFORM_IRQ_RTC, rtc.reg[RTC_C] & C_IRQF);
}

/* Set the timer for the next event that raises the interrupt, if there is one. */
static void arm(void)
{
    uint8_t enabled = rtc.reg[RTC_B] & C_FLAGS;
    uint64_t periods = rate_periods(), second = rtc.checked >> SECOND_SHIFT, target = UINT64_MAX;

    if ((enabled & C_PF) && periods)
        target = (rtc.checked / periods + 1) * periods;
    if ((enabled & C_UF) && updating())
        target = MIN(target, (second + 1) << SECOND_SHIFT);
    if ((enabled & C_AF) && updating()) {
        int64_t alarm = next_alarm(rtc.base_seconds + (int64_t)second);

        if (alarm != INT64_MAX)
            target = MIN(target, (uint64_t)(alarm - rtc.base_seconds) << SECOND_SHIFT);
    }

    if (rtc.held || (rtc.reg[RTC_C] & C_IRQF) || target == UINT64_MAX)
        clock_timer_set(&rtc.timer, CLOCK_NEVER);
    else
        clock_timer_set(&rtc.timer, rtc.base_tsc + clock_ticks(target, DIVIDER_HZ));
}

static void rtc_fire(uint64_t now)
{
    sync(now);
    arm();
}

static int64_t current_seconds(uint64_t now)
{
    return rtc.base_seconds + (int64_t)(divider(now) >> SECOND_SHIFT);
}

static void set_seconds(uint64_t now, int64_t seconds)
{
    rtc.base_seconds = seconds - (int64_t)(divider(now) >> SECOND_SHIFT);
}

static void write_a(uint64_t now, uint8_t value)
{
    bool held = (value & A_RESET) == A_RESET;

    if (held && !rtc.held) {
        rtc.base_seconds = current_seconds(now);
        rtc.held = true;
        rtc.checked = 0;
    } else if (!held && rtc.held) {
        rtc.held = false;
        rtc.base_tsc = now - clock_ticks(AFTER_RESET, DIVIDER_HZ);
        rtc.checked = divider(now);
    }
    rtc.reg[RTC_A] = value & (uint8_t)~A_UIP;
}

static void write_b(uint64_t now, uint8_t value)
{
    bool was_set = rtc.reg[RTC_B] & B_SET;

    if ((value & B_SET) && !was_set)
        registers_from_time(current_seconds(now));
    if (value & B_SET)
        value &= (uint8_t)~B_UIE;
    rtc.reg[RTC_B] = value;

    /* The time registers count in the format that the guest chooses with this same write. */
    if (!(value & B_SET) && was_set)
        set_seconds(now, time_from_registers());
}

__attribute__((noinline)) static void register_write(uint8_t index, uint8_t value)
{
    uint64_t now = env_now();

    sync(now);

    switch (index) {
    case RTC_A:
        write_a(now, value);
        break;
    case RTC_B:
        write_b(now, value);
        break;
    case RTC_C:
    case RTC_D:
        return;
    default:
        if (is_time_register(index) && !(rtc.reg[RTC_B] & B_SET)) {
            registers_from_time(current_seconds(now));
            rtc.reg[index] = value;
            set_seconds(now, time_from_registers());
        } else {
            rtc.reg[index] = value;
        }
    }

    sync(now);
    arm();
}

__attribute__((noinline)) static uint32_t register_read(uint8_t index)
{
    uint64_t now = env_now();
    uint8_t value;

    switch (index) {
    case RTC_A:
        value = rtc.reg[RTC_A];
        if (updating() && divider(now) % DIVIDER_HZ >= DIVIDER_HZ - UIP_PERIODS)
            value |= A_UIP;
        return value;
    case RTC_C:
        sync(now);
        value = rtc.reg[RTC_C];
        rtc.reg[RTC_C] = 0;
        sync(now);
        arm();
        return value;
    default:
        if (is_time_register(index) && !(rtc.reg[RTC_B] & B_SET))
            registers_from_time(current_seconds(now));
        return rtc.reg[index];
    }
}

/* The index port is write-only. Its bit 7 masks NMIs on a PC. It is ignored here: in this machine no NMI comes from
 * outside the CPUs. */
static uint32_t rtc_read(uint32_t offset, unsigned bytes)
{
    (void)bytes;
    return offset == 0 ? UINT32_MAX : register_read(rtc.index);
}

static void rtc_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    (void)bytes;
    if (offset == 0)
        rtc.index = value & INDEX_MASK;
    else
        register_write(rtc.index, (uint8_t)value);
}

/* Write a size to the place where a PC's firmware has it, clipped to the greatest value that fits there. */
static void put_size(unsigned index, unsigned bytes, uint64_t size)
{
    size = MIN(size, BIT(8 * bytes) - 1);
    for (unsigned i = 0; i < bytes; i++)
        rtc.reg[index + i] = (uint8_t)(size >> 8 * i);
}

static void put_memory_sizes(uint64_t low, uint64_t high)
{
    uint64_t above_1m = low > 0x100000 ? low - 0x100000 : 0;
    uint64_t above_16m = low > 0x1000000 ? low - 0x1000000 : 0;

    put_size(0x15, 2, MIN(low, ABI_VGA_HOLE_BASE) >> 10);
    put_size(0x17, 2, above_1m >> 10);
    put_size(0x30, 2, above_1m >> 10);
    put_size(0x34, 2, above_16m >> 16);
    put_size(0x5b, 3, high >> 16);
}

void rtc_init(const struct abi_info *info)
{
    static const struct bus_region region = {PLATFORM_RTC, 2, 1, rtc_read, rtc_write};

    memset(&rtc, 0, sizeof(rtc));

    rtc.base_seconds = (int64_t)info->boot_wall_s;
    rtc.base_tsc = info->boot_tsc;
    rtc.reg[RTC_A] = 0x26; /* 32768 Hz, periodic rate 1024 Hz */
    rtc.reg[RTC_B] = B_24H;
    rtc.reg[RTC_D] = D_VRT;
    rtc.checked = divider(env_now());
    rtc.timer.fire = rtc_fire;

    put_memory_sizes(info->ram_low, info->ram_high);
    rtc.reg[0x5f] = (uint8_t)(info->config.vcpus - 1);
    bus_add_ports(&region);
}
