#include "user/control/filter.h"

#include "lib/format.h"
#include "lib/string.h"

#define ESC 0x1b

/* ECMA-48's forms: ESC x; ESC ( x; CSI ... final; and strings that end with BEL or ESC \. */
enum state { PLAIN, UTF8, ESCAPE, ESCAPE_MORE, CSI, STRING, STRING_ESCAPE };

#define MOVE_MAX 1000

bool filter_break(struct filter *filter)
{
    bool coloured = filter->coloured;

    filter->coloured = false;
    filter->carriage = false;
    filter->column = 0;
    return coloured;
}

static void put(struct filter *filter, struct filter_output *out, const void *bytes, unsigned length)
{
    if (filter->carriage) {
        filter->carriage = false;
        filter->column = 0;
        out->rewind = true;
    }
    memcpy(out->bytes + out->length, bytes, length);
    out->length = (uint8_t)(out->length + length);
}

/* A complete CSI sequence without its ESC [; the last byte is the final one. Only digits and ';' stand before it. */
static void put_csi(struct filter *filter, struct filter_output *out)
{
    uint8_t final = filter->sequence[filter->length - 1];
    unsigned number = 0, digits = filter->length - 1u;
    char text[FILTER_SEQUENCE_MAX + 3];

    for (unsigned i = 0; i < digits; i++) {
        uint8_t c = filter->sequence[i];

        if (c == ';' && final == 'm')
            continue;
        if (c < '0' || c > '9')
            return;
        number = MIN(number * 10 + c - '0', MOVE_MAX);
    }
    switch (final) {
    case 'm':
        filter->coloured = filter->coloured || number != 0;
        break;
    case 'J':
    case 'K':
        if (number != 0)
            return;
        break;
    case 'n':
        if (number != 6)
            return;
        break;
    case 'C': /* at the right margin it moves nothing, so it counts nothing */
        number = MAX(number, 1u);
        break;
    case 'D':
        number = filter->carriage ? 0 : MIN(MAX(number, 1u), filter->column);
        if (number == 0)
            return;
        filter->column -= number;
        break;
    case 'P':
    case '@':
        break;
    default:
        return;
    }
    if (final == 'C' || final == 'D')
        digits = (unsigned)format(text, sizeof(text), "\x1b[%u%c", number, final);
    else
        digits = (unsigned)format(text, sizeof(text), "\x1b[%.*s", (int)filter->length, (char *)filter->sequence);
    put(filter, out, text, digits);
}

static void control(struct filter *filter, struct filter_output *out, uint8_t byte, bool focused)
{
    switch (byte) {
    case '\n':
        filter->carriage = false;
        filter->column = 0;
        filter->coloured = false;
        out->newline = true;
        break;
    case '\r':
        filter->carriage = true;
        break;
    case '\t':
        put(filter, out, "\t", 1); /* counts nothing, as cursor right */
        break;
    case '\b':
        if (filter->column > 0 && !filter->carriage) {
            filter->column--;
            put(filter, out, "\b", 1);
        }
        break;
    case '\a':
        if (focused)
            put(filter, out, "\a", 1);
        break;
    case ESC:
        filter->state = ESCAPE;
        filter->length = 0;
        break;
    default:
        break;
    }
}

static void invalid(struct filter *filter, struct filter_output *out)
{
    filter->state = PLAIN;
    put(filter, out, "?", 1);
    filter->column++;
}

static void plain(struct filter *filter, struct filter_output *out, uint8_t byte)
{
    if (byte < 0x80) {
        put(filter, out, &byte, 1);
        filter->column++;
    } else if (byte >= 0xc2 && byte <= 0xf4) {
        filter->state = UTF8;
        filter->utf8_size = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
        filter->sequence[0] = byte;
        filter->length = 1;
    } else {
        invalid(filter, out);
    }
}

static void continue_utf8(struct filter *filter, struct filter_output *out, uint8_t byte)
{
    const uint8_t *s = filter->sequence;

    filter->sequence[filter->length++] = byte;
    if (filter->length < filter->utf8_size)
        return;
    filter->state = PLAIN;
    if (s[0] == 0xc2 && s[1] < 0xa0) /* a C1 control */
        return;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90)) { /* overlong: might hide one */
        invalid(filter, out);
        return;
    }
    put(filter, out, s, filter->length); /* counts nothing: there are characters without a width */
}

static void continue_escape(struct filter *filter, uint8_t byte)
{
    switch (byte) {
    case '[':
        filter->state = CSI;
        break;
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_':
        filter->state = STRING;
        break;
    default:
        filter->state = byte >= 0x20 && byte < 0x30 ? ESCAPE_MORE : PLAIN;
        break;
    }
}

static void continue_csi(struct filter *filter, struct filter_output *out, uint8_t byte, bool focused)
{
    /* One that is too long loses its final byte here, and so does not pass. */
    if (filter->length < FILTER_SEQUENCE_MAX)
        filter->sequence[filter->length++] = byte;
    if (byte < 0x40 || byte > 0x7e)
        return;
    filter->state = PLAIN;
    if (focused && filter->sequence[filter->length - 1] == byte)
        put_csi(filter, out);
}

struct filter_output filter_byte(struct filter *filter, uint8_t byte, bool focused)
{
    struct filter_output out = {0};

    if (filter->state == UTF8 && (byte < 0x80 || byte > 0xbf))
        invalid(filter, &out);
    /* A string runs until its end or the line's, so that one that never ends cannot swallow what follows. */
    if (byte == '\n' || (byte < 0x20 && filter->state < STRING)) {
        filter->state = PLAIN;
        control(filter, &out, byte, focused);
        return out;
    }
    if (byte == 0x7f)
        return out;
    switch (filter->state) {
    case PLAIN:
        plain(filter, &out, byte);
        break;
    case UTF8:
        continue_utf8(filter, &out, byte);
        break;
    case ESCAPE:
        continue_escape(filter, byte);
        break;
    case ESCAPE_MORE:
        if (byte >= 0x30)
            filter->state = PLAIN;
        break;
    case CSI:
        continue_csi(filter, &out, byte, focused);
        break;
    default: /* STRING, STRING_ESCAPE */
        filter->state = byte == '\a' || (byte == '\\' && filter->state == STRING_ESCAPE) ? PLAIN
                        : byte == ESC                                                    ? STRING_ESCAPE
                                                                                         : STRING;
        break;
    }
    return out;
}
