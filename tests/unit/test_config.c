// links: user/lib/config.c user/lib/config_keys.c user/lib/config_value.c user/lib/config_resolve.c lib/format.c
#include "tests/unit/test.h"
#include "user/lib/config.h"

#define REPORT_MAX 16

static struct config config;
static struct {
    unsigned count;
    struct config_place place[REPORT_MAX];
    char message[REPORT_MAX][320];
} reports;

static void report(void *context, struct config_place place, const char *message)
{
    unsigned n = reports.count++;

    (void)context;
    CHECK(message[0] != '\0' && !strchr(message, '\n'));
    if (n < REPORT_MAX) {
        reports.place[n] = place;
        snprintf(reports.message[n], sizeof(reports.message[n]), "%s", message);
    }
}

static const struct config_reporter reporter = {report, NULL};

/* The text without a NUL behind it and in memory of its own, so that a read past its end is seen. */
static char *copy;
static unsigned parse_bytes(const char *text, size_t size)
{
    unsigned problems;

    free(copy);
    copy = malloc(size ? size : 1);
    memcpy(copy, text, size);
    reports.count = 0;
    memset(&config, 0xa5, sizeof(config));
    problems = config_parse(&config, copy, size, &reporter);
    CHECK_EQ(problems, reports.count);
    return problems;
}

static unsigned parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

/* Exactly one problem: there, and its message contains that. */
static void check_one(const char *text, unsigned line, unsigned column, const char *message)
{
    unsigned problems = parse(text);

    if (problems != 1 || reports.place[0].line != line || reports.place[0].column != column ||
        !strstr(reports.message[0], message)) {
        printf("for: %s\nwanted 1 problem %u:%u: %s\n", text, line, column, message);
        for (unsigned i = 0; i < reports.count && i < REPORT_MAX; i++)
            printf("got %u:%u: %s\n", reports.place[i].line, reports.place[i].column, reports.message[i]);
        CHECK(false);
    }
}

TEST(full_example)
{
    CHECK_EQ(parse("# a comment\n"
                   "[lapwing]\n"
                   "escape = ctrl-a\n"
                   "log=debug\n"
                   "  on-end\t=  stay  \n"
                   "\n"
                   "[ guest   web ]\n"
                   "image   = /boot/vmlinuz\n"
                   "initrd  = web.cpio.gz\n"
                   "cmdline = console=ttyS0 a=\"b # c\" ; d\n"
                   "memory  = 512M\n"
                   "vcpus   = 2\n"
                   "cpus    = 0-1 , 3,255\n"
                   "weight  = 10000\n"
                   "cpu-limit = 150\n"
                   "lapic   = on\n"
                   "exit-device = on\n"
                   "on-exit = restart\n"
                   "; another\n"
                   "[guest m.b_1-X]\n"
                   "modules = a  arg1 arg2 ,b\n"
                   "image = mb.elf\n"
                   "lapic = off"),
             0);
    CHECK_EQ(config.escape, 1);
    CHECK_EQ(config.log, CONFIG_LOG_DEBUG);
    CHECK_EQ(config.on_end, CONFIG_STAY);
    CHECK_EQ(config.guest_count, 2);

    const struct config_guest *web = &config.guests[0], *mb = &config.guests[1];
    CHECK(!web->bad && !mb->bad);
    CHECK_STR(web->vm.name, "web");
    CHECK_EQ(web->image.length, 13);
    CHECK(memcmp(web->image.at, "/boot/vmlinuz", 13) == 0);
    CHECK_EQ(web->image.place.line, 8);
    CHECK_EQ(web->image.place.column, 11);
    CHECK(memcmp(web->initrd.at, "web.cpio.gz", web->initrd.length) == 0);
    CHECK_STR(web->vm.cmdline, "console=ttyS0 a=\"b # c\" ; d");
    CHECK_EQ(web->vm.memory, 512ull << 20);
    CHECK_EQ(web->vm.vcpus, 2);
    CHECK_EQ(web->vm.cpus[0], 0xb);
    CHECK_EQ(web->vm.cpus[1] | web->vm.cpus[2], 0);
    CHECK_EQ(web->vm.cpus[3], 1ull << 63);
    CHECK_EQ(web->vm.weight, 10000);
    CHECK_EQ(web->vm.cpu_limit, 150);
    CHECK_EQ(web->vm.lapic, 1);
    CHECK_EQ(web->vm.exit_device, 1);
    CHECK_EQ(web->vm.restart, 1);
    CHECK_EQ(web->vm.image, -1);

    CHECK_STR(mb->vm.name, "m.b_1-X");
    CHECK_EQ(mb->vm.module_count, 2);
    CHECK_EQ(mb->modules[0].length, 1);
    CHECK_EQ(mb->modules[0].at[0], 'a');
    CHECK_STR(mb->vm.args + mb->vm.module_args[0], "arg1 arg2");
    CHECK_EQ(mb->modules[1].place.column, 25);
    CHECK_STR(mb->vm.args + mb->vm.module_args[1], "");
    CHECK_EQ(mb->vm.lapic, 0);
}

