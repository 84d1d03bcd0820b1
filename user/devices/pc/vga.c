#include "user/devices/pc/vga.h"

#include "user/devices/bus.h"
#include "user/devices/platform.h"

#include "lib/string.h"

/* Offsets from 3C0h (IBM VGA; PS/2 Hardware Interface Technical Reference, Video Subsystem). */
enum {
    ATTRIBUTE_INDEX,
    ATTRIBUTE_DATA,
    MISC_WRITE, /* reads: input status 0 */
    SLEEP,
    SEQUENCER_INDEX,
    SEQUENCER_DATA,
    DAC_MASK,
    DAC_READ_INDEX,
    DAC_WRITE_INDEX,
    DAC_DATA,
    FEATURE_READ,
    UNUSED_0,
    MISC_READ,
    UNUSED_1,
    GRAPHICS_INDEX,
    GRAPHICS_DATA,
    CRTC_INDEX = 0x14,
    CRTC_DATA = 0x15,
    STATUS = 0x1a,
    PORTS = 0x20
};

#define ATTRIBUTE_MASK 0x3f
#define DAC_BYTES      (256 * 3)
#define STATUS_RETRACE 0x09 /* display disabled, vertical retrace */
#define MISC_COLOR     0x01 /* the CRTC is at 3D4h, not at 3B4h */

struct indexed {
    uint8_t index;
    uint8_t data[64];
};

static struct {
    struct indexed attribute, sequencer, graphics, crtc;
    bool attribute_data; /* the next write to 3C0h is data, not an index */
    uint8_t misc, status, mask;
    unsigned dac_read, dac_write; /* positions in dac, in bytes */
    uint8_t dac[DAC_BYTES];
} vga;

static uint8_t *selected(struct indexed *set)
{
    return &set->data[set->index % sizeof(set->data)];
}

static uint8_t status_read(void)
{
    vga.attribute_data = false;
    vga.status ^= STATUS_RETRACE;
    return vga.status;
}

static uint8_t dac_read(void)
{
    uint8_t value = vga.dac[vga.dac_read % DAC_BYTES];

    vga.dac_read = (vga.dac_read + 1) % DAC_BYTES;
    return value;
}

static void dac_write(uint8_t value)
{
    vga.dac[vga.dac_write % DAC_BYTES] = value & 0x3f;
    vga.dac_write = (vga.dac_write + 1) % DAC_BYTES;
}

static void attribute_write(uint8_t value)
{
    if (vga.attribute_data)
        vga.attribute.data[vga.attribute.index & 0x1f] = value;
    else
        vga.attribute.index = value & ATTRIBUTE_MASK;
    vga.attribute_data = !vga.attribute_data;
}

static uint32_t vga_read(uint32_t offset, unsigned bytes)
{
    (void)bytes;
    switch (offset) {
    case ATTRIBUTE_INDEX:
        return vga.attribute.index;
    case ATTRIBUTE_DATA:
        return vga.attribute.data[vga.attribute.index & 0x1f];
    case SEQUENCER_INDEX:
        return vga.sequencer.index;
    case SEQUENCER_DATA:
        return *selected(&vga.sequencer);
    case DAC_MASK:
        return vga.mask;
    case DAC_WRITE_INDEX:
        return vga.dac_write / 3;
    case DAC_DATA:
        return dac_read();
    case MISC_READ:
        return vga.misc;
    case GRAPHICS_INDEX:
        return vga.graphics.index;
    case GRAPHICS_DATA:
        return *selected(&vga.graphics);
    case CRTC_INDEX:
        return vga.crtc.index;
    case CRTC_DATA:
        return *selected(&vga.crtc);
    case STATUS:
        return status_read();
    case MISC_WRITE:
    case FEATURE_READ:
    case DAC_READ_INDEX:
        return 0;
    default:
        return UINT32_MAX;
    }
}

static void vga_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    (void)bytes;
    switch (offset) {
    case ATTRIBUTE_INDEX:
        attribute_write((uint8_t)value);
        break;
    case MISC_WRITE:
        vga.misc = (uint8_t)value;
        break;
    case SEQUENCER_INDEX:
        vga.sequencer.index = (uint8_t)value;
        break;
    case SEQUENCER_DATA:
        *selected(&vga.sequencer) = (uint8_t)value;
        break;
    case DAC_MASK:
        vga.mask = (uint8_t)value;
        break;
    case DAC_READ_INDEX:
        vga.dac_read = value * 3;
        break;
    case DAC_WRITE_INDEX:
        vga.dac_write = value * 3;
        break;
    case DAC_DATA:
        dac_write((uint8_t)value);
        break;
    case GRAPHICS_INDEX:
        vga.graphics.index = (uint8_t)value;
        break;
    case GRAPHICS_DATA:
        *selected(&vga.graphics) = (uint8_t)value;
        break;
    case CRTC_INDEX:
        vga.crtc.index = (uint8_t)value;
        break;
    case CRTC_DATA:
        *selected(&vga.crtc) = (uint8_t)value;
        break;
    }
}

void vga_init(void)
{
    static const struct bus_region region = {PLATFORM_VGA, PORTS, 1, vga_read, vga_write};

    memset(&vga, 0, sizeof(vga));
    vga.misc = MISC_COLOR;
    vga.mask = 0xff;
    bus_add_ports(&region);
}
