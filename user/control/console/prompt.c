#include "user/control/console/prompt.h"

#include "lib/string.h"

#define CTRL(c) ((c)&0x1f)
#define ESC     0x1b
#define DEL     0x7f

static void print(struct prompt *prompt, const char *text)
{
    mux_prompt(prompt->mux, text, strlen(text));
}

void prompt_show(struct prompt *prompt)
{
    if (!prompt->active || mux_prompt_open(prompt->mux))
        return;
    print(prompt, PROMPT_TEXT);
    mux_prompt(prompt->mux, prompt->line, prompt->length);
}

void prompt_open(struct prompt *prompt)
{
    prompt->active = true;
    prompt->length = 0;
    prompt->sequence = 0;
    prompt->waiting = 0;
}

void prompt_close(struct prompt *prompt)
{
    prompt->active = false;
    prompt->length = 0;
    prompt->waiting = 0;
}

static void enter(struct prompt *prompt)
{
    uint32_t first = 0;

    mux_end_line(prompt->mux);
    prompt->line[prompt->length] = '\0';
    prompt->length = 0;
    while (prompt->line[first] == ' ')
        first++;
    if (prompt->line[first])
        prompt->run(prompt->context, prompt->line + first);
}

/* True: the byte is a part of an escape sequence (ESC [ ... final, ESC O x, ESC x), of which none means anything
 * here. */
static bool in_sequence(struct prompt *prompt, uint8_t byte)
{
    switch (prompt->sequence) {
    case 0:
        prompt->sequence = byte == ESC;
        return byte == ESC;
    case 1:
        prompt->sequence = byte == '[' ? 2 : byte == 'O' ? 3 : 0;
        return byte >= 0x20;
    case 2:
        if (byte >= 0x40 || byte < 0x20)
            prompt->sequence = 0;
        return byte >= 0x20;
    default:
        prompt->sequence = 0;
        return byte >= 0x20;
    }
}

static void insert(struct prompt *prompt, uint8_t byte)
{
    if (byte < 0x20 || byte >= DEL || prompt->length + 1 >= sizeof(prompt->line) ||
        prompt->length + sizeof(PROMPT_TEXT) >= prompt->mux->width) {
        mux_bell(prompt->mux);
        return;
    }
    prompt->line[prompt->length++] = (char)byte;
    mux_prompt(prompt->mux, (const char *)&byte, 1);
}

/* A byte that comes while a command is printing. */
static void type_ahead(struct prompt *prompt, uint8_t byte)
{
    if (byte == CTRL('C')) {
        prompt->cancelled = true;
        prompt->waiting = 0;
    } else if (prompt->waiting < sizeof(prompt->ahead)) {
        prompt->ahead[prompt->waiting++] = byte;
    } else {
        mux_bell(prompt->mux);
    }
}

void prompt_resume(struct prompt *prompt)
{
    uint8_t ahead[sizeof(prompt->ahead)];
    uint32_t n = prompt->waiting;

    memcpy(ahead, prompt->ahead, n);
    prompt->waiting = 0;
    for (uint32_t i = 0; i < n && prompt->active; i++)
        prompt_type(prompt, ahead[i]); /* behind a command that takes its time they wait again */
}

void prompt_type(struct prompt *prompt, uint8_t byte)
{
    if (prompt->busy(prompt->context)) {
        type_ahead(prompt, byte);
        return;
    }
    if (in_sequence(prompt, byte))
        return;
    prompt_show(prompt);
    switch (byte) {
    case '\r':
    case '\n':
        enter(prompt);
        break;
    case '\b':
    case DEL:
        if (prompt->length > 0) {
            prompt->length--;
            print(prompt, "\b \b");
        }
        break;
    case CTRL('U'):
        prompt->length = 0;
        print(prompt, "\r\x1b[K" PROMPT_TEXT);
        break;
    case CTRL('C'):
        prompt->length = 0;
        print(prompt, "^C");
        mux_end_line(prompt->mux);
        break;
    case CTRL('D'):
        if (prompt->length == 0)
            prompt->leave(prompt->context);
        break;
    default:
        insert(prompt, byte);
        break;
    }
}
