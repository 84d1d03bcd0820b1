#include "lib/format.h"

#include <limits.h>

#include "lib/string.h"

struct sink {
    char *out;
    size_t size;
    size_t length; /* of the whole text so far; may be more than size */
};

struct spec {
    bool left, zero, alternate;
    int width;
    int precision; /* -1: none */
    int longs;     /* 0 int, 1 long or size_t, 2 long long */
    char conversion;
};

static void put_text(struct sink *sink, const char *text, size_t n)
{
    for (; n > 0; n--, sink->length++) {
        if (sink->length + 1 < sink->size)
            sink->out[sink->length] = *text;
        text++;
    }
}

static void put_repeated(struct sink *sink, char c, int n)
{
    for (; n > 0; n--)
        put_text(sink, &c, 1);
}

/* Put prefix, zeros and text, with spaces so that they are as wide as the spec asks. */
static void put_field(struct sink *sink, const struct spec *spec, const char *prefix, int zeros, const char *text,
                      int length)
{
    int prefix_length = (int)strlen(prefix);
    int pad = spec->width - prefix_length - zeros - length;

    if (!spec->left)
        put_repeated(sink, ' ', pad);

    put_text(sink, prefix, (size_t)prefix_length);
    put_repeated(sink, '0', zeros);
    put_text(sink, text, (size_t)length);

    if (spec->left)
        put_repeated(sink, ' ', pad);
}

static void put_number(struct sink *sink, const struct spec *spec, const char *prefix, unsigned base, uint64_t value)
{
    const char *digits = spec->conversion == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[20]; /* 2^64 - 1 in decimal */
    int start = sizeof(text), length, zeros;

    for (; value > 0; value /= base)
        text[--start] = digits[value % base];
    length = (int)sizeof(text) - start;

    /* Without a precision there is at least one digit. Zeros that pad to the width stand between sign and digits. */
    zeros = (spec->precision < 0 ? 1 : spec->precision) - length;
    if (spec->zero && !spec->left && spec->precision < 0)
        zeros = MAX(zeros, spec->width - (int)strlen(prefix) - length);

    put_field(sink, spec, prefix, MAX(zeros, 0), text + start, length);
}

static void put_string(struct sink *sink, const struct spec *spec, const char *text)
{
    if (!text)
        text = "(null)";
    put_field(sink, spec, "", 0, text, (int)strnlen(text, spec->precision < 0 ? INT_MAX : (size_t)spec->precision));
}

/* Parse the digits at *at, and move *at behind them. */
static int parse_number(const char **at)
{
    int n = 0;

    for (; **at >= '0' && **at <= '9'; (*at)++)
        n = MIN(n, INT_MAX / 10 - 1) * 10 + (**at - '0');
    return n;
}

/* The list is in a struct: only in some calling conventions is a va_list parameter a pointer. */
struct arguments {
    va_list list;
};

/* Parse what follows a '%'. Returns the text after it. */
static const char *parse_spec(const char *at, struct spec *spec, struct arguments *args)
{
    *spec = (struct spec){.precision = -1};
    for (;; at++) {
        if (*at == '-')
            spec->left = true;
        else if (*at == '0')
            spec->zero = true;
        else if (*at == '#')
            spec->alternate = true;
        else
            break;
    }

    if (*at == '*') {
        spec->width = va_arg(args->list, int);
        spec->left = spec->left || spec->width < 0;
        spec->width = spec->width < 0 ? -spec->width : spec->width;
        at++;
    } else {
        spec->width = parse_number(&at);
    }

    if (*at == '.') {
        at++;
        if (*at == '*') {
            spec->precision = va_arg(args->list, int);
            at++;
        } else {
            spec->precision = parse_number(&at);
        }
    }

    for (; (*at == 'l' && spec->longs < 2) || (*at == 'z' && spec->longs == 0); at++)
        spec->longs++;
    spec->conversion = *at;
    return *at ? at + 1 : at;
}

static uint64_t unsigned_argument(const struct spec *spec, struct arguments *args)
{
    return spec->longs ? va_arg(args->list, unsigned long) : va_arg(args->list, unsigned);
}

static int64_t signed_argument(const struct spec *spec, struct arguments *args)
{
    return spec->longs ? va_arg(args->list, long) : va_arg(args->list, int);
}

static_assert(sizeof(long) == sizeof(long long) && sizeof(long) == sizeof(size_t), "l, ll and z are one size");

/* Put the argument that the spec asks for. False: the conversion is unknown. */
static bool put_argument(struct sink *sink, const struct spec *spec, struct arguments *args)
{
    int64_t value;
    uint64_t bits;
    char c;

    switch (spec->conversion) {
    case 'd':
    case 'i':
        value = signed_argument(spec, args);
        put_number(sink, spec, value < 0 ? "-" : "", 10, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
        return true;
    case 'u':
        put_number(sink, spec, "", 10, unsigned_argument(spec, args));
        return true;
    case 'x':
    case 'X':
        bits = unsigned_argument(spec, args);
        put_number(sink, spec, !spec->alternate || bits == 0 ? "" : spec->conversion == 'x' ? "0x" : "0X", 16, bits);
        return true;
    case 'p':
        put_number(sink, spec, "0x", 16, (uintptr_t)va_arg(args->list, void *));
        return true;
    case 's':
        put_string(sink, spec, va_arg(args->list, const char *));
        return true;
    case 'c':
        c = (char)va_arg(args->list, int);
        put_field(sink, spec, "", 0, &c, 1);
        return true;
    case '%':
        put_text(sink, "%", 1);
        return true;
    default:
        return false;
    }
}

int vformat(char *out, size_t size, const char *fmt, va_list list)
{
    struct sink sink = {out, size, 0};
    struct arguments args;

    va_copy(args.list, list);
    while (*fmt) {
        struct spec spec;
        const char *percent = fmt;

        if (*fmt != '%') {
            put_text(&sink, fmt++, 1);
            continue;
        }

        fmt = parse_spec(fmt + 1, &spec, &args);
        if (!put_argument(&sink, &spec, &args)) {
            put_text(&sink, percent, strlen(percent));
            break;
        }
    }
    va_end(args.list);

    if (size > 0)
        out[MIN(sink.length, size - 1)] = '\0';
    return (int)MIN(sink.length, (size_t)INT_MAX);
}

int format(char *out, size_t size, const char *fmt, ...)
{
    va_list args;
    int length;

    va_start(args, fmt);
    length = vformat(out, size, fmt, args);
    va_end(args);
    return length;
}
