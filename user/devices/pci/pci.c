#include "user/devices/pci/pci.h"

#include "user/devices/bus.h"
#include "user/devices/platform.h"
#include "user/lib/env.h"

#include "lib/string.h"

#define ADDRESS_ENABLE   0x80000000u
#define ADDRESS_WRITABLE 0x80fffffcu
#define ADDRESS_REGISTER 0x000000fcu
#define ADDRESS_FUNCTION 0x00ffff00u /* bus, device, function */

#define RESET_OFFSET   (PLATFORM_RESET_PORT - PLATFORM_PCI_ADDRESS)
#define RESET_CPU      0x04 /* a change from 0 to 1 resets; the bit always reads as 0 */
#define RESET_WRITABLE 0x0a /* the kind of reset */

#define CONFIG_SIZE    256
#define CONFIG_COMMAND 0x04
#define CONFIG_DEVICE  0x40 /* from here on: the chip's own registers */

/* An Intel 440FX host bridge (82441FX). Every kernel knows it, and needs to do nothing with it. */
static const uint8_t host_bridge[16] = {
    0x86, 0x80, 0x37, 0x12, /* vendor, device */
    0x06, 0x00, 0x80, 0x02, /* memory and bus master on; medium DEVSEL, fast back-to-back */
    0x02, 0x00, 0x00, 0x06, /* revision, class: host bridge */
};

static struct {
    uint32_t address;
    uint8_t reset;
    uint8_t config[CONFIG_SIZE]; /* of the host bridge */
} pci;

static uint32_t address_read(uint32_t offset, unsigned bytes)
{
    if (bytes == 4)
        return pci.address;
    return offset == RESET_OFFSET ? pci.reset : UINT32_MAX;
}

/* Only a 32-bit access goes to CONFIG_ADDRESS. A byte at CF9h is the reset control register. */
static void address_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    if (bytes == 4) {
        pci.address = value & ADDRESS_WRITABLE;
    } else if (offset == RESET_OFFSET && bytes == 1) {
        pci.reset = value & RESET_WRITABLE;
        if (value & RESET_CPU)
            env_vm_end(ABI_END_RESET, 0);
    }
}

/* The offset in the host bridge's configuration space at which an access to CONFIG_DATA begins. -1: there is no such
 * function. */
static int config_offset(uint32_t offset)
{
    if (!(pci.address & ADDRESS_ENABLE) || (pci.address & ADDRESS_FUNCTION))
        return -1;
    return (int)((pci.address & ADDRESS_REGISTER) + offset);
}

static uint32_t data_read(uint32_t offset, unsigned bytes)
{
    int first = config_offset(offset);
    uint32_t value = 0;

    if (first < 0)
        return UINT32_MAX;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)pci.config[first + (int)i] << 8 * i;
    return value;
}

static bool writable(int offset)
{
    return offset == CONFIG_COMMAND || offset == CONFIG_COMMAND + 1 || offset >= CONFIG_DEVICE;
}

static void data_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    int first = config_offset(offset);

    if (first < 0)
        return;

    for (int i = 0; i < (int)bytes; i++)
        if (writable(first + i))
            pci.config[first + i] = (uint8_t)(value >> 8 * i);
}

void pci_init(void)
{
    static const struct bus_region address = {PLATFORM_PCI_ADDRESS, 4, 4, address_read, address_write};
    static const struct bus_region data = {PLATFORM_PCI_DATA, 4, 4, data_read, data_write};

    memset(&pci, 0, sizeof(pci));
    memcpy(pci.config, host_bridge, sizeof(host_bridge));
    bus_add_ports(&address);
    bus_add_ports(&data);
}
