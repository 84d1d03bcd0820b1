#include "user/devices/pc/uart.h"

#include "user/devices/bus.h"
#include "user/devices/clock.h"
#include "user/devices/console.h"
#include "user/devices/irq.h"
#include "user/devices/platform.h"
#include "user/lib/env.h"

#include "lib/string.h"

enum { UART_DATA, UART_IER, UART_IIR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCR, UART_PORTS };
enum { UART_DLL = UART_DATA, UART_DLM = UART_IER, UART_FCR = UART_IIR };

#define IER_RDI         0x01 /* received data, and the timeout indication */
#define IER_THRI        0x02
#define IER_RLSI        0x04
#define IER_MSI         0x08
#define IER_MASK        0x0f
#define IIR_NONE        0x01
#define IIR_MSI         0x00
#define IIR_THRI        0x02
#define IIR_RDI         0x04
#define IIR_RLSI        0x06
#define IIR_TIMEOUT     0x0c
#define IIR_FIFO        0xc0
#define FCR_ENABLE      0x01
#define FCR_CLEAR_RX    0x02
#define FCR_CLEAR_TX    0x04
#define LCR_LENGTH      0x03
#define LCR_STOP        0x04
#define LCR_PARITY      0x08
#define LCR_DLAB        0x80
#define MCR_DTR         0x01
#define MCR_RTS         0x02
#define MCR_OUT1        0x04
#define MCR_OUT2        0x08
#define MCR_LOOP        0x10
#define MCR_MASK        0x1f
#define LSR_DR          0x01
#define LSR_OE          0x02
#define LSR_ERRORS      0x1e
#define LSR_THRE        0x20
#define LSR_TEMT        0x40
#define MSR_DELTA_SHIFT 4
#define MSR_TERI        0x04
#define MSR_CTS         0x10
#define MSR_DSR         0x20
#define MSR_RI          0x40
#define MSR_DCD         0x80

#define FIFO_SIZE      16
#define INPUT_CLOCK    1843200u
#define BIT_CLOCKS     16
#define TIMEOUT_FRAMES 4

static struct {
    uint8_t ier, lcr, mcr, scr, dll, dlm;
    uint8_t errors;  /* bits of LSR_ERRORS */
    uint8_t lines;   /* MSR bits 4-7: the inputs now */
    uint8_t deltas;  /* MSR bits 0-3 */
    uint8_t depth;   /* of the FIFOs: FIFO_SIZE, or 1 if the FIFOs are off */
    uint8_t trigger; /* trigger level of the receive FIFO; 1 if the FIFOs are off */
    bool thr_empty;  /* the THRE interrupt is pending, if it is enabled */
    bool timeout;    /* the timeout indication is on */
    uint8_t rx[FIFO_SIZE], tx[FIFO_SIZE];
    unsigned rx_first, rx_count, tx_first, tx_count;
    struct clock_timer timer;
} uart;

static bool fifo(void)
{
    return uart.depth > 1;
}

static bool dlab(void)
{
    return uart.lcr & LCR_DLAB;
}

/* The value of IIR now, without the FIFO bits. Priorities: datasheet, Table 4. */
static uint8_t identify(void)
{
    if ((uart.ier & IER_RLSI) && uart.errors)
        return IIR_RLSI;
    if ((uart.ier & IER_RDI) && uart.rx_count >= uart.trigger)
        return IIR_RDI;
    if ((uart.ier & IER_RDI) && uart.timeout)
        return IIR_TIMEOUT;
    if ((uart.ier & IER_THRI) && uart.thr_empty)
        return IIR_THRI;
    if ((uart.ier & IER_MSI) && uart.deltas)
        return IIR_MSI;
    return IIR_NONE;
}

