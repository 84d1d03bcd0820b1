/*
 * Far branches to what is no code segment: gates and task state segments (SDM Vol. 2, JMP and CALL; Vol. 3, 6.8.3 and
 * 8.3). What the CPU refuses is a fault; through one that is good the emulator does not go.
 */
#include "user/emul/task.h"

enum { TSS_16 = 1, CALL_GATE_16 = 4, TASK_GATE = 5, TSS_32 = 9, CALL_GATE = 12 }; /* SDM Vol. 3, table 3-2 */

#define TYPE_CONFORMING 0x4u
#define TYPE_CODE       0x8u
#define SELECTOR_LOCAL  4u
#define UPPER_TYPE      0x1f00u /* of the fourth doubleword of a gate in IA-32e mode: no type */

static bool in_long_mode(const struct emul *e)
{
    return e->regs->efer & EFER_LMA;
}

static unsigned dpl_of(const struct abi_segment *found)
{
    return found->attr >> ABI_SEG_DPL_SHIFT & 3;
}

/* A gate or TSS that a program names itself is for its CPL, and for the RPL that it gives. */
static enum emul_status check_rights(struct emul *e, const struct abi_segment *found)
{
    unsigned dpl = dpl_of(found);

    if (dpl < e->regs->cpl || dpl < (found->selector & 3u))
        return task_fault(e, VECTOR_GP, found->selector);
    return found->attr & ABI_SEG_P ? EMUL_DONE : task_fault(e, VECTOR_NP, found->selector);
}

static bool is_available_tss(const struct abi_segment *found)
{
    unsigned type = found->attr & (ABI_SEG_S | ABI_SEG_TYPE);

    return !(found->selector & SELECTOR_LOCAL) && (type == TSS_16 || type == TSS_32);
}

static enum emul_status through_task_gate(struct emul *e, const struct abi_segment *gate)
{
    uint16_t selector = (uint16_t)gate->base; /* bits 16 to 31 of the descriptor */
    struct abi_segment tss = {0};
    enum emul_status status = check_rights(e, gate);

    if (status == EMUL_DONE && (selector & SELECTOR_LOCAL))
        status = task_fault(e, VECTOR_GP, selector);
    if (status == EMUL_DONE)
        status = descriptor_read(e, selector, VECTOR_GP, &tss);
    if (status == EMUL_DONE && !is_available_tss(&tss))
        status = task_fault(e, VECTOR_GP, selector);
    if (status == EMUL_DONE && !(tss.attr & ABI_SEG_P))
        status = task_fault(e, VECTOR_NP, selector);
    return status;
}

/* In IA-32e mode a gate has 16 bytes. */
static enum emul_status check_upper_half(struct emul *e, uint16_t selector)
{
    const struct abi_segment *table = selector & SELECTOR_LOCAL ? &e->regs->ldtr : &e->regs->gdtr;
    struct place place;
    enum emul_status status;

    if ((selector | 7u) + 8 > table->limit)
        return task_fault(e, VECTOR_GP, selector);
    status = task_reach(e, table->base + (selector & ~7u) + 12, 4, 0, &place);
    if (status == EMUL_DONE && (memory_load(e, &place) & UPPER_TYPE))
        status = task_fault(e, VECTOR_GP, selector);
    return status;
}

/* JMP stays at its privilege level; CALL may get a higher one. */
static enum emul_status check_gate_target(struct emul *e, const struct abi_segment *code, bool call)
{
    bool conforming = code->attr & TYPE_CONFORMING;
    unsigned dpl = dpl_of(code), cpl = e->regs->cpl;

    if (!(code->attr & ABI_SEG_S) || !(code->attr & TYPE_CODE) || dpl > cpl || (!call && !conforming && dpl != cpl))
        return task_fault(e, VECTOR_GP, code->selector);
    if (in_long_mode(e) && (code->attr & (ABI_SEG_L | ABI_SEG_DB)) != ABI_SEG_L)
        return task_fault(e, VECTOR_GP, code->selector);
    return code->attr & ABI_SEG_P ? EMUL_DONE : task_fault(e, VECTOR_NP, code->selector);
}

static enum emul_status through_call_gate(struct emul *e, const struct abi_segment *gate, bool call)
{
    uint16_t selector = (uint16_t)gate->base;
    struct abi_segment code;
    enum emul_status status = in_long_mode(e) ? check_upper_half(e, gate->selector) : EMUL_DONE;

    if (status == EMUL_DONE)
        status = check_rights(e, gate);
    if (status == EMUL_DONE && (selector & ~3u) == 0)
        status = emul_fault(e, VECTOR_GP);
    if (status == EMUL_DONE)
        status = descriptor_read(e, selector, VECTOR_GP, &code);
    return status == EMUL_DONE ? check_gate_target(e, &code, call) : status;
}

enum emul_status gate_branch(struct emul *e, const struct abi_segment *found, bool call)
{
    unsigned type = found->attr & ABI_SEG_TYPE;
    enum emul_status status;

    if (type == CALL_GATE || (type == CALL_GATE_16 && !in_long_mode(e)))
        status = through_call_gate(e, found, call);
    else if (type == TASK_GATE && !in_long_mode(e))
        status = through_task_gate(e, found);
    else if (is_available_tss(found) && !in_long_mode(e))
        status = check_rights(e, found);
    else
        status = task_fault(e, VECTOR_GP, found->selector);
    return status == EMUL_DONE ? emul_unhandled(e, "far branch through a gate or to a task") : status;
}
