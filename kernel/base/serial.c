#include "kernel/base/serial.h"

#include "kernel/base/asm.h"

#define COM1 0x3f8
enum { DATA = COM1, IER, FCR, LCR, MCR, LSR, MSR, SCR };
enum { LSR_DATA_READY = 1, LSR_THR_EMPTY = 0x20 };

#define FIFO_SIZE 16u
/* Longest wait for room in the transmitter, in looks. At 115200 baud a full FIFO is empty after 1.4 ms. */
#define WRITE_LOOKS 1000000

#define INPUT_SIZE 1024u
static struct {
    char data[INPUT_SIZE];
    _Atomic uint32_t head, tail;
} input;
static bool present;

void serial_init(void)
{
    outb(SCR, 0x5a);
    present = inb(SCR) == 0x5a;
    if (!present)
        return;

    outb(IER, 0);
    outb(LCR, 0x80); /* divisor 1: 115200 baud */
    outb(DATA, 1);
    outb(IER, 0);
    outb(LCR, 3);
    outb(FCR, 7);
    outb(MCR, 0x0b); /* DTR, RTS, and OUT2, which lets the interrupt through */
}

uint32_t serial_try_write(const char *text, uint32_t size)
{
    uint32_t done = 0;
    while (present && done < size && (inb(LSR) & LSR_THR_EMPTY))
        for (uint32_t room = FIFO_SIZE; room > 0 && done < size; room--)
            outb(DATA, (uint8_t)text[done++]);
    return present ? done : size;
}

void serial_write(const char *text, uint32_t size)
{
    for (uint32_t done = 0, looks = 0; done < size && looks < WRITE_LOOKS; looks++) {
        uint32_t n = serial_try_write(text + done, size - done);
        done += n;
        looks = n ? 0 : looks;
        cpu_pause();
    }
}

void serial_enable_input(void)
{
    if (present)
        outb(IER, 1);
}

bool serial_interrupt(void)
{
    bool some = false;

    /* At most INPUT_SIZE bytes at a time, so that a UART that always says "ready" does not keep the CPU here. */
    for (uint32_t n = 0; present && n < INPUT_SIZE && (inb(LSR) & LSR_DATA_READY); n++) {
        char c = (char)inb(DATA);
        uint32_t head = input.head;
        if (head - input.tail < INPUT_SIZE) {
            input.data[head % INPUT_SIZE] = c;
            input.head = head + 1;
        }
        some = true;
    }

    return some;
}

uint32_t serial_read(char *out, uint32_t size)
{
    uint32_t n = 0;
    for (uint32_t tail = input.tail; n < size && tail != input.head; n++) {
        out[n] = input.data[tail % INPUT_SIZE];
        input.tail = ++tail;
    }
    return n;
}
