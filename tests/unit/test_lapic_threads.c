/*
 * Posting from other threads: no interrupt is lost, no trigger mode mixed up, and whoever sleeps is signalled. Run it
 * under -fsanitize=thread too.
 */
// links: lapic/lapic.c lapic/access.c lapic/ipi.c lapic/timer.c
#include <pthread.h>
#include <sched.h>

#include "lapic/lapic.h"
#include "lapic/regs.h"
#include "tests/unit/test.h"

#define POSTERS 3
#define ROUNDS  20000
#define VECTORS 8 /* of each poster; each posts one again only when it has been taken, so that none coalesce */

static struct lapic lapics[2];
static struct lapic *table[2];
static atomic_uint event[2]; /* the EVENT request of the state word */
static atomic_uint eois, extints, more;
static atomic_uint posted[256], taken[256];
static atomic_bool done;

static void on_signal(void *ctx, uint32_t index, enum lapic_signal what, uint8_t vector)
{
    (void)ctx, (void)vector;
    if (what == LAPIC_SIGNAL_EVENT)
        atomic_store(&event[index], 1);
}

static void on_eoi(void *ctx, uint32_t index, uint8_t vector)
{
    (void)ctx, (void)index;
    if (vector % 2)
        atomic_fetch_add(&eois, 1);
    else
        atomic_fetch_add(&eois, 1000000); /* an edge-triggered one */
}

static void on_takes_more(void *ctx, uint32_t index)
{
    (void)ctx, (void)index;
    atomic_fetch_add(&more, 1);
}

static void on_timer_changed(void *ctx, uint32_t index)
{
    (void)ctx, (void)index;
}

static struct lapic_domain domain = {.count = 2,
                                     .lapics = table,
                                     .signal = on_signal,
                                     .eoi = on_eoi,
                                     .takes_more = on_takes_more,
                                     .timer_changed = on_timer_changed};

static void start(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        lapic_init(&lapics[i], &domain, i, i, i == 0);
        lapic_mmio_write(&lapics[i], APIC_SVR, 0x1ff, 0);
        lapic_mmio_write(&lapics[i], APIC_LDR, 1u << (24 + i), 0);
        __atomic_store_n(&table[i], &lapics[i], __ATOMIC_RELEASE);
        event[i] = 0;
    }
    domain.intr = false;
    memset(posted, 0, sizeof(posted));
    memset(taken, 0, sizeof(taken));
    eois = extints = more = 0;
    domain.missed = false;
    done = false;
}

/* Vectors of poster p: 32 + 16 * (p * 4) on, so that they share words of the bitmap with others'. Odd ones level. */
static void *poster(void *arg)
{
    unsigned int p = (unsigned int)(uintptr_t)arg;
    for (unsigned int n = 0; n < ROUNDS; n++) {
        unsigned int vector = 32 + p * 64 + n % VECTORS;
        while (atomic_load(&taken[vector]) != posted[vector])
            sched_yield();
        atomic_fetch_add(&posted[vector], 1);
        uint64_t address = n & 1 ? 0xfee00000 : 0xfee01004; /* physical, logical */
        if (lapic_message(&domain, address, vector % 2 ? 0xc000 | vector : vector) != 1)
            abort();
    }
    return NULL;
}

/* A vCPU that looks at its LAPIC only when it has been signalled: a lost signal stops everything. */
static bool serve(struct lapic *l, uint32_t index)
{
    if (!atomic_exchange(&event[index], 0))
        return false;
    for (int vector; (vector = lapic_take(l)) != LAPIC_NONE;) {
        if (vector == LAPIC_EXTINT) {
            lapic_accept_extint(l);
            lapic_extint(&domain, false);
            atomic_fetch_add(&extints, 1); /* last: the raiser waits for it */
            continue;
        }
        lapic_mmio_write(l, APIC_EOI, 0, 0);
        atomic_fetch_add(&taken[vector], 1);
    }
    return true;
}

static uint64_t milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

TEST(posting)
{
    pthread_t threads[POSTERS];
    unsigned int total = 0;
    uint64_t progress = milliseconds();

    start();
    for (uintptr_t p = 0; p < POSTERS; p++)
        pthread_create(&threads[p], NULL, poster, (void *)p);
    while (total < POSTERS * ROUNDS) {
        if (serve(&lapics[0], 0)) {
            progress = milliseconds();
        } else if (milliseconds() - progress > 20000) {
            printf("no signal for 20 s: %u of %u\n", total, POSTERS * ROUNDS);
            exit(EXIT_FAILURE); /* the posters would wait for ever */
        } else {
            sched_yield();
        }
        total = 0;
        for (unsigned int vector = 0; vector < 256; vector++)
            total += taken[vector];
    }
    for (unsigned int p = 0; p < POSTERS; p++)
        pthread_join(threads[p], NULL);
    for (unsigned int vector = 0; vector < 256; vector++)
        CHECK_EQ(taken[vector], posted[vector]);
    CHECK_EQ(eois, POSTERS * ROUNDS / 2);
    CHECK_EQ(lapic_pending(&lapics[0]), LAPIC_NONE);
}

/* LINT0 unmasked here while INTR rises there: one of the two must see the other, or the request is lost. */
static void *intr_raiser(void *arg)
{
    (void)arg;
    for (unsigned int n = 0; n < ROUNDS; n++) {
        while (atomic_load(&extints) != n)
            sched_yield();
        lapic_extint(&domain, true);
    }
    return NULL;
}

