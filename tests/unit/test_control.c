// links: user/control/control.c user/control/guests/boot_config.c user/control/guests/guests.c user/control/guests/results.c
// links: user/control/guests/commands.c user/control/guests/show.c user/control/console/keyboard.c user/control/console/prompt.c user/control/console/mux.c
// links: user/control/console/filter.c user/control/console/log.c user/control/machine/acpi.c user/control/machine/power.c user/lib/config.c
// links: user/lib/config_keys.c user/lib/config_value.c user/lib/config_resolve.c user/lib/ring.c lib/format.c
#include "tests/unit/test_control.h"

TEST(starts_the_guests_of_the_file)
{
    boot(two_guests);
    CHECK_EQ(fake.creates, 2);
    CHECK_STR(fake.vms[0].config.name, "web");
    CHECK_STR(fake.vms[0].config.cmdline, "quiet");
    CHECK_EQ(fake.vms[0].config.vcpus, 2);
    CHECK_EQ(fake.vms[0].config.image, 1);
    CHECK_EQ(fake.vms[1].config.memory, 32 << 20);
    CHECK(said("lapwing| keyboard: web (Ctrl-] and then"));
    CHECK_EQ(deadline, NEVER);
    CHECK_EQ(control.quit, CONTROL_RUN);
}

/* Root has printed its first lines itself: only "log" shows them again, and nothing is missed. */
TEST(the_log_begins_with_what_root_has_not_printed)
{
    fake_reset();
    memset(&control, 0, sizeof(control));
    fake_log(2, "Lapwing starts");
    fake.info.log_from = fake.log_count;
    fake_log(2, "by control");
    control_start(&control);
    turn();
    CHECK(said("lapwing| by control\r\n"));
    CHECK(!strstr(fake.console, "Lapwing starts") && !strstr(fake.console, "are gone"));
    type("\x1d:log\r");
    turn();
    CHECK(said("lapwing| Lapwing starts\r\nlapwing| by control\r\n"));
}

TEST(a_bad_guest_does_not_stop_the_good)
{
    boot("[guest bad]\nimage=vmlinuz\nmemory=3\n[guest none]\nimage=missing\n[guest ok]\nimage=vmlinuz\nmemory=2M\n"
         "[guest big]\nimage=vmlinuz\nmemory=2G\n");
    CHECK_EQ(fake.creates, 1);
    CHECK_STR(fake.vms[0].config.name, "ok");
    CHECK(said("lapwing| lapwing.conf:3:8: bad value for \"memory\": it is a size from 2M to 512G"));
    CHECK(strstr(joined(fake.console), "lapwing| lapwing.conf:5:7: \"missing\" is not there: load a boot module"));
    CHECK(strstr(joined(fake.console), "lapwing| lapwing.conf:11:8: not enough memory: this guest asks for 2G"));
    fake_end(0, ABI_END_POWEROFF, 0);
    CHECK_EQ(turn(), CONTROL_POWEROFF);
    CHECK(strstr(fake.console, "\nlapwing| result bad BAD_CONFIG 0 0 0\r\n"));
    CHECK(strstr(fake.console, "\nlapwing| result ok POWEROFF 0 0 42\r\n"));
    CHECK(strstr(fake.console, "\nlapwing| all guests ended: 1 well, 3 badly\r\n"));
}

/* Another one of that name would not help where there are as many as can be. */
TEST(too_many_boot_modules)
{
    fake_reset();
    memset(&control, 0, sizeof(control));
    fake_module("lapwing.conf", "[guest g]\nimage=vmlinuz\n");
    for (unsigned i = 1; i < ABI_MAX_MODULES; i++)
        fake_module("other", "x");
    control_start(&control);
    turn();
    CHECK(strstr(joined(fake.console), "\"vmlinuz\" is not among the first 64 boot modules, and others are ignored"));
}

TEST(no_config)
{
    boot(NULL); /* the first module is a kernel, which is read as a config file and is none */
    CHECK(said("lapwing.conf:1:1: this is no \"key = value\""));
    CHECK(strstr(fake.console, "no guest can be started"));
    CHECK_EQ(control.quit, CONTROL_POWEROFF);

    fake_reset();
    memset(&control, 0, sizeof(control));
    control_start(&control);
    CHECK_EQ(turn(), CONTROL_RUN); /* the message stays on the screen */
    CHECK(said("lapwing| no config file: load it as a boot module named lapwing.conf"));
    CHECK_EQ(type("help\r"), CONTROL_RUN);
    CHECK(said("lapwing| poweroff"));
    CHECK_EQ(type("poweroff\r"), CONTROL_POWEROFF);
}

