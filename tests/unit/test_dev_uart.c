/* The 16550A, by the PC16550D datasheet, as Linux's 8250 driver probes it, and its console. */
// links: user/devices/clock.c user/devices/bus.c user/devices/irq.c user/devices/pc/pic.c user/devices/pc/ioapic.c
// links: user/devices/pc/uart.c user/devices/console.c user/lib/ring.c lib/timerq.c lib/rbtree.c
#include "tests/unit/test.h"

#include "tests/unit/dev_env.h"
#include "user/devices/console.h"
#include "user/devices/pc/uart.h"
#include "user/lib/ring.h"

static struct abi_console rings;
static struct ring_consumer terminal_in;
static struct ring_producer terminal_out;

#define COM(reg) ((uint16_t)(PLATFORM_COM1 + (reg)))

/* A driver's state: 8 bits, OUT2, FIFOs with trigger level 8. */
static void setup(void)
{
    fake_reset();
    memset(&rings, 0, sizeof(rings));
    console_init(&rings);
    ring_consumer_init(&terminal_in, &rings.out);
    ring_producer_init(&terminal_out, &rings.in);
    uart_init();
    fake_ioapic_entry(4, 0x34);
    outb(COM(3), 0x03);
    outb(COM(4), 0x0b);
    outb(COM(2), 0x81);
}

static void type(const char *text)
{
    bool peer_waits;

    ring_put(&terminal_out, (const uint8_t *)text, (uint32_t)strlen(text), &peer_waits);
    uart_poll();
}

static unsigned screen(char *text, unsigned max)
{
    bool peer_waits;
    uint32_t n = ring_get(&terminal_in, (uint8_t *)text, max - 1, &peer_waits);

    text[n] = 0;
    return n;
}

TEST(linux_autoconfig)
{
    setup();
    uart_init();
    outb(COM(1), 0);
    CHECK_EQ(inb(COM(1)) & 0x0f, 0);
    outb(COM(1), 0x0f);
    CHECK_EQ(inb(COM(1)), 0x0f);
    outb(COM(1), 0);
    outb(COM(4), 0x1a); /* loopback with RTS and OUT2 */
    CHECK_EQ(inb(COM(6)) & 0xf0, 0x90);
    outb(COM(4), 0x0b);
    outb(COM(3), 0xbf); /* an EFR would read as zero after these */
    outb(COM(2), 0);
    outb(COM(3), 0);
    outb(COM(2), 0x01);
    CHECK_EQ(inb(COM(2)) >> 6, 3); /* 16550A */
    outb(COM(3), 0x80);
    outb(COM(2), 0x21);
    CHECK_EQ(inb(COM(2)) & 0x20, 0); /* no 64-byte FIFO: not a 16750 */
    outb(COM(3), 0);
    outb(COM(1), 0x40);
    CHECK_EQ(inb(COM(1)), 0); /* no UUE: not an XScale */
    outb(COM(7), 0x5a);
    CHECK_EQ(inb(COM(7)), 0x5a);
    outb(COM(3), 0x80);
    outb(COM(0), 0x0c);
    outb(COM(1), 0x01);
    CHECK_EQ(inb(COM(0)), 0x0c);
    CHECK_EQ(inb(COM(1)), 0x01);
    outb(COM(3), 0x03);
    CHECK_EQ(inb(COM(1)), 0);
}

TEST(linux_thre_test)
{
    setup();
    outb(COM(1), 0x02);
    CHECK_EQ(inb(COM(2)) & 0x0f, 0x02);
    CHECK_EQ(inb(COM(2)) & 0x0f, 0x01); /* reading it cleared it */
    outb(COM(1), 0x00);
    outb(COM(1), 0x02);
    CHECK_EQ(inb(COM(2)) & 0x0f, 0x02);
}

TEST(transmit_interrupts)
{
    char text[64];

    setup();
    fake.messages = 0;
    outb(COM(1), 0x02);
    CHECK_EQ(fake.messages, 1);
    outb(COM(0), 'a');
    CHECK_EQ(fake.messages, 2); /* a new edge, though nobody read IIR */
    CHECK_EQ(inb(COM(2)), 0xc2);
    outb(COM(0), 'b');
    CHECK_EQ(fake.messages, 3);
    CHECK_EQ(inb(COM(5)), 0x60);
    CHECK_EQ(screen(text, sizeof(text)), 2);
    CHECK_STR(text, "ab");
    outb(COM(1), 0);
    outb(COM(0), 'c');
    CHECK_EQ(fake.messages, 3);
}

