#include "lib/format.h"
#include "lib/string.h"
#include "user/lib/config.h"

#define MESSAGE_SIZE 320
#define FILES_MAX    (ABI_MAX_MODULES - 1) /* the config file is a boot module, too */

/* What find said of a name. */
struct file {
    struct config_text name;
    int32_t index;
};

struct resolver {
    const struct config_machine *machine;
    const struct config_reporter *reporter;
    unsigned problems;
    uint32_t file_count; /* different names so far */
    struct file files[FILES_MAX];
};

static void problem(struct resolver *resolver, struct config_guest *guest, struct config_place place, const char *fmt,
                    ...) PRINTF_LIKE(4, 5);
static void problem(struct resolver *resolver, struct config_guest *guest, struct config_place place, const char *fmt,
                    ...)
{
    char message[MESSAGE_SIZE];
    va_list args;

    va_start(args, fmt);
    vformat(message, sizeof(message), fmt, args);
    va_end(args);
    resolver->problems++;
    guest->bad = true;
    resolver->reporter->report(resolver->reporter->context, place, message);
}

/* Each name is one boot module, however many guests have it. */
static int32_t find(struct resolver *resolver, struct config_guest *guest, const struct config_text *name)
{
    int32_t index;

    if (name->length == 0)
        return -1;
    for (uint32_t i = 0; i < resolver->file_count; i++) {
        const struct config_text *other = &resolver->files[i].name;

        if (other->length == name->length && memcmp(other->at, name->at, name->length) == 0)
            return resolver->files[i].index;
    }

    if (resolver->file_count == FILES_MAX) {
        problem(resolver, guest, name->place,
                "\"%.*s\" is one file too many: there may be %u boot modules, which are the config file and %u others",
                (int)name->length, name->at, ABI_MAX_MODULES, FILES_MAX);
        return -1;
    }
    index = resolver->machine->find(resolver->machine->context, name);
    if (index < 0)
        problem(resolver, guest, name->place, "\"%.*s\" %s", (int)name->length, name->at, resolver->machine->missing);
    else
        resolver->files[resolver->file_count++] = (struct file){*name, index};
    return index;
}

static void check_cpus(struct resolver *resolver, struct config_guest *guest)
{
    uint32_t count = resolver->machine->cpus;

    if (count == 0)
        return;
    for (uint32_t cpu = count; cpu < ABI_MAX_CPUS; cpu++) {
        if (guest->vm.cpus[cpu / 64] & BIT(cpu % 64)) {
            problem(resolver, guest, guest->set[CONFIG_CPUS], "there is no CPU %u: the CPUs of this machine are 0-%u",
                    cpu, count - 1);
            return;
        }
    }
}

/* free: what guests before it in the file have left. How much the guest takes of it. */
static uint64_t check_memory(struct resolver *resolver, struct config_guest *guest, uint64_t free)
{
    uint64_t size = ALIGN_UP(guest->vm.memory, LARGE_PAGE_SIZE);
    char wanted[CONFIG_SIZE_TEXT], left[CONFIG_SIZE_TEXT], total[CONFIG_SIZE_TEXT];
    bool given = guest->set[CONFIG_MEMORY].line != 0;

    if (size <= free)
        return size;
    config_size_text(wanted, guest->vm.memory);
    config_size_text(left, ALIGN_DOWN(free, 1ull << 20));
    config_size_text(total, ALIGN_DOWN(resolver->machine->memory, 1ull << 20));
    problem(resolver, guest, given ? guest->set[CONFIG_MEMORY] : guest->header,
            "not enough memory: this guest asks for %s%s, and of the %s for guests %s are left", wanted,
            given ? "" : " (the default)", total, left);
    return 0;
}

unsigned config_resolve(struct config *config, const struct config_machine *machine,
                        const struct config_reporter *reporter)
{
    struct resolver resolver = {.machine = machine, .reporter = reporter};
    uint64_t free;

    for (uint32_t i = 0; i < config->guest_count; i++) {
        struct config_guest *guest = &config->guests[i];

        guest->vm.image = find(&resolver, guest, &guest->image);
        guest->vm.initrd = find(&resolver, guest, &guest->initrd);
        for (uint32_t n = 0; n < guest->vm.module_count; n++)
            guest->vm.modules[n] = find(&resolver, guest, &guest->modules[n]);
        check_cpus(&resolver, guest);
    }

    free = machine->memory;
    for (uint32_t i = 0; i < config->guest_count && machine->memory != CONFIG_MEMORY_UNKNOWN; i++) {
        if (!config->guests[i].bad)
            free -= check_memory(&resolver, &config->guests[i], free);
    }
    return resolver.problems;
}
