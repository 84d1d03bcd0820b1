/* The guests: creating them, noticing how they end, starting them again. */
#ifndef USER_CONTROL_GUESTS_GUESTS_H
#define USER_CONTROL_GUESTS_GUESTS_H

#include "user/control/console/mux.h"
#include "user/lib/config.h"
#include "user/lib/ring.h"

#define GUEST_RESTART_MS 1000 /* from one start to the next, at least */

/* A guest that ends sooner than this after its start, or was not even loaded, will most likely do so again. From its
 * second such end in a row on it waits before the next start: 2 s, then twice as long each time, up to RETRY_MAX_MS. */
#define GUEST_SOON_MS      5000
#define GUEST_RETRY_MAX_MS 64000

/* Ways of not running that enum abi_end does not know, as `result` lines name them. */
#define GUEST_BAD_CONFIG  "BAD_CONFIG"
#define GUEST_NOT_CREATED "NOT_CREATED"

enum guest_state {
    GUEST_ABSENT,  /* never created: bad, or root refused */
    GUEST_ALIVE,   /* vm is its VM */
    GUEST_ENDED,   /* what ended last is below; its VM is gone */
    GUEST_WAITING, /* ended, and starts again at restart_at */
};

struct guest {
    const struct config_guest *config;
    unsigned number; /* from 1, in the order of the file; also its mux source */
    enum guest_state state;
    int refused;         /* ABSENT: the error that root answered, 0: config->bad */
    bool reset;          /* the operator asked for another run when this one has ended */
    unsigned vm;         /* while ALIVE */
    bool ending;         /* ALIVE, but its VM has ended: its last words are being printed */
    uint64_t created_at; /* host TSC of the last start */
    uint64_t restart_at; /* while WAITING */
    uint32_t restarts;
    uint32_t soon;                   /* ends in a row that came too soon */
    uint32_t end_reason, end_status; /* of the last run that ended */
    uint64_t run_ms, exits;
    struct ring_consumer out;
    struct ring_producer in;
};

struct guests {
    struct mux *mux;
    unsigned count;
    unsigned next; /* who is looked after first */
    struct guest list[ABI_MAX_VMS];
};

/* All zero before; makes a guest of each in the config, and creates those that are not bad. Each failure is one
 * line. */
void guests_start(struct guests *guests, struct mux *mux, const struct config *config);

/*
 * Look after those that ended or are due to start again at host TSC now; each is one line. *deadline becomes the host
 * TSC of the next start if that is sooner (NEVER: no deadline). One VM at most is destroyed or created in a call, for
 * that takes time. True: call again soon: there is more to do, or what woke control meanwhile is lost.
 */
bool guests_check(struct guests *guests, uint64_t now, uint64_t *deadline);

/* None runs and none will start by itself. */
bool guests_all_ended(const struct guests *guests);

/* By name; NULL: there is none. */
struct guest *guests_find(struct guests *guests, const char *name);

/* What the operator may ask of one guest: OK, E_BUSY if it is running (start) or is not (the others), or root's
 * error. */
int guest_start(struct guests *guests, struct guest *guest);
int guest_stop(struct guest *guest);
int guest_reset(struct guests *guests, struct guest *guest);

/* End every guest that runs, take note of how, and start none again. */
void guests_stop_all(struct guests *guests);

/* Its last run ended as it should: it powered off, left with exit status 0, or was stopped by the operator. */
bool guest_ended_well(const struct guest *guest);

/* "powered off" and the like; POWEROFF and the like for `result` lines. */
const char *guest_end_text(uint32_t reason);
const char *guest_end_name(const struct guest *guest);

/* The VM_INFO of a guest that is ALIVE; valid until the next call. NULL: root does not know it. */
const struct abi_vm_info *guest_info(const struct guest *guest);

/* Milliseconds from the first instruction (or from creation) to its end or to now. */
uint64_t guest_run_ms(const struct abi_vm_info *info);

/* Keyboard input: how many bytes its UART's ring took, 0..n. */
uint32_t guest_type(struct guest *guest, const uint8_t *bytes, uint32_t n);

#endif
