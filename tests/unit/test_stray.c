/* Interrupts that nobody can have sent: which vectors of exceptions are taken for one, its EOI, and its lines. */
// links: kernel/cpu/stray.c
#include <stdarg.h>

#include "kernel/base/log.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/stray.h"

#include "tests/unit/test.h"

static bool in_service[256];
static unsigned eois, lines;
static char last_line[256];

bool apic_in_service(uint8_t vector)
{
    return in_service[vector];
}

void apic_eoi(void)
{
    eois++;
}

void log_line(UNUSED enum log_level level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(last_line, sizeof last_line, fmt, args);
    va_end(args);
    lines++;
}

static bool is_exception(unsigned vector)
{
    /* SDM Vol. 3, table 7-1: 9 and 15 are reserved, root meets no #VE and #CP, and nothing is behind them. */
    return vector < 20 && vector != 9 && vector != 15;
}

TEST(exceptions_stay_exceptions)
{
    memset(in_service, 0, sizeof in_service);
    for (unsigned v = 0; v < 32; v++)
        CHECK_EQ(stray_is_interrupt((uint8_t)v, false), !is_exception(v));
}

/* NMIs have no place in the ISR, and an own path. */
TEST(in_service_or_without_error_code)
{
    for (unsigned v = 0; v < 32; v++) {
        memset(in_service, 0, sizeof in_service);
        CHECK_EQ(stray_is_interrupt((uint8_t)v, true), v != 2);
        in_service[v] = true;
        CHECK_EQ(stray_is_interrupt((uint8_t)v, false), v != 2);
    }
}

/* An EOI for what is not in service would dismiss another one. */
TEST(eoi_by_isr)
{
    memset(in_service, 0, sizeof in_service);
    for (unsigned v = 0; v < 256; v++) {
        eois = 0;
        in_service[v] = false;
        stray_take((uint8_t)v, 1);
        CHECK_EQ(eois, 0);
        CHECK(strstr(last_line, "not by its LAPIC"));
        in_service[v] = true;
        stray_take((uint8_t)v, 1);
        CHECK_EQ(eois, 1);
        CHECK(strstr(last_line, "(by its LAPIC)"));
        in_service[v] = false;
    }
}

/* All are counted, and few of many are logged. */
TEST(lines_are_few)
{
    lines = 0;
    for (unsigned n = 3; n <= 1 << 20; n++) /* two came in the test before */
        stray_take(0x40, 3);
    CHECK_EQ(lines, 19);
    CHECK_STR(
        last_line,
        "CPU 3: interrupt with vector 0x40, which nobody sends (not by its LAPIC): ignored, number 1048576 of these");
}
