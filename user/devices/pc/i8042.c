#include "user/devices/pc/i8042.h"

#include "user/devices/bus.h"
#include "user/devices/irq.h"
#include "user/devices/platform.h"
#include "user/lib/env.h"

#include "lib/string.h"

/* Status (IBM PS/2 Technical Reference, Keyboard and Auxiliary Device Controller). */
#define STATUS_OBF      0x01
#define STATUS_SYSTEM   0x04
#define STATUS_COMMAND  0x08
#define STATUS_UNLOCKED 0x10
#define STATUS_TIMEOUT  0x40

/* The command byte, in RAM byte 0. */
#define CONTROL_INTERRUPT 0x01
#define CONTROL_SYSTEM    0x04
#define CONTROL_NO_KBD    0x10
#define CONTROL_NO_AUX    0x20

#define COMMAND_READ_RAM     0x20 /* ..3fh */
#define COMMAND_WRITE_RAM    0x60 /* ..7fh */
#define COMMAND_TEST_AUX     0xa9
#define COMMAND_SELF_TEST    0xaa
#define COMMAND_TEST_KBD     0xab
#define COMMAND_DISABLE_KBD  0xad
#define COMMAND_ENABLE_KBD   0xae
#define COMMAND_READ_INPUT   0xc0
#define COMMAND_READ_OUTPUT  0xd0
#define COMMAND_WRITE_OUTPUT 0xd1
#define COMMAND_LOOP_KBD     0xd2
#define COMMAND_LOOP_AUX     0xd3
#define COMMAND_WRITE_AUX    0xd4
#define COMMAND_PULSE        0xf0 /* ..ffh */

#define SELF_TEST_OK     0x55
#define KBD_TEST_OK      0x00
#define AUX_CLOCK_LOW    0x01 /* the result of the test if there is no port */
#define DEVICE_RESEND    0xfe
#define INPUT_PORT       0x80 /* keyboard not locked */
#define OUTPUT_NOT_RESET 0x01
#define OUTPUT_A20       0x02

#define PORT_A_RESET 0x01
#define PORT_A_A20   0x02

static struct {
    uint8_t status;
    uint8_t data;
    uint8_t ram[32];
    uint8_t output;  /* the output port */
    uint8_t command; /* the command that waits for its data byte; 0: none */
    uint8_t port_a;
} kbc;

static void update_line(void)
{
    irq_set(PLATFORM_IRQ_KEYBOARD, (kbc.status & STATUS_OBF) && (kbc.ram[0] & CONTROL_INTERRUPT));
}

static void answer(uint8_t data, uint8_t flags)
{
    /* If the last byte was not read, it is lost. The line falls between the two bytes. */
    kbc.status &= (uint8_t) ~(STATUS_OBF | STATUS_TIMEOUT);
    update_line();

    kbc.data = data;
    kbc.status |= STATUS_OBF | flags;
    update_line();
}

/* A20 is always enabled in this machine. The bit that a guest writes is only kept, so that it can be read back. */
static void write_output(uint8_t value)
{
    kbc.output = value;
    if (!(value & OUTPUT_NOT_RESET))
        env_vm_end(ABI_END_RESET, 0);
}

static void write_ram(unsigned index, uint8_t value)
{
    if (index == 0)
        value |= CONTROL_NO_AUX; /* a controller without a second port */
    kbc.ram[index] = value;
    if (index == 0)
        kbc.status = (uint8_t)((kbc.status & ~STATUS_SYSTEM) | (value & CONTROL_SYSTEM ? STATUS_SYSTEM : 0));
    update_line();
}

