/*
 * Many lines into one: what the sources (the hypervisor's log, each guest) print reaches the physical console line by
 * line, each line with its source's prefix. An unfinished line is shown once its source was quiet for MUX_QUIET_MS, and
 * from then on byte by byte; when another source prints meanwhile, it continues on a new line behind a new prefix.
 * A line that is longer than the terminal is wide is continued on a new one, behind a prefix that says so, "name|>",
 * and so is one that another source interrupted: each row of the terminal begins with the name of who printed it. Lines
 * of the hypervisor's own are broken between words. Nothing is dropped: what cannot be written yet stays at its source.
 *
 * Sources take turns, and what they print is counted as it comes to the console, prefixes included, for a source that
 * prints empty lines costs the console more than it prints: a source that has written MUX_TURN bytes gets no further
 * line in this turn, and mux_turn() returns when all together have written as much, so that keys and guests' ends are
 * seen to.
 */
#ifndef USER_CONTROL_CONSOLE_MUX_H
#define USER_CONTROL_CONSOLE_MUX_H

#include "abi/abi.h"
#include "user/control/console/filter.h"

#define MUX_LINE     512
#define MUX_TURN     512
#define MUX_QUIET_MS 50
#define MUX_SOURCES  (1 + ABI_MAX_VMS)
#define MUX_LOG      0 /* the source that is the hypervisor itself */
#define MUX_NAME     "lapwing"

struct mux_source {
    char prefix[ABI_NAME_SIZE + 2]; /* "name| " */
    uint32_t prefix_length;         /* 0: no such source */
    bool begun;                     /* a part of its line has been shown, here or on an earlier row */
    bool continues;                 /* the row that it has open is not its line's first */
    /* Give up to max bytes: how many; NULL: gives nothing any more. */
    uint32_t (*fetch)(void *context, uint8_t *bytes, uint32_t max);
    void *context;
    uint64_t last; /* host TSC at which the last byte came */
    uint32_t left; /* how many bytes it may still give, if `ending` */
    bool ending;
    bool dry;      /* the last fetch gave nothing */
    uint32_t used; /* bytes of line that were fetched and not shown */
    uint8_t line[MUX_LINE];
    struct filter filter;
};

struct mux {
    struct mux_source sources[MUX_SOURCES];
    struct mux_source *open; /* whose unfinished line the cursor is on; NULL: at the start of a line */
    struct mux_source *focused;
    uint32_t width;           /* columns of the terminal */
    struct mux_source prompt; /* stands for the hypervisor's prompt, in `open` only */
    unsigned next;            /* the source whose turn comes first */
    uint64_t written;         /* bytes given to the console, ever */
    bool parked; /* waiting for room in the console, since this was last cleared; wake-ups may have gone into that */
    uint32_t used;
    uint8_t out[1024];
};

/* All zero before. Names the log's source. */
void mux_init(struct mux *mux);

/* Name a source, or give a named one a new fetch. */
void mux_attach(struct mux *mux, unsigned source, const char *name,
                uint32_t (*fetch)(void *context, uint8_t *bytes, uint32_t max), void *context);

/* The terminal is that many columns wide: the prefixes and two columns more, at least. */
void mux_set_width(struct mux *mux, uint32_t width);

/*
 * The source will end: what it holds now, at most max bytes, is to be printed in its turns. True from mux_is_dry: that
 * is done, but for an unfinished line. mux_drain prints the rest and the line's end, and takes no more from the source.
 */
void mux_ending(struct mux *mux, unsigned source, uint32_t max);
bool mux_is_dry(const struct mux *mux, unsigned source);
void mux_drain(struct mux *mux, unsigned source);

/*
 * A turn for each source, or for some, at host TSC now. True: there is more to do at once. Otherwise *deadline is set
 * to the host TSC at which an unfinished line is due, if that is sooner (NEVER: no deadline).
 */
bool mux_turn(struct mux *mux, uint64_t now, uint64_t *deadline);

/* One line of the hypervisor's own, without the newline, at once; the log's older lines come before it, if they are not
 * too many. */
void mux_say(struct mux *mux, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Text of the hypervisor's prompt, as it is. True from mux_prompt_open: the cursor is still behind such text. When
 * another source prints, the prompt's line is erased.
 */
void mux_prompt(struct mux *mux, const char *text, size_t length);
bool mux_prompt_open(const struct mux *mux);

/* Ring the terminal's bell: something typed went nowhere. */
void mux_bell(struct mux *mux);

/* End the open line, if there is one. */
void mux_end_line(struct mux *mux);

/* Give all that was printed to the console; waits until it took it. */
void mux_flush(struct mux *mux);

#endif
