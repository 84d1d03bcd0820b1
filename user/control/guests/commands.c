/* The prompt's commands. */
#include "lib/format.h"
#include "lib/string.h"
#include "user/control/control.h"
#include "user/control/os.h"
#include "user/lib/config_value.h"

#define WORDS_MAX 3

struct command {
    const char *name, *argument, *help;                   /* argument: "" none, "[X]" may be left out */
    void (*run)(struct control *control, char *argument); /* NULL: left out */
};

static void run_help(struct control *control, char *argument);

static struct guest *find_guest(struct control *control, const char *name)
{
    struct guest *guest = guests_find(&control->guests, name);

    if (!guest)
        mux_say(&control->mux, "there is no guest \"%s\"; \"guests\" lists them", name);
    return guest;
}

static void run_guests(struct control *control, char *argument)
{
    (void)argument;
    show_begin(&control->show, &control->guests, SHOW_GUESTS, NULL);
}

static void run_vcpus(struct control *control, char *name)
{
    struct guest *guest = name ? find_guest(control, name) : NULL;

    if (!name || guest)
        show_begin(&control->show, &control->guests, SHOW_VCPUS, guest);
}

static void say_failure(struct control *control, const struct guest *guest, int result, const char *busy)
{
    const char *name = guest->config->vm.name;

    if (result == E_BUSY)
        mux_say(&control->mux, "%s %s", name, busy);
    else if (guest->config->bad)
        mux_say(&control->mux, "%s is wrong in the config file and cannot be started", name);
    else
        mux_say(&control->mux, "%s: %s", name, err_text(result));
}

static void run_stop(struct control *control, char *name)
{
    struct guest *guest = find_guest(control, name);
    bool waits = guest && guest->state == GUEST_WAITING;
    int result = guest ? guest_stop(guest) : OK;

    if (result < 0)
        say_failure(control, guest, result, "is not running");
    else if (waits) /* else its end says so */
        mux_say(&control->mux, "%s: is not restarted any more", name);
}

static void run_start(struct control *control, char *name)
{
    struct guest *guest = find_guest(control, name);

    if (!guest)
        return;
    if (guest->config->bad)
        say_failure(control, guest, E_INVAL, "");
    else if (guest->state == GUEST_ALIVE)
        say_failure(control, guest, E_BUSY, "is running already");
    else if (guest_start(&control->guests, guest) == OK) /* otherwise that has said why */
        mux_say(&control->mux, "%s: started", name);
}

static void run_reset(struct control *control, char *name)
{
    struct guest *guest = find_guest(control, name);
    int result = guest ? guest_reset(&control->guests, guest) : OK;

    if (result < 0)
        say_failure(control, guest, result, "is not running: use \"start\"");
}

static void pause_or_resume(struct control *control, const char *name, enum abi_syscall call, const char *done)
{
    struct guest *guest = find_guest(control, name);
    int result;

    if (!guest)
        return;
    result = guest->state == GUEST_ALIVE ? (int)os_call(call, guest->vm, 0, 0) : E_BUSY;
    if (result < 0)
        say_failure(control, guest, result, guest->state == GUEST_ALIVE ? "is busy" : "is not running");
    else
        mux_say(&control->mux, "%s: %s", name, done);
}

static void run_pause(struct control *control, char *name)
{
    pause_or_resume(control, name, SYS_VM_PAUSE, "paused");
}

static void run_resume(struct control *control, char *name)
{
    pause_or_resume(control, name, SYS_VM_RESUME, "resumed");
}

static void run_memory(struct control *control, char *argument)
{
    (void)argument;
    show_begin(&control->show, &control->guests, SHOW_MEMORY, NULL);
}

static void run_log(struct control *control, char *level)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};

    for (uint8_t i = 0; level && i < ARRAY_SIZE(levels); i++) {
        if (strcmp(level, levels[i]) == 0) {
            control->log.level = i;
            mux_say(&control->mux, "log: %s", level);
            return;
        }
    }
    if (level)
        mux_say(&control->mux, "log: \"%s\" is no level: error, warning, info or debug", level);
    else
        control->log = (struct log){.level = control->log.level}; /* all that is kept comes again */
}