static void write_command(uint8_t command)
{
    kbc.status |= STATUS_COMMAND;
    kbc.command = 0;
    if (command >= COMMAND_PULSE) {
        if (!(command & OUTPUT_NOT_RESET))
            env_vm_end(ABI_END_RESET, 0);
        return;
    }

    if (command >= COMMAND_READ_RAM && command < COMMAND_READ_RAM + sizeof(kbc.ram)) {
        answer(kbc.ram[command - COMMAND_READ_RAM], 0);
        return;
    }

    switch (command) {
    case COMMAND_TEST_AUX:
        answer(AUX_CLOCK_LOW, 0);
        break;
    case COMMAND_SELF_TEST:
        kbc.status |= STATUS_SYSTEM;
        answer(SELF_TEST_OK, 0);
        break;
    case COMMAND_TEST_KBD:
        answer(KBD_TEST_OK, 0);
        break;
    case COMMAND_DISABLE_KBD:
        kbc.ram[0] |= CONTROL_NO_KBD;
        break;
    case COMMAND_ENABLE_KBD:
        kbc.ram[0] &= (uint8_t)~CONTROL_NO_KBD;
        break;
    case COMMAND_READ_INPUT:
        answer(INPUT_PORT, 0);
        break;
    case COMMAND_READ_OUTPUT:
        answer(kbc.output, 0);
        break;
    default:
        kbc.command = command; /* all other known commands take a data byte */
    }
}

static void write_data(uint8_t value)
{
    uint8_t command = kbc.command;

    kbc.status &= (uint8_t)~STATUS_COMMAND;
    kbc.command = 0;

    if (command >= COMMAND_WRITE_RAM && command < COMMAND_WRITE_RAM + sizeof(kbc.ram)) {
        write_ram(command - COMMAND_WRITE_RAM, value);
        return;
    }

    switch (command) {
    case COMMAND_WRITE_OUTPUT:
        write_output(value);
        break;
    case COMMAND_LOOP_KBD:
    case COMMAND_LOOP_AUX: /* not marked as coming from a mouse: so a driver sees at once that there is no mouse port */
        answer(value, 0);
        break;
    case 0:
    case COMMAND_WRITE_AUX:
        answer(DEVICE_RESEND, STATUS_TIMEOUT); /* no device took it */
        break;
    }
}

static uint32_t data_read(uint32_t offset, unsigned bytes)
{
    (void)offset;
    (void)bytes;
    kbc.status &= (uint8_t) ~(STATUS_OBF | STATUS_TIMEOUT);
    update_line();
    return kbc.data;
}

static void data_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    (void)offset;
    (void)bytes;
    write_data((uint8_t)value);
}

static uint32_t status_read(uint32_t offset, unsigned bytes)
{
    (void)offset;
    (void)bytes;
    return kbc.status;
}

static void status_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    (void)offset;
    (void)bytes;
    write_command((uint8_t)value);
}

static uint32_t port_a_read(uint32_t offset, unsigned bytes)
{
    (void)offset;
    (void)bytes;
    return kbc.port_a;
}

/* Bit 0 resets the CPUs when it goes from 0 to 1. */
static void port_a_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    bool reset = value & PORT_A_RESET & ~kbc.port_a;

    (void)offset;
    (void)bytes;
    kbc.port_a = (uint8_t)value;
    if (reset)
        env_vm_end(ABI_END_RESET, 0);
}

void i8042_init(void)
{
    static const struct bus_region data = {PLATFORM_I8042_DATA, 1, 1, data_read, data_write};
    static const struct bus_region status = {PLATFORM_I8042_STATUS, 1, 1, status_read, status_write};
    static const struct bus_region port_a = {PLATFORM_PORT_A, 1, 1, port_a_read, port_a_write};

    memset(&kbc, 0, sizeof(kbc));
    kbc.status = STATUS_UNLOCKED | STATUS_SYSTEM;
    kbc.ram[0] = CONTROL_SYSTEM | CONTROL_NO_AUX;
    kbc.output = OUTPUT_NOT_RESET | OUTPUT_A20;
    kbc.port_a = PORT_A_A20;

    bus_add_ports(&data);
    bus_add_ports(&status);
    bus_add_ports(&port_a);
}
