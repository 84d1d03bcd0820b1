#include "kernel/log.h"

#include "kernel/backtrace.h"
#include "kernel/serial.h"
#include "kernel/smp.h"
#include "kernel/spinlock.h"
#include "kernel/trap.h"
#include "lib/format.h"
#include "lib/string.h"

#define LOG_SIZE  65536u
#define LINE_SIZE 240

static struct {
    struct spinlock lock;
    char text[LOG_SIZE];
    uint64_t end; /* sequence number behind the last byte */
    bool indirect;
} logger;

/* The ring's text and, while nobody else prints it, the terminal's. */
static void append(const char *text, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        logger.text[(logger.end + i) % LOG_SIZE] = text[i];
    logger.end += size;
}

static void line(enum log_level level, const char *fmt, va_list args)
{
    char text[LINE_SIZE + 4];
    text[0] = '<';
    text[1] = (char)('0' + level);
    text[2] = '>';
    int n = vformat(text + 3, LINE_SIZE, fmt, args);
    uint32_t size = 3 + (uint32_t)MIN(MAX(n, 0), LINE_SIZE - 1);
    for (uint32_t i = 3; i < size; i++)
        if ((uint8_t)text[i] < ' ' || text[i] == 0x7f)
            text[i] = '?';
    text[size++] = '\n';
    append(text, size);
    if (!logger.indirect) {
        serial_write("lapwing| ", 9);
        serial_write(text + 3, size - 4);
        serial_write("\r\n", 2);
    }
}

void log_line(enum log_level level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    spin_lock(&logger.lock);
    line(level, fmt, args);
    spin_unlock(&logger.lock);
    va_end(args);
}

uint32_t log_read(uint64_t sequence, char *out, uint32_t size, uint64_t *first)
{
    spin_lock(&logger.lock);
    uint64_t oldest = logger.end > LOG_SIZE ? logger.end - LOG_SIZE : 0;
    uint64_t from = MIN(MAX(sequence, oldest), logger.end);
    uint32_t n = (uint32_t)MIN((uint64_t)size, logger.end - from);
    for (uint32_t i = 0; i < n; i++)
        out[i] = logger.text[(from + i) % LOG_SIZE];
    spin_unlock(&logger.lock);
    *first = from;
    return n;
}

uint64_t log_hand_over(void)
{
    spin_lock(&logger.lock);
    logger.indirect = true;
    uint64_t printed = logger.end;
    spin_unlock(&logger.lock);
    return printed;
}

static void put(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    line(LOG_ERROR, fmt, args);
    va_end(args);
}

void panic_at(const struct trap_frame *f, const char *fmt, ...)
{
    irq_disable();
    /* The lock may be held by the CPU that is in trouble: from here on nobody asks for it. */
    smp_stop_others();
    logger.indirect = false;
    va_list args;
    va_start(args, fmt);
    serial_write("\r\n", 2);
    line(LOG_ERROR, fmt, args);
    va_end(args);
    if (f) {
        put("rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
        put("rsi %016lx rdi %016lx rbp %016lx rsp %016lx", f->rsi, f->rdi, f->rbp, f->rsp);
        put("r8  %016lx r9  %016lx r10 %016lx r11 %016lx", f->r8, f->r9, f->r10, f->r11);
        put("r12 %016lx r13 %016lx r14 %016lx r15 %016lx", f->r12, f->r13, f->r14, f->r15);
        put("cr2 %016lx cr3 %016lx rflags %08lx cs %04lx", read_cr2(), read_cr3(), f->rflags, f->cs);
    }
    backtrace_log((uint64_t)__builtin_frame_address(0), put);
    for (;;)
        __asm__ volatile("cli; hlt");
}
