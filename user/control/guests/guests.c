#include "user/control/guests/guests.h"

#include "lib/string.h"
#include "user/control/os.h"

const char *guest_end_text(uint32_t reason)
{
    switch (reason) {
#define X(name, n, text, who)                                                                                          \
    case n:                                                                                                            \
        return text;
        END_TABLE(X)
#undef X
    default:
        return "ended for an unknown reason";
    }
}

const char *guest_end_name(const struct guest *guest)
{
    if (guest->state == GUEST_ABSENT)
        return guest->refused ? GUEST_NOT_CREATED : GUEST_BAD_CONFIG;
    switch (guest->end_reason) {
#define X(name, n, text, who)                                                                                          \
    case n:                                                                                                            \
        return #name;
        END_TABLE(X)
#undef X
    default:
        return "UNKNOWN";
    }
}

bool guest_ended_well(const struct guest *guest)
{
    if (guest->state == GUEST_ABSENT)
        return false;
    return guest->end_reason == ABI_END_POWEROFF || guest->end_reason == ABI_END_STOPPED ||
           (guest->end_reason == ABI_END_EXIT && guest->end_status == 0);
}

const struct abi_vm_info *guest_info(const struct guest *guest)
{
    return os_call(SYS_VM_INFO, guest->vm, 0, 0) < 0 ? NULL : (const struct abi_vm_info *)os_buffer();
}

uint64_t guest_run_ms(const struct abi_vm_info *info)
{
    uint64_t from = info->booted_tsc ? info->booted_tsc : info->created_tsc;
    uint64_t to = info->ended_tsc ? info->ended_tsc : os_now();

    return to > from ? os_ms(to - from) : 0;
}

static uint32_t fetch_console(void *context, uint8_t *bytes, uint32_t max)
{
    struct guest *guest = context;
    bool peer_waits;
    uint32_t n = ring_get(&guest->out, bytes, max, &peer_waits);

    if (peer_waits)
        os_call(SYS_VM_NOTIFY, guest->vm, 0, 0);
    return n;
}

uint32_t guest_type(struct guest *guest, const uint8_t *bytes, uint32_t n)
{
    bool peer_waits;
    uint32_t taken;

    if (guest->state != GUEST_ALIVE)
        return 0;
    taken = ring_put(&guest->in, bytes, n, &peer_waits);
    if (peer_waits)
        os_call(SYS_VM_NOTIFY, guest->vm, 0, 0);
    return taken;
}

/* The config to root, in pieces that fit the buffer: the new VM's id or an error. */
static int64_t create_vm(const struct abi_vm_config *config)
{
    const uint8_t *bytes = (const uint8_t *)config;

    for (size_t at = 0; at < sizeof(*config); at += ABI_BUFFER_SIZE) {
        size_t n = MIN(sizeof(*config) - at, (size_t)ABI_BUFFER_SIZE);
        int64_t result;

        memcpy(os_buffer(), bytes + at, n);
        result = os_call(SYS_VM_CONFIG, at, n, 0);
        if (result < 0)
            return result;
    }
    return os_call(SYS_VM_CREATE, 0, 0, 0);
}

static int create(struct guests *guests, struct guest *guest)
{
    const struct abi_vm_config *vm = &guest->config->vm;
    int64_t id = create_vm(vm);
    char size[CONFIG_SIZE_TEXT];

    if (id < 0) {
        guest->state = GUEST_ABSENT;
        guest->refused = (int)id;
        config_size_text(size, vm->memory);
        mux_say(guests->mux, "%s: not started: %s (it asks for %s and %u vCPUs)%s", vm->name, err_text((int)id), size,
                vm->vcpus, id == E_NOMEM ? "; lower its memory, or stop another guest" : "");
        return (int)id;
    }
    guest->vm = (unsigned)id;
    guest->state = GUEST_ALIVE;
    guest->refused = OK;
    guest->reset = false;
    guest->ending = false;
    guest->created_at = os_now();
    ring_consumer_init(&guest->out, &os_console(guest->vm)->out);
    ring_producer_init(&guest->in, &os_console(guest->vm)->in);
    mux_attach(guests->mux, guest->number, vm->name, fetch_console, guest);
    return OK;
}

/* Its VM is over: show its last words, note how it ended, and give the VM's memory back. */
static void bury(struct guests *guests, struct guest *guest, const struct abi_vm_info *info)
{
    guest->end_reason = info->end_reason;
    guest->end_status = info->end_status;
    guest->run_ms = guest_run_ms(info);
    guest->exits = info->exits;
    mux_drain(guests->mux, guest->number);
    os_call(SYS_VM_DESTROY, guest->vm, 0, 0);
    guest->state = GUEST_ENDED;
    mux_say(guests->mux, "%s: %s, status %u, after %llu.%03llu s and %llu exits", guest->config->vm.name,
            guest_end_text(guest->end_reason), guest->end_status, (unsigned long long)guest->run_ms / 1000,
            (unsigned long long)guest->run_ms % 1000, (unsigned long long)guest->exits);
}

/* When a guest that has ended at host TSC now starts again. */
static uint64_t next_start(const struct guests *guests, struct guest *guest, uint64_t now)
{
    bool soon = guest->end_reason == ABI_END_LOAD || now - guest->created_at < os_ticks(GUEST_SOON_MS);
    uint64_t wait;

    guest->soon = soon ? guest->soon + 1 : 0;
    if (guest->soon < 2)
        return MAX(now, guest->created_at + os_ticks(GUEST_RESTART_MS));

    wait = MIN((uint64_t)GUEST_RESTART_MS << MIN(guest->soon - 1, 16u), (uint64_t)GUEST_RETRY_MAX_MS);
    mux_say(guests->mux, "%s: ended soon after its start, %u times in a row: the next start is in %llu s",
            guest->config->vm.name, guest->soon, (unsigned long long)wait / 1000);
    return now + os_ticks(wait);
}

