/* lib/timerq.c against a plain list. */
// links: lib/rbtree.c lib/timerq.c
#include "lib/timerq.h"

#include "tests/unit/test.h"

#define TIMERS 100

struct model_timer {
    struct timer_node timer;
    bool queued;
    uint64_t deadline;
    uint64_t order; /* of insertion */
};

static struct model_timer timers[TIMERS];

static struct timer_node *model_first(void)
{
    struct model_timer *best = NULL;

    for (int i = 0; i < TIMERS; i++) {
        struct model_timer *t = &timers[i];

        if (t->queued &&
            (!best || t->deadline < best->deadline || (t->deadline == best->deadline && t->order < best->order)))
            best = t;
    }
    return best ? &best->timer : NULL;
}

TEST(like_a_list)
{
    struct timerq queue = {0};
    uint64_t seed = 1, now = 0;

    memset(timers, 0, sizeof(timers));
    for (uint64_t round = 0; round < 100000; round++) {
        struct model_timer *t = &timers[test_random(&seed) % TIMERS];

        switch (test_random(&seed) % 4) {
        case 0:
        case 1: /* also of one that is queued: it moves */
            t->deadline = now + test_random(&seed) % 100;
            t->queued = true;
            t->order = round;
            timerq_insert(&queue, &t->timer, t->deadline);
            break;
        case 2:
            CHECK_EQ(timerq_remove(&queue, &t->timer), t->queued);
            t->queued = false;
            break;
        default:
            now += test_random(&seed) % 10;
            for (;;) {
                struct timer_node *expected = model_first(), *popped;

                if (expected && expected->deadline > now)
                    expected = NULL;
                popped = timerq_pop_expired(&queue, now);
                CHECK(popped == expected);
                if (!popped || popped != expected)
                    break;
                CONTAINER_OF(popped, struct model_timer, timer)->queued = false;
            }
        }
        CHECK_EQ(t->timer.queued, t->queued);
        CHECK(timerq_first(&queue) == model_first());
    }
}

TEST(expires_at_the_deadline_and_not_before)
{
    struct timerq queue = {0};
    struct timer_node timer = {0};

    CHECK(timerq_first(&queue) == NULL);
    CHECK(timerq_pop_expired(&queue, 1000) == NULL);
    timerq_insert(&queue, &timer, 1000);
    CHECK(timerq_pop_expired(&queue, 999) == NULL);
    CHECK(timer.queued);
    CHECK(timerq_pop_expired(&queue, 1000) == &timer);
    CHECK(!timer.queued);
    CHECK(timerq_pop_expired(&queue, 1000) == NULL);
}

/* Deadlines come from guests and worlds: any value may come. */
TEST(deadlines_in_the_far_future_are_not_the_past)
{
    static const uint64_t never[] = {UINT64_MAX, 1ull << 63, (1ull << 63) + 5, INT64_MAX};
    struct timer_node late[ARRAY_SIZE(never)] = {0}, soon = {0}, zero = {0};
    struct timerq queue = {0};

    for (size_t i = 0; i < ARRAY_SIZE(never); i++)
        timerq_insert(&queue, &late[i], never[i]);
    timerq_insert(&queue, &soon, 5000);
    timerq_insert(&queue, &zero, 0);
    CHECK(timerq_pop_expired(&queue, 5000) == &zero);
    CHECK(timerq_pop_expired(&queue, 5000) == &soon);
    CHECK(timerq_pop_expired(&queue, INT64_MAX - 1) == NULL);
    for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
        CHECK_EQ(late[i].deadline, never[i]);
        CHECK(timerq_first(&queue) == &late[i]);
        CHECK(timerq_remove(&queue, &late[i]));
    }
    CHECK(timerq_first(&queue) == NULL);
}
