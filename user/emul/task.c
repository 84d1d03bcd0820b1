/*
 * Hardware task switches (SDM Vol. 3, 8.3), in the manual's order: all checks and page walks that count for the old
 * task, then the old task's state to its TSS, then the new one's from its own, and the checks that count for the new.
 */
#include "user/emul/task.h"
#include "lib/string.h"

#define TYPE_BUSY     0x2u
#define TYPE_32       0x8u
#define TYPE_TSS      0x1u /* of a TSS's type, that which is the same in all */
#define TYPE_TSS_MASK 0x5u

#define REACH_TRIES 64

/* Of event types, SDM Vol. 3, 25.8.3. From SOFTWARE on they are an instruction's, and RIP is still at it. */
enum { EVENT_EXCEPTION = 3, EVENT_SOFTWARE = 4, EVENT_INT3_INTO = 6 };

/* SDM Vol. 3, figures 8-2 and 8-10. Registers lie in the order of their encoding, each as wide as EIP. */
struct layout {
    uint8_t width;
    uint8_t size;
    uint8_t ip, flags, gpr, seg, segs, ldt;
    uint32_t flags_mask;
};
static const struct layout layout_16 = {.width = 2,
                                        .size = 0x2c,
                                        .ip = 0x0e,
                                        .flags = 0x10,
                                        .gpr = 0x12,
                                        .seg = 0x22,
                                        .segs = 4,
                                        .ldt = 0x2a,
                                        .flags_mask = 0x7fd5};
static const struct layout layout_32 = {.width = 4,
                                        .size = 0x68,
                                        .ip = 0x20,
                                        .flags = 0x24,
                                        .gpr = 0x28,
                                        .seg = 0x48,
                                        .segs = 6,
                                        .ldt = 0x60,
                                        .flags_mask = 0x3f7fd5};
enum { TSS_LINK = 0, TSS32_CR3 = 0x1c, TSS32_TRAP = 0x64, TSS_GPRS = 8 };

struct task {
    struct emul *e;
    const struct abi_task_switch *how;
    const struct layout *from, *to;
    struct abi_segment new_tr;
    struct place old_tss; /* from its IP on, as far as it is written */
    struct place new_tss;
    struct place link;
    struct place old_type, new_type; /* in the GDT */
};

/* The new task is nested in the old one, which stays busy. */
static bool nests(const struct task *t)
{
    return t->how->source == ABI_TASK_CALL || t->how->source == ABI_TASK_GATE;
}

static bool is_iret(const struct task *t)
{
    return t->how->source == ABI_TASK_IRET;
}

/* ---- The old task */

static enum emul_status check_new_tss(struct task *t)
{
    unsigned bad = is_iret(t) ? VECTOR_TS : VECTOR_GP;
    uint16_t selector = t->how->selector;
    struct abi_segment *tr = &t->new_tr;
    enum emul_status status;

    if (selector < 8 || (selector & 4))
        return task_fault(t->e, bad, selector);
    status = descriptor_read(t->e, selector, bad, tr);
    if (status != EMUL_DONE)
        return status;
    if ((tr->attr & (ABI_SEG_S | TYPE_TSS_MASK)) != TYPE_TSS || !(tr->attr & TYPE_BUSY) == is_iret(t))
        return task_fault(t->e, bad, selector);
    if (!(tr->attr & ABI_SEG_P))
        return task_fault(t->e, VECTOR_NP, selector);
    t->to = tr->attr & TYPE_32 ? &layout_32 : &layout_16;
    return tr->limit < t->to->size - 1u ? task_fault(t->e, VECTOR_TS, selector) : EMUL_DONE;
}

static unsigned end_of_segments(const struct layout *l)
{
    return l->seg + l->segs * (unsigned)l->width;
}

/* Everything that is read or written in the tables of the old task. */
static enum emul_status reach_memory(struct task *t)
{
    struct emul *e = t->e;
    const struct abi_segment *tr = &e->regs->tr;
    unsigned saved = end_of_segments(t->from);
    enum emul_status status = task_reach(e, t->new_tr.base, t->to->size, 0, &t->new_tss);

    if (status == EMUL_DONE && nests(t))
        status = task_reach(e, t->new_tr.base + TSS_LINK, 2, WALK_WRITE, &t->link);
    if (status == EMUL_DONE && tr->limit < saved - 1)
        status = task_fault(e, VECTOR_TS, tr->selector);
    if (status == EMUL_DONE)
        status = task_reach(e, tr->base + t->from->ip, saved - t->from->ip, WALK_WRITE, &t->old_tss);
    if (status == EMUL_DONE && !nests(t))
        status = descriptor_open(e, tr->selector & ~7u, &t->old_type);
    if (status == EMUL_DONE && !is_iret(t))
        status = descriptor_open(e, t->new_tr.selector & ~7u, &t->new_type);
    return status;
}

