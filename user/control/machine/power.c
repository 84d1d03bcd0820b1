#include "user/control/machine/power.h"

#include "lib/string.h"
#include "user/control/machine/acpi.h"
#include "user/control/os.h"

/* PM1 control registers (ACPI 6.5, 4.8.3.2.1). */
#define PM1_SCI_EN        BIT(0)
#define PM1_SLP_TYP_SHIFT 10
#define PM1_SLP_TYP       (7u << PM1_SLP_TYP_SHIFT)
#define PM1_SLP_EN        BIT(13)

#define PORT_RESET_CONTROL 0xcf9 /* of Intel's and AMD's south bridges: 2, then 6: full reset */
#define PORT_8042_COMMAND  0x64
#define PULSE_RESET        0xfe

#define ENABLE_MS 1000 /* the firmware's handler may take that long to switch ACPI mode on */
#define OFF_MS    1000 /* to wait for the power to go */
#define RESET_MS  100

static void wait_ms(uint64_t ms)
{
    uint64_t until = os_now() + os_ticks(ms);

    while (os_now() < until)
        os_call(SYS_PARK, until, 0, 0);
}

static bool read_memory(void *context, uint64_t paddr, void *out, size_t length)
{
    (void)context;
    if (os_call(SYS_PHYS_READ, paddr, length, 0) != (int64_t)length)
        return false;
    memcpy(out, os_buffer(), length);
    return true;
}

static_assert(ACPI_READ_MAX <= ABI_BUFFER_SIZE, "one call reads it all");

static void read_power(struct acpi_power *power)
{
    const struct acpi_memory memory = {read_memory, NULL};

    acpi_read_power(&memory, os_info()->rsdp, power);
}

static uint32_t port_in(uint16_t port)
{
    int64_t value = os_call(SYS_PORT_IN, port, 2, 0);

    return value < 0 ? 0 : (uint32_t)value;
}

/* The sleep registers work in ACPI mode only (ACPI 6.5, 4.8.2.5). */
static void enable_acpi(const struct acpi_power *power)
{
    if (power->smi_command == 0 || power->acpi_enable == 0 || (port_in(power->pm1a_control) & PM1_SCI_EN))
        return;
    os_call(SYS_PORT_OUT, power->smi_command, 1, power->acpi_enable);
    for (unsigned i = 0; i < ENABLE_MS && !(port_in(power->pm1a_control) & PM1_SCI_EN); i++)
        wait_ms(1);
}

void power_off(struct mux *mux)
{
    struct acpi_power power;
    uint32_t a, b;

    read_power(&power);
    if (!power.s5) {
        mux_say(mux, "cannot switch this machine off: %s. Halted: switch it off by hand.", power.why_no_s5);
        mux_flush(mux);
        os_call(SYS_HALT, 0, 0, 0);
        return;
    }
    mux_say(mux, "power off");
    mux_flush(mux);
    enable_acpi(&power);
    a = (port_in(power.pm1a_control) & ~PM1_SLP_TYP) | (uint32_t)power.sleep_type_a << PM1_SLP_TYP_SHIFT;
    os_call(SYS_PORT_OUT, power.pm1a_control, 2, a);
    if (power.pm1b_control) {
        b = (port_in(power.pm1b_control) & ~PM1_SLP_TYP) | (uint32_t)power.sleep_type_b << PM1_SLP_TYP_SHIFT;
        os_call(SYS_PORT_OUT, power.pm1b_control, 2, b);
        os_call(SYS_PORT_OUT, power.pm1a_control, 2, a | PM1_SLP_EN);
        os_call(SYS_PORT_OUT, power.pm1b_control, 2, b | PM1_SLP_EN);
    } else {
        os_call(SYS_PORT_OUT, power.pm1a_control, 2, a | PM1_SLP_EN);
    }
    wait_ms(OFF_MS);
    mux_say(mux, "this machine did not switch off. Halted: switch it off by hand.");
    mux_flush(mux);
    os_call(SYS_HALT, 0, 0, 0);
}

void power_reset(struct mux *mux)
{
    struct acpi_power power;

    mux_say(mux, "reboot");
    mux_flush(mux);
    read_power(&power);
    if (power.reset) {
        os_call(SYS_PORT_OUT, power.reset_port, 1, power.reset_value);
        wait_ms(RESET_MS);
    }
    os_call(SYS_PORT_OUT, PORT_RESET_CONTROL, 1, 2);
    os_call(SYS_PORT_OUT, PORT_RESET_CONTROL, 1, 6);
    wait_ms(RESET_MS);
    os_call(SYS_PORT_OUT, PORT_8042_COMMAND, 1, PULSE_RESET);
    wait_ms(RESET_MS);
    os_call(SYS_RESET, 0, 0, 0);
}
