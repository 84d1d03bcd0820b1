#include "kernel/base/logring.h"

/* The n-th line that was put into the part, from 0. It must be one that is kept. */
static struct abi_log_line *line_at(struct logring *ring, unsigned part, uint64_t n)
{
    switch (part) {
    case LOGRING_START:
        return &ring->start[n];
    case LOGRING_ROOT:
        return &ring->root[n % LOGRING_ROOT_LINES];
    default:
        return &ring->vms[part - LOGRING_FIRST_VM][n % LOGRING_VM_LINES];
    }
}

static uint64_t part_size(unsigned part)
{
    return part == LOGRING_START ? LOGRING_START_LINES : part == LOGRING_ROOT ? LOGRING_ROOT_LINES : LOGRING_VM_LINES;
}

struct abi_log_line *logring_add(struct logring *ring, unsigned part)
{
    struct abi_log_line *line;

    if (part == LOGRING_START && ring->counts[part] == LOGRING_START_LINES)
        part = LOGRING_ROOT;

    line = line_at(ring, part, ring->counts[part]++);
    line->number = ring->end++;
    return line;
}

/* As logring_find(), in one part. The numbers in a part grow, so it can be searched by halves. */
static const struct abi_log_line *find_in_part(struct logring *ring, unsigned part, uint64_t number)
{
    uint64_t behind = ring->counts[part];
    uint64_t first = behind > part_size(part) ? behind - part_size(part) : 0;
    uint64_t last = behind;

    if (behind == 0 || line_at(ring, part, behind - 1)->number < number)
        return NULL;

    while (first < last) {
        uint64_t middle = first + (last - first) / 2;

        if (line_at(ring, part, middle)->number < number)
            first = middle + 1;
        else
            last = middle;
    }
    return line_at(ring, part, first);
}

const struct abi_log_line *logring_find(struct logring *ring, uint64_t number)
{
    const struct abi_log_line *oldest = NULL;

    if (number >= ring->end)
        return NULL;

    for (unsigned part = 0; part < LOGRING_PARTS; part++) {
        const struct abi_log_line *line = find_in_part(ring, part, number);

        if (line && (!oldest || line->number < oldest->number))
            oldest = line;
    }
    return oldest;
}

static void give_back(struct log_budget *budget, uint64_t now, uint64_t tsc_hz)
{
    uint64_t step = MAX(tsc_hz / LOG_BUDGET_RATE, 1ull);
    uint64_t lines = now > budget->since ? (now - budget->since) / step : 0;

    if (lines >= budget->used) {
        budget->used = 0;
        budget->since = now;
    } else {
        budget->used -= (uint32_t)lines;
        budget->since += lines * step;
    }
}

enum log_verdict log_budget_take(struct log_budget *budget, uint64_t now, uint64_t tsc_hz, uint32_t *dropped)
{
    enum log_verdict verdict = LOG_TAKE;

    give_back(budget, now, tsc_hz);

    if (budget->dropped && budget->used) {
        if (budget->dropped < UINT32_MAX)
            budget->dropped++;
        return LOG_DROP;
    }
    if (budget->used == LOG_BUDGET_BURST) {
        budget->dropped = 1;
        return LOG_DROP_FIRST;
    }

    if (budget->dropped) {
        *dropped = budget->dropped;
        budget->dropped = 0;
        verdict = LOG_TAKE_LATE;
    }
    budget->used++;
    return verdict;
}
