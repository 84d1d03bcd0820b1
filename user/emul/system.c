/*
 * System registers to and from memory: SLDT, STR, LLDT, LTR, SGDT, SIDT, LGDT, LIDT, SMSW, LMSW; and the instructions
 * that look at descriptors: VERR, VERW, LAR, LSL (SDM Vol. 2).
 */
#include "user/emul/task.h"

#define CR0_MSW  0xfu /* PE, MP, EM, TS: what LMSW writes */
#define CR4_UMIP BIT(11)

#define TYPE_TSS_BUSY   0x2u
#define TYPE_32         0x8u /* of system descriptors: 386 and later; the only kind in IA-32e mode */
#define TYPE_TSS_16     0x1u
#define TYPE_LDT        0x2u
#define TYPE_CODE       0x8u
#define TYPE_CONFORMING 0x4u
#define TYPE_RW         0x2u /* data: writable; code: readable */

static bool in_long_mode(const struct emul *e)
{
    return e->regs->efer & EFER_LMA;
}

/* UMIP hides these from programs. */
static bool is_hidden(const struct emul *e)
{
    return (e->regs->cr4 & CR4_UMIP) && (e->regs->cr0 & CR0_PE) && e->regs->cpl;
}

static bool is_program(const struct emul *e)
{
    return (e->regs->cr0 & CR0_PE) && e->regs->cpl;
}

static enum emul_status store_word(struct emul *e, uint64_t value)
{
    struct operand rm;
    enum emul_status status = is_hidden(e) ? emul_fault(e, VECTOR_GP) : operand_open_memory(e, 2, WALK_WRITE, 0, &rm);

    if (status == EMUL_DONE)
        operand_store(e, &rm, value);
    return status;
}

/* A system descriptor has 16 bytes in IA-32e mode, of which the third four are the base's upper half. */
static enum emul_status read_system_descriptor(struct emul *e, uint16_t selector, struct abi_segment *found)
{
    struct place place;
    enum emul_status status = descriptor_read(e, selector, VECTOR_GP, found);

    if (status != EMUL_DONE || !in_long_mode(e))
        return status;
    if ((selector | 7u) + 8 > e->regs->gdtr.limit)
        return task_fault(e, VECTOR_GP, selector);
    status = task_reach(e, e->regs->gdtr.base + (selector & ~7u) + 8, 4, 0, &place);
    if (status != EMUL_DONE)
        return status;
    found->base = (uint32_t)found->base | memory_load(e, &place) << 32;
    return memory_is_canonical(e->regs, found->base) ? EMUL_DONE : task_fault(e, VECTOR_GP, selector);
}

static enum emul_status load_ldt(struct emul *e, uint16_t selector)
{
    struct abi_segment found = {.selector = selector};
    enum emul_status status = EMUL_DONE;

    if (selector & ~3u) {
        status = selector & 4 ? task_fault(e, VECTOR_GP, selector) : read_system_descriptor(e, selector, &found);
        if (status == EMUL_DONE && (found.attr & (ABI_SEG_S | ABI_SEG_TYPE)) != TYPE_LDT)
            status = task_fault(e, VECTOR_GP, selector);
        if (status == EMUL_DONE && !(found.attr & ABI_SEG_P))
            status = task_fault(e, VECTOR_NP, selector);
    }
    if (status != EMUL_DONE)
        return status;
    e->regs->ldtr = found;
    e->out->system = true;
    return EMUL_DONE;
}

static bool is_available_tss(const struct emul *e, const struct abi_segment *tss)
{
    unsigned type = tss->attr & (ABI_SEG_S | ABI_SEG_TYPE);

    return type == (TYPE_TSS_16 | TYPE_32) || (type == TYPE_TSS_16 && !in_long_mode(e));
}

static enum emul_status load_task_register(struct emul *e, uint16_t selector)
{
    struct abi_segment found;
    struct place place;
    enum emul_status status;

    if ((selector & ~3u) == 0 || (selector & 4))
        return task_fault(e, VECTOR_GP, selector);
    status = read_system_descriptor(e, selector, &found);
    if (status != EMUL_DONE)
        return status;
    if (!is_available_tss(e, &found))
        return task_fault(e, VECTOR_GP, selector);
    if (!(found.attr & ABI_SEG_P))
        return task_fault(e, VECTOR_NP, selector);
    status = descriptor_open(e, selector, &place);
    if (status != EMUL_DONE)
        return status;
    descriptor_change(e, &place, 0, TYPE_TSS_BUSY);
    found.attr |= TYPE_TSS_BUSY;
    e->regs->tr = found;
    e->out->system = true;
    return EMUL_DONE;
}

/* ---- LAR, LSL, VERR, VERW: does it exist for this program? No fault but those of reading it. */

/* Of system descriptors: which types LAR and LSL know (SDM Vol. 2, tables 3-53 and 3-58). */
static bool is_visible_type(const struct emul *e, unsigned type, bool limit)
{
    static const uint16_t legacy[2] = {0x1a3e, 0x0a0e}, long_mode[2] = {0x1a04, 0x0a04};

    return (in_long_mode(e) ? long_mode : legacy)[limit] >> type & 1;
}

static bool is_reachable(const struct emul *e, const struct abi_segment *found)
{
    unsigned dpl = found->attr >> ABI_SEG_DPL_SHIFT & 3;
    bool conforming = (found->attr & ABI_SEG_S) && (found->attr & TYPE_CODE) && (found->attr & TYPE_CONFORMING);

    return conforming || (dpl >= e->regs->cpl && dpl >= (found->selector & 3u));
}

/* *there tells whether there is a descriptor at all. Its fields are in *found, raw is the descriptor. */
static enum emul_status look_up(struct emul *e, uint16_t selector, bool *there, struct abi_segment *found)
{
    enum emul_status status;