TEST(defaults)
{
    CHECK_EQ(parse("[guest a]\nimage=x\n"), 0);
    CHECK_EQ(config.escape, 0x1d);
    CHECK_EQ(config.log, CONFIG_LOG_INFO);
    CHECK_EQ(config.on_end, CONFIG_POWEROFF);

    const struct abi_vm_config *vm = &config.guests[0].vm;
    CHECK_EQ(vm->memory, 256ull << 20);
    CHECK_EQ(vm->vcpus, 1);
    CHECK_EQ(vm->weight, 100);
    CHECK_EQ(vm->cpu_limit, ABI_NO_CPU_LIMIT);
    CHECK_EQ(vm->cpus[0] | vm->cpus[1] | vm->cpus[2] | vm->cpus[3], 0);
    CHECK(vm->lapic == 1 && vm->exit_device == 0 && vm->restart == 0);
    CHECK_EQ(vm->initrd, -1);
    CHECK_EQ(vm->module_count, 0);
    CHECK_EQ(vm->modules[15], -1);
    CHECK_STR(vm->cmdline, "");
}

/* One guest; %s of each row is a line in it, at line 3. */
static const struct {
    const char *line;
    unsigned column; /* 0: no problem */
    const char *message;
} rows[] = {
    {"memory = 2M", 0, ""},
    {"memory = 512G", 0, ""},
    {"memory = 2052K", 0, ""},
    {"memory = 2097152", 0, ""},
    {"memory = 513G", 10, "from 2M to 512G"},
    {"memory = 536870916K", 10, "from 2M to 512G"},
    {"memory = 2044K", 10, "from 2M to 512G"},
    {"memory = 1M", 10, "from 2M to 512G"},
    {"memory = 2049K", 10, "steps of 4K"},
    {"memory = 2097153", 10, "steps of 4K"},
    {"memory = 0", 10, "bad value for \"memory\""},
    {"memory = 512MB", 14, "such as 512M"},
    {"memory = 512m", 13, "such as 512M"},
    {"memory = 512 M", 13, "such as 512M"},
    {"memory = -512M", 10, "such as 512M"},
    {"memory = 1.5G", 11, "such as 512M"},
    {"memory = M", 10, "such as 512M"},
    {"memory = 18446744073709551615", 10, "such as 512M"},
    {"memory = 18446744073709551616", 10, "such as 512M"},
    {"memory = 17179869185G", 10, "such as 512M"},
    {"memory =", 9, "\"memory\" has no value"},
    {"memory", 1, "no \"key = value\""},
    {"= 5", 1, "no key before the ="},
    {"vcpus = 255", 0, ""},
    {"vcpus = 0", 9, "from 1 to 255"},
    {"vcpus = 256", 9, "from 1 to 255"},
    {"vcpus = 4294967297", 9, "from 1 to 255"},
    {"vcpus = 0x2", 10, "from 1 to 255"},
    {"vcpus = two", 9, "from 1 to 255"},
    {"weight = 0", 10, "from 1 to 10000"},
    {"weight = 10001", 10, "from 1 to 10000"},
    {"cpu-limit = 0", 13, "percent of one CPU, from 1 to 25600"},
    {"cpu-limit = 25601", 13, "percent of one CPU, from 1 to 25600"},
    {"cpu-limit = 50%", 15, "percent of one CPU, from 1 to 25600"},
    {"cpus = 0", 0, ""},
    {"cpus = 0-255", 0, ""},
    {"cpus = 256", 8, "below 256"},
    {"cpus = 0-256", 10, "below 256"},
    {"cpus = 3-1", 8, "such as 0-1,3"},
    {"cpus = 0,0", 10, "each once"},
    {"cpus = 0-2, 1", 13, "each once"},
    {"cpus = 0,", 10, "such as 0-1,3"},
    {"cpus = ,0", 8, "such as 0-1,3"},
    {"cpus = 0-", 10, "such as 0-1,3"},
    {"cpus = 0 1", 10, "such as 0-1,3"},
    {"cpus = all", 8, "such as 0-1,3"},
    {"lapic = yes", 9, "on or off"},
    {"lapic = On", 9, "on or off"},
    {"lapic = onn", 9, "on or off"},
    {"exit-device = 1", 15, "on or off"},
    {"on-exit = reboot", 11, "stop or restart"},
    {"initrd = a b", 11, "without blanks"},
    {"initrd = a'b", 11, "without blanks, quotes and backslashes"},
    {"initrd = \"a\"", 10, "without blanks, quotes and backslashes"},
    {"initrd = a\\", 11, "without blanks, quotes and backslashes"},
    {"initrd = a,b", 0, ""},
    {"initrd = lapwing.conf", 10, "not lapwing.conf"},
    {"initrd = a/lapwing.conf", 0, ""},
    {"modules = a \"x\", lapwing.conf x", 18, "not lapwing.conf"},
    {"modules = a, b' c", 15, "quotes and backslashes"},
    {"modules = a,,b", 13, "separated by commas"},
    {"modules = a,", 13, "separated by commas"},
    {"modules = a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p", 0, ""},
    {"modules = a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", 43, "up to 16"},
    {"cmdline =", 0, ""},
    {"Memory = 1M", 1, "unknown key \"Memory\""},
    {"memroy = 1M", 1,
     "may have image, initrd, modules, cmdline, memory, vcpus, cpus, weight, cpu-limit, lapic, lapic-accelerat"},
    {"\t log = debug", 3, "\"log\" belongs into a [lapwing] section"},
    {"image = b", 1, "\"image\" is set in line 2 already"},
    {"vcpus = 2 # two", 10, "from 1 to 255"},
    {"lapic = \x01on", 9, "control character 0x01"},
    {"# \x7f", 3, "control character 0x7f"},
    {"lapic = on\ron", 11, "control character 0x0d"},
    {"hello world", 1, "no \"key = value\""},
    {"# caf\xc3\xa9 = \xe2\x82\xac", 0, ""},
    {"cmdline = caf\xc3\xa9", 0, ""},
    {"lapic = on\r", 0, ""},
};

