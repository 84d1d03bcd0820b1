#include "user/control/control.h"

#include "user/control/os.h"

/* While guests print without a pause, the prompt comes back this often. */
#define PROMPT_MS 250

/* A guest's clock, the log and the keyboard need no help of ours between events, so control runs only when woken. */

static void run_command(void *context, char *line)
{
    command_run(context, line);
}

static bool is_printing(void *context)
{
    const struct control *control = context;

    return control->show.table != SHOW_NOTHING;
}

/* What on-end asks for. */
static enum control_quit end_action(const struct control *control)
{
    return control->config.on_end == CONFIG_POWEROFF ? CONTROL_POWEROFF
           : control->config.on_end == CONFIG_REBOOT ? CONTROL_REBOOT
                                                     : CONTROL_RUN;
}

/* Ctrl-D at the prompt: back to a guest; if none is left, to what was put off while the operator was here. */
static void leave_prompt(void *context)
{
    struct control *control = context;

    for (unsigned i = 0; i < control->guests.count; i++) {
        if (control->guests.list[i].state == GUEST_ALIVE) {
            keyboard_focus(&control->keyboard, &control->guests.list[i]);
            return;
        }
    }
    control->quit = guests_all_ended(&control->guests) ? end_action(control) : CONTROL_RUN;
    if (control->quit == CONTROL_RUN)
        mux_say(&control->mux, "no guest is running: \"start NAME\", \"poweroff\" and \"reboot\" are what is left");
}

/* When the last guest has ended: results, and then what on-end says, unless somebody is typing at the prompt. */
static void check_all_ended(struct control *control)
{
    enum control_quit action = end_action(control);

    if (!guests_all_ended(&control->guests)) {
        control->reported = false;
        return;
    }
    if (control->reported)
        return;
    control->reported = true;
    results_print(&control->mux, &control->guests);
    if (action == CONTROL_RUN)
        return;
    if (control->prompt.active)
        mux_say(&control->mux, "the machine stays on while you are at the prompt: Ctrl-D %s",
                action == CONTROL_POWEROFF ? "switches it off" : "resets it");
    else
        control->quit = action;
}

void control_start(struct control *control)
{
    mux_init(&control->mux);
    /* What holds until a config file says otherwise; without one nobody has said what to do at the end. */
    control->config.escape = CONFIG_ESCAPE_DEFAULT;
    control->config.width = CONFIG_WIDTH_DEFAULT;
    control->config.log = CONFIG_LOG_INFO;
    control->config.on_end = CONFIG_STAY;
    control->log = (struct log){.next = os_info()->log_from, .level = CONFIG_LOG_INFO};
    mux_attach(&control->mux, MUX_LOG, MUX_NAME, log_fetch, &control->log);
    control->prompt = (struct prompt){
        .mux = &control->mux, .run = run_command, .leave = leave_prompt, .busy = is_printing, .context = control};
    boot_config(control);
    control->log.level = control->config.log;
    mux_set_width(&control->mux, control->config.width);
    guests_start(&control->guests, &control->mux, &control->config);
    if (!guests_all_ended(&control->guests) || end_action(control) == CONTROL_RUN)
        keyboard_start(&control->keyboard, &control->mux, &control->guests, &control->prompt, control->config.escape);
}

/* A row of the table that is being printed; when that is complete, what was typed meanwhile. True: there is more. */
static bool table_turn(struct control *control)
{
    struct prompt *prompt = &control->prompt;

    if (prompt->cancelled)
        control->show.table = SHOW_NOTHING;
    prompt->cancelled = false;
    if (show_row(&control->show, &control->mux, &control->guests))
        return true;
    prompt_resume(prompt);
    return control->show.table != SHOW_NOTHING;
}

static void prompt_turn(struct control *control, uint64_t now, bool more)
{
    if (control->show.table != SHOW_NOTHING || (more && now - control->prompt_shown < os_ticks(PROMPT_MS)))
        return;
    control->prompt_shown = now;
    prompt_show(&control->prompt);
}

enum control_quit control_turn(struct control *control, uint64_t *deadline)
{
    bool more = true;

    while (more && control->quit == CONTROL_RUN) {
        uint64_t now = os_now();

        *deadline = NEVER;
        more = guests_check(&control->guests, now, deadline);
        check_all_ended(control);
        if (control->quit != CONTROL_RUN)
            break;
        keyboard_check(&control->keyboard);
        more |= keyboard_turn(&control->keyboard, now, deadline);
        more |= table_turn(control);
        more |= mux_turn(&control->mux, now, deadline) || control->log.behind;
        prompt_turn(control, now, more);
        mux_flush(&control->mux);
        /* What woke us while we waited for the console is to be looked for before we park. */
        more |= control->mux.parked;
        control->mux.parked = false;
    }
    return control->quit;
}

void control_finish(struct control *control)
{
    prompt_close(&control->prompt);
    guests_stop_all(&control->guests);
    if (!control->reported)
        results_print(&control->mux, &control->guests);
    control->reported = true;
}