TEST(intr_against_unmasking)
{
    pthread_t thread;
    uint64_t progress = milliseconds();

    start();
    pthread_create(&thread, NULL, intr_raiser, NULL);
    for (unsigned int last = 0; extints < ROUNDS;) {
        lapic_mmio_write(&lapics[0], APIC_LVT_LINT0, 0x10700, 0);
        lapic_mmio_write(&lapics[0], APIC_LVT_LINT0, 0x700, 0);
        event[0] = 1; /* as after every register write */
        serve(&lapics[0], 0);
        for (int spin = 0; spin < 100 && !serve(&lapics[0], 0); spin++)
            ;
        if (last != extints) {
            last = extints;
            progress = milliseconds();
        } else if (milliseconds() - progress > 20000) {
            printf("no ExtINT for 20 s after %u\n", last);
            exit(EXIT_FAILURE);
        }
    }
    pthread_join(thread, NULL);
    CHECK_EQ(extints, ROUNDS);
}

/*
 * A message to a LAPIC that is just being enabled, by another register each time: it is taken, or its sender is told to
 * try again; `turn` is the round that both are in.
 */
static atomic_uint turn, sent;
static atomic_bool took;

static void *sender(void *arg)
{
    (void)arg;
    for (unsigned int n = 1; n <= ROUNDS; n++) {
        while (atomic_load(&turn) != n)
            ;
        atomic_store(&took, lapic_message(&domain, n % 3 == 2 ? 0xfee02004 : 0xfee00000, 0x41));
        atomic_store(&sent, n);
    }
    return NULL;
}

TEST(message_against_enabling)
{
    static const struct {
        uint32_t offset, off, on;
    } registers[3] = {{APIC_SVR, 0xff, 0x1ff}, {0, 0xfee00000, 0xfee00800}, {APIC_LDR, 0, 0x02000000}};
    pthread_t thread;
    unsigned int at_once = 0;

    start();
    turn = sent = 0;
    pthread_create(&thread, NULL, sender, NULL);
    for (unsigned int n = 1; n <= ROUNDS; n++) {
        struct lapic *l = &lapics[0];
        uint32_t offset = registers[n % 3].offset;

        if (offset)
            lapic_mmio_write(l, offset, registers[n % 3].off, 0);
        else
            lapic_msr_write(l, MSR_IA32_APIC_BASE, registers[n % 3].off, 0);
        more = 0;
        domain.missed = false;
        atomic_store(&turn, n);
        for (volatile unsigned int spin = 0; spin < n % 400; spin++)
            ;
        if (offset)
            lapic_mmio_write(l, offset, registers[n % 3].on, 0);
        else
            lapic_msr_write(l, MSR_IA32_APIC_BASE, registers[n % 3].on, 0);
        if (!offset)
            lapic_mmio_write(l, APIC_SVR, 0x1ff, 0);
        while (atomic_load(&sent) != n)
            ;
        CHECK(took || more > 0);
        at_once += took;
        lapic_init_signal(l);
        lapic_mmio_write(l, APIC_SVR, 0x1ff, 0);
    }
    pthread_join(thread, NULL);
    printf("taken at once: %u of %u\n", at_once, ROUNDS);
}

/* INIT and mode changes under fire: whatever was posted before may go, but what is posted after must come. */
static void *hammer(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    while (!atomic_load(&done)) {
        uint64_t r = test_random(&seed);
        lapic_message(&domain, r & 1 ? 0xfeeff000 : 0xfee03004, (uint32_t)(r >> 32) & 0xc1ff);
        if (r >> 60 == 0)
            lapic_extint(&domain, r & 2);
    }
    return NULL;
}

TEST(resets_under_fire)
{
    pthread_t threads[2];
    start();
    for (uintptr_t p = 0; p < 2; p++)
        pthread_create(&threads[p], NULL, hammer, (void *)(p + 1));
    for (unsigned int n = 0; n < 3000; n++) {
        struct lapic *l = &lapics[0];
        for (int k = 0; k < 20; k++)
            serve(l, 0);
        if (n % 3 == 0)
            lapic_init_signal(l);
        if (n % 3 == 1)
            lapic_msr_write(l, MSR_IA32_APIC_BASE, 0xfee00000, 0);
        lapic_pending(l);
        lapic_msr_write(l, MSR_IA32_APIC_BASE, 0xfee00800, 0);
        lapic_mmio_write(l, APIC_SVR, 0x1ff, 0);
        lapic_mmio_write(l, APIC_LDR, 0x01000000, 0);
        lapic_mmio_write(l, APIC_TPR, n, 0);
    }
    done = true;
    for (unsigned int p = 0; p < 2; p++)
        pthread_join(threads[p], NULL);
    lapic_extint(&domain, false);
    lapic_mmio_write(&lapics[0], APIC_TPR, 0, 0);
    event[0] = 1;
    serve(&lapics[0], 0);
    for (unsigned int vector = 16; vector < 256; vector++) {
        CHECK_EQ(event[0], 0);
        CHECK_EQ(lapic_message(&domain, 0xfee00000, vector), 1);
        CHECK_EQ(event[0], 1);
        CHECK_EQ(lapic_pending(&lapics[0]), vector);
        serve(&lapics[0], 0);
    }
}
