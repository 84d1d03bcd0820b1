/* The small devices: ACPI power management, keyboard controller, PCI configuration, VGA registers, exit device. */
// links: user/devices/clock.c user/devices/bus.c user/devices/irq.c user/devices/pc/pic.c user/devices/pc/ioapic.c
// links: user/devices/pc/acpi_pm.c user/devices/pc/i8042.c user/devices/pci/pci.c user/devices/pc/vga.c user/devices/pc/misc.c
// links: lib/timerq.c lib/rbtree.c
#include "tests/unit/test.h"

#include "tests/unit/dev_env.h"
#include "user/devices/pc/acpi_pm.h"
#include "user/devices/pc/i8042.h"
#include "user/devices/pc/misc.h"
#include "user/devices/pc/vga.h"
#include "user/devices/pci/pci.h"

static void setup(void)
{
    fake_reset();
    acpi_pm_init();
    i8042_init();
    pci_init();
    vga_init();
    misc_init(true);
}

TEST(pm_timer_runs_at_its_rate)
{
    uint32_t first;

    setup();
    first = bus_port_read(0x608, 4);
    fake_run_us(1000000);
    CHECK_EQ(bus_port_read(0x608, 4) - first, 3579545);
    CHECK_EQ(bus_port_read(0x60a, 2), bus_port_read(0x608, 4) >> 16);
    bus_port_write(0x608, 4, 0);
    CHECK(bus_port_read(0x608, 4) != 0);
}

TEST(pm_timer_status_and_sci)
{
    setup();
    fake_pic_setup(0x00, 0x00);
    fake_ioapic_entry(9, 0x8039);
    CHECK_EQ(bus_port_read(0x600, 2), 0);
    bus_port_write(0x602, 2, 0xffff);
    CHECK_EQ(bus_port_read(0x602, 2), 0x0721);
    fake_run_us(601000000); /* 2^31 / 3579545 Hz is 599.9 s */
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(bus_port_read(0x600, 4), 0x07210001);
    bus_port_write(0x600, 2, 0x0001);
    CHECK_EQ(bus_port_read(0x600, 2), 0);
    fake_run_us(100000000);
    CHECK_EQ(bus_port_read(0x600, 2), 0);
    fake_run_us(500000000);
    CHECK_EQ(bus_port_read(0x600, 2), 1);
    bus_port_write(0x602, 2, 0);
    CHECK_EQ(clock_next_deadline(), CLOCK_NEVER);
}

TEST(s5_powers_off)
{
    setup();
    CHECK_EQ(bus_port_read(0x604, 2), 0x0001); /* SCI_EN */
    bus_port_write(0x604, 2, 5 << 10);
    CHECK_EQ(fake.ends, 0);
    bus_port_write(0x604, 2, 0x2000 | 4 << 10); /* no such state */
    CHECK_EQ(fake.ends, 0);
    bus_port_write(0x604, 2, 0x2000 | 5 << 10 | 1);
    CHECK_EQ(fake.ends, 1);
    CHECK_EQ(fake.end_reason, ABI_END_POWEROFF);
    CHECK_EQ(bus_port_read(0x604, 2), 0x1401);
}

TEST(gpe_block_is_empty)
{
    setup();
    bus_port_write(0x620, 4, 0xffffffff);
    CHECK_EQ(bus_port_read(0x620, 4), 0);
}

/* What Linux's i8042 driver does, with its patience counted. */
static bool kbc_read(uint8_t *data, uint8_t *status)
{
    *status = inb(0x64);
    if (!(*status & 0x01))
        return false;
    *data = inb(0x60);
    return true;
}

