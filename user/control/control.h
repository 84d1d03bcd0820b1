/* All that the control world knows, and its parts' connections. */
#ifndef USER_CONTROL_CONTROL_H
#define USER_CONTROL_CONTROL_H

#include "user/control/console/keyboard.h"
#include "user/control/console/log.h"
#include "user/control/console/prompt.h"
#include "user/control/guests/show.h"

enum control_quit { CONTROL_RUN, CONTROL_POWEROFF, CONTROL_REBOOT };

struct control {
    struct config config;
    struct mux mux;
    struct log log;
    struct guests guests;
    struct keyboard keyboard;
    struct prompt prompt;
    struct show show;       /* the table that is being printed */
    uint64_t prompt_shown;  /* host TSC of the last look whether the prompt is there */
    enum control_quit quit; /* what is to happen to the machine now */
    bool reported;          /* all guests have ended and the results were printed */
};

/* All zero before: read the config, create the guests, take the keyboard. */
void control_start(struct control *control);

/*
 * Control has one thread and serves all guests, and none of them may keep it from the others: each pass of this looks
 * at everything, and does of each kind of work a bounded amount (a VM created or destroyed, 64 keys, MUX_TURN bytes, 64
 * lines of the log, a row of a table).
 *
 * Do all that is to be done now, until the machine is to be switched off or reset or nothing is left but to wait: then
 * *deadline is the host TSC until which, NEVER: for ever. Returns control->quit.
 */
enum control_quit control_turn(struct control *control, uint64_t *deadline);

/* End all guests that run and print the results, if that is not done. */
void control_finish(struct control *control);

/*
 * The config file of the boot modules: parsed, and fitted to the machine; problems are printed. If there is none, that
 * is printed and control->config stays as it is.
 */
void boot_config(struct control *control);

/* One line a guest for people and one for programs (docs/console.md), and the count of good and bad ends. */
void results_print(struct mux *mux, const struct guests *guests);

/* A line that was typed at the prompt, of at least one word. It is changed. */
void command_run(struct control *control, char *line);

#endif
