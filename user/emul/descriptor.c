/* Descriptors, and segment registers loaded from them (SDM Vol. 3, 3.4.5, 6.6 and table 8-1). */
#include "user/emul/task.h"

#define TYPE_ACCESSED   0x1u
#define TYPE_READABLE   0x2u /* code */
#define TYPE_WRITABLE   0x2u /* data */
#define TYPE_CONFORMING 0x4u /* code */
#define TYPE_CODE       0x8u
#define SYSTEM_LDT      0x2u

#define SELECTOR_LDT 4u
#define SELECTOR_RPL 3u
#define ACCESS_BYTE  5u
#define CHANGE_TRIES 64
#define REACH_TRIES  64

enum emul_status task_fault(struct emul *e, unsigned vector, uint16_t selector)
{
    e->out->vector = (uint8_t)vector;
    e->out->has_error_code = true;
    e->out->error_code = selector & 0xfffcu;
    return EMUL_FAULT;
}

enum emul_status task_unsteady(struct emul *e)
{
    return emul_unhandled(e, "page tables that change all the time");
}

enum emul_status task_reach(struct emul *e, uint64_t linear, unsigned size, uint32_t access, struct place *place)
{
    enum emul_status status = EMUL_AGAIN;

    if (!(e->regs->efer & EFER_LMA))
        linear = (uint32_t)linear;

    for (unsigned i = 0; i < REACH_TRIES && status == EMUL_AGAIN; i++)
        status = memory_translate_linear(e, linear, size, access | WALK_IMPLICIT, place);
    return status == EMUL_AGAIN ? task_unsteady(e) : status;
}

static bool is_null(uint16_t selector)
{
    return (selector & ~SELECTOR_RPL) == 0;
}

static const struct abi_segment *table_of(const struct abi_regs *regs, uint16_t selector)
{
    return selector & SELECTOR_LDT ? &regs->ldtr : &regs->gdtr;
}

static uint64_t address_of(const struct abi_regs *regs, uint16_t selector)
{
    return table_of(regs, selector)->base + (selector & ~7u);
}

static struct abi_segment unpack(uint16_t selector, uint64_t raw)
{
    uint32_t limit = (uint32_t)(raw & 0xffff) | (uint32_t)(raw >> 32 & 0xf0000);
    uint16_t attr = (uint16_t)((raw >> 40 & 0xff) | (raw >> 44 & 0xf00));

    return (struct abi_segment){.selector = selector,
                                .attr = attr,
                                .limit = attr & ABI_SEG_G ? limit << 12 | 0xfff : limit,
                                .base = (raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000)};
}

enum emul_status descriptor_read(struct emul *e, uint16_t selector, unsigned bad, struct abi_segment *segment)
{
    const struct abi_regs *regs = e->regs;
    struct place place;
    enum emul_status status;

    *segment = (struct abi_segment){.selector = selector};
    if ((selector | 7u) > table_of(regs, selector)->limit ||
        ((selector & SELECTOR_LDT) && !(regs->ldtr.attr & ABI_SEG_P)))
        return task_fault(e, bad, selector);
    status = task_reach(e, address_of(regs, selector), 8, 0, &place);
    if (status == EMUL_DONE)
        *segment = unpack(selector, memory_load(e, &place));
    return status;
}

enum emul_status descriptor_open(struct emul *e, uint16_t selector, struct place *place)
{
    return task_reach(e, address_of(e->regs, selector) + ACCESS_BYTE, 1, WALK_WRITE, place);
}

/* Other CPUs may change it at the same time; whoever keeps doing so has himself to blame. */
void descriptor_change(struct emul *e, const struct place *place, uint8_t clear, uint8_t set)
{
    for (unsigned i = 0; i < CHANGE_TRIES; i++) {
        uint64_t old = memory_load(e, place);

        if (memory_exchange(e, place, old, (old & (uint8_t)~clear) | set))
            return;
    }
}