/* On a PC the OUT2 pin gates the interrupt. In loopback mode the pin is inactive. */
static void update_line(void)
{
    bool gate = (uart.mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

    irq_set(PLATFORM_IRQ_COM1, gate && identify() != IIR_NONE);
}

/* Four character times in ticks: how long data may lie in the FIFO below its trigger level. */
static uint64_t timeout_ticks(void)
{
    unsigned bits = 1 + 5 + (uart.lcr & LCR_LENGTH) + (uart.lcr & LCR_PARITY ? 1 : 0) + (uart.lcr & LCR_STOP ? 2 : 1);
    unsigned divisor = uart.dlm << 8 | uart.dll;

    return clock_ticks((uint64_t)TIMEOUT_FRAMES * bits * BIT_CLOCKS * (divisor ? divisor : 1), INPUT_CLOCK);
}

static void receive_arm(void)
{
    bool waits = fifo() && uart.rx_count > 0 && !uart.timeout && (uart.ier & IER_RDI);

    clock_timer_set(&uart.timer, waits ? env_now() + timeout_ticks() : CLOCK_NEVER);
}

static void receive(uint8_t byte)
{
    if (uart.rx_count == uart.depth) {
        /* With the FIFO on, the new byte is lost. With the FIFO off, it replaces the old one. */
        uart.errors |= LSR_OE;
        if (!fifo())
            uart.rx[uart.rx_first] = byte;
        return;
    }

    uart.rx[(uart.rx_first + uart.rx_count++) % FIFO_SIZE] = byte;
    uart.timeout = false;
}

static void receive_poll(void)
{
    uint8_t byte;

    /* While the FIFO is full, bytes stay in the ring, so there is no overrun. */
    if (!console_readable() || (uart.mcr & MCR_LOOP) || uart.rx_count >= uart.depth || !console_get(&byte))
        return;

    do
        receive(byte);
    while (uart.rx_count < uart.depth && console_get(&byte));

    receive_arm();
}

static void transmit_poll(void)
{
    if (uart.tx_count == 0)
        return;

    while (uart.tx_count > 0) {
        uint8_t byte = uart.tx[uart.tx_first];

        if (uart.mcr & MCR_LOOP)
            receive(byte);
        else if (!console_put(byte))
            return;
        uart.tx_first = (uart.tx_first + 1) % FIFO_SIZE;
        uart.tx_count--;
    }

    if (uart.mcr & MCR_LOOP)
        receive_arm();
    uart.thr_empty = true;
}

void uart_poll(void)
{
    transmit_poll();
    receive_poll();
    update_line();
}

static void uart_fire(uint64_t now)
{
    (void)now;
    uart.timeout = uart.rx_count > 0;
    update_line();
}

/* Called after a read that has removed a cause of the interrupt: the line falls before another cause comes. */
__attribute__((noinline)) static uint32_t caused_less(uint32_t value)
{
    update_line();
    return value;
}

__attribute__((noinline)) static uint32_t read_data(void)
{
    uint8_t byte = uart.rx[uart.rx_first];

    if (uart.rx_count > 0) {
        uart.rx_first = (uart.rx_first + 1) % FIFO_SIZE;
        uart.rx_count--;
    }

    uart.timeout = false;
    receive_arm();
    return caused_less(byte);
}

static void write_data(uint8_t byte)
{
    uart.thr_empty = false;
    update_line();

    /* Only if the driver ignores THRE can the FIFO be full here. The byte is lost then. */
    if (uart.tx_count < uart.depth)
        uart.tx[(uart.tx_first + uart.tx_count++) % FIFO_SIZE] = byte;
    transmit_poll();
}

static void write_ier(uint8_t value)
{
    uint8_t added = value & (uint8_t)~uart.ier;

    uart.ier = value & IER_MASK;
    if ((added & IER_THRI) && uart.tx_count == 0)
        uart.thr_empty = true;
    if (added & IER_RDI)
        receive_arm();
}

static void write_fcr(uint8_t value)
{
    static const uint8_t triggers[] = {1, 4, 8, 14};
    bool enable = value & FCR_ENABLE;

    if (enable != fifo())
        value |= FCR_CLEAR_RX | FCR_CLEAR_TX;
    else if (!enable)
        return; /* the other bits count only if bit 0 is set */

    uart.depth = enable ? FIFO_SIZE : 1;
    uart.trigger = enable ? triggers[value >> 6] : 1;

    if (value & FCR_CLEAR_RX) {
        uart.rx_count = 0;
        uart.timeout = false;
        receive_arm();
    }
    if ((value & FCR_CLEAR_TX) && uart.tx_count > 0) {
        uart.tx_count = 0;
        uart.thr_empty = true;
    }
}

static void set_lines(uint8_t lines)
{
    uint8_t changed = lines ^ uart.lines;

    /* RI counts only when it goes away (TERI), the other lines at each change. */
    uart.deltas |= (changed & (uint8_t)~MSR_RI) >> MSR_DELTA_SHIFT;
    if (changed & uart.lines & MSR_RI)
        uart.deltas |= MSR_TERI;
    uart.lines = lines;
}

static void write_mcr(uint8_t value)
{
    uint8_t lines = MSR_CTS | MSR_DSR | MSR_DCD; /* the terminal is always there */

    uart.mcr = value & MCR_MASK;
    if (value & MCR_LOOP)
        lines = (uint8_t)((value & MCR_RTS ? MSR_CTS : 0) | (value & MCR_DTR ? MSR_DSR : 0) |
                          (value & MCR_OUT1 ? MSR_RI : 0) | (value & MCR_OUT2 ? MSR_DCD : 0));
    set_lines(lines);
}

static uint32_t read_lsr(void)
{
    uint8_t value = uart.errors;

    if (uart.rx_count > 0)
        value |= LSR_DR;
    if (uart.tx_count == 0)
        value |= LSR_THRE | LSR_TEMT;

    if (!uart.errors)
        return value;
    uart.errors = 0;
    return caused_less(value);
}

__attribute__((noinline)) static uint32_t read_iir(void)
{
    uint8_t cause = identify(), value = cause | (fifo() ? IIR_FIFO : 0);

    if (cause != IIR_THRI)
        return value;
    uart.thr_empty = false;
    return caused_less(value);
}

static uint32_t read_msr(void)
{
    uint8_t value = uart.lines | uart.deltas;

    if (!uart.deltas)
        return value;
    uart.deltas = 0;
    return caused_less(value);
}

__attribute__((noinline)) static uint32_t read_register(uint32_t offset)
{
    switch (offset) {
    case UART_DATA:
        return dlab() ? uart.dll : read_data();
    case UART_IER:
        return dlab() ? uart.dlm : uart.ier;
    case UART_IIR:
        return read_iir();
    case UART_LCR:
        return uart.lcr;
    case UART_MCR:
        return uart.mcr;
    case UART_LSR:
        return read_lsr();
    case UART_MSR:
        return read_msr();
    default:
        return uart.scr;
    }
}

static void write_register(uint32_t offset, uint8_t value)
{
    switch (offset) {
    case UART_DATA:
        if (dlab())
            uart.dll = value;
        else
            write_data(value);
        break;
    case UART_IER:
        if (dlab())
            uart.dlm = value;
        else
            write_ier(value);
        break;
    case UART_FCR:
        write_fcr(value);
        break;
    case UART_LCR:
        uart.lcr = value;
        break;
    case UART_MCR:
        write_mcr(value);
        break;
    case UART_SCR:
        uart.scr = value;
        break;
    }
}

/* The first transmit_poll() is for a driver that polls LSR: it must see that the console takes bytes. */
__attribute__((noinline)) static uint32_t read_and_move(uint32_t offset)
{
    uint32_t value;

    transmit_poll();
    value = read_register(offset);
    uart_poll();
    return value;
}

/* In most reads no byte can move: these take the short way. */
static uint32_t uart_read(uint32_t offset, unsigned bytes)
{
    (void)bytes;
    if (uart.tx_count > 0 || console_readable())
        return read_and_move(offset);
    return read_register(offset);
}

static void uart_write(uint32_t offset, unsigned bytes, uint32_t value)
{
    (void)bytes;
    write_register(offset, (uint8_t)value);
    uart_poll();
}

void uart_init(void)
{
    static const struct bus_region region = {PLATFORM_COM1, UART_PORTS, 1, uart_read, uart_write};

    memset(&uart, 0, sizeof(uart));
    uart.depth = uart.trigger = 1;
    uart.dll = 1;
    uart.lines = MSR_CTS | MSR_DSR | MSR_DCD;
    uart.timer.fire = uart_fire;
    bus_add_ports(&region);
}
