#include "user/devices/pc/acpi_pm.h"

#include "user/devices/bus.h"
#include "user/devices/clock.h"
#include "user/devices/irq.h"
#include "user/devices/platform.h"
#include "user/lib/env.h"

#define TMR_STS   0x0001u
#define PM1_EN    0x0721u /* TMR, GBL, PWRBTN, SLPBTN, RTC */
#define SCI_EN    0x0001u
#define BM_RLD    0x0002u
#define SLP_TYP   0x1c00u
#define SLP_EN    0x2000u
#define TYP_SHIFT 10

/* TMR_STS is set when the counter's top bit changes. With TMR_VAL_EXT, this is bit 31 (4.8.3.3). */
#define TIMER_HALF BIT(31)

static struct {
    uint16_t status, enable, control;
    uint64_t checked; /* the timer's count up to which TMR_STS is up to date */
    struct clock_timer timer;
} pm;

static uint64_t count(uint64_t now)
{
    return clock_units(now, PLATFORM_PM_TMR_HZ);
}

/* Bring TMR_STS, the SCI and the timer up to date. */
static void sync(uint64_t now)
{
    uint64_t reached = count(now);

    if (reached / TIMER_HALF != pm.checked / TIMER_HALF)
        pm.status |= TMR_STS;
    pm.checked = reached;

    irq_set(PLATFORM_IRQ_SCI, pm.status & pm.enable);
    if ((pm.enable & TMR_STS) && !(pm.status & TMR_STS))
        clock_timer_set(&pm.timer, clock_ticks((reached / TIMER_HALF + 1) * TIMER_HALF, PLATFORM_PM_TMR_HZ));
    else
        clock_timer_set(&pm.timer, CLOCK_NEVER);
}

static uint8_t byte_of(uint16_t value, uint32_t offset)
{
    return (uint8_t)(value >> 8 * (offset & 1));
}

static uint32_t event_read(uint32_t offset, unsigned bytes)
{
    (void)bytes;
    sync(env_now());
    return byte_of(offset < 2 ? pm.status : pm.enable, offset);
}

static void event_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    unsigned shift = 8 * (offset & 1);

    (void)bytes;
    sync(env_now());

    if (offset < 2)
        pm.status &= (uint16_t) ~(value << shift); /* write one to clear */
    else
        pm.enable = (uint16_t)((pm.enable & ~(0xffu << shift)) | value << shift) & PM1_EN;

    sync(env_now());
}

static uint32_t control_read(uint32_t offset, unsigned bytes)
{
    (void)bytes;
    return byte_of(pm.control | SCI_EN, offset);
}

static void control_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    unsigned shift = 8 * (offset & 1);
    uint32_t written = value << shift;

    (void)bytes;
    pm.control = (uint16_t)((pm.control & ~(0xffu << shift)) | written) & (BM_RLD | SLP_TYP);

    /* SLP_EN is in the same byte as SLP_TYP. A write for a sleep state that is not offered does nothing. */
    if ((written & SLP_EN) && (written & SLP_TYP) >> TYP_SHIFT == PLATFORM_SLP_TYP_S5)
        env_vm_end(ABI_END_POWEROFF, 0);
}

/* Root answers the 32-bit reads of the timer itself. This serves the reads of parts of it. */
static_assert(PLATFORM_PM_TMR == ABI_PM_TIMER_PORT && PLATFORM_PM_TMR_HZ == ABI_PM_TIMER_HZ, "root counts the same");
static uint32_t timer_read(uint32_t offset, unsigned bytes)
{
    (void)bytes;
    return (uint32_t)count(env_now()) >> 8 * offset;
}

static void ignore_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    (void)offset;
    (void)bytes;
    (void)value;
}

/* There are no general-purpose events: the status and enable bits read as zero. */
static uint32_t gpe_read(uint32_t offset, unsigned bytes)
{
    (void)offset;
    (void)bytes;
    return 0;
}

static void pm_fire(uint64_t now)
{
    sync(now);
}

void acpi_pm_init(void)
{
    static const struct bus_region event = {PLATFORM_PM1A_EVT, PLATFORM_PM1A_EVT_LEN, 1, event_read, event_write};
    static const struct bus_region control = {PLATFORM_PM1A_CNT, PLATFORM_PM1A_CNT_LEN, 1, control_read, control_write};
    static const struct bus_region timer = {PLATFORM_PM_TMR, PLATFORM_PM_TMR_LEN, 4, timer_read, ignore_write};
    static const struct bus_region gpe = {PLATFORM_GPE0, PLATFORM_GPE0_LEN, 1, gpe_read, ignore_write};

    pm.status = pm.enable = pm.control = 0;
    pm.checked = count(env_now());
    pm.timer = (struct clock_timer){.fire = pm_fire};

    bus_add_ports(&event);
    bus_add_ports(&control);
    bus_add_ports(&timer);
    bus_add_ports(&gpe);
}