TEST(one_line_each)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256];

        snprintf(text, sizeof(text), "[guest a]\nimage = x\n%s\n[guest b]\nimage = y", rows[i].line);
        if (rows[i].column)
            check_one(text, 3, rows[i].column, rows[i].message);
        else if (parse(text) != 0)
            printf("for %s: %s\n", rows[i].line, reports.message[0]), CHECK(false);
        CHECK_EQ(config.guest_count, 2);
        CHECK_EQ(config.guests[0].bad, rows[i].column != 0);
        CHECK(!config.guests[1].bad);
    }
}

TEST(sections)
{
    check_one("[guest a]\nimage=x\n[host]\nfoo=bar\n[guest b]\nimage=y\n", 3, 2, "unknown section \"host\"");
    check_one("[guest a]\nimage=x\n[guests b]\n", 3, 2, "unknown section \"guests b\"");
    check_one("[guest a]\nimage=x\n[lapwing]\n[lapwing]\nlog=info\n", 4, 1, "[lapwing] begins in line 3 already");
    check_one("[guest a\nimage=x\n[guest b]\nimage=y\n", 1, 1, "alone on its line");
    check_one("[guest a] # x\nimage=x\n[guest b]\nimage=y\n", 1, 1, "alone on its line");
    check_one("[guest a]\nimage=x\n[]\n", 3, 2, "unknown section \"\"");
    check_one("[guest a]\nimage=x\n[\n", 3, 1, "alone on its line");
    check_one("log = info\n[guest a]\nimage=x\n", 1, 1, "before the first section");
    check_one("[guest a]\nimage=x\n[lapwing]\nimage = a\n", 4, 1, "belongs into a [guest NAME] section");
    check_one("[guest a]\nimage=x\n[lapwing]\nlogg = a\n", 4, 1, "may have width, escape, log, on-end");
    check_one("", 1, 1, "there is no guest");
    check_one("\n\n[lapwing]\n", 1, 1, "there is no guest");
    /* what follows a header that cannot be read is not the section's above */
    check_one("[guest a]\nimage=x\n[guest \x02]\nimage=y\n", 3, 8, "control character");
    CHECK(!config.guests[0].bad);
}

