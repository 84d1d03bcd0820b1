#include "user/control/console/keyboard.h"

#include "lib/format.h"
#include "lib/string.h"
#include "user/control/console/prompt.h"
#include "user/control/os.h"

#define CHUNK 64

void keyboard_escape_name(const struct keyboard *keyboard, char name[8])
{
    format(name, 8, "Ctrl-%c", keyboard->escape + '@');
}

static bool runs(const struct guest *guest)
{
    return guest->state == GUEST_ALIVE || guest->state == GUEST_WAITING;
}

void keyboard_focus(struct keyboard *keyboard, struct guest *guest)
{
    char key[8];

    keyboard_escape_name(keyboard, key);
    keyboard->focus = guest;
    keyboard->full = false;
    keyboard->mux->focused = guest ? &keyboard->mux->sources[guest->number] : NULL;
    if (guest) {
        prompt_close(keyboard->prompt);
        mux_say(keyboard->mux, "keyboard: %s (%s and then n, p or a digit: another guest, Enter: prompt, ?: help)",
                guest->config->vm.name, key);
    } else {
        mux_say(keyboard->mux, "keyboard: the hypervisor's prompt; \"help\" lists what it knows");
        prompt_open(keyboard->prompt);
    }
}

/* The next one that runs, in that direction and round; NULL: none. From the prompt: the first or the last. */
static struct guest *neighbour(struct keyboard *keyboard, int direction)
{
    struct guests *guests = keyboard->guests;
    unsigned count = guests->count;
    unsigned at = keyboard->focus ? keyboard->focus->number - 1 : direction > 0 ? count - 1 : 0;

    for (unsigned i = 0; i < count; i++) {
        at = (at + (direction > 0 ? 1 : count - 1)) % count;
        if (runs(&guests->list[at]))
            return &guests->list[at];
    }
    return NULL;
}

static void say_help(struct keyboard *keyboard)
{
    char key[8];

    keyboard_escape_name(keyboard, key);
    mux_say(keyboard->mux,
            "after %s: n next guest, p previous guest, 1-9 guest of that number, Enter or : or c prompt, %s itself",
            key, key);
}

static void focus_or_say(struct keyboard *keyboard, struct guest *guest)
{
    if (guest && runs(guest))
        keyboard_focus(keyboard, guest);
    else
        mux_say(keyboard->mux, "keyboard: no such guest is running; \"guests\" at the prompt lists them");
}

static void after_escape(struct keyboard *keyboard, uint8_t byte)
{
    if (byte == keyboard->escape) {
        if (keyboard->focus)
            guest_type(keyboard->focus, &byte, 1);
        return;
    }
    if (byte >= '1' && byte <= '9') {
        unsigned n = (unsigned)byte - '1';

        focus_or_say(keyboard, n < keyboard->guests->count ? &keyboard->guests->list[n] : NULL);
        return;
    }
    switch (byte) {
    case 'n':
        focus_or_say(keyboard, neighbour(keyboard, 1));
        break;
    case 'p':
        focus_or_say(keyboard, neighbour(keyboard, -1));
        break;
    case '\r':
    case '\n':
    case ':':
    case 'c':
        if (keyboard->focus)
            keyboard_focus(keyboard, NULL);
        break;
    default:
        say_help(keyboard);
        break;
    }
}

static void type(struct keyboard *keyboard, uint8_t byte)
{
    if (keyboard->escaped) {
        keyboard->escaped = false;
        after_escape(keyboard, byte);
    } else if (byte == keyboard->escape) {
        keyboard->escaped = true;
    } else if (!keyboard->focus) {
        prompt_type(keyboard->prompt, byte);
    } else if (guest_type(keyboard->focus, &byte, 1) == 0) {
        mux_bell(keyboard->mux);
    }
}

/* How much to read: no more than the guest can take, unless it is stuck, or what is typed is for us. */
static uint32_t wanted(struct keyboard *keyboard, uint64_t now, uint64_t *deadline)
{
    uint64_t until;
    uint32_t space;

    if (!keyboard->focus || keyboard->focus->state != GUEST_ALIVE || keyboard->escaped)
        return CHUNK;
    space = ring_space(&keyboard->focus->in);
    if (space > 0) {
        keyboard->full = false;
        return MIN(space, (uint32_t)CHUNK);
    }
    if (!keyboard->full) {
        keyboard->full = true;
        keyboard->full_since = now;
    }
    until = keyboard->full_since + os_ticks(KEYBOARD_STUCK_MS);
    if (now >= until)
        return CHUNK;
    *deadline = MIN(*deadline, until);
    return 0;
}

bool keyboard_turn(struct keyboard *keyboard, uint64_t now, uint64_t *deadline)
{
    uint8_t bytes[CHUNK];
    uint32_t max = wanted(keyboard, now, deadline);
    int64_t n = max ? os_call(SYS_CONSOLE_READ, max, 0, 0) : 0;

    if (n <= 0 || n > CHUNK)
        return false;
    memcpy(bytes, os_buffer(), (size_t)n); /* what a key does may use the buffer */
    for (int64_t i = 0; i < n; i++)
        type(keyboard, bytes[i]);
    return true;
}

void keyboard_check(struct keyboard *keyboard)
{
    if (keyboard->focus && !runs(keyboard->focus))
        keyboard_focus(keyboard, neighbour(keyboard, 1));
}

void keyboard_start(struct keyboard *keyboard, struct mux *mux, struct guests *guests, struct prompt *prompt,
                    uint8_t escape)
{
    keyboard->mux = mux;
    keyboard->guests = guests;
    keyboard->prompt = prompt;
    keyboard->escape = escape;
    keyboard_focus(keyboard, neighbour(keyboard, 1));
}