static void run_width(struct control *control, char *columns)
{
    struct config_text text = {.at = columns, .length = columns ? (uint32_t)strlen(columns) : 0};
    uint32_t width;

    if (!columns)
        mux_say(&control->mux, "width: %u columns", control->mux.width);
    else if (config_value_number(&text, CONFIG_WIDTH_MIN, CONFIG_WIDTH_MAX, &width))
        mux_say(&control->mux, "width: \"%s\" is none: a number from %u to %u", columns, CONFIG_WIDTH_MIN,
                CONFIG_WIDTH_MAX);
    else
        mux_set_width(&control->mux, width);
}

static void run_focus(struct control *control, char *name)
{
    struct guest *guest = find_guest(control, name);

    if (guest && guest->state == GUEST_ALIVE)
        keyboard_focus(&control->keyboard, guest);
    else if (guest)
        mux_say(&control->mux, "%s is not running", name);
}

static void run_poweroff(struct control *control, char *argument)
{
    (void)argument;
    control->quit = CONTROL_POWEROFF;
}

static void run_reboot(struct control *control, char *argument)
{
    (void)argument;
    control->quit = CONTROL_REBOOT;
}

static const struct command commands[] = {
    {"help", "", "this list", run_help},
    {"guests", "", "all guests: number, state, memory, run time, exits", run_guests},
    {"vcpus", "[NAME]", "vCPUs: state, place, CPU, exits by reason", run_vcpus},
    {"focus", "NAME", "give it the keyboard", run_focus},
    {"start", "NAME", "start a guest that has ended", run_start},
    {"stop", "NAME", "end a guest; it is not restarted", run_stop},
    {"reset", "NAME", "end a guest and start it again", run_reset},
    {"pause", "NAME", "stop its vCPUs for now", run_pause},
    {"resume", "NAME", "let them run again", run_resume},
    {"memory", "", "memory of the machine, of the guests and of the hypervisor", run_memory},
    {"log", "[LEVEL]", "show the log again; or from now on its lines up to error, warning, info or debug", run_log},
    {"width", "[N]", "the terminal's columns; or from now on lines are broken to fit into that many", run_width},
    {"poweroff", "", "end all guests and switch the machine off", run_poweroff},
    {"reboot", "", "end all guests and reset the machine", run_reboot},
};

static void run_help(struct control *control, char *argument)
{
    (void)argument;
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        mux_say(&control->mux, "%-8s %-7s  %s", commands[i].name, commands[i].argument, commands[i].help);
    mux_say(&control->mux, "Ctrl-D at an empty line goes back to a guest");
}

/* Words to words[]: how many, one more than WORDS_MAX at most. */
static unsigned split(char *line, char *words[WORDS_MAX])
{
    unsigned n = 0;

    for (;;) {
        while (*line == ' ')
            *line++ = '\0';
        if (*line == '\0' || n == WORDS_MAX)
            return n;
        words[n++] = line;
        while (*line && *line != ' ')
            line++;
    }
}

void command_run(struct control *control, char *line)
{
    char *words[WORDS_MAX] = {0};
    unsigned count = split(line, words);

    if (count == 0)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        const struct command *command = &commands[i];
        bool takes = command->argument[0] != '\0';
        bool needs = takes && command->argument[0] != '[';

        if (strcmp(words[0], command->name) != 0)
            continue;
        if (count > (takes ? 2u : 1u) || count < (needs ? 2u : 1u))
            mux_say(&control->mux, "use it so: %s%s%s", command->name, takes ? " " : "", command->argument);
        else
            command->run(control, words[1]);
        return;
    }
    mux_say(&control->mux, "there is no command \"%s\"; \"help\" lists them", words[0]);
}
