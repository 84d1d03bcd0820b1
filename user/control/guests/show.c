#include "user/control/guests/show.h"

#include "lib/format.h"
#include "lib/string.h"
#include "user/control/os.h"

static const char *state_text(const struct guest *guest, const struct abi_vm_info *info)
{
    switch (guest->state) {
    case GUEST_ABSENT:
        return guest->refused ? "not started" : "wrong in the config";
    case GUEST_WAITING:
        return "restarts soon";
    case GUEST_ENDED:
        return guest_end_text(guest->end_reason);
    default:
        break;
    }
    if (!info)
        return "unknown";
    if (info->state == ABI_VM_RUNNING && info->paused)
        return "paused";
    return info->state == ABI_VM_LOADING ? "loading" : info->state == ABI_VM_RUNNING ? "running" : "ending";
}

static void head_of_guests(struct mux *mux)
{
    mux_say(mux, "%2s %-31s %-26s %5s %7s %12s %12s %8s", "#", "NAME", "STATE", "VCPUS", "MEMORY", "SECONDS", "EXITS",
            "RESTARTS");
}

static void row_of_guests(struct mux *mux, const struct guest *guest)
{
    const struct abi_vm_config *vm = &guest->config->vm;
    const struct abi_vm_info *info = guest->state == GUEST_ALIVE ? guest_info(guest) : NULL;
    uint64_t ms = info ? guest_run_ms(info) : guest->run_ms;
    uint64_t exits = info ? info->exits : guest->exits;
    char size[CONFIG_SIZE_TEXT];

    config_size_text(size, vm->memory);
    mux_say(mux, "%2u %-31s %-26s %5u %7s %8llu.%03llu %12llu %8u", guest->number, vm->name, state_text(guest, info),
            vm->vcpus, size, (unsigned long long)ms / 1000, (unsigned long long)ms % 1000, (unsigned long long)exits,
            guest->restarts);
}

/* "hlt 12, io 3", what is not zero. */
static void exits_text(const struct abi_vcpu_info *info, char *out, size_t size)
{
    static const char *const names[ABI_EXITS] = {
#define X(name, text) text,
        EXIT_TABLE(X)
#undef X
    };
    size_t used = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < ABI_EXITS; i++) {
        if (info->exits[i] && used < size)
            used += (size_t)format(out + used, size - used, "%s%s %llu", used ? ", " : "", names[i],
                                   (unsigned long long)info->exits[i]);
    }
}

static void row_of_vcpus(struct mux *mux, const struct guest *guest, unsigned n)
{
    static const char *const states[] = {"runnable", "uninitialized", "wait-for-SIPI", "halted", "paused"};
    static const char *const places[] = {"root", "guest", "parked"};
    struct abi_vcpu_info info;
    char exits[400];

    if (os_call(SYS_VCPU_INFO, guest->vm, n, 0) < 0) {
        mux_say(mux, "%s/%u: not created yet", guest->config->vm.name, n);
        return;
    }
    memcpy(&info, os_buffer(), sizeof(info));
    exits_text(&info, exits, sizeof(exits));
    mux_say(mux,
            "%s/%u: %s, in %s, CPU %u, APIC id %u, ran %llu.%03llu ms, %llu entries, %llu parks, %llu wakes, last exit "
            "at rip %#llx",
            guest->config->vm.name, n, info.mp_state < ARRAY_SIZE(states) ? states[info.mp_state] : "?",
            info.where < ARRAY_SIZE(places) ? places[info.where] : "?", info.cpu, info.apic_id,
            (unsigned long long)os_ms(info.run_ticks), (unsigned long long)os_us(info.run_ticks) % 1000,
            (unsigned long long)info.entries, (unsigned long long)info.parks, (unsigned long long)info.wakes,
            (unsigned long long)info.rip);
    mux_say(mux, "%s/%u: exits: %s", guest->config->vm.name, n, exits[0] ? exits : "none");
}

static void head_of_memory(struct mux *mux)
{
    struct abi_system_info info;
    int64_t result = os_call(SYS_SYSTEM_INFO, 0, 0, 0);

    if (result < 0) {
        mux_say(mux, "memory: %s", err_text((int)result));
        return;
    }
    memcpy(&info, os_buffer(), sizeof(info));
    mux_say(mux, "%-31s %12llu KiB, %12llu KiB free", "guests, all together",
            (unsigned long long)info.guest_memory_total / 1024, (unsigned long long)info.guest_memory_free / 1024);
    mux_say(mux, "%-31s %12llu KiB, %12llu KiB free, %llu bytes of code", "hypervisor",
            (unsigned long long)info.root_memory_total / 1024, (unsigned long long)info.root_memory_free / 1024,
            (unsigned long long)info.root_text_bytes);
}

static void row_of_memory(struct mux *mux, const struct guest *guest)
{
    const struct abi_vm_info *vm = guest->state == GUEST_ALIVE ? guest_info(guest) : NULL;

    if (vm)
        mux_say(mux, "%-31s %12llu KiB, %12llu KiB of the hypervisor's for it", guest->config->vm.name,
                (unsigned long long)vm->memory / 1024, (unsigned long long)vm->root_bytes / 1024);
}

void show_begin(struct show *show, const struct guests *guests, enum show_table table, const struct guest *only)
{
    *show = (struct show){.table = table, .behind = guests->count};
    if (only) {
        show->guest = only->number - 1;
        show->behind = only->number;
    }
}

static void head(const struct show *show, struct mux *mux)
{
    if (show->table == SHOW_GUESTS)
        head_of_guests(mux);
    else if (show->table == SHOW_MEMORY)
        head_of_memory(mux);
}

/* What all its vCPUs share. */
static void row_of_shares(struct mux *mux, const struct guest *guest)
{
    const struct abi_vm_config *vm = &guest->config->vm;

    if (vm->cpu_limit == ABI_NO_CPU_LIMIT)
        mux_say(mux, "%s: weight %u, no cpu-limit", vm->name, vm->weight);
    else
        mux_say(mux, "%s: weight %u, cpu-limit %u %%", vm->name, vm->weight, vm->cpu_limit);
}

/* The next vCPU's, or the one line of a guest that has none. */
static void next_of_vcpus(struct show *show, struct mux *mux, const struct guest *guest)
{
    bool alive = guest->state == GUEST_ALIVE;

    if (alive && show->vcpu == 0)
        row_of_shares(mux, guest);
    if (alive && show->vcpu < guest->config->vm.vcpus)
        row_of_vcpus(mux, guest, show->vcpu++);
    else if (!alive && show->vcpu == 0)
        mux_say(mux, "%s: no vCPUs: %s", guest->config->vm.name, state_text(guest, NULL));

    if (!alive || show->vcpu >= guest->config->vm.vcpus) {
        show->vcpu = 0;
        show->guest++;
    }
}

bool show_row(struct show *show, struct mux *mux, const struct guests *guests)
{
    if (show->table == SHOW_NOTHING)
        return false;
    if (!show->begun) {
        show->begun = true;
        head(show, mux);
        return true;
    }
    if (show->guest >= show->behind) {
        show->table = SHOW_NOTHING;
        return false;
    }

    switch (show->table) {
    case SHOW_GUESTS:
        row_of_guests(mux, &guests->list[show->guest++]);
        break;
    case SHOW_MEMORY:
        row_of_memory(mux, &guests->list[show->guest++]);
        break;
    default:
        next_of_vcpus(show, mux, &guests->list[show->guest]);
        break;
    }
    return true;
}