TEST(first_module_serves_without_the_name)
{
    fake_reset();
    memset(&control, 0, sizeof(control));
    fake_module("/my.conf", two_guests);
    fake_module("vmlinuz", "kernel");
    control_start(&control);
    CHECK_EQ(fake.creates, 2);
}

TEST(a_refused_guest_is_reported)
{
    fake_reset();
    memset(&control, 0, sizeof(control));
    fake_module("lapwing.conf", two_guests);
    fake_module("vmlinuz", "kernel");
    fake.create_error = E_NOMEM;
    control_start(&control);
    CHECK_EQ(turn(), CONTROL_POWEROFF);
    CHECK(said("lapwing| web: not started: out of memory (it asks for 64M and 2 vCPUs)"));
    CHECK(strstr(fake.console, "\nlapwing| result db NOT_CREATED 0 0 0\r\n"));
    CHECK(strstr(fake.console, "0 well, 2 badly"));
}

TEST(ends_are_reported_and_last_words_shown)
{
    boot(two_guests);
    fake_console();
    fake.now += 12345 * MS;
    fake_print(0, "reboot: Power down");
    fake_end(0, ABI_END_POWEROFF, 0);
    CHECK_EQ(turn(), CONTROL_RUN);
    CHECK(said("web| reboot: Power down\r\nlapwing| web: powered off, status 0, after 12.345 s and 42 exits\r\n"
               "lapwing| keyboard: db"));
    CHECK_EQ(fake.destroys, 1);
    fake_end(1, ABI_END_EXIT, 3);
    CHECK_EQ(turn(), CONTROL_POWEROFF);
    CHECK(said("\nlapwing| result web POWEROFF 0 12345 42\r\nlapwing| result db EXIT 3 12345 42\r\n"
               "lapwing| all guests ended: 1 well, 1 badly\r\n"));
    control_finish(&control);
    CHECK_STR(fake_console(), "");
}

TEST(what_is_well)
{
    static const struct {
        enum abi_end reason;
        uint32_t status;
        bool well;
    } ends[] = {{ABI_END_POWEROFF, 0, true}, {ABI_END_EXIT, 0, true},          {ABI_END_EXIT, 1, false},
                {ABI_END_STOPPED, 0, true},  {ABI_END_TRIPLE_FAULT, 0, false}, {ABI_END_RESET, 0, false},
                {ABI_END_LOAD, 0, false},    {ABI_END_HALTED, 0, false},       {ABI_END_WORLD_CRASH, 0, false}};

    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        boot("[guest a]\nimage=vmlinuz\n");
        fake_end(0, ends[i].reason, ends[i].status);
        turn();
        CHECK(said(ends[i].well ? "1 well, 0 badly" : "0 well, 1 badly"));
    }
}

TEST(restart)
{
    boot("[guest a]\nimage=vmlinuz\non-exit=restart\n");
    fake.now += 300 * MS;
    fake_end(0, ABI_END_TRIPLE_FAULT, 0);
    CHECK_EQ(turn(), CONTROL_RUN);
    CHECK_EQ(fake.creates, 1);
    CHECK_EQ(deadline, fake.now + 700 * MS); /* not more often than once a second */
    fake.now += 699 * MS;
    turn();
    CHECK_EQ(fake.creates, 1);
    fake.now += 1 * MS;
    turn();
    CHECK_EQ(fake.creates, 2);
    CHECK_EQ(fake.destroys, 1);
    CHECK(said("a: restart number 1"));
    fake.now += 5000 * MS;
    fake_end(0, ABI_END_POWEROFF, 0);
    turn();
    CHECK_EQ(fake.creates, 3); /* at once: the last start was long ago */
    CHECK(said("a: restart number 2"));
    fake_print(0, "again\n"); /* the new console works */
    turn();
    CHECK(said("a| again\r\n"));
    fake_type("\x1d:stop a\r");
    turn();
    turn();
    CHECK(said("a: stopped"));
    CHECK_EQ(fake.creates, 3);
    CHECK(guests_all_ended(&control.guests));
}

