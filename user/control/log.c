#include "user/control/log.h"

#include "lib/format.h"
#include "lib/string.h"
#include "user/control/os.h"
#include "user/lib/config.h"

#define NOTE_SIZE 64

/* Out gets the byte, or what was held back of a mark that is none: up to sizeof(mark) bytes. How many. */
static uint32_t take(struct log *log, uint8_t byte, uint8_t *out)
{
    static const char form[] = "<0>";
    uint32_t n;

    if (!log->in_line) {
        uint8_t at = log->mark_length;
        bool fits = at == 1 ? byte >= '0' && byte <= '3' : byte == (uint8_t)form[at];

        log->mark[log->mark_length++] = byte;
        if (fits && log->mark_length < sizeof(log->mark))
            return 0;
        log->in_line = byte != '\n';
        log->hidden = (fits ? log->mark[1] - '0' : CONFIG_LOG_INFO) > log->level;
        n = fits || log->hidden ? 0 : log->mark_length;
        memcpy(out, log->mark, n);
        log->mark_length = 0;
        return n;
    }
    if (byte == '\n')
        log->in_line = false;
    out[0] = byte;
    return log->hidden ? 0 : 1;
}

uint32_t log_fetch(void *context, uint8_t *bytes, uint32_t max)
{
    struct log *log = context;
    const uint8_t *text = os_buffer() + sizeof(uint64_t);
    uint32_t used = 0;

    while (used + NOTE_SIZE + sizeof(log->mark) <= max) {
        int64_t size = os_call(SYS_LOG_READ, log->sequence, 0, 0);
        uint64_t first;

        if (size <= 0)
            break;
        memcpy(&first, os_buffer(), sizeof(first));
        if (first > log->sequence) {
            used += (uint32_t)format((char *)bytes + used, NOTE_SIZE, "[%llu bytes of the log are gone]\n",
                                     (unsigned long long)(first - log->sequence));
            log->sequence = first;
        }
        for (int64_t i = 0; i < size && used + sizeof(log->mark) <= max; i++, log->sequence++)
            used += take(log, text[i], bytes + used);
    }
    return used;
}