TEST(names)
{
    static const char *const bad[] = {
        "", "1a", "-a", "a b", "a/b", "lapwing", "a]", "abcdefghijklmnopqrstuvwxyz012345", "\xc3\xa9"};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[128];

        snprintf(text, sizeof(text), "[guest %s]\nimage=x\n[guest z]\nimage=y", bad[i]);
        CHECK_EQ(parse(text), 1);
        CHECK(strstr(reports.message[0], "bad guest name") != NULL);
        CHECK_EQ(reports.place[0].line, 1);
        CHECK(config.guests[0].bad && !config.guests[1].bad);
    }
    CHECK_EQ(parse("[guest abcdefghijklmnopqrstuvwxyz01234]\nimage=x"), 0);
    check_one("[guest a]\nimage=x\n[guest a]\nimage=y\n", 3, 8, "a guest \"a\" in line 1 already");
    CHECK(!config.guests[0].bad && config.guests[1].bad);
}

TEST(cross_checks)
{
    check_one("[guest a]\nvcpus=1\n", 1, 1, "has no image");
    check_one("[guest a]\n[guest b]\nimage=x", 1, 1, "has no image");
    check_one("[guest a]\nimage=x\nmodules=m\ninitrd = i\n", 4, 10,
              "an initrd (bzImage, PVH) or modules (multiboot1, PVH), not both");
    check_one("[guest a]\nimage=x\ninitrd = i\nmodules=m\n", 4, 9, "not both");
    check_one("[guest a]\nimage=x\nlapic=off\nvcpus=2\n", 4, 7, "without LAPICs only one vCPU");
}

TEST(all_problems_are_reported)
{
    CHECK_EQ(parse("[guest a]\nmemory = 3\nvcpus = 0\nfoo = 1\nimage = a b\nlapic\n[guest b]\nimage=x\nimage=y\n"), 6);
    CHECK(config.guests[0].bad && config.guests[1].bad);
    CHECK_EQ(reports.place[5].line, 9);
}

TEST(escape_keys)
{
    static const struct {
        const char *text;
        uint8_t byte; /* 0: bad */
    } keys[] = {{"ctrl-]", 0x1d}, {"ctrl-\\", 0x1c}, {"ctrl-^", 0x1e}, {"ctrl-_", 0x1f}, {"ctrl-a", 1},
                {"ctrl-z", 26},   {"ctrl-[", 0},     {"ctrl-m", 0},    {"ctrl-i", 0},    {"ctrl-A", 0},
                {"ctrl-", 0},     {"Ctrl-]", 0},     {"^]", 0},        {"ctrl-`", 0},    {"ctrl-@", 0}};

    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char text[64];

        snprintf(text, sizeof(text), "[guest a]\nimage=x\n[lapwing]\nescape = %s", keys[i].text);
        CHECK_EQ(parse(text), keys[i].byte == 0);
        CHECK_EQ(config.escape, keys[i].byte ? keys[i].byte : 0x1d);
        CHECK(!config.guests[0].bad);
    }
}

TEST(line_ends_and_encodings)
{
    CHECK_EQ(parse("\xef\xbb\xbf[guest a]\r\nimage=x\r\n\r\n# c\r\nvcpus=2\r"), 0);
    CHECK_EQ(config.guests[0].vm.vcpus, 2);
    check_one("\xff\xfe[\0g", 1, 1, "UTF-16");
    check_one("\xfe\xff", 1, 1, "UTF-16");
    CHECK_EQ(parse_bytes("[guest a]\nimage=x\nvcpus = \0002\n", 28), 1);
    CHECK_EQ(reports.place[0].line, 3);
    CHECK_EQ(reports.place[0].column, 9);
    CHECK(strstr(reports.message[0], "control character 0x00") != NULL);
    CHECK_EQ(parse_bytes("", 0), 1);
    CHECK_EQ(parse("\xef"), 2);
}