/* One that cannot start does not try for ever at full speed. */
TEST(restart_backs_off)
{
    static const unsigned seconds[] = {2, 4, 8, 16, 32, 64, 64, 64};

    boot("[guest a]\nimage=vmlinuz\non-exit=restart\n");
    fake_end(0, ABI_END_LOAD, 0);
    turn();
    fake.now += 1000 * MS;
    turn();
    CHECK_EQ(fake.creates, 2);
    for (unsigned i = 0; i < ARRAY_SIZE(seconds); i++) {
        char text[64];

        fake_end(0, i % 2 ? ABI_END_LOAD : ABI_END_TRIPLE_FAULT, 0);
        turn();
        snprintf(text, sizeof(text), "%u times in a row: the next start is in %u s", i + 2, seconds[i]);
        CHECK(said(text));
        CHECK_EQ(deadline, fake.now + seconds[i] * 1000 * MS);
        fake.now += seconds[i] * 1000 * MS;
        turn();
        CHECK_EQ(fake.creates, i + 3);
    }
    fake.now += 6000 * MS; /* this run was long enough */
    fake_end(0, ABI_END_TRIPLE_FAULT, 0);
    turn();
    CHECK_EQ(fake.creates, ARRAY_SIZE(seconds) + 3);
    CHECK_EQ(control.guests.list[0].soon, 0);
}

TEST(back_pressure_of_the_ring)
{
    char text[3000];

    boot(two_guests);
    memset(text, 'x', sizeof(text));
    text[2999] = '\0';
    CHECK_EQ(fake_print(0, text), ABI_RING_SIZE);
    turn();
    CHECK(fake.vms[0].notified > 0); /* the ring was full: its world may be waiting */
    CHECK_EQ(fake_print(0, text), ABI_RING_SIZE);
}

static void power_off_db(void)
{
    fake_end(1, ABI_END_POWEROFF, 0);
}

/* What wakes us while the console is full has used the wake-up: nobody wakes us again for it. */
TEST(a_full_console_hides_nothing)
{
    boot(two_guests);
    fake_end(0, ABI_END_POWEROFF, 0);
    fake.console_limited = true;
    fake.console_room = 0;
    fake.at_park = power_off_db;
    turn();
    CHECK(said("db: powered off"));
}

TEST(keyboard)
{
    boot(two_guests);
    type("ls\r");
    CHECK_STR(fake_input(0), "ls\r");
    CHECK_EQ(fake.vms[0].notified, 1);
    type("\x1dnuname\r");
    CHECK(said("lapwing| keyboard: db"));
    CHECK_STR(fake_input(0), "");
    CHECK_STR(fake_input(1), "uname\r");
    type("\x1dn");
    CHECK(said("keyboard: web"));
    type("\x1dp");
    CHECK(said("keyboard: db"));
    type("\x1d"
         "1a\x1d"
         "2b");
    CHECK_STR(fake_input(0), "a");
    CHECK_STR(fake_input(1), "b");
    type("\x1d\x1d");
    CHECK_STR(fake_input(1), "\x1d");
    fake_console();
    type("\x1d"
         "9");
    CHECK(said("no such guest is running"));
    type("\x1dx");
    CHECK(said("after Ctrl-]: n next guest"));
    type("\x1d");
    type("n");
    CHECK(said("keyboard: web"));
    CHECK_STR(fake_input(1), "");
}