TEST(linux_i8042_probe)
{
    uint8_t data = 0, status = 0, control = 0;

    setup();
    fake_ioapic_entry(1, 0x31);
    for (unsigned i = 0; kbc_read(&data, &status); i++) /* flush */
        CHECK(i < 16);
    outb(0x64, 0x20);
    CHECK(kbc_read(&control, &status));
    outb(0x64, 0xaa);
    CHECK(kbc_read(&data, &status));
    CHECK_EQ(data, 0x55);
    outb(0x64, 0x60);
    outb(0x60, control | 0x10);
    outb(0x64, 0x20);
    CHECK(kbc_read(&data, &status));
    CHECK_EQ(data, control | 0x10);
    outb(0x64, 0xd3); /* AUX loop: comes back, but not as from a mouse: no mouse port */
    outb(0x60, 0x5a);
    CHECK(kbc_read(&data, &status));
    CHECK_EQ(status & 0x20, 0);
    outb(0x64, 0xa9);
    CHECK(kbc_read(&data, &status));
    CHECK(data != 0 && data != 0xfa && data != 0xff);
    outb(0x64, 0xab);
    CHECK(kbc_read(&data, &status));
    CHECK_EQ(data, 0);
    outb(0x64, 0xa8); /* an AUX port cannot be enabled */
    outb(0x64, 0x20);
    CHECK(kbc_read(&data, &status));
    CHECK_EQ(data & 0x20, 0x20);

    outb(0x64, 0x60);
    outb(0x60, 0x05);
    outb(0x64, 0x20);
    CHECK(kbc_read(&data, &status));
    CHECK_EQ(data, 0x25);
    fake.messages = 0;
    CHECK_EQ(fake.messages, 0);
    outb(0x60, 0xf2); /* identify: nobody is there, at once and with an interrupt */
    CHECK_EQ(fake.messages, 1);
    CHECK(kbc_read(&data, &status));
    CHECK_EQ(data, 0xfe);
    CHECK_EQ(status & 0x40, 0x40);
    CHECK_EQ(inb(0x64) & 0x41, 0);
    outb(0x60, 0xff);
    CHECK_EQ(fake.messages, 2);
}

TEST(keyboard_controller_ports)
{
    uint8_t data = 0, status = 0;

    setup();
    CHECK_EQ(inb(0x64), 0x14);
    outb(0x64, 0xd0);
    CHECK(kbc_read(&data, &status));
    CHECK_EQ(data, 0x03);
    outb(0x64, 0xd1);
    outb(0x60, 0xdf); /* A20 on, as boot code does it */
    outb(0x64, 0xd0);
    CHECK(kbc_read(&data, &status));
    CHECK_EQ(data, 0xdf);
    outb(0x64, 0xff); /* pulse nothing */
    outb(0x64, 0x33);
    CHECK(kbc_read(&data, &status));
    outb(0x64, 0x73);
    outb(0x60, 0x99);
    outb(0x64, 0x33);
    CHECK(kbc_read(&data, &status));
    CHECK_EQ(data, 0x99);
    CHECK_EQ(fake.ends, 0);
    CHECK_EQ(inb(0x92), 0x02);
    outb(0x92, 0x00);
    CHECK_EQ(inb(0x92), 0x00);
}

static void check_reset(uint16_t port, uint8_t first, uint8_t second)
{
    setup();
    outb(port, first);
    CHECK_EQ(fake.ends, 0);
    outb(port, second);
    CHECK_EQ(fake.ends, 1);
    CHECK_EQ(fake.end_reason, ABI_END_RESET);
}

TEST(ways_to_reset)
{
    check_reset(0x64, 0xae, 0xfe);
    check_reset(0x92, 0x02, 0x03);
    check_reset(0xcf9, 0x02, 0x06);
    check_reset(0xcf9, 0x0a, 0x0e);
    setup();
    outb(0x64, 0xd1);
    outb(0x60, 0xfe);
    CHECK_EQ(fake.end_reason, ABI_END_RESET);
}

static uint32_t config_read(uint32_t address, unsigned bytes)
{
    bus_port_write(0xcf8, 4, 0x80000000 | (address & ~3u));
    return bus_port_read((uint16_t)(0xcfc + (address & 3)), bytes) & UINT32_MAX >> (32 - 8 * bytes);
}

