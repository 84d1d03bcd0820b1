#include "user/control/console/log.h"

#include "lib/format.h"
#include "lib/string.h"
#include "user/control/os.h"

#define NOTE_SIZE 64

/* How many lines one fetch reads at most, those that are not shown included. */
#define LINES_MAX 64

/* The line, and before it a note if others are gone, at bytes, which has room for both. How many bytes. */
static uint32_t take(struct log *log, const struct abi_log_line *line, uint8_t *bytes)
{
    uint32_t length = MIN(line->length, (uint32_t)ABI_LOG_TEXT);
    uint32_t used = 0;

    if (line->number > log->next)
        used = (uint32_t)format((char *)bytes, NOTE_SIZE, "[%llu lines of the log are gone]\n",
                                (unsigned long long)(line->number - log->next));
    log->next = line->number + 1;
    if (line->level > log->level)
        return used;

    memcpy(bytes + used, line->text, length);
    bytes[used + length] = '\n';
    return used + length + 1;
}

uint32_t log_fetch(void *context, uint8_t *bytes, uint32_t max)
{
    struct log *log = context;
    uint32_t used = 0;

    log->behind = false;
    for (unsigned n = 0; used + NOTE_SIZE + ABI_LOG_TEXT + 1 <= max; n++) {
        if (n == LINES_MAX) {
            log->behind = true;
            break;
        }
        if (os_call(SYS_LOG_READ, log->next, 0, 0) <= 0)
            break;
        used += take(log, (const struct abi_log_line *)os_buffer(), bytes + used);
    }
    return used;
}