/* What became of a guest that was looked at. */
enum looked { NOTHING, LAST_WORDS, DONE };

/* DONE: it has ended, and its VM is destroyed; LAST_WORDS: that comes when they are printed. */
static enum looked check_ended(struct guests *guests, struct guest *guest, uint64_t now)
{
    const struct abi_vm_info *info = guest_info(guest);
    struct abi_vm_info gone = {.end_reason = ABI_END_INTERNAL};

    if (info && info->state != ABI_VM_ENDED)
        return NOTHING;
    if (!guest->ending) {
        guest->ending = true;
        mux_ending(guests->mux, guest->number, ABI_RING_SIZE);
    }
    if (!mux_is_dry(guests->mux, guest->number))
        return LAST_WORDS;

    if (info)
        gone = *info; /* what follows uses the buffer */
    bury(guests, guest, &gone);
    if (guest->reset) {
        create(guests, guest);
    } else if (guest->config->vm.restart && guest->end_reason != ABI_END_STOPPED) {
        guest->state = GUEST_WAITING;
        guest->restart_at = next_start(guests, guest, now);
    }
    return DONE;
}

/* DONE: it was started. */
static enum looked check_restart(struct guests *guests, struct guest *guest, uint64_t now, uint64_t *deadline)
{
    if (now < guest->restart_at) {
        *deadline = MIN(*deadline, guest->restart_at);
        return NOTHING;
    }
    guest->state = GUEST_ENDED;
    guest->restarts++;
    mux_say(guests->mux, "%s: restart number %u", guest->config->vm.name, guest->restarts);
    create(guests, guest);
    return DONE;
}

bool guests_check(struct guests *guests, uint64_t now, uint64_t *deadline)
{
    bool more = false;

    for (unsigned i = 0; i < guests->count; i++) {
        unsigned n = (guests->next + i) % guests->count;
        struct guest *guest = &guests->list[n];
        enum looked looked = guest->state == GUEST_ALIVE     ? check_ended(guests, guest, now)
                             : guest->state == GUEST_WAITING ? check_restart(guests, guest, now, deadline)
                                                             : NOTHING;

        if (looked == DONE) {
            guests->next = n + 1;
            return true;
        }
        more = more || looked == LAST_WORDS;
    }
    return more;
}

void guests_start(struct guests *guests, struct mux *mux, const struct config *config)
{
    guests->mux = mux;
    guests->count = config->guest_count;
    for (unsigned i = 0; i < guests->count; i++) {
        guests->list[i].config = &config->guests[i];
        guests->list[i].number = i + 1;
        if (!config->guests[i].bad)
            create(guests, &guests->list[i]);
    }
}

bool guests_all_ended(const struct guests *guests)
{
    for (unsigned i = 0; i < guests->count; i++) {
        if (guests->list[i].state == GUEST_ALIVE || guests->list[i].state == GUEST_WAITING)
            return false;
    }
    return true;
}

struct guest *guests_find(struct guests *guests, const char *name)
{
    struct guest *found = NULL;

    for (unsigned i = 0; i < guests->count; i++) {
        if (strcmp(guests->list[i].config->vm.name, name) != 0)
            continue;
        if (!guests->list[i].config->bad)
            return &guests->list[i];
        found = &guests->list[i]; /* of two guests with one name, only the first can be good */
    }
    return found;
}

int guest_start(struct guests *guests, struct guest *guest)
{
    if (guest->config->bad)
        return E_INVAL;
    if (guest->state == GUEST_ALIVE)
        return E_BUSY;
    if (guest->state == GUEST_WAITING)
        guest->state = GUEST_ENDED;
    guest->soon = 0;
    return create(guests, guest);
}

int guest_stop(struct guest *guest)
{
    if (guest->state == GUEST_WAITING) {
        guest->state = GUEST_ENDED;
        return OK;
    }
    if (guest->state != GUEST_ALIVE)
        return E_BUSY;
    guest->reset = false;
    return (int)os_call(SYS_VM_STOP, guest->vm, ABI_END_STOPPED, 0);
}

int guest_reset(struct guests *guests, struct guest *guest)
{
    int result = guest_stop(guest);

    if (result == OK)
        guest->reset = guest->state == GUEST_ALIVE;
    return result == OK && guest->state != GUEST_ALIVE ? guest_start(guests, guest) : result;
}

void guests_stop_all(struct guests *guests)
{
    for (unsigned i = 0; i < guests->count; i++) {
        struct guest *guest = &guests->list[i];
        struct abi_vm_info info = {0};

        if (guest->state == GUEST_WAITING)
            guest->state = GUEST_ENDED;
        if (guest->state != GUEST_ALIVE)
            continue;
        os_call(SYS_VM_STOP, guest->vm, ABI_END_STOPPED, 0);
        if (guest_info(guest))
            memcpy(&info, os_buffer(), sizeof(info));
        if (info.end_reason == ABI_END_NONE) /* its threads are not done with the request yet */
            info.end_reason = ABI_END_STOPPED;
        bury(guests, guest, &info);
    }
}
