/* Guest memory as an instruction sees it: segmentation, canonical addresses, alignment, paging, RAM and MMIO. */
#include "abi/err.h"
#include "lib/string.h"
#include "user/emul/watch.h"

#define TYPE_CODE        0x8u
#define TYPE_EXPAND_DOWN 0x4u /* data */
#define TYPE_WRITABLE    0x2u /* data */
#define TYPE_READABLE    0x2u /* code */

static enum emul_status segment_fault(struct emul *e, unsigned segment)
{
    return emul_fault(e, segment == ABI_SS ? VECTOR_SS : VECTOR_GP);
}

bool memory_is_canonical(const struct abi_regs *regs, uint64_t linear)
{
    unsigned shift = regs->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

    return (uint64_t)((int64_t)(linear << shift) >> shift) == linear;
}

/* SDM Vol. 3, 5.3 and 5.5; expand-down: 5.3. first <= last. */
static bool is_within_limit(const struct abi_segment *seg, uint64_t first, uint64_t last)
{
    bool expand_down = (seg->attr & (TYPE_CODE | TYPE_EXPAND_DOWN)) == TYPE_EXPAND_DOWN;

    if (expand_down)
        return first > seg->limit && last <= (seg->attr & ABI_SEG_DB ? 0xffffffffull : 0xffffull);
    return last <= seg->limit;
}

static bool is_segment_good(const struct abi_regs *regs, const struct abi_segment *seg, uint32_t access)
{
    if (!(regs->cr0 & CR0_PE) || (regs->rflags & RFLAGS_VM))
        return true; /* only the limit counts */
    if (!(seg->attr & ABI_SEG_P) || !(seg->attr & ABI_SEG_S))
        return false;
    if (seg->attr & TYPE_CODE)
        return !(access & WALK_WRITE) && (seg->attr & TYPE_READABLE);
    return !(access & WALK_WRITE) || (seg->attr & TYPE_WRITABLE);
}

static enum emul_status to_linear(struct emul *e, unsigned segment, uint64_t offset, unsigned size, uint32_t access,
                                  uint64_t *linear)
{
    const struct abi_segment *seg = &e->regs->seg[segment];
    uint64_t last = offset + size - 1;

    if (in_64_bit_mode(e)) {
        uint64_t base = segment >= ABI_FS ? seg->base : 0;

        *linear = base + offset;
        if (!memory_is_canonical(e->regs, *linear) || !memory_is_canonical(e->regs, base + last))
            return segment_fault(e, segment);
        return EMUL_DONE;
    }
    if (!is_segment_good(e->regs, seg, access) || !is_within_limit(seg, offset, last))
        return segment_fault(e, segment);
    *linear = (uint32_t)(seg->base + offset);
    return EMUL_DONE;
}

/*
 * A linear address wraps at 4 GiB outside 64-bit mode: its last byte may lie in page 0. (What lies above 4 GiB there is
 * the TSS of a compatibility-mode program.)
 */
static uint64_t next_page(const struct emul *e, uint64_t linear)
{
    uint64_t next = ALIGN_DOWN(linear, PAGE_SIZE) + PAGE_SIZE;

    return in_64_bit_mode(e) || linear > 0xffffffff ? next : (uint32_t)next;
}

static inline enum emul_status translate_piece(struct emul *e, uint64_t linear, uint32_t access, uint64_t *gpa)
{
    uint32_t error_code = 0;

    switch (emul_walk(e->ops, e->ctx, e->regs, linear, access, gpa, &error_code)) {
    case OK:
        return EMUL_DONE;
    case E_FAULT:
        return emul_page_fault(e, linear, error_code);
    default:
        return EMUL_AGAIN;
    }
}

enum emul_status memory_translate_linear(struct emul *e, uint64_t linear, unsigned size, uint32_t access,
                                         struct place *place)
{
    unsigned room = (unsigned)(PAGE_SIZE - (linear & (PAGE_SIZE - 1)));
    enum emul_status status = translate_piece(e, linear, access, &place->gpa[0]);

    place->size[0] = MIN(size, room);
    place->size[1] = size - place->size[0];
    if (status == EMUL_DONE && place->size[1])
        status = translate_piece(e, next_page(e, linear), access, &place->gpa[1]);
    return status;
}

/* What #AC asks of an operand (SDM Vol. 3, table 7-7); longer ones are of vectors, and have rules of their own. */
static unsigned alignment_of(unsigned size)
{
    if (size == 6)
        return 4; /* a far pointer, a limit and a base */
    if (size == 10)
        return 8;
    return size > 8 ? 1 : size;
}

