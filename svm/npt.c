/* Nested page tables (APM Vol. 2, 15.25): ordinary long-mode tables whose every access is a user access. */
#include "svm/svm.h"

#include "kernel/mem.h"

enum { P = 1, W = 2, U = 4, PS = 128, ENTRIES = 512 };
#define ADDRESS_MASK 0x000ffffffffff000ull

static uint64_t *entry_of(uint64_t *table, uint64_t guest, unsigned level)
{
    for (unsigned l = 3; l > level; l--) {
        uint64_t *e = &table[guest >> (PAGE_SHIFT + 9 * l) & (ENTRIES - 1)];
        if (!(*e & P)) {
            uint64_t *below = page_alloc(0);
            if (!below)
                return NULL;
            *e = page_to_pa(below).v | P | W | U;
        }
        table = pa_to_page(pa(*e & ADDRESS_MASK));
    }
    return &table[guest >> (PAGE_SHIFT + 9 * level) & (ENTRIES - 1)];
}

int svm_map(struct vm *vm, gpaddr_t guest, paddr_t to, uint64_t size)
{
    const struct svm_vm *s = vm->backend;
    bool huge = cpuid(0x80000001, 0).edx >> 26 & 1;
    for (uint64_t done = 0; done < size;) {
        uint64_t both = (guest.v + done) | (to.v + done), left = size - done;
        unsigned level = huge && both % HUGE_PAGE_SIZE == 0 && left >= HUGE_PAGE_SIZE ? 2
                         : both % LARGE_PAGE_SIZE == 0 && left >= LARGE_PAGE_SIZE     ? 1
                                                                                      : 0;
        uint64_t *e = entry_of(s->npt, guest.v + done, level);
        if (!e)
            return E_NOMEM; /* vm_destroy frees what is there */
        *e = (to.v + done) | P | W | U | (level ? PS : 0);
        done += PAGE_SIZE << 9 * level;
    }
    return OK;
}

static void destroy(uint64_t *table, unsigned level)
{
    for (unsigned i = 0; level > 0 && i < ENTRIES; i++)
        if ((table[i] & P) && !(table[i] & PS))
            destroy(pa_to_page(pa(table[i] & ADDRESS_MASK)), level - 1);
    page_free(table, 0);
}

void svm_npt_destroy(uint64_t *npt)
{
    if (npt)
        destroy(npt, 3);
}
