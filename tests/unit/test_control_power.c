// links: user/control/control.c user/control/guests/boot_config.c user/control/guests/guests.c user/control/guests/results.c
// links: user/control/guests/commands.c user/control/guests/show.c user/control/console/keyboard.c user/control/console/prompt.c user/control/console/mux.c
// links: user/control/console/filter.c user/control/console/log.c user/control/machine/acpi.c user/control/machine/power.c user/lib/config.c
// links: user/lib/config_keys.c user/lib/config_value.c user/lib/config_resolve.c user/lib/ring.c lib/format.c
#include "tests/unit/test_control.h"

static void put(size_t at, uint64_t value, unsigned size)
{
    memcpy(fake.memory + at, &value, size);
}

static void build_acpi(void)
{
    static const uint8_t s5[] = {0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x05, 0x0a, 0x06, 0x00, 0x00};
    uint8_t sum = 0;

    memcpy(fake.memory, "RSD PTR ", 8);
    put(16, FAKE_MEMORY + 0x100, 4);
    for (unsigned i = 0; i < 20; i++)
        sum = (uint8_t)(sum + fake.memory[i]);
    fake.memory[8] = (uint8_t)-sum;
    memcpy(fake.memory + 0x100, "RSDT", 4);
    put(0x104, 40, 4);
    put(0x124, FAKE_MEMORY + 0x200, 4);
    memcpy(fake.memory + 0x200, "FACP", 4);
    put(0x204, 129, 4);
    put(0x200 + 40, FAKE_MEMORY + 0x400, 4);
    put(0x200 + 64, 0x604, 4);
    put(0x200 + 68, 0x704, 4);
    put(0x200 + 112, 1 << 10, 4);
    put(0x200 + 116, 1, 1);
    put(0x200 + 120, 0x92, 8);
    put(0x200 + 128, 1, 1);
    memcpy(fake.memory + 0x400, "DSDT", 4);
    put(0x404, 100, 4);
    memcpy(fake.memory + 0x400 + 50, s5, sizeof(s5));
    fake.info.rsdp = FAKE_MEMORY;
}

static void check_out(unsigned n, uint16_t port, unsigned size, uint32_t value)
{
    CHECK(n < fake.outs);
    CHECK_EQ(fake.out[n].port, port);
    CHECK_EQ(fake.out[n].size, size);
    CHECK_EQ(fake.out[n].value, value);
}

TEST(power_off_by_acpi)
{
    boot(two_guests);
    build_acpi();
    power_off(&control.mux);
    CHECK_EQ(fake.outs, 4);
    check_out(0, 0x604, 2, 1 | 5 << 10); /* other bits stay */
    check_out(1, 0x704, 2, 1 | 6 << 10);
    check_out(2, 0x604, 2, 1 | 5 << 10 | 1 << 13);
    check_out(3, 0x704, 2, 1 | 6 << 10 | 1 << 13);
    CHECK(said("lapwing| this machine did not switch off")); /* this one does not */
    CHECK_EQ(fake.halts, 1);
}

TEST(power_off_without_acpi)
{
    boot(two_guests);
    power_off(&control.mux);
    CHECK_EQ(fake.outs, 0);
    CHECK_EQ(fake.halts, 1);
    CHECK(said("lapwing| cannot switch this machine off: the firmware has no valid ACPI root table. Halted"));
}

TEST(reset_ways)
{
    boot(two_guests);
    build_acpi();
    power_reset(&control.mux);
    CHECK_EQ(fake.outs, 4);
    check_out(0, 0x92, 1, 1);
    check_out(1, 0xcf9, 1, 2);
    check_out(2, 0xcf9, 1, 6);
    check_out(3, 0x64, 1, 0xfe);
    CHECK_EQ(fake.resets, 1);
}