TEST(pci_configuration)
{
    setup();
    CHECK_EQ(bus_port_read(0xcf8, 4), 0);
    outb(0xcfb, 0x01); /* Linux' check for mechanism 1 */
    bus_port_write(0xcf8, 4, 0x80000000);
    CHECK_EQ(bus_port_read(0xcf8, 4), 0x80000000);
    CHECK_EQ(config_read(0x00, 4), 0x12378086);
    CHECK_EQ(config_read(0x02, 2), 0x1237);
    CHECK_EQ(config_read(0x0a, 2), 0x0600);
    CHECK_EQ(config_read(0x0e, 1), 0x00); /* one function */
    CHECK_EQ(config_read(0x10, 4), 0);
    bus_port_write(0xcfc, 4, 0xffffffff);
    CHECK_EQ(config_read(0x10, 4), 0);
    CHECK_EQ(config_read(0x100, 4), 0xffffffff);
    CHECK_EQ(config_read(0x800, 4), 0xffffffff);
    CHECK_EQ(config_read(0x10000, 2), 0xffff);
    CHECK_EQ(config_read(0x59, 1), 0);
    outb(0xcfd, 0x30); /* PAM */
    CHECK_EQ(config_read(0x59, 1), 0x30);
    config_read(0x00, 4);
    bus_port_write(0xcfc, 4, 0);
    CHECK_EQ(config_read(0x00, 4), 0x12378086);
    config_read(0xfc, 4);
    bus_port_write(0xcfe, 4, 0xaabbccdd); /* over the end of the data port */
    CHECK_EQ(config_read(0xfc, 4), 0xccdd0000);
    bus_port_write(0xcf8, 4, 0);
    CHECK_EQ(bus_port_read(0xcfc, 4), 0xffffffff);
    CHECK_EQ(fake.ends, 0);
}

TEST(vga_registers_keep_what_is_written)
{
    setup();
    bus_port_write(0x3d4, 2, 0x340e); /* cursor position, index and data at once */
    outb(0x3d4, 0x0e);
    CHECK_EQ(inb(0x3d5), 0x34);
    CHECK(inb(0x3da) != inb(0x3da));
    outb(0x3c0, 0x30);
    outb(0x3c0, 0x5a);
    outb(0x3c0, 0x30);
    CHECK_EQ(inb(0x3c1), 0x5a);
    inb(0x3da); /* the next is an index again */
    outb(0x3c0, 0x20);
    CHECK_EQ(inb(0x3c0), 0x20);
    outb(0x3c8, 255);
    for (unsigned i = 0; i < 6; i++)
        outb(0x3c9, (uint8_t)(0xc0 + i));
    outb(0x3c7, 255);
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(inb(0x3c9), i);
    outb(0x3c2, 0x67);
    CHECK_EQ(inb(0x3cc), 0x67);
    outb(0x3ce, 0xff);
    outb(0x3cf, 0x11);
    outb(0x3ce, 0xff);
    CHECK_EQ(inb(0x3cf), 0x11);
    CHECK_EQ(bus_memory_read(0xa0000, 4), 0xffffffff);
}

TEST(exit_device)
{
    for (unsigned bytes = 1; bytes <= 4; bytes *= 2) {
        setup();
        bus_port_write(0xf4, bytes, 0x12345678);
        CHECK_EQ(fake.ends, 1);
        CHECK_EQ(fake.end_reason, ABI_END_EXIT);
        CHECK_EQ(fake.end_status, 0x12345678 & (bytes == 4 ? 0xffffffff : (1u << 8 * bytes) - 1));
    }
    setup();
    outb(0xf5, 1);
    CHECK_EQ(fake.ends, 0);
    bus_init();
    misc_init(false);
    outb(0xf4, 1);
    CHECK_EQ(fake.ends, 0);
    outb(0x80, 0xaa);
    CHECK_EQ(inb(0x80), 0xaa);
    CHECK_EQ(inb(0xe9), 0xff);
}