enum emul_status memory_translate(struct emul *e, unsigned segment, uint64_t offset, unsigned size, uint32_t access,
                                  struct place *place)
{
    const struct abi_regs *regs = e->regs;
    bool user = regs->cpl == 3;
    uint64_t linear = 0;
    enum emul_status status = to_linear(e, segment, offset, size, access, &linear);

    if (status != EMUL_DONE)
        return status;
    if (user && (regs->cr0 & CR0_AM) && (regs->rflags & RFLAGS_AC) && (linear & (alignment_of(size) - 1)))
        return emul_fault(e, VECTOR_AC);
    if (watch_is_on(e))
        watch_memory(e, linear, size, access & WALK_WRITE);
    if (e->knows_gpa && !(access & WALK_WRITE) && ((linear ^ e->known_gpa) & (PAGE_SIZE - 1)) == 0 &&
        (linear & (PAGE_SIZE - 1)) + size <= PAGE_SIZE) {
        place->gpa[0] = e->known_gpa;
        place->size[0] = size;
        place->size[1] = 0;
        return EMUL_DONE;
    }
    return memory_translate_linear(e, linear, size, access | (user ? WALK_USER : 0), place);
}

struct place place_part(const struct place *whole, unsigned offset, unsigned size)
{
    struct place part = {.gpa = {whole->gpa[0] + offset}, .size = {size}};

    if (offset >= whole->size[0]) {
        part.gpa[0] = whole->gpa[1] + offset - whole->size[0];
    } else if (offset + size > whole->size[0]) {
        part.size[0] = whole->size[0] - offset;
        part.size[1] = size - part.size[0];
        part.gpa[1] = whole->gpa[1];
    }
    return part;
}

static void *ram_at(struct emul *e, uint64_t gpa)
{
    char *page = e->ops->ram(e->ctx, gpa);

    return page ? page + (gpa & (PAGE_SIZE - 1)) : NULL;
}

/*
 * RAM is read and written with one access where the CPU would: other CPUs run on it. memcpy of a constant power of two
 * is that (and takes any alignment).
 */
static void copy(void *to, const void *from, unsigned size)
{
    switch (size) {
    case 2:
        memcpy(to, from, 2);
        break;
    case 4:
        memcpy(to, from, 4);
        break;
    case 8:
        memcpy(to, from, 8);
        break;
    default:
        memcpy(to, from, size);
        break;
    }
}

static uint64_t load_piece(struct emul *e, uint64_t gpa, unsigned size)
{
    void *host = ram_at(e, gpa);
    uint64_t piece = 0;

    if (host)
        copy(&piece, host, size);
    else if (e->ops->phys_read(e->ctx, gpa, &piece, size) < 0)
        piece = alu_mask(size);
    return piece;
}

uint64_t memory_load(struct emul *e, const struct place *place)
{
    uint64_t value = load_piece(e, place->gpa[0], place->size[0]);

    if (place->size[1])
        value |= load_piece(e, place->gpa[1], place->size[1]) << 8 * (place->size[0] & 7);
    return value;
}

void memory_store(struct emul *e, const struct place *place, uint64_t value)
{
    for (unsigned i = 0; i < 2 && place->size[i]; i++) {
        void *host = ram_at(e, place->gpa[i]);

        if (host)
            copy(host, &value, place->size[i]);
        else
            e->ops->phys_write(e->ctx, place->gpa[i], &value, place->size[i]);
        value >>= 8 * (place->size[i] & 7);
    }
}

bool memory_exchange_16(struct emul *e, const struct place *place, const uint64_t old[2], const uint64_t value[2])
{
    struct place low = place_part(place, 0, 8), high = place_part(place, 8, 8);
    void *host = ram_at(e, place->gpa[0]);
    uint64_t seen[2] = {old[0], old[1]};
    bool same;

    if (!host) {
        memory_store(e, &low, value[0]);
        memory_store(e, &high, value[1]);
        return true;
    }
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(same), "+m"(*(char(*)[16])host), "+a"(seen[0]), "+d"(seen[1])
                     : "b"(value[0]), "c"(value[1])
                     : "memory");
    return same;
}

bool memory_exchange(struct emul *e, const struct place *place, uint64_t old, uint64_t value)
{
    unsigned in_word = place->gpa[0] & 7, shift = 8 * in_word;
    char *host = ram_at(e, place->gpa[0]);
    uint64_t mask = alu_mask(place->size[0]) << shift;
    uint64_t *word, whole;

    if (!host || place->size[1] || in_word + place->size[0] > 8) {
        memory_store(e, place, value);
        return true;
    }
    word = (uint64_t *)(void *)(host - in_word);
    whole = __atomic_load_n(word, __ATOMIC_RELAXED);
    if (((whole ^ (old << shift)) & mask) != 0)
        return false;
    return __atomic_compare_exchange_n(word, &whole, (whole & ~mask) | ((value << shift) & mask), false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}
