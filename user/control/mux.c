#include "user/control/mux.h"

#include "lib/format.h"
#include "lib/string.h"
#include "user/control/os.h"

/* The console has no way to say that it has room again, so a full one is asked again after this time, and given up
 * after so many times in a row. */
#define CONSOLE_FULL_MS 1
#define CONSOLE_TRIES   1000

/* How often mux_say() looks for lines of the log that are older. */
#define SAY_FETCHES 8

void mux_flush(struct mux *mux)
{
    for (uint32_t done = 0, tries = 0; done < mux->used && tries < CONSOLE_TRIES; tries++) {
        uint32_t n = mux->used - done;
        int64_t taken;

        memcpy(os_buffer(), mux->out + done, n);
        taken = os_call(SYS_CONSOLE_WRITE, n, 0, 0);
        if (taken < 0)
            break; /* there is no console */
        done += (uint32_t)taken;
        if (taken > 0) {
            tries = 0;
            continue;
        }
        os_call(SYS_PARK, os_now() + os_ticks(CONSOLE_FULL_MS), 0, 0);
        mux->parked = true;
    }
    mux->used = 0;
}
static_assert(sizeof(((struct mux *)NULL)->out) <= ABI_BUFFER_SIZE, "one call takes it all");

static void put(struct mux *mux, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;

    for (size_t i = 0; i < length; i++) {
        if (mux->used == sizeof(mux->out))
            mux_flush(mux);
        mux->out[mux->used++] = from[i];
    }
    mux->written += length;
}

static void put_string(struct mux *mux, const char *string) { put(mux, string, strlen(string)); }

void mux_end_line(struct mux *mux)
{
    if (!mux->open)
        return;
    if (filter_break(&mux->open->filter))
        put_string(mux, "\x1b[0m");
    put_string(mux, "\r\n");
    mux->open = NULL;
}

/* The cursor behind the prefix of the source's own line. */
static void begin_line(struct mux *mux, struct mux_source *source)
{
    if (mux->open == source)
        return;
    if (mux->open == &mux->prompt) {
        put_string(mux, "\r\x1b[K");
        mux->open = NULL;
    }
    mux_end_line(mux);
    put(mux, source->prefix, source->prefix_length);
    mux->open = source;
}

static void show_byte(struct mux *mux, struct mux_source *source, uint8_t byte)
{
    bool coloured = source->filter.coloured;
    struct filter_output out = filter_byte(&source->filter, byte, source == mux->focused);

    if (!out.rewind && !out.newline && out.length == 0)
        return;
    if (out.rewind && mux->open == source) {
        put_string(mux, "\r");
        put(mux, source->prefix, source->prefix_length);
    }
    begin_line(mux, source);
    put(mux, out.bytes, out.length);
    if (out.newline) {
        put_string(mux, coloured ? "\x1b[0m\r\n" : "\r\n");
        mux->open = NULL;
    }
}

/* Show the first n bytes that were fetched, or less: no further line from where mux->written is `until`. */
static void show(struct mux *mux, struct mux_source *source, uint32_t n, uint64_t until)
{
    uint32_t done = 0;

    while (done < n && (mux->open == source || mux->written < until))
        show_byte(mux, source, source->line[done++]);
    memmove(source->line, source->line + done, source->used - done);
    source->used -= done;
}

/* How many of the fetched bytes are to be shown now: whole lines; without one, all if they are due. */
static uint32_t due(const struct mux *mux, const struct mux_source *source, uint64_t now)
{
    uint32_t n = source->used;

    while (n > 0 && source->line[n - 1] != '\n')
        n--;
    if (n > 0)
        return n;
    return source->used == sizeof(source->line) || mux->open == source || now - source->last >= os_ticks(MUX_QUIET_MS)
               ? source->used
               : 0;
}

