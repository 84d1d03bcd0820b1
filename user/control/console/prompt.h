/* The hypervisor's prompt: a line editor. Backspace, Ctrl-U (all), Ctrl-C (cancel), Ctrl-D (leave), Enter. */
#ifndef USER_CONTROL_CONSOLE_PROMPT_H
#define USER_CONTROL_CONSOLE_PROMPT_H

#include "user/control/console/mux.h"

#define PROMPT_LINE 128
#define PROMPT_TEXT "lapwing> "

/* All zero before, but for mux and the functions. */
struct prompt {
    struct mux *mux;
    void (*run)(void *context, char *line); /* a line was entered, it may be changed; not called for an empty one */
    void (*leave)(void *context);           /* Ctrl-D on an empty line */
    void *context;
    bool active;
    uint8_t sequence; /* inside of an escape sequence, such as a cursor key's */
    uint32_t length;
    char line[PROMPT_LINE];
    /* While a command is still printing, what is typed waits; Ctrl-C cancels the command and what waits. */
    bool (*busy)(void *context);
    bool cancelled; /* it did; whoever prints clears this */
    uint32_t waiting;
    uint8_t ahead[PROMPT_LINE];
};

/* The prompt has the keyboard, with an empty line; or has it no more. */
void prompt_open(struct prompt *prompt);
void prompt_close(struct prompt *prompt);

/* A byte from the keyboard. */
void prompt_type(struct prompt *prompt, uint8_t byte);

/* No command is printing any more: take what was typed meanwhile, up to the next command that takes its time. */
void prompt_resume(struct prompt *prompt);

/* If it has the keyboard: show it, and what was typed, unless that is there already. */
void prompt_show(struct prompt *prompt);

#endif
