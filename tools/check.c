/*
 * lapwing-check: what is wrong with a config file, with the parser that runs on the target.
 *
 *     lapwing-check [--memory SIZE] [--cpus N] [--list] [--] FILE
 *
 * Problems go to stderr as FILE:LINE:COLUMN: message, and so do warnings, which are no problems. Exit status: 0 nothing
 * is wrong, 1 something is, 2 wrong usage, or FILE cannot be read, or stdout not be written. --list prints what is
 * right to stdout, one fact a line, its fields separated by tabs:
 *
 *     setting KEY VALUE                    of [lapwing]; and guest-memory (bytes) of a machine with --memory
 *     guest NAME KEY VALUE                 memory (bytes), vcpus, exit-device, on-exit of a guest that is not bad
 *     guest NAME KEY PATH MODULE           image, initrd, modules: the host's path, and the name of the boot module
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/pool_size.h"
#include "tools/check_file.h"
#include "tools/check_image.h"

#define FILE_MAX       (1u << 20)
#define PATH_MAX_BYTES 4096

static const char *file_name;
static struct config config;
static struct config_machine machine = {.memory = CONFIG_MEMORY_UNKNOWN};
static uint64_t files_size; /* bytes of the files that were found, each on pages of its own */

static void report(void *context, struct config_place place, const char *message)
{
    (void)context;
    fprintf(stderr, "%s:%u:%u: %s\n", file_name, place.line, place.column, message);
}

static const struct config_reporter reporter = {report, NULL};

/* The host's path of a name in the config file. */
static void host_path(const struct config_text *name, char path[PATH_MAX_BYTES])
{
    const char *slash = strrchr(file_name, '/');
    int folder = slash && name->length && name->at[0] != '/' ? (int)(slash + 1 - file_name) : 0;

    snprintf(path, PATH_MAX_BYTES, "%.*s%.*s", folder, file_name, (int)name->length, name->at);
}

/*
 * What a PC with that much RAM has for guests: mem_init() of root takes its pool; the frames of 2 MiB in which the
 * first MiB, root's image and the firmware's tables at the end of RAM are; and the boot modules, which GRUB puts side
 * by side.
 */
static uint64_t guest_memory(uint64_t ram)
{
    uint64_t frames = ALIGN_DOWN(ram, LARGE_PAGE_SIZE);
    uint64_t pool = pool_size_of(ram - MIN(ram, 1ull << 20));
    uint64_t taken = 3 * LARGE_PAGE_SIZE + pool + ALIGN_UP(files_size, LARGE_PAGE_SIZE);

    return frames - MIN(frames, taken);
}

static int32_t find_file(void *context, const struct config_text *name)
{
    const uint64_t *ram = context;
    char path[PATH_MAX_BYTES];
    struct stat status;

    host_path(name, path);
    machine.missing = check_file_problem(path, "is not there: give the path of a file, relative to this one's folder");
    if (machine.missing || stat(path, &status) != 0)
        return -1;

    files_size += ALIGN_UP((uint64_t)status.st_size, PAGE_SIZE);
    if (*ram)
        machine.memory = guest_memory(*ram);
    return 0;
}

static void list_file(const struct config_guest *guest, enum config_key key, const struct config_text *name)
{
    char path[PATH_MAX_BYTES];

    if (name->length == 0)
        return;
    host_path(name, path);
    printf("guest\t%s\t%s\t%s\t%.*s\n", guest->vm.name, config_key_name(key), path, (int)name->length, name->at);
}

/* Empty files: the loader would do as if they were not there. How many. */
static unsigned check_empty(const struct config_text *name)
{
    char path[PATH_MAX_BYTES], message[PATH_MAX_BYTES + 32];
    struct stat status;

    if (name->length == 0)
        return 0;
    host_path(name, path);
    if (stat(path, &status) != 0 || status.st_size > 0)
        return 0;
    snprintf(message, sizeof(message), "\"%.*s\" is an empty file", (int)name->length, name->at);
    report(NULL, name->place, message);
    return 1;
}

/* What the loader would refuse. Marks the guest bad; how many problems. */
static unsigned check_guest(struct config_guest *guest)
{
    static char paths[2 + CONFIG_MODULES_MAX][PATH_MAX_BYTES];
    char *modules[CONFIG_MODULES_MAX];
    char message[CHECK_MESSAGE_SIZE];
    enum config_key key = CONFIG_IMAGE;
    unsigned problems = check_empty(&guest->image);

    problems += check_empty(&guest->initrd);
    host_path(&guest->image, paths[0]);
    if (guest->initrd.length)
        host_path(&guest->initrd, paths[1]);
    for (uint32_t i = 0; i < guest->vm.module_count; i++) {
        modules[i] = paths[2 + i];
        host_path(&guest->modules[i], paths[2 + i]);
    }

    if (problems == 0 &&
        !check_image(guest, paths[0], guest->initrd.length ? paths[1] : NULL, modules, message, &key)) {
        report(NULL, guest->set[key], message);
        problems++;
    }
    guest->bad = guest->bad || problems;
    return problems;
}

/* Are there an odd number of them? */
static bool is_odd(const char *text, char quote)
{
    bool odd = false;

    for (; *text; text++)
        odd = odd != (*text == quote);
    return odd;
}

/* A quote at one end only, or without a partner. An apostrophe inside may be one of a word. */
static bool has_half_quote(const char *text)
{
    size_t length = strlen(text);
    bool at_end = length && (text[0] == '\'' || text[length - 1] == '\'');

    return is_odd(text, '"') || (at_end && is_odd(text, '\''));
}

