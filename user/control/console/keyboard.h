/*
 * Who gets what is typed: the focused guest or the hypervisor's prompt; and the escape key that chooses.
 *
 * After the escape key: n or p, the next or previous guest that runs; a digit, the guest of that number; Enter, `:` or
 * `c`, the prompt; the escape key again, that key itself to the guest; `?` or `h`, this list.
 */
#ifndef USER_CONTROL_CONSOLE_KEYBOARD_H
#define USER_CONTROL_CONSOLE_KEYBOARD_H

#include "user/control/guests/guests.h"

/* A guest that takes no input for so long has its input thrown away, so that the escape key is seen again. */
#define KEYBOARD_STUCK_MS 1000

struct prompt;

struct keyboard {
    struct mux *mux;
    struct guests *guests;
    struct prompt *prompt;
    struct guest *focus; /* NULL: the prompt has the keyboard */
    uint8_t escape;      /* the byte it sends */
    bool escaped;        /* it was pressed, and what follows it was not */
    bool full;           /* input was left where it is because the guest's ring is full, ... */
    uint64_t full_since; /* ... for the first time at this host TSC */
};

/* All zero before. The first guest that runs gets the keyboard. */
void keyboard_start(struct keyboard *keyboard, struct mux *mux, struct guests *guests, struct prompt *prompt,
                    uint8_t escape);

/* Give it to a guest, or to the prompt (NULL), and say so. */
void keyboard_focus(struct keyboard *keyboard, struct guest *guest);

/* Pass on what was typed at host TSC now. *deadline as in guests_check. True: there is more to do at once. */
bool keyboard_turn(struct keyboard *keyboard, uint64_t now, uint64_t *deadline);

/* If the focused guest has ended for good, another gets the keyboard; the prompt if none runs. */
void keyboard_check(struct keyboard *keyboard);

/* The escape key as a user would say it, such as Ctrl-]. */
void keyboard_escape_name(const struct keyboard *keyboard, char name[8]);

#endif
