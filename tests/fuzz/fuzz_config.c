// links: user/lib/config.c user/lib/config_keys.c user/lib/config_value.c user/lib/config_resolve.c lib/format.c
/* libFuzzer: no text makes the parser read or write outside its own, and what it accepts keeps what config.h
 * promises. */
#include <stdlib.h>
#include <string.h>

#include "user/lib/config.h"

static struct config config;
static unsigned reports;

static void require(bool good)
{
    if (!good)
        abort();
}

static void report(void *context, struct config_place place, const char *message)
{
    (void)context;
    require(place.line >= 1 && place.column >= 1 && place.column <= CONFIG_LINE_MAX + 1);
    require(message[0] && !strchr(message, '\n') && strlen(message) < 320);
    reports++;
}

static int32_t find(void *context, const struct config_text *name)
{
    (void)context;
    return name->at[0] % 4 - 1;
}

static void check_name(const struct config_text *name, const uint8_t *data, size_t size)
{
    const uint8_t *at = (const uint8_t *)name->at;

    require(name->length > 0 && name->length < ABI_MODULE_NAME_SIZE);
    require(at >= data && at + name->length <= data + size);
}

static void check_guest(const struct config_guest *guest, const uint8_t *data, size_t size)
{
    const struct abi_vm_config *vm = &guest->vm;

    require(vm->name[0] && memchr(vm->name, 0, sizeof(vm->name)));
    require(memchr(vm->cmdline, 0, sizeof(vm->cmdline)));
    require(vm->memory >= ABI_MIN_MEMORY && vm->memory <= ABI_MAX_MEMORY && vm->memory % PAGE_SIZE == 0);
    require(vm->vcpus >= 1 && vm->vcpus <= ABI_MAX_VCPUS && vm->weight >= 1 && vm->weight <= ABI_MAX_WEIGHT);
    require(vm->module_count <= CONFIG_MODULES_MAX && vm->lapic <= 1 && vm->exit_device <= 1 && vm->restart <= 1);
    check_name(&guest->image, data, size);
    for (uint32_t i = 0; i < vm->module_count; i++) {
        check_name(&guest->modules[i], data, size);
        require(vm->module_args[i] < sizeof(vm->args));
        require(memchr(vm->args + vm->module_args[i], 0, sizeof(vm->args) - vm->module_args[i]));
        require(i == 0 || vm->module_args[i] > vm->module_args[i - 1]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct config_reporter reporter = {report, NULL};
    const struct config_machine machine = {.memory = 1ull << 30, .cpus = 2, .find = find, .missing = "is not there"};
    unsigned problems;

    reports = 0;
    problems = config_parse(&config, (const char *)data, size, &reporter);
    require(problems == reports && config.guest_count <= ABI_MAX_VMS && (problems || config.guest_count));
    for (uint32_t i = 0; i < config.guest_count; i++) {
        if (!config.guests[i].bad)
            check_guest(&config.guests[i], data, size);
        else
            require(problems > 0);
    }
    problems += config_resolve(&config, &machine, &reporter);
    require(problems == reports);
    return 0;
}
