#include "user/control/console/mux.h"

#include "lib/format.h"
#include "lib/string.h"
#include "user/control/os.h"
#include "user/lib/config.h"

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

static void put_string(struct mux *mux, const char *string)
{
    put(mux, string, strlen(string));
}

/* The open line's row is complete, and what it continues with, if anything, comes on another. */
static void end_row(struct mux *mux, bool coloured)
{
    put_string(mux, coloured ? "\x1b[0m\r\n" : "\r\n");
    mux->open = NULL;
}

void mux_end_line(struct mux *mux)
{
    if (mux->open)
        end_row(mux, filter_break(&mux->open->filter));
}

/* Who prints the row, in the terminal's normal colours, and then the guest's own: the first so many bytes of what made
 * them. */
static void put_prefix(struct mux *mux, const struct mux_source *source, uint8_t colours)
{
    put(mux, source->prefix, source->prefix_length - 1);
    put_string(mux, source->continues ? ">" : " ");
    put(mux, source->filter.colours, MIN(colours, source->filter.colours_length));
}

/* The cursor behind the prefix of the source's own line. */
static void begin_line(struct mux *mux, struct mux_source *source, uint8_t colours)
{
    if (mux->open == source)
        return;
    if (mux->open == &mux->prompt) {
        put_string(mux, "\r\x1b[K");
        mux->open = NULL;
    }
    mux_end_line(mux);
    source->continues = source->begun;
    put_prefix(mux, source, colours);
    source->begun = true;
    mux->open = source;
}

/* What the filter made of a byte. colours: how much it kept of what made the guest's colours, before this byte. */
static void show_output(struct mux *mux, struct mux_source *source, const struct filter_output *out, bool coloured,
                        uint8_t colours)
{
    if (!out->rewind && !out->newline && out->length == 0)
        return;

    if (out->rewind && mux->open == source) {
        put_string(mux, coloured ? "\x1b[0m\r" : "\r");
        put_prefix(mux, source, colours);
    }
    if (out->wrap && mux->open == source)
        end_row(mux, coloured);
    begin_line(mux, source, colours);
    put(mux, out->bytes, out->length);

    if (out->newline) {
        end_row(mux, coloured);
        source->begun = false;
    }
}

static void show_byte(struct mux *mux, struct mux_source *source, uint8_t byte)
{
    struct filter_output out;

    do {
        bool coloured = source->filter.coloured;
        uint8_t colours = source->filter.colours_length;

        out = filter_byte(&source->filter, byte, source == mux->focused);
        show_output(mux, source, &out, coloured, colours);
    } while (out.again);
}

/* Behind a space of the hypervisor's own line: a word that does not fit into the row begins the next. */
static void break_between_words(struct mux *mux, struct mux_source *source, const uint8_t *rest, uint32_t n)
{
    uint32_t word = 0;

    while (word < n && rest[word] != ' ' && rest[word] != '\n')
        word++;
    if (mux->open == source && source->filter.most + word > source->filter.limit && word <= source->filter.limit)
        mux_end_line(mux);
}

/* Byte i of n. */
static void show_at(struct mux *mux, struct mux_source *source, const uint8_t *bytes, uint32_t i, uint32_t n)
{
    show_byte(mux, source, bytes[i]);
    if (bytes[i] == ' ' && source == &mux->sources[MUX_LOG])
        break_between_words(mux, source, bytes + i + 1, n - i - 1);
}

/* Show the first n bytes that were fetched, or less: no further line from where mux->written is `until`. */
static void show(struct mux *mux, struct mux_source *source, uint32_t n, uint64_t until)
{
    uint32_t done = 0;

    for (; done < n && (mux->open == source || mux->written < until); done++)
        show_at(mux, source, source->line, done, source->used);
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
    source->begun = false;
    filter_reset(&source->filter);
}

/* The last column stays free: terminals differ in what happens behind it. */
static void set_limit(const struct mux *mux, struct mux_source *source)
{
    uint32_t used = source->prefix_length + 1;

    source->filter.limit = mux->width > used + 2 ? mux->width - used : 2;
}

void mux_attach(struct mux *mux, unsigned n, const char *name,
                uint32_t (*fetch_bytes)(void *context, uint8_t *bytes, uint32_t max), void *context)
{
    struct mux_source *source = &mux->sources[n];

    source->prefix_length = (uint32_t)format(source->prefix, sizeof(source->prefix), "%s| ", name);
    source->fetch = fetch_bytes;
    source->context = context;
    source->ending = source->dry = false;
    set_limit(mux, source);
}

void mux_set_width(struct mux *mux, uint32_t width)
{
    mux->width = width;
    for (unsigned i = 0; i < MUX_SOURCES; i++)
        set_limit(mux, &mux->sources[i]);
}

void mux_init(struct mux *mux)
{
    mux_set_width(mux, CONFIG_WIDTH_DEFAULT);
    mux_attach(mux, MUX_LOG, MUX_NAME, NULL, NULL);
}

void mux_say(struct mux *mux, const char *fmt, ...)
{
    struct mux_source *source = &mux->sources[MUX_LOG];
    char line[512];
    uint32_t length;
    va_list args;

    va_start(args, fmt);
    vformat(line, sizeof(line), fmt, args);
    va_end(args);
    /* What the log has to say is older; what of it is there without a newline gets one. */
    for (unsigned i = 0; i < SAY_FETCHES && (fetch(source, source->last) > 0 || source->used > 0); i++)
        show(mux, source, source->used, UINT64_MAX);
    if (mux->open == source)
        mux_end_line(mux);
    length = (uint32_t)strlen(line);
    for (uint32_t i = 0; i < length; i++)
        show_at(mux, source, (const uint8_t *)line, i, length);
    show_byte(mux, source, '\n');
}

void mux_prompt(struct mux *mux, const char *text, size_t length)
{
    if (mux->open != &mux->prompt)
        mux_end_line(mux);
    mux->open = &mux->prompt;
    put(mux, text, length);
}

bool mux_prompt_open(const struct mux *mux)
{
    return mux->open == &mux->prompt;
}

void mux_bell(struct mux *mux)
{
    put_string(mux, "\a");
}
