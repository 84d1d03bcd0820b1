/*
 * The walk through guest page tables: SDM Vol. 3, 4.3 (32-bit), 4.4 (PAE), 4.5 (4- and 5-level), 4.6 (rights), 4.7
 * (error codes), 4.8 (accessed and dirty); APM Vol. 2, 5.3 and 5.4.
 */
#include "abi/err.h"
#include "user/emul/emul.h"
#include "user/emul/x86.h"

#define PTE_P  BIT(0)
#define PTE_W  BIT(1)
#define PTE_U  BIT(2)
#define PTE_A  BIT(5)
#define PTE_D  BIT(6)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)

#define MAX_LEVELS 5
/* Compare-and-swaps that may lose against other CPUs before the walk gives up. */
#define MAX_TRIES 16

struct walk {
    const struct emul_ops *ops;
    void *ctx;
    const struct abi_regs *regs;
    uint64_t linear;
    uint32_t access;
    bool wide; /* 8-byte entries */
    bool pae;  /* PAE paging proper: 3 levels */
    unsigned depth;
    struct {
        void *host; /* the entry in RAM; NULL: outside RAM */
        uint64_t value;
    } entries[MAX_LEVELS]; /* from the root to the leaf */
};

static uint32_t fault_bits(const struct walk *w)
{
    const struct abi_regs *regs = w->regs;
    bool tells_fetch = (regs->cr4 & CR4_SMEP) || ((regs->cr4 & CR4_PAE) && (regs->efer & EFER_NXE));

    return (w->access & WALK_WRITE ? PF_WRITE : 0) | (w->access & WALK_USER ? PF_USER : 0) |
           ((w->access & WALK_FETCH) && tells_fetch ? PF_FETCH : 0);
}

static void read_entry(struct walk *w, uint64_t address)
{
    char *page = w->ops->ram(w->ctx, address);
    void *host = page ? page + (address & (PAGE_SIZE - 1)) : NULL;
    uint64_t value = w->wide ? ~0ull : 0xffffffffull;

    if (host && w->wide)
        value = __atomic_load_n((uint64_t *)host, __ATOMIC_RELAXED);
    else if (host)
        value = __atomic_load_n((uint32_t *)host, __ATOMIC_RELAXED);
    w->entries[w->depth].host = host;
    w->entries[w->depth].value = value;
    w->depth++;
}

/* Does level (1 is the page table) end the walk with a large page? */
static bool is_large(const struct walk *w, unsigned level, uint64_t entry)
{
    if (!(entry & PTE_PS))
        return false;
    if (level == 2)
        return w->wide || (w->regs->cr4 & CR4_PSE);
    return level == 3 && w->wide && !w->pae;
}

/* The bits that must be zero in a present entry. */
static uint64_t reserved_bits(const struct walk *w, unsigned level, bool large, unsigned shift)
{
    uint64_t beyond = ~(BIT(w->ops->maxphyaddr_bits) - 1); /* physical-address bits that the CPU does not have */
    uint64_t reserved;

    if (!w->wide) {
        if (!large)
            return 0;
        /* PSE-36: bits 13-20 are address bits 32-39 (SDM Vol. 3, table 4-4). */
        return BIT(21) | (((beyond >> 32) & 0xff) << 13);
    }
    /* PDPTE: table 4-8. But for bit 5: the CPU has looked at it when CR3 was loaded, and QEMU's sets it as accessed. */
    if (w->pae && level == 3)
        return beyond | 0x1c6;

    reserved = beyond & (w->pae ? ~PTE_NX : BIT(52) - 1);
    if (!(w->regs->efer & EFER_NXE))
        reserved |= PTE_NX;
    if (large) /* bit 12 is PAT */
        reserved |= (BIT(shift) - 1) & ~(BIT(13) - 1);
    else if (level > 3)
        reserved |= PTE_PS;
    return reserved;
}

static bool is_allowed(const struct abi_regs *regs, uint32_t access, uint64_t rights, bool nx)
{
    bool user_page = rights & PTE_U, fetch = access & WALK_FETCH;

    if (fetch && nx)
        return false;
    if (access & WALK_USER)
        return user_page && (!(access & WALK_WRITE) || (rights & PTE_W));
    if (user_page && fetch && (regs->cr4 & CR4_SMEP))
        return false;
    if (user_page && !fetch && (regs->cr4 & CR4_SMAP) && ((access & WALK_IMPLICIT) || !(regs->rflags & RFLAGS_AC)))
        return false;
    return !(access & WALK_WRITE) || (rights & PTE_W) || !(regs->cr0 & CR0_WP);
}

