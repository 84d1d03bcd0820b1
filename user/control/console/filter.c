#include "user/control/console/filter.h"

#include "lib/format.h"
#include "lib/string.h"

#define ESC 0x1b

/* ECMA-48's forms: ESC x; ESC ( x; CSI ... final; and strings that end with BEL or ESC \. */
enum state { PLAIN, UTF8, ESCAPE, ESCAPE_MORE, CSI, STRING, STRING_ESCAPE };

#define MOVE_MAX 1000

void filter_reset(struct filter *filter)
{
    *filter = (struct filter){.limit = filter->limit};
}

bool filter_break(struct filter *filter)
{
    filter->carriage = false;
    filter->column = filter->most = 0;
    return filter->coloured;
}

/* A carriage return that was seen: something follows it. */
static void rewind_line(struct filter *filter, struct filter_output *out)
{
    if (!filter->carriage)
        return;
    filter->carriage = false;
    filter->column = filter->most = 0;
    out->rewind = true;
}

/* Bytes that move the cursor by themselves nowhere, or by what the caller has counted. */
static void put(struct filter *filter, struct filter_output *out, const void *bytes, unsigned length)
{
    rewind_line(filter, out);
    memcpy(out->bytes + out->length, bytes, length);
    out->length = (uint8_t)(out->length + length);
}

/* A character of at least `least` and at most `most` columns. */
static void put_character(struct filter *filter, struct filter_output *out, const void *bytes, unsigned length,
                          unsigned least, unsigned most)
{
    rewind_line(filter, out);
    if (filter->most + most > filter->limit) {
        out->wrap = true;
        filter->column = filter->most = 0;
    }
    put(filter, out, bytes, length);
    filter->column += least;
    filter->most += most;
}

/* To the next column that eight divides, or as far as there is room. */
static void put_tab(struct filter *filter, struct filter_output *out)
{
    static const char spaces[8] = "        ";
    uint32_t at = filter->carriage ? 0 : filter->most;
    uint32_t n = MIN(8 - at % 8, filter->limit - at);

    put(filter, out, spaces, n);
    filter->column += n;
    filter->most += n;
}

/* Colours stay on when the line continues on another one: what made them is kept, the newest if there is no room for
 * all. */
static void keep_colours(struct filter *filter, const char *text, unsigned length, bool normal)
{
    filter->coloured = !normal;
    if (normal || filter->colours_length + length > sizeof(filter->colours))
        filter->colours_length = 0;
    if (normal)
        return;
    memcpy(filter->colours + filter->colours_length, text, length);
    filter->colours_length = (uint8_t)(filter->colours_length + length);
}

/* A complete CSI sequence without its ESC [; the last byte is the final one. Only digits and ';' stand before it. */
static void put_csi(struct filter *filter, struct filter_output *out)
{
    uint8_t final = filter->sequence[filter->length - 1];
    unsigned number = 0, digits = filter->length - 1u;
    uint32_t at;
    char text[FILTER_SEQUENCE_MAX + 3];

    for (unsigned i = 0; i < digits; i++) {
        uint8_t c = filter->sequence[i];

        if (c == ';' && final == 'm')
            continue;
        if (c < '0' || c > '9')
            return;
        number = MIN(number * 10 + c - '0', MOVE_MAX);
    }
    at = filter->carriage ? 0 : filter->most;
    switch (final) {
    case 'm':
        break;
    case 'J':
    case 'K':
        if (number != 0)
            return;
        break;
    case 'C': /* it counts nothing on the left: what it passes over need not be the guest's */
        number = MIN(MAX(number, 1u), filter->limit - at);
        if (number == 0)
            return;
        break;
    case 'D':
        number = filter->carriage ? 0 : MIN(MAX(number, 1u), filter->column);
        if (number == 0)
            return;
        filter->column -= number;
        filter->most -= number;
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
    if (final == 'C')
        filter->most += number;
    if (final == 'm')
        keep_colours(filter, text, digits, number == 0);
}

static void control(struct filter *filter, struct filter_output *out, uint8_t byte, bool focused)
{
    switch (byte) {
    case '\n':
        filter->carriage = false;
        filter->column = filter->most = 0;
        filter->coloured = false;
        filter->colours_length = 0;
        out->newline = true;
        break;
    case '\r':
        filter->carriage = true;
        break;
    case '\t':
        put_tab(filter, out);
        break;
    case '\b':
        if (filter->column > 0 && !filter->carriage) {
            filter->column--;
            filter->most--;
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
    put_character(filter, out, "?", 1, 1, 1);
}

static void plain(struct filter *filter, struct filter_output *out, uint8_t byte)
{
    if (byte < 0x80) {
        put_character(filter, out, &byte, 1, 1, 1);
    } else if (byte >= 0xc2 && byte <= 0xf4) {
        filter->state = UTF8;
        filter->utf8_size = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
        filter->sequence[0] = byte;
        filter->length = 1;
    } else {
        invalid(filter, out);
    }
}

/* Of two to four bytes that begin as one: a character that may be shown? */
static bool is_shown(const uint8_t *s, unsigned size)
{
    uint32_t c = s[0] & (0xffu >> (size + 1));

    for (unsigned i = 1; i < size; i++)
        c = c << 6 | (s[i] & 0x3f);
    if (c < (size == 2 ? 0x80u : size == 3 ? 0x800u : 0x10000u)) /* overlong: might hide a control */
        return false;
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return false;
    /* LINE and PARAGRAPH SEPARATOR; embeddings, overrides and isolates of the direction of writing. */
    return !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069);
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
    if (is_shown(s, filter->length))
        put_character(filter, out, s, filter->length, 0, 2);
    else
        invalid(filter, out);
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

    if (filter->state == UTF8 && (byte < 0x80 || byte > 0xbf)) {
        invalid(filter, &out);
        out.again = true;
        return out;
    }
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