/* A dom0's line has 300 bytes; all modules share 2048, with a NUL for each. */
TEST(module_arguments)
{
    enum { FIRST = 300, SECOND = 2048 - FIRST - 1 - 1 };
    static char text[8192];
    int at = snprintf(text, sizeof(text), "[guest a]\nimage=x\nmodules = m ");

    memset(text + at, 'c', FIRST);
    at += FIRST;
    at += snprintf(text + at, sizeof(text) - (size_t)at, ", n ");
    memset(text + at, 'd', SECOND + 1);
    CHECK_EQ(parse_bytes(text, (size_t)at + SECOND), 0);
    const struct abi_vm_config *vm = &config.guests[0].vm;
    CHECK_EQ(strlen(vm->args + vm->module_args[0]), FIRST);
    CHECK_EQ(strlen(vm->args + vm->module_args[1]), SECOND);
    CHECK_EQ(vm->args[vm->module_args[1]], 'd');
    check_one(text, 3, 11 + 2 + FIRST + 4 + SECOND, "up to 2047 bytes of arguments in all");
    snprintf(text + at + SECOND, 8, ", o"); /* not even the NUL of a third one */
    check_one(text, 3, 11 + 2 + FIRST + 4 + SECOND + 3, "up to 2047 bytes of arguments in all");
}

TEST(lengths)
{
    static char text[8192];
    int at = snprintf(text, sizeof(text), "[guest a]\nimage=x\ncmdline = ");

    memset(text + at, 'c', 2047);
    CHECK_EQ(parse_bytes(text, (size_t)at + 2047), 0);
    CHECK_EQ(strlen(config.guests[0].vm.cmdline), 2047);
    memset(text + at, 'c', 2048);
    text[at + 2048] = '\0';
    check_one(text, 3, 11 + 2047, "at most 2047 bytes");

    at = snprintf(text, sizeof(text), "[guest a]\nimage=x\n#");
    memset(text + at, ' ', 4094);
    CHECK_EQ(parse_bytes(text, (size_t)at + 4094), 0);
    memset(text + at, ' ', 4095);
    text[at + 4095] = '\0';
    check_one(text, 3, 4096, "too long");

    at = snprintf(text, sizeof(text), "[guest a]\nimage=");
    memset(text + at, 'f', 127);
    CHECK_EQ(parse_bytes(text, (size_t)at + 127), 0);
    memset(text + at, 'f', 128);
    text[at + 128] = '\0';
    check_one(text, 2, 7 + 127, "at most 127 bytes");
}

TEST(too_many_guests)
{
    static char text[4096];
    int at = 0;

    for (unsigned i = 0; i < 66; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, "[guest g%u]\nimage=x\n", i);
    CHECK_EQ(parse(text), 2);
    CHECK_EQ(config.guest_count, 64);
    CHECK_EQ(reports.place[0].line, 129);
    CHECK(!config.guests[63].bad);
}

/* ---- config_resolve ---- */

static int32_t find_module(void *context, const struct config_text *name)
{
    const char *const *names = context;

    for (int32_t i = 0; names[i]; i++) {
        if (strlen(names[i]) == name->length && memcmp(names[i], name->at, name->length) == 0)
            return i;
    }
    return -2;
}

static unsigned resolve(uint64_t memory, uint32_t cpus)
{
    static const char *const names[] = {"one", "two", "three", NULL};
    struct config_machine machine = {memory, cpus, find_module, (void *)names, "is not there: add it"};
    unsigned problems;

    reports.count = 0;
    problems = config_resolve(&config, &machine, &reporter);
    CHECK_EQ(problems, reports.count);
    return problems;
}

TEST(resolve_names)
{
    CHECK_EQ(
        parse("[guest a]\nimage=two\nmodules=three x, one\n[guest b]\nimage=nine\ninitrd=  on\n[guest c]\nimage=one\n"
              "initrd=two"),
        0);
    CHECK_EQ(resolve(CONFIG_MEMORY_UNKNOWN, 0), 2);
    CHECK_EQ(config.guests[0].vm.image, 1);
    CHECK_EQ(config.guests[0].vm.initrd, -1);
    CHECK_EQ(config.guests[0].vm.modules[0], 2);
    CHECK_EQ(config.guests[0].vm.modules[1], 0);
    CHECK(!config.guests[0].bad && config.guests[1].bad && !config.guests[2].bad);
    CHECK_EQ(config.guests[2].vm.initrd, 1);
    CHECK_EQ(reports.place[0].line, 5);
    CHECK_EQ(reports.place[0].column, 7);
    CHECK_STR(reports.message[0], "\"nine\" is not there: add it");
    CHECK_EQ(reports.place[1].line, 6);
    CHECK_EQ(reports.place[1].column, 10);
}

static int32_t find_any(void *context, const struct config_text *name)
{
    (void)context;
    return (int32_t)name->length;
}

