#include "kernel/memory/buddy.h"

#include "lib/string.h"

static uint64_t index_of(const struct buddy *b, const void *block)
{
    return (uint64_t)((const uint8_t *)block - b->base) / PAGE_SIZE;
}

static void put(struct buddy *b, uint64_t index, unsigned order)
{
    struct buddy_block *block = (struct buddy_block *)(b->base + index * PAGE_SIZE), *head = &b->heads[order];

    block->next = head->next;
    block->prev = head;
    head->next->prev = block;
    head->next = block;
    b->state[index] = (uint8_t)(order + 1);
}

static void take(struct buddy *b, struct buddy_block *block)
{
    block->prev->next = block->next;
    block->next->prev = block->prev;
    b->state[index_of(b, block)] = 0;
}

/* How many pages hold the state bytes. */
static uint64_t state_pages(const struct buddy *b)
{
    return ALIGN_UP(b->pages, PAGE_SIZE) / PAGE_SIZE;
}

/* No page of the block is free: the block does not lie in a free block, and no free block lies in it. */
static bool is_allocated(const struct buddy *b, uint64_t index, unsigned order)
{
    for (unsigned around = 0; around <= BUDDY_MAX_ORDER; around++)
        if (b->state[ALIGN_DOWN(index, 1ull << around)] > around)
            return false;

    for (uint64_t inside = index; inside < index + (1ull << order); inside++)
        if (b->state[inside] != 0)
            return false;

    return index >= state_pages(b);
}

void buddy_init(struct buddy *b, void *base, uint64_t size)
{
    b->base = base;
    b->pages = size / PAGE_SIZE;
    b->state = base;
    b->free = 0;

    for (unsigned order = 0; order <= BUDDY_MAX_ORDER; order++)
        b->heads[order].next = b->heads[order].prev = &b->heads[order];

    memset(b->state, 0, b->pages);

    uint64_t index = state_pages(b);
    b->free = b->pages - index;

    while (index < b->pages) {
        unsigned order = 0;
        while (order < BUDDY_MAX_ORDER && index % (2ull << order) == 0 && index + (2ull << order) <= b->pages)
            order++;

        put(b, index, order);
        index += 1ull << order;
    }
}

void *buddy_alloc(struct buddy *b, unsigned order)
{
    unsigned have = order;

    while (have <= BUDDY_MAX_ORDER && b->heads[have].next == &b->heads[have])
        have++;

    if (have > BUDDY_MAX_ORDER)
        return NULL;

    struct buddy_block *block = b->heads[have].next;
    take(b, block);

    while (have > order) {
        have--;
        put(b, index_of(b, block) + (1ull << have), have);
    }

    b->free -= 1ull << order;
    return block;
}

bool buddy_free(struct buddy *b, void *block, unsigned order)
{
    uint64_t index = index_of(b, block);

    if ((uint8_t *)block < b->base || order > BUDDY_MAX_ORDER || index + (1ull << order) > b->pages ||
        index % (1ull << order) != 0 || (uint64_t)block % PAGE_SIZE != 0 || !is_allocated(b, index, order))
        return false;

    b->free += 1ull << order;
    for (; order < BUDDY_MAX_ORDER; order++) {
        uint64_t buddy = index ^ (1ull << order);
        if (buddy + (1ull << order) > b->pages || b->state[buddy] != order + 1)
            break;

        take(b, (struct buddy_block *)(b->base + buddy * PAGE_SIZE));
        index &= ~(1ull << order);
    }

    put(b, index, order);
    return true;
}
