#include "user/control/control.h"
#include "user/control/os.h"

static const char *shown_name(const struct guest *guest)
{
    return guest->config->vm.name[0] ? guest->config->vm.name : "?";
}

static void print_row(struct mux *mux, const struct guest *guest)
{
    const char *how = guest_end_text(guest->end_reason);

    if (guest->state == GUEST_ABSENT)
        how = guest->refused ? "not started" : "wrong in the config";
    mux_say(mux, "%-31s %-26s %10u %8llu.%03llu %14llu %8u", shown_name(guest), how, guest->end_status,
            (unsigned long long)guest->run_ms / 1000, (unsigned long long)guest->run_ms % 1000,
            (unsigned long long)guest->exits, guest->restarts);
}

void results_print(struct mux *mux, const struct guests *guests)
{
    unsigned well = 0;

    mux_end_line(mux);
    mux_say(mux, "%-31s %-26s %10s %12s %14s %8s", "NAME", "ENDED", "STATUS", "SECONDS", "EXITS", "RESTARTS");
    for (unsigned i = 0; i < guests->count; i++)
        print_row(mux, &guests->list[i]);
    for (unsigned i = 0; i < guests->count; i++) {
        const struct guest *guest = &guests->list[i];

        well += guest_ended_well(guest);
        mux_say(mux, "result %s %s %u %llu %llu", shown_name(guest), guest_end_name(guest), guest->end_status,
                (unsigned long long)guest->run_ms, (unsigned long long)guest->exits);
    }
    mux_say(mux, "all guests ended: %u well, %u badly", well, guests->count - well);
    mux_flush(mux);
}