static enum emul_status prepare(struct task *t)
{
    const struct abi_regs *regs = t->e->regs;
    enum emul_status status;

    if (!(regs->cr0 & CR0_PE) || (regs->efer & EFER_LMA))
        return emul_unhandled(t->e, "task switch in a mode that has none");
    status = check_new_tss(t);
    return status == EMUL_DONE ? reach_memory(t) : status;
}

static void save(struct task *t, unsigned at, unsigned size, uint64_t value)
{
    struct place place = place_part(&t->old_tss, at - t->from->ip, size);

    memory_store(t->e, &place, value);
}

static void leave_old_task(struct task *t)
{
    const struct layout *l = t->from;
    const struct abi_regs *regs = t->e->regs;
    bool skip = t->how->source != ABI_TASK_GATE || t->how->type >= EVENT_SOFTWARE;

    if (!nests(t))
        descriptor_change(t->e, &t->old_type, TYPE_BUSY, 0);
    save(t, l->ip, l->width, regs->rip + (skip ? t->how->length : 0));
    save(t, l->flags, l->width, regs->rflags & ~(is_iret(t) ? RFLAGS_NT : 0));
    for (unsigned i = 0; i < TSS_GPRS; i++)
        save(t, l->gpr + i * l->width, l->width, regs->gpr[i]);
    for (unsigned i = 0; i < l->segs; i++)
        save(t, l->seg + i * l->width, 2, regs->seg[i].selector);
}

/* ---- The new task */

static uint64_t load(struct task *t, unsigned at, unsigned size)
{
    struct place place = place_part(&t->new_tss, at, size);

    return memory_load(t->e, &place);
}

/* Until its descriptor is loaded, a segment register holds a selector and is unusable. VM entry wants a CS in any
 * case. */
static void load_selectors(struct task *t)
{
    static const struct abi_segment any_code = {.attr = ABI_SEG_P | ABI_SEG_S | 0xb, .limit = 0xffff};
    const struct layout *l = t->to;
    struct abi_regs *regs = t->e->regs;

    for (unsigned i = 0; i < ABI_SEGS; i++) {
        uint16_t selector = i < l->segs ? (uint16_t)load(t, l->seg + i * l->width, 2) : 0;

        regs->seg[i] = (struct abi_segment){.selector = selector};
        if (regs->rflags & RFLAGS_VM) /* SDM Vol. 3, 21.2 */
            regs->seg[i] = (struct abi_segment){selector, 0xf3, 0xffff, (uint64_t)selector << 4};
    }
    regs->ldtr = (struct abi_segment){.selector = (uint16_t)load(t, l->ldt, 2)};
    if (regs->rflags & RFLAGS_VM) {
        regs->cpl = 3;
        return;
    }
    regs->cpl = regs->seg[ABI_CS].selector & 3;
    regs->seg[ABI_CS].attr = any_code.attr | (uint16_t)(regs->cpl << ABI_SEG_DPL_SHIFT);
    regs->seg[ABI_CS].limit = any_code.limit;
}

/* SDM Vol. 3, 4.4.1: a table that the CPU refuses leaves CR3 as it was. */
static enum emul_status load_pdptes(struct task *t, uint32_t cr3)
{
    struct emul *e = t->e;
    uint64_t reserved = 0x1e6 | ~(BIT(e->ops->maxphyaddr_bits) - 1);

    for (unsigned i = 0; i < 4; i++) {
        struct place place = {.gpa = {ALIGN_DOWN(cr3, 32u) + 8 * i}, .size = {8}};

        e->out->pdpte[i] = memory_load(e, &place);
        if ((e->out->pdpte[i] & 1) && (e->out->pdpte[i] & reserved))
            return emul_fault(e, VECTOR_GP);
    }
    return EMUL_DONE;
}

static enum emul_status load_cr3(struct task *t)
{
    struct abi_regs *regs = t->e->regs;
    enum emul_status status = EMUL_DONE;
    uint32_t cr3;

    if (t->to != &layout_32 || !(regs->cr0 & CR0_PG))
        return EMUL_DONE;
    cr3 = (uint32_t)load(t, TSS32_CR3, 4);
    if (cr3 != regs->cr3 && (regs->cr4 & CR4_PAE))
        status = load_pdptes(t, cr3);
    if (status == EMUL_DONE)
        regs->cr3 = cr3;
    return status;
}