/* Boot modules are the config file and 63 others. What is named twice counts once. */
TEST(resolve_too_many_files)
{
    const struct config_machine machine = {.memory = CONFIG_MEMORY_UNKNOWN, .find = find_any};
    static char text[8192];
    int at = snprintf(text, sizeof(text), "[guest first]\nimage=f31\n");

    for (unsigned i = 0; i < 32; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, "[guest g%u]\nimage=f%u\ninitrd=i%u\n", i, i, i);
    snprintf(text + at, sizeof(text) - (size_t)at, "[guest last]\nimage=f0\ninitrd=i30\n");
    CHECK_EQ(parse(text), 0);

    reports.count = 0;
    CHECK_EQ(config_resolve(&config, &machine, &reporter), 1);
    CHECK_STR(reports.message[0],
              "\"i31\" is one file too many: there may be 64 boot modules, which are the config file and 63 others");
    CHECK_EQ(reports.place[0].line, 2 + 3 * 32);
    CHECK_EQ(reports.place[0].column, 8);
    CHECK(!config.guests[31].bad && config.guests[32].bad && !config.guests[33].bad);
    CHECK_EQ(config.guests[33].vm.initrd, 3);
}

TEST(resolve_memory)
{
    CHECK_EQ(parse("[guest a]\nimage=one\nmemory=100M\n[guest b]\nimage=one\nmemory = 900M\n[guest c]\nimage=one\n"
                   "memory=200M\n[guest d]\nimage=one\n"),
             0);
    CHECK_EQ(resolve(300ull << 20, 0), 2);
    CHECK(!config.guests[0].bad && config.guests[1].bad && !config.guests[2].bad && config.guests[3].bad);
    CHECK_EQ(reports.place[0].line, 6);
    CHECK_EQ(reports.place[0].column, 10);
    CHECK_STR(reports.message[0],
              "not enough memory: this guest asks for 900M, and of the 300M for guests 200M are left");
    CHECK_EQ(reports.place[1].line, 10);
    CHECK(strstr(reports.message[1], "256M (the default)") != NULL);
}

/* None at all is not the same as not known; and root gives 2 MiB at a time. */
TEST(resolve_little_memory)
{
    CHECK_EQ(parse("[guest a]\nimage=one\nmemory=2M\n[guest b]\nimage=one\nmemory=2052K\n"), 0);
    CHECK_EQ(resolve(6ull << 20, 0), 0);
    CHECK_EQ(resolve((6ull << 20) - 1, 0), 1);
    CHECK_EQ(reports.place[0].line, 6);
    CHECK_EQ(parse("[guest a]\nimage=one\nmemory=2M\n"), 0);
    CHECK_EQ(resolve(0, 0), 1);
    CHECK_STR(reports.message[0], "not enough memory: this guest asks for 2M, and of the 0 for guests 0 are left");
}

TEST(resolve_cpus)
{
    CHECK_EQ(parse("[guest a]\nimage=one\ncpus=0-1\n[guest b]\nimage=one\ncpus= 1-2\n"), 0);
    CHECK_EQ(resolve(CONFIG_MEMORY_UNKNOWN, 2), 1);
    CHECK_EQ(reports.place[0].line, 6);
    CHECK_EQ(reports.place[0].column, 7);
    CHECK_STR(reports.message[0], "there is no CPU 2: the CPUs of this machine are 0-1");
    CHECK(!config.guests[0].bad && config.guests[1].bad);
}

TEST(sizes)
{
    char text[CONFIG_SIZE_TEXT];
    uint64_t size;

    CHECK(config_size("2G", 2, &size) && size == 2ull << 30);
    CHECK(config_size("7", 1, &size) && size == 7);
    CHECK(!config_size("", 0, &size) && !config_size("G", 1, &size) && !config_size("1T", 2, &size));
    config_size_text(text, 512ull << 20);
    CHECK_STR(text, "512M");
    config_size_text(text, 4100);
    CHECK_STR(text, "4100");
    config_size_text(text, 4096ull << 30);
    CHECK_STR(text, "4096G");
}

/* The reference lists every key, with the words that the messages use for it. */
TEST(documented)
{
    static char docs[65536];
    FILE *file = fopen("docs/config.md", "r");
    size_t size = file ? fread(docs, 1, sizeof(docs) - 1, file) : 0;

    CHECK(size > 0);
    if (file)
        fclose(file);
    for (unsigned i = 0; i < CONFIG_KEYS; i++) {
        char entry[64];

        snprintf(entry, sizeof(entry), "| `%s` |", config_key_name(i));
        CHECK(strstr(docs, entry) != NULL);
    }
}
