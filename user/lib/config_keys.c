#include "user/lib/config_keys.h"

#include "lib/string.h"
#include "user/lib/config_value.h"

/* The table's texts name these in words. */
static_assert(ABI_MIN_MEMORY == 2ull << 20 && ABI_MAX_MEMORY == 512ull << 30, "memory");
static_assert(ABI_MODULE_NAME_SIZE == 128 && ABI_CMDLINE_SIZE == 2048, "image, initrd, modules, cmdline");
static_assert(sizeof(((struct abi_vm_config *)NULL)->args) == 2048, "modules");
static_assert(ARRAY_SIZE(((struct abi_vm_config *)NULL)->modules) == CONFIG_MODULES_MAX, "modules");
static_assert(CONFIG_MODULES_MAX == 16, "modules");

static const char *set_WIDTH(const struct config_target *target, const struct config_text *value)
{
    return config_value_number(value, CONFIG_WIDTH_MIN, CONFIG_WIDTH_MAX, &target->config->width);
}

static const char *set_ESCAPE(const struct config_target *target, const struct config_text *value)
{
    return config_value_escape(value, &target->config->escape);
}

static const char *set_LOG(const struct config_target *target, const struct config_text *value)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};

    return config_value_word(value, words, ARRAY_SIZE(words), &target->config->log);
}

static const char *set_ON_END(const struct config_target *target, const struct config_text *value)
{
    static const char *const words[] = {"poweroff", "reboot", "stay"};

    return config_value_word(value, words, ARRAY_SIZE(words), &target->config->on_end);
}

static const char *set_IMAGE(const struct config_target *target, const struct config_text *value)
{
    return config_value_file(value, &target->guest->image);
}

static const char *set_INITRD(const struct config_target *target, const struct config_text *value)
{
    return config_value_file(value, &target->guest->initrd);
}

/* How many bytes of args the arguments of the first n modules take. */
static size_t args_used(const struct abi_vm_config *vm, uint32_t n)
{
    size_t last = n ? vm->module_args[n - 1] : 0;

    return n ? last + strlen(vm->args + last) + 1 : 0;
}

/* One element of the list: a name, and behind a blank its arguments. */
static const char *set_module(struct config_guest *guest, struct config_text element)
{
    uint32_t n = guest->vm.module_count;
    struct config_text name = element;
    size_t used = args_used(&guest->vm, n);
    const char *wrong;

    if (element.length == 0 || n == CONFIG_MODULES_MAX)
        return element.at;
    for (name.length = 0; name.length < element.length && !config_is_blank(element.at[name.length]);)
        name.length++;
    wrong = config_value_file(&name, &guest->modules[n]);
    if (wrong)
        return wrong;
    element = config_trim(config_text_from(element, name.length));
    guest->vm.module_count++;
    if (used == sizeof(guest->vm.args))
        return element.at;
    guest->vm.module_args[n] = (uint16_t)used;
    return config_value_string(&element, guest->vm.args + used, sizeof(guest->vm.args) - used);
}

static const char *set_MODULES(const struct config_target *target, const struct config_text *value)
{
    struct config_text rest = *value;

    for (;;) {
        struct config_text element = rest;
        const char *wrong;

        for (element.length = 0; element.length < rest.length && rest.at[element.length] != ',';)
            element.length++;
        wrong = set_module(target->guest, config_trim(element));
        if (wrong || element.length == rest.length)
            return wrong;
        rest = config_text_from(rest, element.length + 1);
    }
}

static const char *set_CMDLINE(const struct config_target *target, const struct config_text *value)
{
    return config_value_string(value, target->guest->vm.cmdline, sizeof(target->guest->vm.cmdline));
}

static const char *set_MEMORY(const struct config_target *target, const struct config_text *value)
{
    return config_value_memory(value, &target->guest->vm.memory);
}

static const char *set_VCPUS(const struct config_target *target, const struct config_text *value)
{
    return config_value_number(value, 1, ABI_MAX_VCPUS, &target->guest->vm.vcpus);
}

static const char *set_CPUS(const struct config_target *target, const struct config_text *value)
{
    return config_value_cpus(value, target->guest->vm.cpus);
}

static const char *set_WEIGHT(const struct config_target *target, const struct config_text *value)
{
    return config_value_number(value, 1, ABI_MAX_WEIGHT, &target->guest->vm.weight);
}

static const char *set_CPU_LIMIT(const struct config_target *target, const struct config_text *value)
{
    return config_value_number(value, 1, ABI_MAX_CPU_LIMIT, &target->guest->vm.cpu_limit);
}

static const char *const off_on[] = {"off", "on"};

static const char *set_LAPIC_ACCELERATION(const struct config_target *target, const struct config_text *value)
{
    return config_value_word(value, off_on, ARRAY_SIZE(off_on), &target->guest->vm.acceleration);
}

static const char *set_LAPIC(const struct config_target *target, const struct config_text *value)
{
    return config_value_word(value, off_on, ARRAY_SIZE(off_on), &target->guest->vm.lapic);
}

static const char *set_EXIT_DEVICE(const struct config_target *target, const struct config_text *value)
{
    return config_value_word(value, off_on, ARRAY_SIZE(off_on), &target->guest->vm.exit_device);
}

static const char *set_ON_EXIT(const struct config_target *target, const struct config_text *value)
{
    static const char *const words[] = {"stop", "restart"};

    return config_value_word(value, words, ARRAY_SIZE(words), &target->guest->vm.restart);
}

const struct config_key_rule config_keys[CONFIG_KEYS] = {
#define X(section, id, name, right) {SECTION_##section, name, right, set_##id},
    CONFIG_KEY_TABLE(X)
#undef X
};

const char *config_key_name(enum config_key key)
{
    return config_keys[key].name;
}