TEST(out2_gates_the_interrupt)
{
    setup();
    outb(COM(4), 0x03);
    fake.messages = 0;
    outb(COM(1), 0x02);
    CHECK_EQ(fake.messages, 0);
    outb(COM(4), 0x0b);
    CHECK_EQ(fake.messages, 1);
}

TEST(back_pressure_drops_nothing)
{
    static char text[ABI_RING_SIZE + 100];
    unsigned sent = 0, got = 0;

    setup();
    outb(COM(1), 0x02);
    while (inb(COM(5)) & 0x20)
        outb(COM(0), (uint8_t)sent++);
    CHECK_EQ(sent, ABI_RING_SIZE + 1);
    CHECK_EQ(inb(COM(5)), 0x00);
    CHECK_EQ(inb(COM(2)) & 0x0f, 0x01);
    for (unsigned i = 0; i < 15; i++)
        outb(COM(0), (uint8_t)sent++); /* the FIFO holds 16 */
    fake.messages = 0;
    for (unsigned round = 0, n; (n = screen(text, round < 2 ? 11 : sizeof(text))) > 0; round++) {
        for (unsigned i = 0; i < n; i++)
            CHECK_EQ((uint8_t)text[i], (uint8_t)got++);
        uart_poll();
        CHECK_EQ(inb(COM(5)), round == 0 ? 0x00 : 0x60); /* 10 of the 16 found room, then all */
        CHECK_EQ(fake.messages, round == 0 ? 0 : 1);
    }
    CHECK_EQ(got, sent);
}

TEST(a_polling_driver_sees_the_console_drain)
{
    char text[8];

    setup();
    while (inb(COM(5)) & 0x20)
        outb(COM(0), 'x');
    screen(text, 2);
    CHECK_EQ(inb(COM(5)), 0x60);
}

TEST(receive_with_trigger_and_timeout)
{
    setup();
    outb(COM(3), 0x83);
    outb(COM(0), 12); /* 9600 baud: 10 bits, 4 characters are 4.17 ms */
    outb(COM(3), 0x03);
    outb(COM(1), 0x01);
    fake.messages = 0;
    type("abc");
    CHECK_EQ(inb(COM(5)), 0x61);
    CHECK_EQ(inb(COM(2)), 0xc1);
    fake_run_us(4100);
    CHECK_EQ(fake.messages, 0);
    fake_run_us(100);
    CHECK_EQ(fake.messages, 1);
    CHECK_EQ(inb(COM(2)), 0xcc);
    CHECK_EQ(inb(COM(0)), 'a');
    CHECK_EQ(inb(COM(2)), 0xc1);
    fake_run_us(4200);
    CHECK_EQ(fake.messages, 2); /* what is left in it times out again */
    CHECK_EQ(inb(COM(0)), 'b');
    CHECK_EQ(inb(COM(0)), 'c');
    CHECK_EQ(inb(COM(5)), 0x60);
    fake_run_us(10000);
    CHECK_EQ(fake.messages, 2);
    type("12345678");
    CHECK_EQ(fake.messages, 3);
    CHECK_EQ(inb(COM(2)), 0xc4);
    CHECK_EQ(inb(COM(0)), '1');
    CHECK_EQ(inb(COM(2)), 0xc1);
}

TEST(receive_without_fifo)
{
    setup();
    outb(COM(2), 0);
    outb(COM(1), 0x01);
    fake.messages = 0;
    type("xyz");
    for (const char *p = "xyz"; *p; p++) {
        CHECK_EQ(inb(COM(2)), 0x04);
        CHECK_EQ(inb(COM(0)), *p);
    }
    CHECK_EQ(inb(COM(2)), 0x01);
    CHECK_EQ(fake.messages, 3);
}

TEST(more_than_the_fifo_waits_in_the_ring)
{
    static char text[1000];

    setup();
    for (unsigned i = 0; i < sizeof(text) - 1; i++)
        text[i] = (char)('A' + i % 50);
    type(text);
    for (unsigned i = 0; i < sizeof(text) - 1; i++) {
        CHECK_EQ(inb(COM(5)), 0x61); /* no overrun */
        CHECK_EQ(inb(COM(0)), (uint8_t)text[i]);
    }
    CHECK_EQ(inb(COM(5)), 0x60);
}

TEST(full_input_ring_wakes_control)
{
    static uint8_t bytes[ABI_RING_SIZE];
    bool peer_waits;

    setup();
    ring_put(&terminal_out, bytes, sizeof(bytes), &peer_waits);
    uart_poll();
    CHECK(console_take_notify());
    inb(COM(0));
    CHECK(!console_take_notify());
}