static enum emul_status enter_new_task(struct task *t)
{
    const struct layout *l = t->to;
    struct emul *e = t->e;
    struct abi_regs *regs = e->regs;

    if (nests(t))
        memory_store(e, &t->link, regs->tr.selector);
    if (!is_iret(t))
        descriptor_change(e, &t->new_type, 0, TYPE_BUSY);
    regs->tr = t->new_tr;
    regs->tr.attr |= TYPE_BUSY;
    regs->cr0 |= CR0_TS;
    regs->rip = load(t, l->ip, l->width);
    regs->rflags = (load(t, l->flags, l->width) & l->flags_mask) | (nests(t) ? RFLAGS_NT : 0) | RFLAGS_ONE;
    for (unsigned i = 0; i < TSS_GPRS; i++)
        e->gpr[i] = load(t, l->gpr + i * l->width, l->width);
    memcpy(regs->gpr, e->gpr, sizeof(e->gpr));
    load_selectors(t);
    e->out->switched = true;
    e->out->new_task_trap = l == &layout_32 && (load(t, TSS32_TRAP, 1) & 1);
    return load_cr3(t);
}

static enum emul_status load_segments(struct emul *e)
{
    static const uint8_t order[] = {ABI_CS, ABI_SS, ABI_ES, ABI_DS, ABI_FS, ABI_GS};
    enum emul_status status = descriptor_load_ldtr(e);

    if (e->regs->rflags & RFLAGS_VM)
        return status;
    for (unsigned i = 0; i < ARRAY_SIZE(order) && status == EMUL_DONE; i++)
        status = descriptor_load(e, order[i]);
    return status;
}

static enum emul_status push_error_code(struct task *t)
{
    struct emul *e = t->e;
    unsigned size = t->to->width, width = emul_stack_size(e->regs);
    uint64_t top = (e->gpr[ABI_RSP] - size) & alu_mask(width);
    enum emul_status status = EMUL_AGAIN;
    struct place place;

    if (t->how->source != ABI_TASK_GATE || !t->how->has_error_code)
        return EMUL_DONE;
    for (unsigned i = 0; i < REACH_TRIES && status == EMUL_AGAIN; i++)
        status = memory_translate(e, ABI_SS, top, size, WALK_WRITE, &place);
    if (status != EMUL_DONE)
        return status == EMUL_AGAIN ? task_unsteady(e) : status;
    memory_store(e, &place, t->how->error_code);
    register_write(e, ABI_RSP, width, top);
    e->regs->gpr[ABI_RSP] = e->gpr[ABI_RSP];
    return EMUL_DONE;
}

static enum emul_status switch_tasks(struct task *t)
{
    struct emul *e = t->e;
    enum emul_status status = prepare(t);

    if (status != EMUL_DONE)
        return status;
    leave_old_task(t);
    status = enter_new_task(t);
    if (status == EMUL_DONE)
        status = load_segments(e);
    if (status == EMUL_DONE)
        status = push_error_code(t);
    if (status == EMUL_DONE && e->regs->rip > e->regs->seg[ABI_CS].limit)
        status = emul_fault(e, VECTOR_GP);
    return status;
}

/* ---- Exceptions in the delivery of others (SDM Vol. 3, tables 7-4 and 7-5) */

static bool is_contributory(unsigned vector)
{
    return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP);
}

static void combine(const struct abi_task_switch *how, struct emul_result *out)
{
    bool external = how->type != EVENT_SOFTWARE && how->type != EVENT_INT3_INTO;

    if (how->source != ABI_TASK_GATE)
        return;
    if (external && is_contributory(out->vector))
        out->error_code |= 1; /* EXT */
    if (how->type != EVENT_EXCEPTION || !(is_contributory(out->vector) || out->vector == VECTOR_PF))
        return;
    if (how->vector == VECTOR_DF) {
        out->shutdown = true;
    } else if (how->vector == VECTOR_PF || (is_contributory(how->vector) && is_contributory(out->vector))) {
        out->vector = VECTOR_DF;
        out->error_code = 0;
    }
}

enum emul_status emul_task_switch(const struct emul_ops *ops, void *ctx, struct abi_regs *regs,
                                  const struct abi_task_switch *how, struct emul_result *out)
{
    struct emul e;
    const struct layout *old = regs->tr.attr & TYPE_32 ? &layout_32 : &layout_16;
    struct task t = {.e = &e, .how = how, .from = old, .to = old}; /* the new one is known behind its descriptor */

    emul_begin(&e, ops, ctx, regs, out);
    out->status = switch_tasks(&t);
    if (out->status == EMUL_FAULT)
        combine(how, out);
    return out->status;
}