/* Set bits in an entry that is still what was read. False: it is not. */
static bool update_entry(const struct walk *w, unsigned n, uint64_t bits)
{
    uint64_t old = w->entries[n].value;
    uint32_t old32 = (uint32_t)old;
    void *host = w->entries[n].host;

    if (!host || (old & bits) == bits)
        return true;
    if (w->wide)
        return __atomic_compare_exchange_n((uint64_t *)host, &old, old | bits, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_RELAXED);
    return __atomic_compare_exchange_n((uint32_t *)host, &old32, old32 | (uint32_t)bits, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

/* PDPTEs of PAE paging have neither an accessed bit nor rights. */
static bool update_entries(const struct walk *w)
{
    for (unsigned n = w->pae ? 1 : 0; n < w->depth; n++) {
        bool dirty = n + 1 == w->depth && (w->access & WALK_WRITE);

        if (!update_entry(w, n, dirty ? PTE_A | PTE_D : PTE_A))
            return false;
    }
    return true;
}

static uint64_t leaf_address(const struct walk *w, uint64_t entry, bool large, unsigned shift)
{
    uint64_t offset = w->linear & (BIT(shift) - 1);

    if (!w->wide && large)
        return (entry & 0xffc00000) | ((entry >> 13) & 0xff) << 32 | offset;
    return (entry & (BIT(52) - 1) & ~(BIT(shift) - 1)) | offset;
}

static int walk_once(struct walk *w, unsigned levels, uint64_t *gpa, uint32_t *error_code)
{
    unsigned index_bits = w->wide ? 9 : 10, entry_bits = w->wide ? 3 : 2;
    uint64_t rights = PTE_W | PTE_U, table, entry;
    unsigned level, shift;
    bool nx = false, large;

    w->depth = 0;
    if (w->pae)
        table = w->regs->cr3 & 0xffffffe0;
    else
        table = w->regs->cr3 & (w->wide ? (BIT(w->ops->maxphyaddr_bits) - 1) & ~(PAGE_SIZE - 1) : 0xfffff000);

    for (level = levels;; level--) {
        shift = PAGE_SHIFT + index_bits * (level - 1);
        read_entry(w, table + (((w->linear >> shift) & (BIT(index_bits) - 1)) << entry_bits));
        entry = w->entries[w->depth - 1].value;
        large = is_large(w, level, entry);
        if (!(entry & PTE_P)) {
            *error_code = fault_bits(w);
            return E_FAULT;
        }
        if (entry & reserved_bits(w, level, large, shift)) {
            *error_code = fault_bits(w) | PF_PRESENT | PF_RESERVED;
            return E_FAULT;
        }
        if (!(w->pae && level == 3)) {
            rights &= entry;
            nx |= w->wide && (entry & PTE_NX);
        }
        if (large || level == 1)
            break;
        table = entry & (BIT(52) - 1) & ~(PAGE_SIZE - 1);
    }
    if (!is_allowed(w->regs, w->access, rights, nx)) {
        *error_code = fault_bits(w) | PF_PRESENT;
        return E_FAULT;
    }
    if (!update_entries(w))
        return E_AGAIN;
    *gpa = leaf_address(w, entry, large, shift);
    return OK;
}

/*
 * The usual walk: 4 or 5 levels, and nothing to report or to set. False: it is not that, or something else about it is
 * for walk_once() to look at. The way through an entry that is not good is not harmful: what counts is what all of them
 * have.
 */
static bool walk_quickly(const struct emul_ops *ops, void *ctx, const struct abi_regs *regs, uint64_t linear,
                         uint32_t access, uint64_t *gpa)
{
    uint64_t address = (BIT(ops->maxphyaddr_bits) - 1) & ~(PAGE_SIZE - 1);
    uint64_t reserved = ((BIT(52) - 1) & ~(BIT(ops->maxphyaddr_bits) - 1)) | (regs->efer & EFER_NXE ? 0 : PTE_NX);
    uint64_t all = ~0ull, any = 0, entry = regs->cr3;
    unsigned shift = regs->cr4 & CR4_LA57 ? 57 : 48;

    do {
        char *page = ops->ram(ctx, entry & address);

        if (!page)
            return false;
        shift -= 9;
        entry = __atomic_load_n((uint64_t *)(void *)page + (linear >> shift) % 512, __ATOMIC_RELAXED);
        all &= entry;
        any |= entry;
    } while (shift > PAGE_SHIFT && !(entry & PTE_PS));

    if (!(all & PTE_P) || !(all & PTE_A) || ((access & WALK_WRITE) && !(entry & PTE_D)) || (any & reserved))
        return false;
    if (shift > PAGE_SHIFT && (shift > 30 || (entry & (BIT(shift) - 1) & ~(BIT(13) - 1)))) /* a large page; 12 is PAT */
        return false;
    if (!is_allowed(regs, access, all, any & PTE_NX))
        return false;
    *gpa = (entry & address & ~(BIT(shift) - 1)) | (linear & (BIT(shift) - 1));
    return true;
}

int emul_walk(const struct emul_ops *ops, void *ctx, const struct abi_regs *regs, uint64_t linear, uint32_t access,
              uint64_t *gpa, uint32_t *error_code)
{
    struct walk w;
    unsigned levels = 2;
    int result = E_AGAIN;

    if (!(regs->cr0 & CR0_PG)) {
        *gpa = (uint32_t)linear;
        return OK;
    }
    if ((regs->efer & EFER_LMA) && walk_quickly(ops, ctx, regs, linear, access, gpa))
        return OK;
    w.ops = ops;
    w.ctx = ctx;
    w.regs = regs;
    w.linear = regs->efer & EFER_LMA ? linear : (uint32_t)linear;
    w.access = access;
    if (regs->efer & EFER_LMA)
        levels = regs->cr4 & CR4_LA57 ? 5 : 4;
    else if (regs->cr4 & CR4_PAE)
        levels = 3;
    w.wide = levels > 2;
    w.pae = levels == 3;
    for (unsigned i = 0; i < MAX_TRIES && result == E_AGAIN; i++)
        result = walk_once(&w, levels, gpa, error_code);
    return result;
}