TEST(interrupt_priorities)
{
    setup();
    outb(COM(4), 0x1b);
    inb(COM(6));
    outb(COM(2), 0x01);
    for (unsigned i = 0; i < 17; i++) /* loopback: the 17th overruns */
        outb(COM(0), (uint8_t)i);
    outb(COM(4), 0x18); /* DTR and RTS fall */
    outb(COM(1), 0x0f);
    CHECK_EQ(inb(COM(2)), 0xc6);
    CHECK_EQ(inb(COM(5)), 0x63);
    CHECK_EQ(inb(COM(5)), 0x61);
    CHECK_EQ(inb(COM(2)), 0xc4);
    for (unsigned i = 0; i < 16; i++)
        CHECK_EQ(inb(COM(0)), i);
    CHECK_EQ(inb(COM(2)), 0xc2);
    CHECK_EQ(inb(COM(2)), 0xc0);
    CHECK_EQ(inb(COM(6)), 0x83);
    CHECK_EQ(inb(COM(6)), 0x80);
    CHECK_EQ(inb(COM(2)), 0xc1);
}

/* Datasheet, Table 4, "interrupt reset control": the read that takes a cause away, and no write after it. */
TEST(a_read_that_takes_the_cause_lets_the_line_fall)
{
    setup();
    outb(COM(1), 0x02);
    CHECK(irq_lines[PLATFORM_IRQ_COM1]);
    CHECK_EQ(inb(COM(2)), 0xc2);
    CHECK(!irq_lines[PLATFORM_IRQ_COM1]);

    outb(COM(1), 0x00);
    outb(COM(4), 0x10); /* loopback: the modem's lines fall; and with the 17th byte an overrun */
    for (unsigned i = 0; i < 17; i++)
        outb(COM(0), (uint8_t)i);
    outb(COM(4), 0x0b);
    outb(COM(1), 0x08);
    CHECK(irq_lines[PLATFORM_IRQ_COM1]);
    CHECK_EQ(inb(COM(6)) & 0x0f, 0x0b);
    CHECK(!irq_lines[PLATFORM_IRQ_COM1]);

    outb(COM(1), 0x04);
    CHECK(irq_lines[PLATFORM_IRQ_COM1]);
    CHECK_EQ(inb(COM(5)), 0x63);
    CHECK(!irq_lines[PLATFORM_IRQ_COM1]);

    outb(COM(2), 0xc1); /* 14 of 16 */
    outb(COM(1), 0x01);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(irq_lines[PLATFORM_IRQ_COM1]);
        CHECK_EQ(inb(COM(0)), i);
    }
    CHECK(!irq_lines[PLATFORM_IRQ_COM1]);
}

TEST(modem_lines)
{
    setup();
    inb(COM(6));
    CHECK_EQ(inb(COM(6)), 0xb0); /* CTS, DSR, DCD: a terminal is there */
    outb(COM(4), 0x14);
    CHECK_EQ(inb(COM(6)), 0x4b); /* RI came: no TERI yet */
    outb(COM(4), 0x10);
    CHECK_EQ(inb(COM(6)), 0x04);
}

TEST(fcr_clears)
{
    setup();
    type("abcd");
    CHECK_EQ(inb(COM(5)), 0x61);
    outb(COM(2), 0x83);
    CHECK_EQ(inb(COM(5)), 0x60);
    type("abcd");
    outb(COM(2), 0x00); /* leaving FIFO mode clears too */
    CHECK_EQ(inb(COM(5)), 0x60);
    outb(COM(2), 0x06); /* without bit 0 nothing else counts */
    CHECK_EQ(inb(COM(2)), 0x01);
}

TEST(control_is_woken_per_line_or_after_a_delay)
{
    setup();
    outb(COM(0), 'a');
    outb(COM(0), 'b');
    CHECK(!console_take_notify());
    outb(COM(0), '\n');
    CHECK(console_take_notify());
    CHECK(!console_take_notify());
    outb(COM(0), 'c'); /* control has not drained yet: it needs no second wake-up */
    fake_run_us(10000);
    CHECK(!console_take_notify());

    setup();
    outb(COM(0), '$');
    fake_run_us(3900);
    CHECK(!console_take_notify());
    fake_run_us(200);
    CHECK(console_take_notify());

    setup();
    for (unsigned i = 0; i <= ABI_RING_SIZE / 2; i++)
        outb(COM(0), 'x');
    CHECK(console_take_notify());
}
