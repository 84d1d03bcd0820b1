#include "tools/check_image.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tools/check_file.h"
#include "user/lib/log.h"
#include "user/loader/loader.h"

/* The guest's DSDT is made for the target only; here its room counts. */
const uint8_t dsdt_start[1024], dsdt_end[1];

static char *said; /* where the loader's message goes */

static void message_to(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void message_to(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(said, CHECK_MESSAGE_SIZE, fmt, args);
    va_end(args);
}

/* guest_load() is not called here. */
void world_log(const char *fmt, ...)
{
    (void)fmt;
}

static struct loader_module map_module(const char *path, const char *name, const char *arguments)
{
    struct loader_module module = {.name = name, .arguments = arguments};

    if (path)
        module.data = check_map_file(path, &module.size);
    return module;
}

static void unmap_module(const struct loader_module *module)
{
    if (module->data)
        munmap((void *)(uintptr_t)module->data, module->size);
}

static bool begins_with(const char *text, const char *begin)
{
    return *begin && strncmp(text, begin, strlen(begin)) == 0;
}

/* What has to be changed in the section for the loader's message to go away. */
static enum config_key key_of(const struct config_guest *guest, const struct loader *l, const char *message)
{
    enum config_key key = CONFIG_IMAGE;

    if (strstr(message, "more memory") && guest->set[CONFIG_MEMORY].line)
        return CONFIG_MEMORY;
    if (strstr(message, "takes no modules"))
        key = CONFIG_MODULES;
    else if (strstr(message, "takes no initrd"))
        key = CONFIG_INITRD;
    else if (begins_with(message, "cmdline:"))
        key = CONFIG_CMDLINE;
    else if (begins_with(message, "ACPI:"))
        key = CONFIG_VCPUS;
    else if (begins_with(message, l->initrd.name))
        key = CONFIG_INITRD;
    for (uint32_t i = 0; i < l->module_count; i++) {
        if (begins_with(message, l->modules[i].name))
            key = CONFIG_MODULES;
    }
    return guest->set[key].line ? key : CONFIG_IMAGE;
}

static void name_of(const struct config_text *text, char name[ABI_MODULE_NAME_SIZE])
{
    snprintf(name, ABI_MODULE_NAME_SIZE, "%.*s", (int)text->length, text->at);
}

bool check_image(const struct config_guest *guest, const char *image, const char *initrd, char *const modules[],
                 char message[CHECK_MESSAGE_SIZE], enum config_key *key)
{
    static char names[2 + CONFIG_MODULES_MAX][ABI_MODULE_NAME_SIZE];
    uint64_t low = MIN(guest->vm.memory, ABI_RAM_LOW_MAX);
    struct abi_regs bsp = {0};
    struct loader l = {.ram_low = low,
                       .ram_high = guest->vm.memory - low,
                       .cmdline = guest->vm.cmdline,
                       .vcpus = guest->vm.vcpus,
                       .lapic = guest->vm.lapic,
                       .dsdt = dsdt_start,
                       .dsdt_size = sizeof(dsdt_start),
                       .message = message_to,
                       .module_count = guest->vm.module_count};
    int error;

    /* Pages that the loader does not touch cost nothing. */
    l.ram = mmap(NULL, low, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (l.ram == MAP_FAILED)
        return true; /* this host is too small to say */

    name_of(&guest->image, names[0]);
    name_of(&guest->initrd, names[1]);
    l.image = map_module(image, names[0], "");
    l.initrd = map_module(initrd, names[1], "");
    for (uint32_t i = 0; i < l.module_count; i++) {
        name_of(&guest->modules[i], names[2 + i]);
        l.modules[i] = map_module(modules[i], names[2 + i], guest->vm.args + guest->vm.module_args[i]);
    }

    said = message;
    message[0] = '\0';
    error = loader_load(&l, &bsp);
    if (error)
        *key = key_of(guest, &l, message);

    unmap_module(&l.image);
    unmap_module(&l.initrd);
    for (uint32_t i = 0; i < l.module_count; i++)
        unmap_module(&l.modules[i]);
    munmap(l.ram, low);
    return error == OK;
}