enum emul_status descriptor_load_ldtr(struct emul *e)
{
    struct abi_segment *ldtr = &e->regs->ldtr;
    struct abi_segment found;
    enum emul_status status;

    if (is_null(ldtr->selector))
        return EMUL_DONE;
    status = descriptor_read(e, ldtr->selector, VECTOR_TS, &found); /* not from an LDT: its limit is 0 */
    if (status != EMUL_DONE)
        return status;
    if ((found.attr & (ABI_SEG_P | ABI_SEG_S | ABI_SEG_TYPE)) != (ABI_SEG_P | SYSTEM_LDT))
        return task_fault(e, VECTOR_TS, found.selector);
    *ldtr = found;
    return EMUL_DONE;
}

static bool is_code_good(const struct abi_segment *seg, unsigned dpl, unsigned rpl)
{
    if (!(seg->attr & TYPE_CODE))
        return false;
    return seg->attr & TYPE_CONFORMING ? dpl <= rpl : dpl == rpl;
}

static bool is_stack_good(const struct abi_segment *seg, unsigned dpl, unsigned rpl, unsigned cpl)
{
    return !(seg->attr & TYPE_CODE) && (seg->attr & TYPE_WRITABLE) && dpl == cpl && rpl == cpl;
}

static bool is_data_good(const struct abi_segment *seg, unsigned dpl, unsigned rpl, unsigned cpl)
{
    if ((seg->attr & TYPE_CODE) && !(seg->attr & TYPE_READABLE))
        return false;
    if ((seg->attr & TYPE_CODE) && (seg->attr & TYPE_CONFORMING))
        return true;
    return dpl >= MAX(cpl, rpl);
}

static bool is_good(const struct emul *e, unsigned segment, const struct abi_segment *seg)
{
    unsigned dpl = seg->attr >> ABI_SEG_DPL_SHIFT & 3, rpl = seg->selector & SELECTOR_RPL;

    if (!(seg->attr & ABI_SEG_S))
        return false;
    if (segment == ABI_CS)
        return is_code_good(seg, dpl, rpl);
    if (segment == ABI_SS)
        return is_stack_good(seg, dpl, rpl, e->regs->cpl);
    return is_data_good(seg, dpl, rpl, e->regs->cpl);
}

enum emul_status descriptor_set_accessed(struct emul *e, struct abi_segment *segment)
{
    struct place place;
    enum emul_status status;

    if (segment->attr & TYPE_ACCESSED)
        return EMUL_DONE;
    status = descriptor_open(e, segment->selector, &place);
    if (status != EMUL_DONE)
        return status;
    descriptor_change(e, &place, 0, TYPE_ACCESSED);
    segment->attr |= TYPE_ACCESSED;
    return EMUL_DONE;
}

enum emul_status descriptor_fetch(struct emul *e, unsigned segment, uint16_t selector, unsigned bad,
                                  struct abi_segment *found)
{
    enum emul_status status = descriptor_read(e, selector, bad, found);

    if (status != EMUL_DONE)
        return status;
    if (!is_good(e, segment, found))
        return task_fault(e, bad, found->selector);
    if (!(found->attr & ABI_SEG_P))
        return task_fault(e, segment == ABI_SS ? VECTOR_SS : VECTOR_NP, found->selector);
    return descriptor_set_accessed(e, found);
}

enum emul_status descriptor_load(struct emul *e, unsigned segment)
{
    struct abi_segment *seg = &e->regs->seg[segment];
    struct abi_segment found;
    enum emul_status status;

    if (is_null(seg->selector))
        return segment == ABI_CS || segment == ABI_SS ? task_fault(e, VECTOR_TS, 0) : EMUL_DONE;
    status = descriptor_fetch(e, segment, seg->selector, VECTOR_TS, &found);
    if (status == EMUL_DONE)
        *seg = found;
    return status;
}
