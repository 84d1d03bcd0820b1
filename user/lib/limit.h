/* A bound on what a guest can provoke per time, for log lines. */
#ifndef USER_LIB_LIMIT_H
#define USER_LIB_LIMIT_H

#include "abi/types.h"

/*
 * At most LIMIT_BURST times in LIMIT_SECONDS from each place. All zero before first use; the caller serialises.
 */
#define LIMIT_BURST   8
#define LIMIT_SECONDS 10
struct limit {
    uint64_t since; /* host TSC when the running period began */
    uint32_t count; /* in it */
};

/* May it happen once more at host TSC now? */
static inline bool limit_ok(struct limit *limit, uint64_t now, uint64_t tsc_hz)
{
    if (now - limit->since >= LIMIT_SECONDS * tsc_hz)
        *limit = (struct limit){.since = now};
    if (limit->count >= LIMIT_BURST)
        return false;
    limit->count++;
    return true;
}

#endif
