#include "user/devices/pc/pic.h"

#include "user/devices/bus.h"
#include "user/devices/irq.h"
#include "user/devices/platform.h"

/* Initialization and operation command words (8259A datasheet). */
#define ICW1           0x10
#define ICW1_IC4       0x01
#define ICW1_SNGL      0x02
#define ICW4_AEOI      0x02
#define ICW4_SFNM      0x10
#define OCW3           0x08
#define OCW3_RIS       0x01
#define OCW3_RR        0x02
#define OCW3_POLL      0x04
#define OCW3_SMM       0x20
#define OCW3_ESMM      0x40
#define OCW2_EOI       0x20
#define OCW2_SPECIFIC  0x40
#define OCW2_ROTATE    0x80
#define POLL_INTERRUPT 0x80
#define CASCADE        2

enum init_state { INIT_DONE, INIT_ICW2, INIT_ICW3, INIT_ICW4 };

struct pic {
    uint8_t lines; /* inputs that are high */
    uint8_t irr, imr, isr;
    uint8_t elcr;   /* level-triggered inputs */
    uint8_t base;   /* vector of input 0 */
    uint8_t lowest; /* input of lowest priority */
    enum init_state init;
    bool icw4_follows, single;
    bool auto_eoi, rotate_on_aeoi, fully_nested_special;
    bool special_mask, read_isr, poll;
};

static struct pic pics[2];
#define MASTER (&pics[0])
#define SLAVE  (&pics[1])

/* The input of highest priority in a set; -1: the set is empty. */
static int highest(const struct pic *pic, uint8_t set)
{
    unsigned first = pic->lowest + 1u;

    if (set == 0)
        return -1;
    return (int)((first + (unsigned)__builtin_ctz((set | (unsigned)set << 8) >> first % 8)) % 8);
}

/* How far below the highest priority an input is: 0..7. */
static unsigned rank(const struct pic *pic, int input)
{
    return ((unsigned)input + 7 - pic->lowest) % 8;
}

/* The input that requests an interrupt now; -1: none. */
static int request(const struct pic *pic)
{
    uint8_t requests = pic->irr & (uint8_t)~pic->imr, blocking = pic->isr;
    int input, in_service;

    if (requests == 0)
        return -1;

    if (pic->special_mask)
        blocking &= (uint8_t)~pic->imr;
    input = highest(pic, requests);
    in_service = highest(pic, blocking);

    /* Special fully nested mode: while the slave's input is in service, the slave may interrupt again, for an input of
     * its own with a higher priority. */
    if (pic == MASTER && pic->fully_nested_special && input == CASCADE && in_service == CASCADE)
        return input;
    return in_service >= 0 && rank(pic, input) >= rank(pic, in_service) ? -1 : input;
}

/* If the line of an edge-triggered request falls before the request is acknowledged, the request is lost. This is the
 * cause of spurious vectors. */
static void input_set(struct pic *pic, unsigned input, bool level)
{
    uint8_t bit = (uint8_t)(1u << input);
    bool was = pic->lines & bit;

    if (!level)
        pic->irr &= (uint8_t)~bit;
    else if (!was || (pic->elcr & bit))
        pic->irr |= bit;
    pic->lines = (uint8_t)(level ? pic->lines | bit : pic->lines & ~bit);
}

static void update(void)
{
    input_set(MASTER, CASCADE, request(SLAVE) >= 0);
    irq_set_intr(pic_intr());
}

void pic_set(unsigned line, bool level)
{
    if (line == CASCADE)
        return;
    input_set(&pics[line / 8], line % 8, level);
    update();
}

bool pic_intr(void)
{
    return request(MASTER) >= 0;
}

static void acknowledge(struct pic *pic, int input)
{
    uint8_t bit = (uint8_t)(1u << input);

    if (!pic->auto_eoi)
        pic->isr |= bit;
    else if (pic->rotate_on_aeoi)
        pic->lowest = (uint8_t)input;
    if (!(pic->elcr & bit))
        pic->irr &= (uint8_t)~bit;

    /* INT falls for a moment. If there is another request, INT rises again: a new edge for an input that sees edges. */
    if (pic == SLAVE)
        input_set(MASTER, CASCADE, false);
    else
        irq_set_intr(false);
}

uint8_t pic_acknowledge(void)
{
    int input = request(MASTER);
    uint8_t vector = MASTER->base | 7;

    if (input >= 0) {
        acknowledge(MASTER, input);
        vector = (uint8_t)(MASTER->base | input);
    }

    if (input == CASCADE) {
        int slave_input = request(SLAVE);

        if (slave_input >= 0)
            acknowledge(SLAVE, slave_input);
        vector = SLAVE->base | (slave_input >= 0 ? (uint8_t)slave_input : 7);
    }

    update();
    return vector;
}

