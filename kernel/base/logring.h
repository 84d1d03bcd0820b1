/*
 * Where the log's lines are kept, and how many lines a world may have. Pure: the caller holds the lock
 * (kernel/base/log.c).
 *
 * Lines are numbered in the order in which they come, and kept in parts:
 *   START  what came before control ran; it is never overwritten
 *   ROOT   root's later lines
 *   VM     one part for each VM, so that no VM's lines take the place of others
 * ROOT and each VM part are rings.
 */
#ifndef KERNEL_BASE_LOGRING_H
#define KERNEL_BASE_LOGRING_H

#include "abi/abi.h"

#define LOGRING_START_LINES 128
#define LOGRING_ROOT_LINES  256
#define LOGRING_VM_LINES    20

/* A part is one of these, or LOGRING_VM(id). */
enum { LOGRING_START, LOGRING_ROOT, LOGRING_FIRST_VM, LOGRING_PARTS = LOGRING_FIRST_VM + ABI_MAX_VMS };
#define LOGRING_VM(id) (LOGRING_FIRST_VM + (id))

struct logring {
    uint64_t end;                   /* the number of the next line */
    uint64_t counts[LOGRING_PARTS]; /* how many lines were ever put into each part */
    struct abi_log_line start[LOGRING_START_LINES];
    struct abi_log_line root[LOGRING_ROOT_LINES];
    struct abi_log_line vms[ABI_MAX_VMS][LOGRING_VM_LINES];
};

/* A new line in that part, with its number. The caller fills in the rest. If START is full, the line is in ROOT. */
struct abi_log_line *logring_add(struct logring *ring, unsigned part);

/* The oldest line that is kept and whose number is `number` or greater. NULL: there is none. */
const struct abi_log_line *logring_find(struct logring *ring, uint64_t number);

/*
 * What a world may put into the log: BURST lines at once, and RATE lines a second in the long run. A line has at most
 * ABI_LOG_TEXT bytes, so this bounds the bytes, too. When a world has used up its budget, its lines are dropped until
 * the whole budget is there again: for BURST / RATE seconds. All zero: nothing is used.
 */
#define LOG_BUDGET_BURST 16u
#define LOG_BUDGET_RATE  8u

struct log_budget {
    uint64_t since;   /* TSC; `used` counts all that was given back until then */
    uint32_t used;    /* lines, 0..BURST */
    uint32_t dropped; /* lines dropped, as long as the log has not said how many; 0: none */
};

enum log_verdict {
    LOG_TAKE,
    LOG_TAKE_LATE, /* take it, and before it say how many lines were dropped */
    LOG_DROP,
    LOG_DROP_FIRST, /* drop it, and say that lines are dropped from now on */
};

/* May another line come at TSC `now`? For LOG_TAKE_LATE, *dropped is how many lines were dropped before. */
enum log_verdict log_budget_take(struct log_budget *budget, uint64_t now, uint64_t tsc_hz, uint32_t *dropped);

#endif
