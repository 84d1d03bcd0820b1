/*
 * Kernel stacks. When a stack has been freed, its addresses are used again for other pages, and a CPU that ran on the
 * old stack may still have the old pages in its TLB. Only the running thread touches a stack. So it is enough that each
 * CPU flushes its TLB before it switches to a stack that was mapped after its last flush. `epoch` counts the mappings:
 * a CPU compares it with its own copy, and no CPU has to be interrupted.
 */
#include "kernel/base/asm.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/base/spinlock.h"
#include "kernel/memory/paging.h"

#define KSTACK_STRIDE (2 * KSTACK_SIZE) /* the lower half of each is never mapped */
#define KSTACK_ORDER  2
#define KSTACK_SLOTS  32768u

static struct spinlock lock;
static uint64_t used[KSTACK_SLOTS / 64];
static void *pages_of[KSTACK_SLOTS];
static _Atomic uint64_t epoch;

static int take_slot(void)
{
    for (uint32_t i = 0; i < ARRAY_SIZE(used); i++)
        if (~used[i]) {
            int bit = __builtin_ctzll(~used[i]);
            used[i] |= BIT(bit);
            return (int)(i * 64) + bit;
        }
    return E_NOMEM;
}

static uint64_t bottom_of(int slot)
{
    return KSTACKS_BASE + (uint64_t)slot * KSTACK_STRIDE + KSTACK_SIZE;
}

uint64_t kstack_alloc(void)
{
    void *pages = page_alloc(KSTACK_ORDER);
    if (!pages)
        return 0;

    spin_lock(&lock);
    int slot = take_slot();
    bool mapped = slot >= 0 && pt_map(NULL, bottom_of(slot), page_to_pa(pages), KSTACK_SIZE, PT_WRITE) == OK;
    if (mapped)
        pages_of[slot] = pages;
    else if (slot >= 0)
        used[slot / 64] &= ~BIT(slot % 64);
    epoch++;
    spin_unlock(&lock);

    if (mapped)
        return bottom_of(slot) + KSTACK_SIZE;
    page_free(pages, KSTACK_ORDER);
    return 0;
}

void kstack_free(uint64_t top)
{
    if (!top)
        return;

    uint64_t slot = (top - KSTACKS_BASE - 1) / KSTACK_STRIDE;

    spin_lock(&lock);
    ASSERT(slot < KSTACK_SLOTS && pages_of[slot]);
    pt_unmap(NULL, top - KSTACK_SIZE, KSTACK_SIZE);
    void *pages = pages_of[slot];
    pages_of[slot] = NULL;
    used[slot / 64] &= ~BIT(slot % 64);
    spin_unlock(&lock);

    page_free(pages, KSTACK_ORDER);
}

void kstack_sync(void)
{
    enum { CR4_PGE = 1 << 7 };
    uint64_t now = epoch;

    if (this_cpu()->kstack_epoch == now)
        return;
    this_cpu()->kstack_epoch = now;

    uint64_t cr4 = read_cr4();
    write_cr4(cr4 & ~(uint64_t)CR4_PGE);
    write_cr4(cr4);
}
