#include "lib/timerq.h"

void timerq_insert(struct timerq *queue, struct timer_node *timer, uint64_t deadline)
{
    timerq_remove(queue, timer);
    timer->deadline = deadline;
    /* All keys must lie in one half of the range (rbtree.h). 2^63 ticks of any TSC are more than 30 years. */
    timer->node.key = MIN(deadline, (uint64_t)INT64_MAX);
    timer->queued = true;
    rb_insert(&queue->tree, &timer->node);
}

bool timerq_remove(struct timerq *queue, struct timer_node *timer)
{
    if (!timer->queued)
        return false;
    rb_erase(&queue->tree, &timer->node);
    timer->queued = false;
    return true;
}

struct timer_node *timerq_first(const struct timerq *queue)
{
    struct rb_node *first = rb_first(&queue->tree);

    return first ? CONTAINER_OF(first, struct timer_node, node) : NULL;
}

struct timer_node *timerq_pop_expired(struct timerq *queue, uint64_t now)
{
    struct timer_node *first = timerq_first(queue);

    if (!first || first->node.key > now)
        return NULL;
    timerq_remove(queue, first);
    return first;
}