TEST(keyboard_full_ring)
{
    char text[ABI_RING_SIZE + 101];

    boot(two_guests);
    memset(text, 'k', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    type("abc");
    type(text);
    CHECK_EQ(fake.typed_length - fake.typed_at, 103); /* it waits outside */
    CHECK_EQ(deadline, fake.now + 1000 * MS);
    CHECK_EQ(strlen(fake_input(0)), ABI_RING_SIZE);
    turn();
    CHECK_EQ(strlen(fake_input(0)), 103);
    type(text);
    type("\x1dn");
    fake.now = deadline;
    turn(); /* the guest is stuck: the escape key is seen */
    CHECK(said("keyboard: db"));
    CHECK_EQ(fake.typed_at, fake.typed_length);
}

TEST(prompt_editing)
{
    boot(two_guests);
    fake_console();
    type("\x1d\r");
    CHECK(said("lapwing| keyboard: the hypervisor's prompt; \"help\" lists what it knows\r\nlapwing> "));
    type("gx\b\x7f");
    CHECK_STR(fake_console(), "gx\b \b\b \b");
    type("\b");
    CHECK_STR(fake_console(), "");
    type("abc\x15");
    CHECK_STR(fake_console(), "abc\r\x1b[Klapwing> ");
    type("abc\x03");
    CHECK_STR(fake_console(), "abc^C\r\nlapwing> ");
    type("ab\x1b[A\x1bOP\x1b[1;5Cc");
    CHECK_STR(fake_console(), "abc");
    fake_print(0, "web says\n");
    turn();
    CHECK_STR(fake_console(), "\r\x1b[Kweb| web says\r\nlapwing> abc");
    type("\r");
    CHECK_STR(fake_console(), "\r\nlapwing| there is no command \"abc\"; \"help\" lists them\r\nlapwing> ");
    type("   \r\r");
    CHECK_STR(fake_console(), "   \r\nlapwing> \r\nlapwing> ");
    type("\x04");
    CHECK(said("keyboard: web"));
    for (unsigned i = 0; i < 200; i++)
        fake_type(i ? "y" : "\x1d:y");
    turn();
    CHECK_EQ(control.prompt.length, 80 - 1 - strlen(PROMPT_TEXT)); /* one row */
}

TEST(commands)
{
    boot(two_guests);
    type("\x1d:");
    CHECK(answers("help", "lapwing| vcpus    [NAME]   vCPUs"));
    CHECK(answers("guests", "lapwing|  1 web                             running                        2     64M"));
    CHECK(answers("vcpus web", "lapwing| web/1: halted, in parked, CPU 1, APIC id 1"));
    CHECK(answers("vcpus", "lapwing| db/0: exits: hlt 7\r\n"));
    CHECK(answers("memory", "lapwing| db "));
    CHECK(answers("pause web", "web: paused"));
    CHECK(answers("guests", "paused"));
    CHECK(answers("resume web", "web: resumed"));
    CHECK(answers("start web", "web is running already"));
    CHECK(answers("stop web", "web: stopped, status 0"));
    CHECK(answers("stop web", "web is not running"));
    CHECK(answers("reset web", "web is not running: use \"start\""));
    CHECK(answers("pause web", "web is not running"));
    CHECK(answers("focus web", "web is not running"));
    CHECK(answers("vcpus web", "web: no vCPUs: stopped"));
    CHECK(answers("start web", "web: started"));
    CHECK_EQ(fake.creates, 3);
    CHECK(answers("reset web", "web: stopped"));
    CHECK_EQ(fake.creates, 4);
    CHECK(fake.vms[0].exists);
    CHECK(answers("stop", "use it so: stop NAME"));
    CHECK(answers("stop a b", "use it so: stop NAME"));
    CHECK(answers("guests x", "use it so: guests\r\n"));
    CHECK(answers("vcpus nobody", "there is no guest \"nobody\""));
    CHECK(answers("a b c d e", "there is no command \"a\""));
    CHECK(answers("log loud", "is no level"));
    CHECK(answers("log debug", "log: debug"));
    fake_log(2, "boot line");
    turn();
    CHECK(answers("log", "lapwing| boot line"));
    CHECK(answers("focus db", "keyboard: db"));
    CHECK(!control.prompt.active);
}

static void type_cancel(void)
{
    fake_type("\x03");
}

/* A table is printed a row at a time; what is typed meanwhile is not lost, and Ctrl-C ends it. */
TEST(tables_in_pieces)
{
    boot("[guest a]\nimage=vmlinuz\nvcpus=200\n");
    type("\x1d:");
    fake_console();
    fake_type("vcpus\rhelp\r");
    turn();
    const char *console = fake_console(), *last = strstr(console, "lapwing| a/199: exits: "),
               *help = strstr(console, "lapwing| help "), *first = strstr(console, "lapwing| a/0: ");
    CHECK(first && last && help && first < last && last < help);

    fake.console_limited = true; /* slowly: keys come while it prints */
    fake.console_room = 100;
    fake.at_park = type_cancel;
    type("vcpus\r");
    console = fake_console();
    CHECK(strstr(console, "lapwing| a/0: "));
    CHECK(!strstr(console, "lapwing| a/100: "));
    CHECK(!control.prompt.cancelled);
}

/* For each write to the console the guest has printed more, for so many writes, each of which takes 10 ms. */
static unsigned flood;
static void print_more(void)
{
    static const char lines[] =
        "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n";

    fake.now += 10 * MS;
    if (flood > 0) {
        flood--;
        fake_print(0, lines);
        fake_print(0, lines);
        fake_print(0, lines);
        fake_print(0, lines);
    }
}

/* A guest that prints all the time: keys are seen, the prompt is shown, other guests' lines and ends as well. */
TEST(a_flood_keeps_nobody_waiting)
{
    boot(two_guests);
    type("\x1d:");
    fake_console();
    flood = 200;
    fake_print(0, "\n");
    fake_print(1, "db's line\n");
    fake_type("memory\rlog");
    fake_end(1, ABI_END_POWEROFF, 0);
    fake.at_console_write = print_more;
    turn();
    CHECK_EQ(flood, 0);
    fake.console[4096] = '\0'; /* not at the end of it all: the first 4 KiB of some 20 */
    const char *console = fake_console();
    CHECK(strstr(console, "\ndb| db's line\r\n"));
    CHECK(strstr(console, "\nlapwing| db: powered off"));
    CHECK(strstr(console, "lapwing| hypervisor "));
    CHECK(strstr(console, "lapwing> log"));
}

TEST(width)
{
    boot("[lapwing]\nwidth=132\n[guest a]\nimage=vmlinuz\n");
    type("\x1d:");
    fake_console();
    type("width\r");
    CHECK(said("width: 132 columns"));
    type("guests\r");
    CHECK(!strstr(fake_console(), "|>"));
    type("width 39\rwidth x\rwidth 60\rguests\r");
    const char *console = fake_console();
    CHECK(strstr(console, "width: \"39\" is none: a number from 40 to 1000"));
    CHECK(strstr(console, "width: \"x\" is none"));
    CHECK(strstr(console, "\r\nlapwing|>"));
}

TEST(stop_and_start_at_the_prompt_keep_the_machine_on)
{
    boot("[guest a]\nimage=vmlinuz\n");
    type("\x1d:");
    for (unsigned i = 0; i < 50; i++) {
        CHECK(answers("stop a", "lapwing| the machine stays on while you are at the prompt: Ctrl-D switches it off"));
        CHECK(answers("start a", "a: started"));
    }
    CHECK_EQ(fake.creates, 51);
    CHECK_EQ(fake.destroys, 50);
    command("stop a");
    CHECK_EQ(type("\x04"), CONTROL_POWEROFF);
}

TEST(poweroff_ends_what_runs)
{
    boot(two_guests);
    CHECK_EQ(type("\x1d:poweroff\r"), CONTROL_POWEROFF);
    control_finish(&control);
    CHECK_EQ(fake.destroys, 2);
    CHECK(said("\nlapwing| result web STOPPED 0 0 42\r\nlapwing| result db STOPPED 0 0 42\r\n"
               "lapwing| all guests ended: 2 well, 0 badly\r\n"));
    boot(two_guests);
    CHECK_EQ(type("\x1d:reboot\r"), CONTROL_REBOOT);
}

TEST(on_end)
{
    boot("[lapwing]\non-end=reboot\n[guest a]\nimage=vmlinuz\n");
    fake_end(0, ABI_END_POWEROFF, 0);
    CHECK_EQ(turn(), CONTROL_REBOOT);
    boot("[lapwing]\non-end=stay\n[guest a]\nimage=vmlinuz\n");
    fake_end(0, ABI_END_POWEROFF, 0);
    CHECK_EQ(turn(), CONTROL_RUN);
    CHECK(said("all guests ended: 1 well, 0 badly"));
    CHECK(control.prompt.active);
    CHECK(answers("start a", "a: started"));
    fake_end(0, ABI_END_EXIT, 9);
    turn();
    CHECK(said("result a EXIT 9"));
}

TEST(escape_key_of_the_config)
{
    boot("[lapwing]\nescape=ctrl-a\n[guest a]\nimage=vmlinuz\n");
    CHECK(said("Ctrl-A and then"));
    type("\x1d\x01:");
    CHECK_STR(fake_input(0), "\x1d");
    CHECK(control.prompt.active);
}

TEST(idle_costs_nothing)
{
    boot(two_guests);
    turn();
    CHECK_EQ(deadline, NEVER);
    CHECK_EQ(fake.parks, 0);
}
