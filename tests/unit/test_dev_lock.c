/* The world's mutex under real threads: exclusion, no lost wake-up, no starvation; and the console rings. */
// links: user/lib/lock.c user/lib/ring.c
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "tests/unit/test.h"

#include "user/lib/env.h"
#include "user/lib/lock.h"
#include "user/lib/ring.h"

#define THREADS 8

/* PARK and UNPARK: a permit per slot, as root has it. One in eight parks ends for no reason. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool permit, sleeping;
} parks[LOCK_SLOTS];
static _Thread_local unsigned my_slot;
static atomic_ulong parked, unparked;

void env_park(uint64_t deadline)
{
    unsigned long n = atomic_fetch_add(&parked, 1);

    (void)deadline;
    if (n % 8 == 0)
        return;
    pthread_mutex_lock(&parks[my_slot].mutex);
    parks[my_slot].sleeping = true;
    while (!parks[my_slot].permit)
        pthread_cond_wait(&parks[my_slot].cond, &parks[my_slot].mutex);
    parks[my_slot].permit = parks[my_slot].sleeping = false;
    pthread_mutex_unlock(&parks[my_slot].mutex);
}

void env_unpark(unsigned slot)
{
    atomic_fetch_add(&unparked, 1);
    pthread_mutex_lock(&parks[slot].mutex);
    parks[slot].permit = true;
    pthread_cond_signal(&parks[slot].cond);
    pthread_mutex_unlock(&parks[slot].mutex);
}

static struct lock lock = LOCK_INIT;
static unsigned long inside, counter, per_thread;
static atomic_ulong rounds[THREADS];
static atomic_bool stop;
static const unsigned slots[THREADS] = {0, 1, 63, 64, 127, 128, 200, 255};

static void setup(void)
{
    for (unsigned i = 0; i < LOCK_SLOTS; i++) {
        pthread_mutex_init(&parks[i].mutex, NULL);
        pthread_cond_init(&parks[i].cond, NULL);
        parks[i].permit = parks[i].sleeping = false;
    }
    lock = (struct lock)LOCK_INIT;
    inside = counter = 0;
    parked = unparked = 0;
    stop = false;
    for (unsigned i = 0; i < THREADS; i++)
        rounds[i] = 0;
}

static void critical(unsigned i)
{
    lock_take(&lock, slots[i]);
    if (inside++ != 0)
        abort();
    counter++;
    if (counter % 64 == 0)
        sched_yield(); /* be preempted while holding it */
    inside--;
    lock_release(&lock);
    rounds[i]++;
}

static void *count(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;

    my_slot = slots[i];
    for (unsigned long n = 0; n < per_thread; n++)
        critical(i);
    return NULL;
}

static void *hammer(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;

    my_slot = slots[i];
    while (!stop)
        critical(i);
    return NULL;
}

TEST(uncontended_makes_no_system_call)
{
    setup();
    for (unsigned i = 0; i < 1000; i++) {
        lock_take(&lock, 3);
        lock_release(&lock);
    }
    CHECK_EQ(parked + unparked, 0);
}

TEST(exclusion_and_no_lost_wake_up)
{
    pthread_t threads[THREADS];

    setup();
    per_thread = 20000;
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count, (void *)i);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(counter, THREADS * per_thread);
    CHECK_EQ(lock.word, LOCK_FREE);
    for (unsigned i = 0; i < ARRAY_SIZE(lock.waiters); i++)
        CHECK_EQ(lock.waiters[i] | lock.impatient[i], 0);
}

/* Every thread gets in again while each of the others hammers the lock: at least 20 times in the time of 200,000. */
TEST(nobody_starves)
{
    pthread_t threads[THREADS];

    setup();
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, hammer, (void *)i);
    for (unsigned i = 0; i < THREADS; i++)
        while (rounds[i] < 20)
            sched_yield();
    stop = true;
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(lock.word, LOCK_FREE);
}

/* Deterministic: waiters that lost twice are handed the lock in turn, past whoever would barge in. */
static struct lock order_lock = LOCK_INIT;
static unsigned order[4];
static atomic_uint order_count;

static void *wait_in_turn(void *arg)
{
    my_slot = (unsigned)(uintptr_t)arg;
    lock_take(&order_lock, my_slot);
    order[order_count++] = my_slot;
    lock_release(&order_lock);
    return NULL;
}

/* Until the slot's thread waits for a permit, or has had the lock. */
static void wait_until_asleep(unsigned slot)
{
    bool done = false;

    while (!done) {
        pthread_mutex_lock(&parks[slot].mutex);
        done = (parks[slot].sleeping && !parks[slot].permit) || order_count;
        pthread_mutex_unlock(&parks[slot].mutex);
        sched_yield();
    }
}

TEST(an_impatient_waiter_is_handed_the_lock)
{
    pthread_t thread;
    unsigned lost = 0;

    setup();
    order_count = 0;
    my_slot = 9;
    lock_take(&order_lock, 9);
    pthread_create(&thread, NULL, wait_in_turn, (void *)(uintptr_t)5);
    /* Release and take at once, again and again: without the hand-over the waiter could lose for ever. */
    while (lost < 1000000) {
        wait_until_asleep(5);
        lock_release(&order_lock);
        lock_take(&order_lock, 9);
        lost++;
        if (order_count)
            break;
    }
    CHECK(lost <= 4);
    lock_release(&order_lock);
    pthread_join(thread, NULL);
    CHECK_EQ(order[0], 5);
}

static struct abi_ring ring;

