/* A hostile guest at every port and every address outside RAM: nothing worse than nonsense may come of it. */
// links: user/devices/clock.c user/devices/bus.c user/devices/irq.c user/devices/pc/pic.c user/devices/pc/ioapic.c
// links: user/devices/pc/uart.c user/devices/console.c user/devices/pc/pit.c user/devices/pc/pit_channel.c user/devices/pc/rtc.c
// links: user/devices/pc/calendar.c user/devices/pc/acpi_pm.c user/devices/pc/i8042.c user/devices/pci/pci.c user/devices/pc/vga.c
// links: user/devices/pc/misc.c user/devices/machine.c user/lib/ring.c user/lib/lock.c lib/timerq.c lib/rbtree.c
#include "tests/unit/test.h"

#include "tests/unit/dev_env.h"
#include "user/devices/machine.h"
#include "user/devices/pc/ioapic.h"
#include "user/devices/pc/pic.h"

static struct abi_info info;
static struct abi_console rings;
static uint64_t seed;

static uint64_t random_below(uint64_t limit)
{
    return test_random(&seed) % limit;
}

static void setup(uint64_t new_seed)
{
    seed = new_seed;
    fake_reset();
    memset(&info, 0, sizeof(info));
    memset(&rings, 0, sizeof(rings));
    info.tsc_hz = 1 + random_below(6000000000);
    info.boot_tsc = fake.now;
    info.boot_wall_s = random_below(1ull << 33);
    info.ram_low = random_below(ABI_RAM_LOW_MAX);
    info.ram_high = random_below(1ull << 44);
    info.config.vcpus = 1 + (uint32_t)random_below(255);
    info.config.lapic = (uint8_t)random_below(2);
    info.config.exit_device = 1;
    fake.refuse_messages = random_below(2);
    machine_init(&info, &rings);
}

static uint16_t random_port(void)
{
    static const uint16_t bases[] = {0x20,  0x40,  0x60,  0x70,  0x80,  0x90,  0xa0, 0xf4,
                                     0x3c0, 0x3d0, 0x3f8, 0x4d0, 0x600, 0x620, 0xcf8};

    if (random_below(16) == 0)
        return (uint16_t)test_random(&seed);
    return (uint16_t)(bases[random_below(ARRAY_SIZE(bases))] + random_below(16));
}

static uint64_t random_address(void)
{
    switch (random_below(4)) {
    case 0:
        return test_random(&seed);
    case 1:
        return ABI_VGA_HOLE_BASE - 8 + random_below(0x18010);
    default:
        return PLATFORM_IOAPIC_BASE - 8 + random_below(0x40);
    }
}

static void random_step(void)
{
    unsigned bytes = 1u << random_below(3);

    machine_enter(ABI_SLOT_VCPU(0));
    switch (random_below(16)) {
    case 0:
        if (pic_intr())
            pic_acknowledge();
        break;
    case 1:
        ioapic_eoi((uint8_t)test_random(&seed));
        break;
    case 2:
        fake.now += test_random(&seed) >> (20 + random_below(44));
        break;
    case 3:
        rings.in.head = (uint32_t)(rings.in.tail + random_below(ABI_RING_SIZE + 2));
        break;
    case 4:
        rings.out.tail = (uint32_t)(rings.out.head - random_below(ABI_RING_SIZE + 2));
        break;
    case 5:
    case 6:
        bus_memory_write(random_address(), 1 + (unsigned)random_below(8), test_random(&seed));
        break;
    case 7:
        bus_memory_read(random_address(), 1 + (unsigned)random_below(8));
        break;
    case 8:
    case 9:
    case 10:
        bus_port_read(random_port(), bytes);
        break;
    default:
        bus_port_write(random_port(), bytes, (uint32_t)test_random(&seed));
    }
    machine_leave();
    if (random_below(8) == 0)
        machine_work();
}

TEST(random_accesses_everywhere)
{
    for (uint64_t run = 0; run < 60; run++) {
        setup(run);
        for (unsigned i = 0; i < 20000; i++)
            random_step();
        CHECK_EQ(fake.extint, pic_intr());
    }
}

/* One device at a time gets into states that a mixture hardly reaches. */
TEST(random_accesses_to_one_device)
{
    static const struct {
        uint16_t base, size;
    } devices[] = {{0x20, 2},   {0x40, 4},  {0x60, 5},   {0x70, 2}, {0xa0, 2},
                   {0x3c0, 32}, {0x3f8, 8}, {0x600, 12}, {0xcf8, 8}};

    for (unsigned d = 0; d < ARRAY_SIZE(devices); d++) {
        setup(1000 + d);
        for (unsigned i = 0; i < 100000; i++) {
            uint16_t port = (uint16_t)(devices[d].base + random_below(devices[d].size));
            unsigned bytes = random_below(4) ? 1 : 1u << random_below(3);

            machine_enter(ABI_SLOT_VCPU(0));
            if (random_below(2))
                bus_port_write(port, bytes, (uint32_t)test_random(&seed));
            else
                bus_port_read(port, bytes);
            machine_leave();
            fake.now += random_below(FAKE_HZ / 1000);
            if (random_below(4) == 0)
                machine_work();
        }
        CHECK_EQ(fake.extint, pic_intr());
    }
}

/* What a guest programs may not keep the worker busy: no more than one wake-up per device in 30 us. */
TEST(the_worker_is_never_kept_busy)
{
    for (uint64_t run = 0; run < 40; run++) {
        unsigned wakes = 0;
        uint64_t end, deadline;

        setup(2000 + run);
        info.tsc_hz = FAKE_HZ;
        machine_init(&info, &rings);
        for (unsigned i = 0; i < 3000; i++)
            bus_port_write(random_port(), 1, (uint32_t)test_random(&seed));
        end = fake.now + FAKE_HZ / 10;
        while ((deadline = machine_work()) < end) {
            fake.now = MAX(fake.now, deadline);
            wakes++;
        }
        CHECK(wakes <= 4000);
    }
}