static void end_of_interrupt(struct pic *pic, uint8_t value)
{
    bool rotate = value & OCW2_ROTATE;
    int input = value & 7;

    if (!(value & OCW2_SPECIFIC)) {
        /* A non-specific EOI skips the inputs that the special mask mode hides. */
        uint8_t hidden = pic->special_mask ? pic->imr : 0;

        input = highest(pic, pic->isr & (uint8_t)~hidden);
        if (input < 0)
            return;
    }

    pic->isr &= (uint8_t) ~(1u << input);
    if (rotate)
        pic->lowest = (uint8_t)input;
}

static void write_ocw2(struct pic *pic, uint8_t value)
{
    switch (value & (OCW2_ROTATE | OCW2_SPECIFIC | OCW2_EOI)) {
    case OCW2_ROTATE:
        pic->rotate_on_aeoi = true;
        break;
    case 0:
        pic->rotate_on_aeoi = false;
        break;
    case OCW2_ROTATE | OCW2_SPECIFIC:
        pic->lowest = value & 7;
        break;
    case OCW2_SPECIFIC:
        break; /* no operation */
    default:
        end_of_interrupt(pic, value);
    }
}

static void write_icw1(struct pic *pic, uint8_t value)
{
    pic->init = INIT_ICW2;
    pic->icw4_follows = value & ICW1_IC4;
    pic->single = value & ICW1_SNGL;
    pic->imr = pic->isr = 0;

    /* The edge detectors are reset: an edge-triggered input needs a new rising edge. */
    pic->irr = pic->lines & pic->elcr;
    pic->lowest = 7;
    pic->special_mask = pic->read_isr = pic->poll = false;
    pic->auto_eoi = pic->rotate_on_aeoi = pic->fully_nested_special = false;
}

static void write_ocw3(struct pic *pic, uint8_t value)
{
    if (value & OCW3_ESMM)
        pic->special_mask = value & OCW3_SMM;
    if (value & OCW3_RR)
        pic->read_isr = value & OCW3_RIS;
    pic->poll = value & OCW3_POLL;
}

static void write_data(struct pic *pic, uint8_t value)
{
    switch (pic->init) {
    case INIT_DONE:
        pic->imr = value;
        break;
    case INIT_ICW2:
        pic->base = value & 0xf8;
        pic->init = !pic->single ? INIT_ICW3 : pic->icw4_follows ? INIT_ICW4 : INIT_DONE;
        break;
    case INIT_ICW3: /* describes the wiring, which is fixed on a PC */
        pic->init = pic->icw4_follows ? INIT_ICW4 : INIT_DONE;
        break;
    case INIT_ICW4:
        pic->auto_eoi = value & ICW4_AEOI;
        pic->fully_nested_special = value & ICW4_SFNM;
        pic->init = INIT_DONE;
        break;
    }
}

static void pic_write(struct pic *pic, uint32_t offset, uint8_t value)
{
    if (offset == 1)
        write_data(pic, value);
    else if (value & ICW1)
        write_icw1(pic, value);
    else if (value & OCW3)
        write_ocw3(pic, value);
    else
        write_ocw2(pic, value);
    update();
}

static uint32_t pic_read(struct pic *pic, uint32_t offset)
{
    if (pic->poll) {
        int input = request(pic);

        pic->poll = false;
        if (input < 0)
            return 0;
        acknowledge(pic, input);
        update();
        return POLL_INTERRUPT | (uint32_t)input;
    }

    if (offset == 1)
        return pic->imr;
    return pic->read_isr ? pic->isr : pic->irr;
}

static uint32_t master_read(uint32_t offset, unsigned bytes)
{
    (void)bytes;
    return pic_read(MASTER, offset);
}

static void master_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    (void)bytes;
    pic_write(MASTER, offset, (uint8_t)value);
}

static uint32_t slave_read(uint32_t offset, unsigned bytes)
{
    (void)bytes;
    return pic_read(SLAVE, offset);
}

static void slave_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    (void)bytes;
    pic_write(SLAVE, offset, (uint8_t)value);
}

static uint32_t elcr_read(uint32_t offset, unsigned bytes)
{
    (void)bytes;
    return pics[offset].elcr;
}

/* Lines 0, 1, 2, 8 and 13 are always edge triggered. */
static void elcr_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    static const uint8_t writable[2] = {0xf8, 0xde};
    struct pic *pic = &pics[offset];

    (void)bytes;
    pic->elcr = value & writable[offset];
    pic->irr |= pic->lines & pic->elcr;
    update();
}

void pic_init(void)
{
    static const struct bus_region master = {PLATFORM_PIC_MASTER, 2, 1, master_read, master_write};
    static const struct bus_region slave = {PLATFORM_PIC_SLAVE, 2, 1, slave_read, slave_write};
    static const struct bus_region elcr = {PLATFORM_ELCR, 2, 1, elcr_read, elcr_write};

    *MASTER = (struct pic){.imr = 0xff, .lowest = 7, .base = 0x08};
    *SLAVE = (struct pic){.imr = 0xff, .lowest = 7, .base = 0x70, .elcr = 1u << (PLATFORM_IRQ_SCI - 8)};

    bus_add_ports(&master);
    bus_add_ports(&slave);
    bus_add_ports(&elcr);
}
