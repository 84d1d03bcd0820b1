/*
 * Where the log's lines are kept, and how many a world may have. Pure: the caller locks (kernel/base/log.c).
 *
 * Lines are numbered in the order of time, and kept in parts: what came before control ran, which is never overwritten;
 * root's later lines; and those of each VM, so that no VM's lines take the place of others'. Each part is a ring.
 */
#ifndef KERNEL_BASE_LOGRING_H
#define KERNEL_BASE_LOGRING_H

#include "abi/abi.h"

#define LOGRING_START_LINES 128
#define LOGRING_ROOT_LINES  256
#define LOGRING_VM_LINES    20

/* A part's name: one of these, or LOGRING_VM(id). */
enum { LOGRING_START, LOGRING_ROOT, LOGRING_FIRST_VM, LOGRING_PARTS = LOGRING_FIRST_VM + ABI_MAX_VMS };
#define LOGRING_VM(id) (LOGRING_FIRST_VM + (id))

struct logring {
    uint64_t end;                   /* the number of the next line */
    uint64_t counts[LOGRING_PARTS]; /* lines that were put there, ever */
    struct abi_log_line start[LOGRING_START_LINES];
    struct abi_log_line root[LOGRING_ROOT_LINES];
    struct abi_log_line vms[ABI_MAX_VMS][LOGRING_VM_LINES];
};

/* A new line in that part, with its number: the caller fills in the rest. START that is full: it goes to ROOT. */
struct abi_log_line *logring_add(struct logring *ring, unsigned part);

/* The oldest line that is kept and whose number is `number` or greater. NULL: there is none. */
const struct abi_log_line *logring_find(struct logring *ring, uint64_t number);

/*
 * What a world may put into the log: BURST lines at once, and RATE a second in the long run; as a line has at most
 * ABI_LOG_TEXT bytes, that bounds its bytes, too. One that has used this up is dropped until all of it is there again:
 * for BURST / RATE seconds. All zero: nothing is used.
 */
#define LOG_BUDGET_BURST 16u
#define LOG_BUDGET_RATE  8u

struct log_budget {
    uint64_t since;   /* TSC; what was given back until then is counted in `used` */
    uint32_t used;    /* lines, 0..BURST */
    uint32_t dropped; /* lines, since it was used up; 0: it is not */
};

enum log_verdict {
    LOG_TAKE,
    LOG_TAKE_LATE, /* and before it, say how many were dropped */
    LOG_DROP,
    LOG_DROP_FIRST, /* and say that lines are dropped from now on */
};

/* May another line come at TSC now? *dropped: how many were not taken before, of TAKE_LATE. */
enum log_verdict log_budget_take(struct log_budget *budget, uint64_t now, uint64_t tsc_hz, uint32_t *dropped);

#endif
