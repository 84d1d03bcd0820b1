/* Finding and reading the config file among the boot modules. */
#include "lib/format.h"
#include "lib/string.h"
#include "user/control/control.h"
#include "user/control/os.h"

#define CONFIG_SIZE_MAX (1u << 20) /* a longer module is something else */
#define PROBLEMS_SHOWN  50

static_assert(ABI_MAX_MODULES == 64, "a message says so");

struct problems {
    struct mux *mux;
    unsigned count;
};

static void report(void *context, struct config_place place, const char *message)
{
    struct problems *problems = context;

    if (problems->count++ < PROBLEMS_SHOWN)
        mux_say(problems->mux, CONFIG_MODULE_NAME ":%u:%u: %s", place.line, place.column, message);
}

/* Is the first word of the module's command line that text? */
static bool has_name(const struct abi_module *module, const char *name, size_t length)
{
    size_t size = strnlen(module->name, sizeof(module->name));
    size_t word = 0;

    while (word < size && module->name[word] != ' ')
        word++;
    return word == length && memcmp(module->name, name, length) == 0;
}

static int32_t find_module(void *context, const struct config_text *name)
{
    const struct abi_info *info = context;

    for (uint32_t i = 0; i < MIN(info->module_count, (uint32_t)ABI_MAX_MODULES); i++) {
        if (has_name(&info->modules[i], name->at, name->length))
            return (int32_t)i;
    }
    return -1;
}

/* By its name, or the first module; NULL: there is none. */
static const struct abi_module *find_config(const struct abi_info *info)
{
    static const struct config_text name = {.at = CONFIG_MODULE_NAME, .length = sizeof(CONFIG_MODULE_NAME) - 1};
    int32_t n = find_module((void *)info, &name);

    return info->module_count > 0 ? &info->modules[n < 0 ? 0 : n] : NULL;
}

/* Why a module cannot be a config file; NULL: it can. */
static const char *unfit(const struct abi_module *module)
{
    if (module->size == 0)
        return "is empty";
    if (module->size > CONFIG_SIZE_MAX)
        return "is larger than 1 MiB";
    if (module->address == 0)
        return "does not begin at a page";
    if ((*(const uint8_t *)os_module(module) & 0xfe) == 0xfe)
        return NULL; /* UTF-16, of which the parser has more to say */
    for (const char *at = os_module(module), *end = at + module->size; at < end; at++) {
        if (*at == '\0')
            return "is no text";
    }
    return NULL;
}

static void report_none(struct mux *mux, const struct abi_module *module, const char *why)
{
    char found[ABI_MODULE_NAME_SIZE + 64] = "";

    if (why)
        format(found, sizeof(found), " (the boot module \"%.*s\" %s)", (int)sizeof(module->name), module->name, why);
    mux_say(mux,
            "no config file%s: load it as a boot module named " CONFIG_MODULE_NAME
            " (in grub.cfg: module2 FILE " CONFIG_MODULE_NAME ")",
            found);
}

static void fit_to_machine(struct control *control, const struct config_reporter *reporter)
{
    const struct abi_info *info = os_info();
    struct config_machine machine = {
        .memory = CONFIG_MEMORY_UNKNOWN,
        .cpus = info->cpu_count,
        .find = find_module,
        .context = (void *)info,
        .missing = "is not there: load a boot module of that name (in grub.cfg: module2 FILE NAME)",
    };

    if (info->module_count == ABI_MAX_MODULES)
        machine.missing = "is not among the first 64 boot modules, and others are ignored: load none that no guest has";

    if (os_call(SYS_SYSTEM_INFO, 0, 0, 0) == OK)
        machine.memory = ((const struct abi_system_info *)os_buffer())->guest_memory_free;
    config_resolve(&control->config, &machine, reporter);
}

void boot_config(struct control *control)
{
    const struct abi_module *module = find_config(os_info());
    struct problems problems = {&control->mux, 0};
    struct config_reporter reporter = {report, &problems};
    const char *why = module ? unfit(module) : NULL;
    bool good = false;

    if (!module || why) {
        report_none(&control->mux, module, why);
        return;
    }
    config_parse(&control->config, os_module(module), module->size, &reporter);
    fit_to_machine(control, &reporter);
    if (problems.count > PROBLEMS_SHOWN)
        mux_say(&control->mux, CONFIG_MODULE_NAME ": and %u problems more", problems.count - PROBLEMS_SHOWN);
    for (uint32_t i = 0; i < control->config.guest_count; i++)
        good = good || !control->config.guests[i].bad;
    if (!good)
        mux_say(&control->mux,
                "no guest can be started: correct what is said above; `lapwing check FILE` does so before");
}
