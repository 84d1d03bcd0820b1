/*
 * Askers on other CPUs against one vCPU's loop: each request is served, each park has exactly one waker, each kick and
 * each acknowledgement comes, and a paused vCPU is not in the guest. An asker waits for what it asked, so that one lost
 * request stops everything. Run it under -fsanitize=thread too.
 */
// links: kernel/vm/word.c
// libs: -lpthread
#include "kernel/vm/word.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>

#include "tests/unit/test.h"

#define ROUNDS 20000
#define CPU    0x5a5u

static vcpu_word word;
static sem_t wake, acknowledged; /* thread_wake of the vCPU's thread, and of the one that pauses */
static atomic_bool kicked, in_guest, done, ended;
static atomic_uint parks, wakes, waits, served[REQUESTS];
static atomic_uint start_vector; /* of the SIPI that started it; 0: it has not been started since INIT */

static _Noreturn void stuck(const char *what)
{
    uint64_t w = atomic_load(&word);

    printf("%s for 20 s: word 0x%llx, %u parks, %u wakes\n", what, (unsigned long long)w, parks, wakes);
    exit(EXIT_FAILURE);
}

static time_t seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

#define WAIT_UNTIL(cond, what)                                                                                         \
    for (time_t until = seconds() + 20; !(cond); sched_yield())                                                        \
        if (seconds() > until)                                                                                         \
            stuck(what);

static void wait_for(sem_t *sem, const char *what)
{
    WAIT_UNTIL(sem_trywait(sem) == 0, what);
}

static void deliver(enum asked asked, uint32_t cpu)
{
    if (asked == ASKED_KICK) {
        if (cpu != CPU)
            abort();
        atomic_store(&kicked, true);
    }
    if (asked == ASKED_WAKE) {
        atomic_fetch_add(&wakes, 1);
        sem_post(&wake);
    }
}

static void ask(enum request r, uint8_t vector)
{
    struct told told = word_ask(&word, r, vector);

    deliver(told.asked, told.cpu);
}

/* ---- The vCPU */

static void park(enum mp_state mp)
{
    if (!word_park(&word, mp))
        return;
    atomic_fetch_add(&parks, 1);
    wait_for(&wake, "nobody woke the vCPU");
    CHECK_EQ(word_where(atomic_load(&word)), WHERE_ROOT); /* a second waker of the park before would end this one */
    CHECK_EQ(wakes, parks);
}

/* HLT between two entries, as kernel/vm/exit.c: only a kick ends that, or, now and then, another thread on its CPU. If
 * somebody has woken it, its requests are there; an EVENT alone may be served without leaving. */
static void wait_between(uint64_t n)
{
    if (!word_wait(&word))
        return;
    atomic_fetch_add(&waits, 1);
    if (n % 8) {
        while (word_where(atomic_load(&word)) == WHERE_WAITING)
            WAIT_UNTIL(atomic_exchange(&kicked, false), "nobody kicked the vCPU that waits");
    } else {
        for (uint64_t i = n >> 3 & 31; i > 0; i--)
            sched_yield();
    }
    uint64_t before = atomic_load(&word);
    bool woken = word_go_on(&word);

    CHECK(woken || n % 8 == 0);
    if (woken && word_where(before) == WHERE_GUEST)
        CHECK(before & word_wakes(MP_HALTED));
    CHECK_EQ(word_where(atomic_load(&word)), WHERE_GUEST);
    CHECK_EQ(word_mp(atomic_load(&word)), MP_RUNNABLE);
    if ((atomic_load(&word) & WORD_REQUESTS) == BIT(REQ_EVENT)) {
        word_take_event(&word, REQ_EVENT);
        atomic_fetch_add(&served[REQ_EVENT], 1);
    }
}

/* Odd times the guest would run for ever; only a kick ends that. */
static void run_guest(uint64_t n)
{
    atomic_store(&kicked, false);
    if (!word_enter(&word, CPU))
        return;
    atomic_store(&in_guest, true);
    if (n & 1) {
        WAIT_UNTIL(atomic_exchange(&kicked, false), "nobody kicked the vCPU");
    } else {
        for (uint64_t i = n % 16; i > 0 && !kicked; i--)
            sched_yield();
    }
    atomic_store(&in_guest, false);
    if (n >> 16 & 1)
        wait_between(n >> 17);
    if (word_leave(&word))
        sem_post(&acknowledged);
    if ((n >> 8) % 4 == 0)
        word_set_mp(&word, (n >> 10) % 2 ? MP_HALTED : MP_HALTED_MASKED);
}

/* As kernel/vm/serve.c; false: torn down. What is served may end HLT (kernel/vm/vcpu.c: vcpu_has_wakeup). */
static bool serve(void)
{
    uint8_t vector = 0;

    for (enum request r; (r = word_take(&word, &vector)) != REQUESTS;) {
        enum mp_state mp = word_mp(atomic_load(&word));

        if (r == REQ_TEARDOWN)
            return false;
        if (r == REQ_INIT)
            atomic_store(&start_vector, 0);
        if (r == REQ_SIPI && mp == MP_WAIT_FOR_SIPI) {
            word_set_mp(&word, MP_RUNNABLE);
            atomic_store(&start_vector, vector);
        }
        if ((mp == MP_HALTED && (word_wakes(mp) & BIT(r))) || (mp == MP_HALTED_MASKED && r == REQ_NMI))
            word_set_mp(&word, MP_RUNNABLE);
        atomic_fetch_add(&served[r], 1);
    }
    return true;
}

