#include "kernel/memory/nested.h"

enum { PRESENT = 1, PAGE_SIZE_BIT = 128, ENTRIES = 512, TOP_LEVEL = 3 };
#define ADDRESS_MASK 0x000ffffffffff000ull

static uint64_t *entry_of(uint64_t *table, const struct nested_format *f, uint64_t guest, unsigned level)
{
    for (unsigned l = TOP_LEVEL; l > level; l--) {
        uint64_t *e = &table[guest >> (PAGE_SHIFT + 9 * l) & (ENTRIES - 1)];
        if (!(*e & PRESENT)) {
            uint64_t *below = page_alloc(0);
            if (!below)
                return NULL;
            *e = page_to_pa(below).v | f->table;
        }
        table = pa_to_page(pa(*e & ADDRESS_MASK));
    }

    return &table[guest >> (PAGE_SHIFT + 9 * level) & (ENTRIES - 1)];
}

static unsigned level_for(const struct nested_format *f, uint64_t alignment, uint64_t left)
{
    if (f->huge && alignment % HUGE_PAGE_SIZE == 0 && left >= HUGE_PAGE_SIZE)
        return 2;
    return f->large && alignment % LARGE_PAGE_SIZE == 0 && left >= LARGE_PAGE_SIZE;
}

int nested_map(uint64_t *top, const struct nested_format *f, gpaddr_t guest, paddr_t to, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        unsigned level = level_for(f, (guest.v + done) | (to.v + done), size - done);

        uint64_t *e = entry_of(top, f, guest.v + done, level);
        if (!e)
            return E_NOMEM;
        *e = (to.v + done) | f->leaf | (level ? PAGE_SIZE_BIT : 0);

        done += PAGE_SIZE << 9 * level;
    }
    return OK;
}

static void destroy(uint64_t *table, unsigned level)
{
    for (unsigned i = 0; level > 0 && i < ENTRIES; i++)
        if ((table[i] & PRESENT) && !(table[i] & PAGE_SIZE_BIT))
            destroy(pa_to_page(pa(table[i] & ADDRESS_MASK)), level - 1);
    page_free(table, 0);
}

void nested_destroy(uint64_t *top)
{
    if (top)
        destroy(top, TOP_LEVEL);
}
