/* The cases of tests/lapic/ against lapic/ itself, in both modes. tests/guests/lapic.c has them in a guest. */
// links: lapic/lapic.c lapic/access.c lapic/ipi.c lapic/timer.c tests/lapic/run.c tests/lapic/cases_regs.c
// links: tests/lapic/cases_errors.c tests/lapic/cases_ipi.c tests/lapic/cases_logical.c tests/lapic/cases_priority.c
// links: tests/lapic/cases_mode.c tests/lapic/cases_timer.c
#include "lapic/lapic.h"
#include "tests/lapic/steps.h"
#include "tests/unit/test.h"

#define CPUS      4
#define DUE_TICKS 10000

static struct lapic lapics[CPUS], *table[CPUS];
static uint32_t nmis[CPUS];
static uint64_t now;

static void on_signal(void *ctx, uint32_t index, enum lapic_signal what, uint8_t vector)
{
    (void)ctx;
    (void)vector;
    if (what == LAPIC_SIGNAL_NMI)
        nmis[index]++;
    if (what == LAPIC_SIGNAL_INIT || what == LAPIC_SIGNAL_SIPI)
        CHECK(!"no case sends INIT or SIPI");
}

static void on_eoi(void *ctx, uint32_t index, uint8_t vector)
{
    (void)ctx;
    (void)index;
    (void)vector;
    CHECK(!"no IPI is level-triggered");
}

static void on_timer(void *ctx, uint32_t index)
{
    (void)ctx;
    (void)index;
}

static struct lapic_domain domain = {
    .count = CPUS, .lapics = table, .signal = on_signal, .eoi = on_eoi, .timer_changed = on_timer};

static uint32_t msr_of(uint32_t reg)
{
    return 0x800 + reg / 16;
}

/* No test of a mode by the library: the one that takes the access has the register. */
bool machine_read(unsigned cpu, uint32_t reg, uint32_t *value)
{
    uint64_t wide = 0;

    if (lapic_mmio_read(&lapics[cpu], reg, now, value) == OK)
        return true;
    if (lapic_msr_read(&lapics[cpu], msr_of(reg), now, &wide) != OK)
        return false;
    *value = (uint32_t)wide;
    return true;
}

bool machine_write(unsigned cpu, uint32_t reg, uint32_t value)
{
    return lapic_mmio_write(&lapics[cpu], reg, value, now) == OK ||
           lapic_msr_write(&lapics[cpu], msr_of(reg), value, now) == OK;
}

bool machine_rdmsr(unsigned cpu, uint32_t msr, uint64_t *value)
{
    return lapic_msr_read(&lapics[cpu], msr, now, value) == OK;
}

bool machine_wrmsr(unsigned cpu, uint32_t msr, uint64_t value)
{
    return lapic_msr_write(&lapics[cpu], msr, value, now) == OK;
}

uint32_t machine_nmis(unsigned cpu, uint32_t due)
{
    (void)due;
    return nmis[cpu];
}

/* As the hypervisor does: each deadline is served when it comes. */
void machine_wait(uint64_t ticks)
{
    uint64_t end = now + ticks;

    for (;;) {
        uint64_t next = end;
        for (unsigned cpu = 0; cpu < CPUS; cpu++) {
            uint64_t deadline = lapic_timer_deadline(&lapics[cpu]);
            next = MIN(next, deadline);
        }
        now = next > now ? next : now;
        for (unsigned cpu = 0; cpu < CPUS; cpu++)
            lapic_timer_expire(&lapics[cpu], now);
        if (next == end)
            return;
    }
}

/* One that is due may be the timer's. */
int machine_take(unsigned cpu, bool due)
{
    int vector = lapic_take(&lapics[cpu]);

    if (vector == LAPIC_NONE && due) {
        machine_wait(DUE_TICKS);
        vector = lapic_take(&lapics[cpu]);
    }
    return vector == LAPIC_NONE ? NO_VECTOR : vector;
}

uint64_t machine_tsc(void)
{
    return now;
}

void machine_set_cr8(unsigned cpu, uint8_t value)
{
    lapic_set_cr8(&lapics[cpu], value);
}

uint8_t machine_get_cr8(unsigned cpu)
{
    return lapic_get_cr8(&lapics[cpu]);
}

void machine_progress(unsigned checks, const char *name)
{
    (void)checks, (void)name;
}

void machine_failed(const struct lapic_case *c, unsigned step, const char *what, uint64_t expected, uint64_t got)
{
    if (test_fail())
        printf("%s (SDM Vol. 3, %s), step %u: %s: expected 0x%llx, got 0x%llx\n", c->name, c->section, step, what,
               (unsigned long long)expected, (unsigned long long)got);
}

static void start(void)
{
    now = 1000000;
    for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
        nmis[cpu] = 0;
        lapic_init(&lapics[cpu], &domain, cpu, cpu, cpu == 0);
        table[cpu] = &lapics[cpu];
    }
}

TEST(xapic)
{
    unsigned failed;

    start();
    CHECK(lapic_run(MODE_X, true, &failed) > 900);
    CHECK_EQ(failed, 0);
}

TEST(x2apic)
{
    unsigned failed;

    start();
    CHECK(lapic_run(MODE_X2, true, &failed) > 900);
    CHECK_EQ(failed, 0);
}
