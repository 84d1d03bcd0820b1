/*
 * What operations cost, in TSC ticks: on an emulator that counts, a tick is an executed instruction, of the guest, the
 * hypervisor and the other CPUs together. Markers (lib/mark.h) round each batch tell QEMU's plugin whose they are.
 *
 * Nothing is printed before the last row of a set was measured, so that no console is drained meanwhile.
 */
#ifndef GUEST_BENCH_H
#define GUEST_BENCH_H

#include "tests/guests/lib/apic.h"

#define BATCHES 5

enum { VECTOR_WORK = 0x40, VECTOR_TIMER = 0x41, VECTOR_PIN = 0x42, VECTOR_PIC = 0x50, VECTOR_AP = 0x60 };

/* How a row's operations become a batch. */
enum way {
    LOOP,     /* the whole loop counts, without what an empty one takes */
    INTERVAL, /* only what the operation puts between interval_begin() and interval_end() */
};

struct row {
    const char *name; /* without blanks */
    void (*operation)(void);
    void (*prepare)(void);               /* before the first batch, or NULL */
    void (*within)(void (*batch)(void)); /* calls a batch where the row wants it, or NULL */
    unsigned operations;                 /* of a batch */
    enum way way;
    void (*empty)(void); /* what does not count of the operation; NULL: nothing is such */
};

/* The least of BATCHES sums of a row, its empty loops subtracted. Markers are mark to mark + BATCHES - 1. */
uint64_t measure(const struct row *row, unsigned mark);

/* For operations of an INTERVAL row; ticks is what the interval took, by what the operation knows of it. */
void interval_begin(void);
void interval_end(uint64_t ticks);

/* Measure rows and, later, print all that was measured: "bench: row NAME MARK OPERATIONS TICKS", a line a row. */
void rows_measure(const struct row *rows, unsigned count);
void rows_report(void);

/* A marker of a number that is not known to the compiler. */
void mark(unsigned n);

/* An interrupt handler that counts, and whose count is waited for. */
extern volatile uint32_t taken;
void on_work(struct trap *t);
void await_work(uint32_t wanted);

/* Sleep for so many ticks, with the LAPIC's timer; interrupts are on behind it. Nothing else may interrupt with
 * on_work(). */
void sleep_ticks(uint64_t ticks);

/* Rows that need one vCPU, in x2APIC mode and with interrupts on; what they need has to be set up once. */
extern const struct row single_rows[];
extern const unsigned single_count;
void single_init(void);

/* Measure them, and some that can only be measured once. */
void single(void);

/* Measure rows of two vCPUs: such as need one CPU that they share, or one for each. */
void pairs_on_one_cpu(void);
void pairs_on_two_cpus(void);

/* The single rows with all APs in each of the states in which they are parked. */
void parked(unsigned cpus);

/* One life of a guest that is restarted whenever it ends: "bench: life TICKS", from its creation to its first
 * instruction. The second of the minute, with LIFE_MARK, is the marker from its end to the next one's beginning. */
#define LIFE_MARK 512
void life(void);

#endif