static void *vcpu(void *arg)
{
    uint64_t seed = (uintptr_t)arg;

    if (parks) /* from the start: the thread runs only when it is woken */
        wait_for(&wake, "nobody woke the vCPU");
    while (serve()) {
        enum mp_state mp = word_mp(atomic_load(&word));

        if (mp == MP_RUNNABLE)
            run_guest(test_random(&seed));
        else
            park(mp);
    }
    atomic_store(&ended, true);
    return NULL;
}

/* ---- The askers */

/* One of a kind for each request, so that no two coalesce. */
static void *asker(void *arg)
{
    enum request r = (enum request)(uintptr_t)arg;

    for (unsigned n = 0; r == REQ_NMI ? !done : n < ROUNDS; n++) {
        unsigned before = served[r];

        ask(r, 0);
        WAIT_UNTIL(served[r] != before || done, "a request was not served");
        if (!done)
            CHECK_EQ(served[r], before + 1);
    }
    return NULL;
}

/* While it is paused nothing is served and the guest does not run. One that waits may be woken meanwhile, and
 * leaves. */
static void pause_and_resume(uint64_t random)
{
    bool must_wait;
    struct told told = word_ask_wait(&word, REQ_PAUSE, &must_wait);

    deliver(told.asked, told.cpu);
    if (must_wait)
        wait_for(&acknowledged, "the vCPU did not say that it has left");
    for (uint64_t i = random % 8; i > 0; i--) {
        CHECK(!in_guest);
        uint64_t w = atomic_load(&word);
        CHECK(word_where(w) != WHERE_GUEST || (w & BIT(REQ_PAUSE)));
        sched_yield();
    }
    if (random & 8)
        WAIT_UNTIL(atomic_load(&word) & WORD_PARKED, "the paused vCPU neither parks nor waits");
    if (random & 16)
        ask(REQ_PAUSE, 0); /* once more is no more */
    ask(REQ_RESUME, 0);
    if (random & 32)
        ask(REQ_RESUME, 0);
    if (random & 192) /* else it may be paused again before it has noticed, but not for ever */
        WAIT_UNTIL(word_mp(atomic_load(&word)) != MP_PAUSED, "the vCPU was not resumed");
}

static void *pauser(void *arg)
{
    uint64_t seed = (uintptr_t)arg;

    while (!done)
        pause_and_resume(test_random(&seed));
    return NULL;
}

static void *nmi_storm(void *arg)
{
    uint64_t seed = (uintptr_t)arg;

    for (; !done; sched_yield())
        ask(test_random(&seed) % 2 ? REQ_NMI : REQ_EVENT, 0);
    return NULL;
}

static void begin(uint64_t first, pthread_t *thread)
{
    word = first;
    parks = word_where(first) == WHERE_PARKED;
    sem_init(&wake, 0, 0);
    sem_init(&acknowledged, 0, 0);
    kicked = in_guest = done = ended = false;
    wakes = waits = start_vector = 0;
    memset(served, 0, sizeof(served));
    pthread_create(thread, NULL, vcpu, (void *)17);
}

/* After the askers are gone: torn down from wherever it is, and no wake-up is left over. */
static void end(pthread_t thread)
{
    int left = 0;

    ask(REQ_TEARDOWN, 0);
    WAIT_UNTIL(ended, "teardown was not served");
    pthread_join(thread, NULL);
    CHECK_EQ(wakes, parks);
    CHECK(parks > 0);
    CHECK(waits > 0);
    CHECK(sem_getvalue(&wake, &left) == 0 && left == 0);
    CHECK(sem_getvalue(&acknowledged, &left) == 0 && left == 0);
}

TEST(no_request_is_lost)
{
    static const enum request finite[] = {REQ_EVENT, REQ_TIMER};
    pthread_t thread, threads[2], nmi, pausing;

    begin(word_make(WHERE_ROOT, MP_RUNNABLE), &thread);
    for (unsigned i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, asker, (void *)(uintptr_t)finite[i]);
    pthread_create(&nmi, NULL, asker, (void *)(uintptr_t)REQ_NMI); /* ends HALTED_MASKED, as long as the others ask */
    pthread_create(&pausing, NULL, pauser, (void *)5);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    done = true;
    pthread_join(nmi, NULL);
    pthread_join(pausing, NULL);
    end(thread);
}

/* A guest starts its AP again and again, under NMIs and pauses that would wake or start it wrongly. */
TEST(init_and_sipi)
{
    pthread_t thread, storm, pausing;
    uint64_t seed = 11;

    begin(word_make(WHERE_PARKED, MP_UNINITIALIZED), &thread);
    pthread_create(&storm, NULL, nmi_storm, (void *)3);
    pthread_create(&pausing, NULL, pauser, (void *)7);
    for (unsigned n = 0; n < ROUNDS; n++) {
        uint64_t r = test_random(&seed);
        uint8_t vector = (uint8_t)(1 + r % 100);

        ask(REQ_INIT, 0);
        for (uint64_t i = (r >> 8) % 8; i > 0; i--)
            sched_yield();
        if (r >> 16 & 1) {
            ask(REQ_SIPI, (uint8_t)(vector + 100));
            ask(REQ_INIT, 0);
        }
        ask(REQ_SIPI, vector);
        if (r >> 17 & 1)
            ask(REQ_SIPI, (uint8_t)(vector + 100)); /* the second one does nothing */
        WAIT_UNTIL(start_vector == vector, "the SIPI was lost");
    }
    done = true;
    pthread_join(storm, NULL);
    pthread_join(pausing, NULL);
    end(thread);
}