    *there = false;
    if ((selector & ~3u) == 0)
        return EMUL_DONE;
    status = descriptor_read(e, selector, VECTOR_GP, found);
    if (status == EMUL_FAULT && e->out->vector == VECTOR_GP) /* its table is too short */
        return EMUL_DONE;
    *there = status == EMUL_DONE;
    return status;
}

static enum emul_status verify(struct emul *e, uint16_t selector, bool write)
{
    struct abi_segment found;
    bool there, good;
    enum emul_status status = look_up(e, selector, &there, &found);

    if (status != EMUL_DONE)
        return status;
    good = there && (found.attr & ABI_SEG_S) && is_reachable(e, &found);
    if (write)
        good = good && !(found.attr & TYPE_CODE) && (found.attr & TYPE_RW);
    else
        good = good && (!(found.attr & TYPE_CODE) || (found.attr & TYPE_RW));
    alu_set_flag(&e->rflags, RFLAGS_ZF, good);
    return EMUL_DONE;
}

/* LAR (02), LSL (03). */
enum emul_status execute_look_at_descriptor(struct emul *e)
{
    bool limit = e->insn.opcode == 0x03, there, good;
    struct abi_segment found;
    uint64_t selector = 0;
    enum emul_status status = in_protected_mode(e) ? operand_read(e, 2, &selector) : emul_fault(e, VECTOR_UD);

    if (status == EMUL_DONE)
        status = look_up(e, (uint16_t)selector, &there, &found);
    if (status != EMUL_DONE)
        return status;
    good = there && is_reachable(e, &found) &&
           ((found.attr & ABI_SEG_S) || is_visible_type(e, found.attr & ABI_SEG_TYPE, limit));
    alu_set_flag(&e->rflags, RFLAGS_ZF, good);
    if (good && limit)
        register_write(e, e->insn.reg, e->insn.operand_size, found.limit);
    else if (good) /* bits 8-15 and 20-23 of the descriptor's upper half */
        register_write(e, e->insn.reg, e->insn.operand_size,
                       (found.attr & 0xffu) << 8 | (uint64_t)(found.attr & 0xf00u) << 12);
    return EMUL_DONE;
}

enum emul_status execute_group_6(struct emul *e)
{
    unsigned reg = e->insn.reg & 7;
    uint64_t selector;
    enum emul_status status;

    if (!in_protected_mode(e))
        return emul_fault(e, VECTOR_UD);
    if (reg < 2)
        return store_word(e, reg ? e->regs->tr.selector : e->regs->ldtr.selector);
    if (reg < 4 && is_program(e))
        return emul_fault(e, VECTOR_GP);
    status = operand_read(e, 2, &selector);
    if (status != EMUL_DONE)
        return status;
    switch (reg) {
    case 2:
        return load_ldt(e, (uint16_t)selector);
    case 3:
        return load_task_register(e, (uint16_t)selector);
    default:
        return verify(e, (uint16_t)selector, reg == 5);
    }
}

/* ---- Group 7: a limit of two bytes and a base of four or, in 64-bit mode, eight */

static enum emul_status store_table(struct emul *e, const struct abi_segment *table)
{
    unsigned base_size = in_64_bit_mode(e) ? 8 : 4;
    struct operand rm;
    struct place part;
    enum emul_status status;

    if (is_hidden(e))
        return emul_fault(e, VECTOR_GP);
    status = operand_open_memory(e, 2 + base_size, WALK_WRITE, 0, &rm);
    if (status != EMUL_DONE)
        return status;
    part = place_part(&rm.place, 0, 2);
    memory_store(e, &part, table->limit);
    part = place_part(&rm.place, 2, base_size);
    memory_store(e, &part, table->base);
    return EMUL_DONE;
}

static enum emul_status load_table(struct emul *e, struct abi_segment *table)
{
    unsigned base_size = in_64_bit_mode(e) ? 8 : 4;
    struct operand rm;
    struct place part;
    uint64_t limit, base;
    enum emul_status status;

    if (is_program(e))
        return emul_fault(e, VECTOR_GP);
    status = operand_open_memory(e, 2 + base_size, 0, 0, &rm);
    if (status != EMUL_DONE)
        return status;
    part = place_part(&rm.place, 0, 2);
    limit = memory_load(e, &part);
    part = place_part(&rm.place, 2, base_size);
    base = memory_load(e, &part);
    if (!in_64_bit_mode(e) && e->insn.operand_size == 2)
        base &= 0xffffff;
    if (!memory_is_canonical(e->regs, base))
        return emul_fault(e, VECTOR_GP);
    table->limit = (uint32_t)limit;
    table->base = base;
    e->out->system = true;
    return EMUL_DONE;
}

/* LMSW sets PE and does not clear it. */
static enum emul_status load_status_word(struct emul *e)
{
    uint64_t value = 0;
    enum emul_status status = is_program(e) ? emul_fault(e, VECTOR_GP) : operand_read(e, 2, &value);

    if (status != EMUL_DONE)
        return status;
    e->regs->cr0 = (e->regs->cr0 & ~(uint64_t)(CR0_MSW & ~CR0_PE)) | (value & CR0_MSW);
    e->out->system = true;
    return EMUL_DONE;
}

enum emul_status execute_group_7(struct emul *e)
{
    struct abi_regs *regs = e->regs;

    switch (e->insn.reg & 7) {
    case 0:
        return store_table(e, &regs->gdtr);
    case 1:
        return store_table(e, &regs->idtr);
    case 2:
        return load_table(e, &regs->gdtr);
    case 3:
        return load_table(e, &regs->idtr);
    case 4:
        return store_word(e, regs->cr0);
    default:
        return load_status_word(e);
    }
}