/* What is allowed, and hardly meant. */
static void warn(const struct config_guest *guest)
{
    const char *line = guest->vm.cmdline;
    size_t length = strlen(line);
    bool whole = length >= 2 && (line[0] == '"' || line[0] == '\'') && strchr(line + 1, line[0]) == line + length - 1;

    if (whole)
        report(NULL, guest->set[CONFIG_CMDLINE], "warning: the quotes are a part of the command line; leave them out");
    else if (has_half_quote(line))
        report(NULL, guest->set[CONFIG_CMDLINE], "warning: the command line has a quote without its partner");
    for (uint32_t i = 0; i < guest->vm.module_count; i++) {
        if (has_half_quote(guest->vm.args + guest->vm.module_args[i]))
            report(NULL, guest->modules[i].place, "warning: the module's arguments have a quote without its partner");
    }
}

static void list(void)
{
    static const char *const on_end[] = {"poweroff", "reboot", "stay"};

    printf("setting\t%s\t%s\n", config_key_name(CONFIG_ON_END), on_end[config.on_end]);
    printf("setting\t%s\t%u\n", config_key_name(CONFIG_ESCAPE), config.escape);
    if (machine.memory != CONFIG_MEMORY_UNKNOWN)
        printf("setting\tguest-memory\t%llu\n", (unsigned long long)machine.memory);
    for (uint32_t i = 0; i < config.guest_count; i++) {
        const struct config_guest *guest = &config.guests[i];

        if (guest->bad)
            continue;
        printf("guest\t%s\tmemory\t%llu\n", guest->vm.name, (unsigned long long)guest->vm.memory);
        printf("guest\t%s\tvcpus\t%u\n", guest->vm.name, guest->vm.vcpus);
        printf("guest\t%s\texit-device\t%s\n", guest->vm.name, guest->vm.exit_device ? "on" : "off");
        printf("guest\t%s\ton-exit\t%s\n", guest->vm.name, guest->vm.restart ? "restart" : "stop");
        list_file(guest, CONFIG_IMAGE, &guest->image);
        list_file(guest, CONFIG_INITRD, &guest->initrd);
        for (uint32_t n = 0; n < guest->vm.module_count; n++)
            list_file(guest, CONFIG_MODULES, &guest->modules[n]);
    }
}

/* The whole file in memory that the caller keeps. Does not return if it cannot be read. */
static char *read_file(size_t *size)
{
    const char *problem = check_file_problem(file_name, "is not there: name a config file");
    char *text = malloc(FILE_MAX + 1);
    FILE *file;

    if (problem) {
        fprintf(stderr, "%s %s\n", file_name, problem);
        exit(2);
    }
    file = fopen(file_name, "rb");
    if (!file || !text) {
        perror(file_name);
        exit(2);
    }
    *size = fread(text, 1, FILE_MAX + 1, file);
    if (ferror(file)) {
        perror(file_name);
        exit(2);
    }
    fclose(file);
    if (*size > FILE_MAX) {
        fprintf(stderr, "%s: more than %u bytes: this is no config file\n", file_name, FILE_MAX);
        exit(2);
    }
    return text;
}

static void usage(const char *what, const char *argument)
{
    fprintf(stderr, "lapwing-check: %s%s\nusage: lapwing-check [--memory SIZE] [--cpus N] [--list] [--] FILE\n", what,
            argument);
    exit(2);
}

int main(int argc, char **argv)
{
    uint64_t ram = 0; /* of the machine; 0: not given */
    bool want_list = false, options = true;
    unsigned problems;
    size_t size;
    char *text;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        char *end;

        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && strcmp(argv[i], "--list") == 0) {
            want_list = true;
        } else if (options && strcmp(argv[i], "--memory") == 0) {
            if (!config_size(value, strlen(value), &ram) || ram == 0)
                usage("--memory takes a size such as 512M or 2G, not ", value);
            i++;
        } else if (options && strcmp(argv[i], "--cpus") == 0) {
            unsigned long cpus = strtoul(value, &end, 10);

            if (*value < '0' || *value > '9' || *end || cpus < 1 || cpus > ABI_MAX_CPUS)
                usage("--cpus takes a number from 1 to " CONFIG_STRING(ABI_MAX_CPUS) ", not ", value);
            machine.cpus = (uint32_t)cpus;
            i++;
        } else if (options && argv[i][0] == '-') {
            usage("unknown option ", argv[i]);
        } else if (file_name) {
            usage("more than one file: ", argv[i]);
        } else {
            file_name = argv[i];
        }
    }
    if (!file_name)
        usage("no file given", "");
    text = read_file(&size);

    files_size = ALIGN_UP(size, PAGE_SIZE);
    machine.find = find_file;
    machine.context = &ram;
    if (ram)
        machine.memory = guest_memory(ram);
    problems = config_parse(&config, text, size, &reporter);
    problems += config_resolve(&config, &machine, &reporter);
    for (uint32_t i = 0; i < config.guest_count; i++)
        problems += config.guests[i].bad ? 0 : check_guest(&config.guests[i]);
    for (uint32_t i = 0; i < config.guest_count; i++)
        warn(&config.guests[i]);
    if (want_list)
        list();
    free(text);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("lapwing-check: stdout");
        return 2;
    }
    return problems ? 1 : 0;
}
