/*
 * The console rings of abi/abi.h: one producer, one consumer, which do not trust each other. Each side keeps its own
 * index in private memory, so the peer can only spoil its own: a broken peer makes a ring look full or empty.
 *
 * A side that is told peer_waits must wake its peer (SYS_NOTIFY or SYS_VM_NOTIFY) or the peer may sleep for ever. A
 * side may sleep for the ring only when its last ring_get or ring_put returned 0: less than it wanted is not enough,
 * for the peer may have moved between the look at its index and the publication of the own one.
 */
#ifndef USER_LIB_RING_H
#define USER_LIB_RING_H

#include "abi/abi.h"

struct ring_producer {
    struct abi_ring *ring;
    uint32_t head;
};

struct ring_consumer {
    struct abi_ring *ring;
    uint32_t tail;
};

/* Take over an end of a ring that is zero or that its former owner left in order. */
void ring_producer_init(struct ring_producer *producer, struct abi_ring *ring);
void ring_consumer_init(struct ring_consumer *consumer, struct abi_ring *ring);

/* How many bytes ring_put would take now: 0..ABI_RING_SIZE. */
uint32_t ring_space(const struct ring_producer *producer);

/* How many bytes ring_get would give now: 0..ABI_RING_SIZE. */
static inline uint32_t ring_used(const struct ring_consumer *consumer)
{
    /* acquire: pairs with the producer's store of head in ring_put */
    uint32_t used = __atomic_load_n(&consumer->ring->head, __ATOMIC_ACQUIRE) - consumer->tail;

    return used <= ABI_RING_SIZE ? used : 0;
}

/* Is there surely nothing for ring_get? */
static inline bool ring_is_empty(const struct ring_consumer *consumer)
{
    return __atomic_load_n(&consumer->ring->head, __ATOMIC_RELAXED) == consumer->tail;
}

/* Put up to n bytes: how many fitted. *peer_waits: the ring was empty before, so the consumer may be asleep. */
uint32_t ring_put(struct ring_producer *producer, const uint8_t *bytes, uint32_t n, bool *peer_waits);

/* Take up to max bytes: how many there were. *peer_waits: the ring was full before, so the producer may be asleep. */
uint32_t ring_get(struct ring_consumer *consumer, uint8_t *bytes, uint32_t max, bool *peer_waits);

#endif
