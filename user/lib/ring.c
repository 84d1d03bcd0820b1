#include "user/lib/ring.h"

/*
 * Sleep and wake is Dekker's: each side publishes its index, then looks at the peer's, with a full fence between. So
 * either the side that goes to sleep sees the peer's last move, or the peer sees that the ring was empty (full).
 */

void ring_producer_init(struct ring_producer *producer, struct abi_ring *ring)
{
    producer->ring = ring;
    producer->head = __atomic_load_n(&ring->head, __ATOMIC_RELAXED);
}

void ring_consumer_init(struct ring_consumer *consumer, struct abi_ring *ring)
{
    consumer->ring = ring;
    consumer->tail = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
}

uint32_t ring_space(const struct ring_producer *producer)
{
    /* acquire: the consumer has read what it gives back; pairs with its store of tail in ring_get */
    uint32_t used = producer->head - __atomic_load_n(&producer->ring->tail, __ATOMIC_ACQUIRE);

    return used <= ABI_RING_SIZE ? ABI_RING_SIZE - used : 0;
}

uint32_t ring_put(struct ring_producer *producer, const uint8_t *bytes, uint32_t n, bool *peer_waits)
{
    struct abi_ring *ring = producer->ring;
    uint32_t before = producer->head, space = ring_space(producer);

    n = MIN(n, space); /* of one look: the peer may move its index at any time */
    *peer_waits = false;
    if (n == 0)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        ring->data[(before + i) % ABI_RING_SIZE] = bytes[i];
    producer->head = before + n;
    __atomic_store_n(&ring->head, producer->head, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *peer_waits = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED) == before;
    return n;
}

uint32_t ring_get(struct ring_consumer *consumer, uint8_t *bytes, uint32_t max, bool *peer_waits)
{
    struct abi_ring *ring = consumer->ring;
    uint32_t before = consumer->tail, used = ring_used(consumer);
    uint32_t n = MIN(max, used); /* of one look, as above */

    *peer_waits = false;
    if (n == 0)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = ring->data[(before + i) % ABI_RING_SIZE];
    consumer->tail = before + n;
    __atomic_store_n(&ring->tail, consumer->tail, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *peer_waits = __atomic_load_n(&ring->head, __ATOMIC_RELAXED) - before == ABI_RING_SIZE;
    return n;
}