TEST(ring_in_order)
{
    struct ring_producer producer;
    struct ring_consumer consumer;
    uint8_t bytes[ABI_RING_SIZE + 1], next_in = 0, next_out = 0;
    uint64_t state = 7;
    bool waits;

    memset(&ring, 0, sizeof(ring));
    ring.head = ring.tail = 0xfffffff0; /* the indexes wrap */
    ring_producer_init(&producer, &ring);
    ring_consumer_init(&consumer, &ring);
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t n = (uint32_t)(test_random(&state) % sizeof(bytes)), space = ring_space(&producer);
        uint32_t used = ring_used(&consumer), done;

        CHECK_EQ(space + used, ABI_RING_SIZE);
        for (uint32_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)(next_in + k);
        done = ring_put(&producer, bytes, n, &waits);
        CHECK_EQ(done, MIN(n, space));
        CHECK_EQ(waits, used == 0 && done > 0);
        next_in = (uint8_t)(next_in + done);
        used = ring_used(&consumer);
        n = (uint32_t)(test_random(&state) % sizeof(bytes));
        done = ring_get(&consumer, bytes, n, &waits);
        CHECK_EQ(done, MIN(n, used));
        CHECK_EQ(waits, used == ABI_RING_SIZE && done > 0);
        for (uint32_t k = 0; k < done; k++)
            CHECK_EQ(bytes[k], next_out++);
    }
}

TEST(ring_distrusts_its_peer)
{
    struct ring_producer producer;
    struct ring_consumer consumer;
    uint8_t bytes[16] = {0};
    uint64_t state = 3;
    bool waits;

    memset(&ring, 0, sizeof(ring));
    ring_producer_init(&producer, &ring);
    ring_consumer_init(&consumer, &ring);
    ring.tail = 1; /* more taken than put: broken, so full */
    CHECK_EQ(ring_space(&producer), 0);
    CHECK_EQ(ring_put(&producer, bytes, 1, &waits), 0);
    ring.tail = 0;
    ring.head = ABI_RING_SIZE + 1; /* more put than fits: broken, so empty */
    CHECK_EQ(ring_used(&consumer), 0);
    CHECK_EQ(ring_get(&consumer, bytes, 1, &waits), 0);
    for (unsigned i = 0; i < 100000; i++) {
        ring.head = (uint32_t)test_random(&state) % (4 * ABI_RING_SIZE);
        ring.tail = (uint32_t)test_random(&state) % (4 * ABI_RING_SIZE);
        CHECK(ring_put(&producer, bytes, sizeof(bytes), &waits) <= sizeof(bytes));
        CHECK(ring_get(&consumer, bytes, sizeof(bytes), &waits) <= sizeof(bytes));
    }
    CHECK_EQ(producer.ring->data[0], 0);
}

static void *scribble(void *arg)
{
    uint64_t state = 5;

    (void)arg;
    while (!stop) {
        __atomic_store_n(&ring.head, (uint32_t)test_random(&state) % ABI_RING_SIZE, __ATOMIC_RELAXED);
        __atomic_store_n(&ring.tail, (uint32_t)test_random(&state) % ABI_RING_SIZE, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* An index that moves between two looks at it must not make more of a transfer than was asked for. */
TEST(ring_looks_at_its_peer_once)
{
    struct ring_producer producer;
    struct ring_consumer consumer;
    pthread_t thread;
    unsigned bad = 0;

    setup();
    memset(&ring, 0, sizeof(ring));
    pthread_create(&thread, NULL, scribble, NULL);
    for (unsigned i = 0; i < 1000000; i++) {
        uint8_t bytes[64];
        bool waits;

        producer = (struct ring_producer){&ring, ABI_RING_SIZE / 2};
        consumer = (struct ring_consumer){&ring, ABI_RING_SIZE / 2};
        memset(bytes, 0, sizeof(bytes));
        bad += ring_get(&consumer, bytes, sizeof(bytes), &waits) > sizeof(bytes);
        bad += ring_put(&producer, bytes, sizeof(bytes), &waits) > sizeof(bytes);
    }
    stop = true;
    pthread_join(thread, NULL);
    CHECK_EQ(bad, 0);
}

#define STREAM 2000000u

static void *produce(void *arg)
{
    struct ring_producer *producer = arg;
    uint32_t at = 0;

    my_slot = 1;
    while (at < STREAM) {
        uint8_t bytes[100];
        uint32_t n = MIN((uint32_t)sizeof(bytes), STREAM - at);
        bool waits;

        for (uint32_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)((at + i) * 7);
        n = ring_put(producer, bytes, n, &waits);
        at += n;
        if (waits)
            env_unpark(2);
        if (n == 0)
            env_park(NEVER);
    }
    return NULL;
}

/* Both sides sleep whenever they may: a lost wake-up would hang here. */
TEST(ring_between_threads_loses_no_wake_up)
{
    struct ring_producer producer;
    struct ring_consumer consumer;
    pthread_t thread;
    uint32_t at = 0, wrong = 0;

    setup();
    memset(&ring, 0, sizeof(ring));
    ring_producer_init(&producer, &ring);
    ring_consumer_init(&consumer, &ring);
    my_slot = 2;
    pthread_create(&thread, NULL, produce, &producer);
    while (at < STREAM) {
        uint8_t bytes[77];
        bool waits;
        uint32_t n = ring_get(&consumer, bytes, sizeof(bytes), &waits);

        for (uint32_t i = 0; i < n; i++)
            wrong += bytes[i] != (uint8_t)((at + i) * 7);
        at += n;
        if (waits)
            env_unpark(1);
        if (n == 0)
            env_park(NEVER);
    }
    pthread_join(thread, NULL);
    CHECK_EQ(wrong, 0);
}
