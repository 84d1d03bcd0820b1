/* The control world on a made-up root (fake_os.h): one boot of it, what is typed and what it says. */
#ifndef TESTS_UNIT_TEST_CONTROL_H
#define TESTS_UNIT_TEST_CONTROL_H

#include "tests/unit/test.h"

#include "tests/unit/fake_os.h"
#include "user/control/control.h"
#include "user/control/machine/power.h"

#define MS (FAKE_HZ / 1000)

static struct control control;
static uint64_t deadline;

static const char two_guests[] = "[lapwing]\non-end = poweroff\n"
                                 "[guest web]\nimage=vmlinuz\nmemory=64M\nvcpus=2\ncmdline = quiet\n"
                                 "[guest db]\nimage=vmlinuz\nmemory=32M\n";

static inline enum control_quit turn(void) { return control_turn(&control, &deadline); }

static inline void boot(const char *config)
{
    fake_reset();
    memset(&control, 0, sizeof(control));
    if (config)
        fake_module("lapwing.conf", config);
    fake_module("vmlinuz quiet", "kernel");
    control_start(&control);
    turn();
}

/* Lines that were broken, in one again; where they are. */
static inline const char *joined(const char *console)
{
    static const char mark[] = "\r\nlapwing|>";
    static char text[sizeof(fake.console)];
    size_t n = 0;

    while (*console) {
        if (strncmp(console, mark, sizeof(mark) - 1) == 0)
            console += sizeof(mark) - 1;
        else
            text[n++] = *console++;
    }
    text[n] = '\0';
    return text;
}

/* Was that written since the last look? */
static inline bool said(const char *text)
{
    const char *console = joined(fake_console());
    bool found = strstr(console, text) != NULL;

    if (!found)
        printf("not said: %s\nbut: %s\n", text, console);
    return found;
}

static inline enum control_quit type(const char *text)
{
    fake_type(text);
    return turn();
}

static inline const char *command(const char *line)
{
    static char text[256];

    fake_console();
    snprintf(text, sizeof(text), "%s\r", line);
    type(text);
    return fake_console();
}

static inline bool answers(const char *line, const char *answer)
{
    const char *console = joined(command(line));
    bool found = strstr(console, answer) != NULL;

    if (!found)
        printf("for %s: %s\nnot: %s\n", line, console, answer);
    return found;
}

#endif
