#include "tests/guests/bench/bench.h"
#include "tests/guests/lib/mark.h"

#define MAX_MARKS    1024
#define MARK_STRIDE  8 /* MARK_LENGTH and a RET */
#define MAX_RESULTS  64
#define STRING(x)    STRING_OF(x)
#define STRING_OF(x) #x

extern const char mark_stubs[];

/* Markers as functions of MARK_STRIDE bytes each. */
__asm__(".text\n"
        "mark_stubs: .set n, 0\n"
        ".rept " STRING(MAX_MARKS) "\n"
                                   ".byte 0x0f, 0x1f, 0x80\n"
                                   ".long " STRING(MARK_BASE) " + n\n"
                                                              "ret\n"
                                                              ".set n, n + 1\n"
                                                              ".endr\n");

void mark(unsigned n)
{
    ((void (*)(void))(mark_stubs + (size_t)MARK_STRIDE * (n % MAX_MARKS)))();
}

static const struct row *current;
static unsigned current_mark;
static uint64_t sum;

void interval_begin(void)
{
    mark(current_mark);
}

void interval_end(uint64_t ticks)
{
    mark(0);
    sum += ticks;
}

static void batch(void)
{
    void (*operation)(void) = current->operation;
    unsigned n = current->operations;

    if (current->way == INTERVAL) {
        for (unsigned i = 0; i < n; i++)
            operation();
        return;
    }
    mark(current_mark);
    uint64_t begin = rdtsc();
    for (unsigned i = 0; i < n; i++)
        operation();
    sum = rdtsc() - begin;
    mark(0);
}

static uint64_t least_of(const struct row *row, unsigned first_mark)
{
    uint64_t least = UINT64_MAX;

    current = row;
    for (unsigned n = 0; n < BATCHES; n++) {
        current_mark = first_mark ? first_mark + n : 0;
        sum = 0;
        if (row->within)
            row->within(batch);
        else
            batch();
        least = sum < least ? sum : least;
    }
    return least;
}

static void do_nothing(void)
{
    __asm__ volatile("nop");
}

uint64_t measure(const struct row *row, unsigned first_mark)
{
    struct row empty = {.operation = row->empty ? row->empty : do_nothing, .operations = row->operations};

    if (row->prepare)
        row->prepare();
    return least_of(row, first_mark) - (row->way == LOOP ? least_of(&empty, 0) : 0);
}

static struct result {
    const struct row *row;
    unsigned mark;
    uint64_t ticks;
} results[MAX_RESULTS];
static unsigned result_count;

void rows_measure(const struct row *rows, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned first = 1 + BATCHES * result_count;

        results[result_count++] = (struct result){&rows[i], first, measure(&rows[i], first)};
    }
}

void rows_report(void)
{
    for (const struct result *r = results; r < results + result_count; r++)
        print("bench: row %s %u %u %lu\n", r->row->name, r->mark, r->row->operations, r->ticks);
}
