#include "kernel/base/time.h"

#include "kernel/base/log.h"

enum { CMOS_INDEX = 0x70, CMOS_DATA = 0x71, PIT_CHANNEL2 = 0x42, PIT_COMMAND = 0x43, PIT_GATE = 0x61 };
#define PM_TIMER_HZ   3579545ull
#define PIT_HZ        1193182ull
#define MEASURE_LIMIT (1ull << 36) /* TSC ticks; a clock that needs longer does not work */

static uint64_t hz, wall, wall_tsc;

uint64_t tsc_hz(void)
{
    return hz;
}

uint64_t boot_wall_seconds(void)
{
    return wall;
}

uint64_t boot_wall_tsc(void)
{
    return wall_tsc;
}

uint64_t tsc_from_us(uint64_t us)
{
    return us * (hz / 1000000) + us * (hz % 1000000) / 1000000 + 1;
}

/* A wide range: an emulated CPU may count far more slowly than a real one. */
static bool plausible(uint64_t f)
{
    return f >= 50000000ull && f <= 20000000000ull;
}

static uint64_t from_cpuid(void)
{
    uint32_t max = cpuid(0, 0).eax;
    if (max < 0x15)
        return 0;

    struct cpuid r = cpuid(0x15, 0); /* ECX: the crystal's Hz; the TSC's are that times EBX / EAX */
    return r.eax && r.ebx && r.ecx ? (uint64_t)r.ecx * r.ebx / r.eax : 0;
}

/* Measures for 50 ms of the PM timer. Its low 24 bits count on every machine. */
static uint64_t from_pm_timer(uint16_t port)
{
    const uint32_t ticks = PM_TIMER_HZ / 20;
    uint32_t start = inl(port), passed = 0;
    uint64_t begin = rdtsc(), now = begin;

    while (passed < ticks && now - begin < MEASURE_LIMIT) {
        cpu_pause();
        passed = (inl(port) - start) & 0xffffff;
        now = rdtsc();
    }

    return passed >= ticks ? (now - begin) * PM_TIMER_HZ / passed : 0;
}

/* Measures for 50 ms of the 8254's channel 2, in mode 0: its output rises when the count has reached 0. */
static uint64_t from_pit(void)
{
    const uint16_t count = PIT_HZ / 20;
    uint8_t gate = inb(PIT_GATE) & 0xfc;

    outb(PIT_GATE, gate | 1);
    outb(PIT_COMMAND, 0xb0);
    outb(PIT_CHANNEL2, (uint8_t)count);
    outb(PIT_CHANNEL2, (uint8_t)(count >> 8));

    uint64_t begin = rdtsc(), now = begin;
    while (!(inb(PIT_GATE) & 0x20) && now - begin < MEASURE_LIMIT) {
        cpu_pause();
        now = rdtsc();
    }

    outb(PIT_GATE, gate);
    return (now - begin) * PIT_HZ / count;
}

static uint8_t cmos(uint8_t index)
{
    outb(CMOS_INDEX, index | 0x80); /* bit 7: NMIs stay off */
    return inb(CMOS_DATA);
}

static unsigned decode(uint8_t v, bool binary)
{
    return binary ? v : (v >> 4) * 10u + (v & 15u);
}

/* The days from 1970-01-01 to a Gregorian date. */
static uint64_t days(unsigned year, unsigned month, unsigned day)
{
    unsigned y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
    return y * 365ull + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

static uint64_t read_wall_clock(void)
{
    enum { SECONDS = 0, MINUTES = 2, HOURS = 4, DAY = 7, MONTH = 8, YEAR = 9, STATUS_A = 10, STATUS_B = 11 };
    static const uint8_t registers[] = {SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR};
    uint8_t last[6] = {0}, v[6];

    /* Read until two readings agree and no update is under way, but not for ever: the clock may be broken. */
    for (unsigned tries = 0; tries < 1000; tries++) {
        bool same = !(cmos(STATUS_A) & 0x80);
        for (unsigned i = 0; i < 6; i++) {
            v[i] = cmos(registers[i]);
            same &= v[i] == last[i];
            last[i] = v[i];
        }

        if (same)
            break;
    }

    uint8_t b = cmos(STATUS_B);
    bool binary = b & 4, pm = !(b & 2) && (v[2] & 0x80);

    unsigned hour = decode(v[2] & 0x7f, binary);
    if (!(b & 2))
        hour = hour % 12 + (pm ? 12 : 0);

    return days(2000 + decode(v[5], binary), decode(v[4], binary), decode(v[3], binary)) * 86400 + hour * 3600 +
           decode(v[1], binary) * 60 + decode(v[0], binary);
}

void time_init(uint16_t pm_timer)
{
    const char *source = "CPUID";

    hz = from_cpuid();
    if (!plausible(hz) && pm_timer) {
        source = "the PM timer";
        hz = from_pm_timer(pm_timer);
    }
    if (!plausible(hz)) {
        source = "the 8254";
        hz = from_pit();
    }
    if (!plausible(hz)) {
        source = "a guess, for no clock answers";
        hz = 1000000000;
    }

    wall = read_wall_clock();
    wall_tsc = rdtsc();

    log_line(LOG_INFO, "time: TSC %lu kHz, by %s", hz / 1000, source);
}
