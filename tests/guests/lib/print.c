#include <stdarg.h>

#include "tests/guests/lib/guest.h"

#define COM1      0x3f8
#define LSR       5
#define LSR_THRE  0x20
#define EXIT_PORT 0xf4

static volatile uint32_t lock;
static volatile uint32_t failed;

static void put(char c)
{
    if (c == '\n')
        put('\r');
    while (!(in8(COM1 + LSR) & LSR_THRE))
        pause();
    out8(COM1, (uint8_t)c);
}

static void put_string(const char *s, unsigned width)
{
    for (size_t n = strlen(s); n < width; n++)
        put(' ');
    for (; *s; s++)
        put(*s);
}

static void put_number(uint64_t value, unsigned base, bool negative, unsigned width, char fill)
{
    char digits[24];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative)
        digits[n++] = '-';
    for (; width > n; width--)
        put(fill);
    while (n)
        put(digits[--n]);
}

static uint64_t get_number(va_list *list, bool is_long, bool is_signed)
{
    if (is_long)
        return va_arg(*list, uint64_t);
    return is_signed ? (uint64_t)va_arg(*list, int) : va_arg(*list, unsigned);
}

/* One conversion, behind its %: what follows it. */
static const char *convert(const char *format, va_list *list)
{
    char fill = ' ';
    unsigned width = 0;
    bool is_long = false;
    uint64_t value;

    if (*format == '0')
        fill = *format++;
    for (; *format >= '0' && *format <= '9'; format++)
        width = 10 * width + (unsigned)(*format - '0');
    for (; *format == 'l'; format++)
        is_long = true;
    switch (*format) {
    case 's':
        put_string(va_arg(*list, const char *), width);
        break;
    case 'c':
        put((char)va_arg(*list, int));
        break;
    case 'd':
        value = get_number(list, is_long, true);
        put_number((int64_t)value < 0 ? -value : value, 10, (int64_t)value < 0, width, fill);
        break;
    case 'u':
        put_number(get_number(list, is_long, false), 10, false, width, fill);
        break;
    case 'x':
        put_number(get_number(list, is_long, false), 16, false, width, fill);
        break;
    case 'p':
        put_number((uintptr_t)va_arg(*list, void *), 16, false, width, fill);
        break;
    default:
        put(*format);
    }
    return format + 1;
}

static void print_list(const char *format, va_list *list)
{
    while (*format) {
        if (*format != '%')
            put(*format++);
        else
            format = convert(format + 1, list);
    }
}

void print(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    lock_take(&lock);
    print_list(format, &list);
    lock_release(&lock);
    va_end(list);
}

void guest_exit(uint32_t status)
{
    for (;;) {
        out8(EXIT_PORT, (uint8_t)status);
        __asm__ volatile("cli; hlt");
    }
}

void fail(const char *what, uint64_t expected, uint64_t got)
{
    if (__atomic_exchange_n(&failed, 1, __ATOMIC_SEQ_CST))
        for (;;)
            __asm__ volatile("cli; hlt");
    /* The exception that brought us here may have come in the middle of a line of this CPU's. */
    lock_release(&lock);
    print("%s: FAILED %s (expected 0x%lx, got 0x%lx)\n", guest_name, what, expected, got);
    guest_exit(1);
}
