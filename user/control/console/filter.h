/*
 * What of a guest's output reaches the terminal, so that no guest can write over another's text, over the prefix that
 * says whose a line is, or make the terminal do anything that outlasts its line or go on in the next (docs/console.md
 * has the rule for users):
 *
 *   LF                  ends the line; CR before it is dropped; any other CR begins the line again, prefix and all
 *   printable, UTF-8    pass; what is no UTF-8, line separators and changes of the direction of writing become '?'; the
 *                       C1 controls U+0080-U+009F are dropped
 *   TAB                 becomes spaces
 *   BS                  passes while there is something of the guest's own left of the cursor
 *   BEL and, of ESC [,  the colours (m), erasing to the right or below (K, J), cursor right and left (C, D; not out of
 *                       the guest's own part of the line), inserting and deleting characters (@, P): pass for the guest
 *                       that has the keyboard and are dropped for others
 *   all else            is dropped, what a terminal would answer among it, for that would be typed to whoever has the
 *                       keyboard by then; LF ends whatever sequence was not complete
 *
 * What would go beyond `limit` columns goes on in a new line. Where terminals differ in how wide a character is, the
 * most is assumed here and the least there: two columns for what is not ASCII when it is asked whether the line is
 * full, none when it is asked how far left the cursor may go.
 */
#ifndef USER_CONTROL_CONSOLE_FILTER_H
#define USER_CONTROL_CONSOLE_FILTER_H

#include "abi/types.h"

#define FILTER_SEQUENCE_MAX 32
#define FILTER_COLOURS_MAX  64

/* All zero before first use, but for the limit. */
struct filter {
    uint8_t state;
    uint8_t length;    /* of sequence: what of an escape sequence or of a UTF-8 character is there */
    uint8_t utf8_size; /* of the UTF-8 character being collected */
    bool carriage;     /* a CR was seen and what follows it was not yet */
    bool coloured;     /* the terminal's attributes are not the normal ones */
    uint32_t column;   /* at least so many columns left of the cursor hold the guest's own text, ... */
    uint32_t most;     /* ... and at most so many */
    uint32_t limit;    /* so many fit; 2 at least; kept by filter_reset */
    uint8_t colours_length;
    uint8_t colours[FILTER_COLOURS_MAX]; /* the sequences that made them, as far as there is room */
    uint8_t sequence[FILTER_SEQUENCE_MAX];
};

struct filter_output {
    bool rewind;  /* go to the start of the line and print the prefix first */
    bool wrap;    /* begin a new line that continues this one first */
    bool again;   /* the same byte is to be given once more */
    bool newline; /* then end the line */
    uint8_t length;
    uint8_t bytes[FILTER_SEQUENCE_MAX + 4];
};

/* The next byte of the guest's output. focused: the guest has the keyboard. */
struct filter_output filter_byte(struct filter *filter, uint8_t byte, bool focused);

/* The line continues on a new one behind a new prefix: nothing is left of the cursor. True: reset the colours first. */
bool filter_break(struct filter *filter);

/* As before first use, but for the limit. */
void filter_reset(struct filter *filter);

#endif