static uint32_t fetch(struct mux_source *source, uint64_t now)
{
    uint32_t room = (uint32_t)sizeof(source->line) - source->used;
    uint32_t n = 0;

    if (room == 0)
        return 0;
    if (source->ending)
        room = MIN(room, source->left);
    if (source->fetch && room > 0)
        n = source->fetch(source->context, source->line + source->used, room);

    source->dry = n == 0;
    if (n > 0)
        source->last = now;
    source->left -= MIN(source->left, n);
    source->used += n;
    return n;
}

/* One source's turn. True: it has more. */
static bool take_turn(struct mux *mux, struct mux_source *source, uint64_t now)
{
    bool more = fetch(source, now) > 0;

    show(mux, source, due(mux, source, now), mux->written + MUX_TURN);
    return more || due(mux, source, now) > 0;
}

bool mux_turn(struct mux *mux, uint64_t now, uint64_t *deadline)
{
    uint64_t until = mux->written + MUX_TURN;
    unsigned first = mux->next;
    bool more = false;

    for (unsigned i = 0; i < MUX_SOURCES; i++) {
        struct mux_source *source = &mux->sources[(first + i) % MUX_SOURCES];
        uint64_t at;

        if (source->prefix_length == 0)
            continue;
        if (mux->written >= until) {
            mux->next = (first + i) % MUX_SOURCES;
            return true;
        }

        if (take_turn(mux, source, now))
            more = true;
        at = source->last + os_ticks(MUX_QUIET_MS);
        if (source->used > 0)
            *deadline = MIN(*deadline, at);
    }
    mux->next = 0;
    return more;
}

void mux_ending(struct mux *mux, unsigned n, uint32_t max)
{
    struct mux_source *source = &mux->sources[n];

    if (source->ending)
        return;
    source->ending = true;
    source->left = max;
    source->dry = false;
}

bool mux_is_dry(const struct mux *mux, unsigned n)
{
    const struct mux_source *source = &mux->sources[n];

    return source->dry && due(mux, source, source->last) == 0;
}

void mux_drain(struct mux *mux, unsigned n)
{
    struct mux_source *source = &mux->sources[n];

    mux_ending(mux, n, ABI_RING_SIZE);
    do {
        show(mux, source, source->used, UINT64_MAX);
    } while (fetch(source, source->last) > 0);
    if (mux->open == source)
        mux_end_line(mux);
    source->fetch = NULL;
    source->filter = (struct filter){0};
}

void mux_attach(struct mux *mux, unsigned n, const char *name,
                uint32_t (*fetch_bytes)(void *context, uint8_t *bytes, uint32_t max), void *context)
{
    struct mux_source *source = &mux->sources[n];

    source->prefix_length = (uint32_t)format(source->prefix, sizeof(source->prefix), "%s| ", name);
    source->fetch = fetch_bytes;
    source->context = context;
    source->ending = source->dry = false;
}

void mux_init(struct mux *mux) { mux_attach(mux, MUX_LOG, MUX_NAME, NULL, NULL); }

void mux_say(struct mux *mux, const char *fmt, ...)
{
    struct mux_source *source = &mux->sources[MUX_LOG];
    char line[512];
    va_list args;

    va_start(args, fmt);
    vformat(line, sizeof(line), fmt, args);
    va_end(args);
    /* What the log has to say is older; what of it is there without a newline gets one. */
    for (unsigned i = 0; i < SAY_FETCHES && (fetch(source, source->last) > 0 || source->used > 0); i++)
        show(mux, source, source->used, UINT64_MAX);
    if (mux->open == source)
        mux_end_line(mux);
    for (const char *c = line; *c; c++)
        show_byte(mux, source, (uint8_t)*c);
    begin_line(mux, source);
    mux_end_line(mux);
}

void mux_prompt(struct mux *mux, const char *text, size_t length)
{
    if (mux->open != &mux->prompt)
        mux_end_line(mux);
    mux->open = &mux->prompt;
    put(mux, text, length);
}

bool mux_prompt_open(const struct mux *mux) { return mux->open == &mux->prompt; }

void mux_bell(struct mux *mux) { put_string(mux, "\a"); }
