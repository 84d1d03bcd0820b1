/* Segment registers from memory, and far branches (SDM Vol. 2, MOV, POP, LDS, JMP, CALL, RET; Vol. 3, 6.5 and 6.8). */
#include "user/emul/task.h"

#define TYPE_CODE       0x8u
#define TYPE_CONFORMING 0x4u

static unsigned cpl_of(const struct emul *e)
{
    return in_protected_mode(e) ? e->regs->cpl : 0;
}

/* All that can fail is behind it: the guest's state may change at once. */
static void set_segment(struct emul *e, unsigned segment, const struct abi_segment *value)
{
    e->regs->seg[segment] = *value;
    e->out->system = true;
}

/* Real mode keeps limit and rights as they are; SDM Vol. 3, 21.2, for virtual-8086 mode. */
static void set_real_segment(struct emul *e, unsigned segment, uint16_t selector)
{
    struct abi_segment value = e->regs->seg[segment];

    value.selector = selector;
    value.base = (uint64_t)selector << 4;
    set_segment(e, segment, &value);
}

static enum emul_status load_null(struct emul *e, unsigned segment, uint16_t selector)
{
    struct abi_segment none = {.selector = selector};

    if (segment == ABI_SS && !(in_64_bit_mode(e) && cpl_of(e) < 3 && (selector & 3) == cpl_of(e)))
        return emul_fault(e, VECTOR_GP);
    set_segment(e, segment, &none);
    return EMUL_DONE;
}

/* Not CS. */
static enum emul_status load_segment(struct emul *e, unsigned segment, uint16_t selector)
{
    struct abi_segment found;
    enum emul_status status;

    if (!in_protected_mode(e)) {
        set_real_segment(e, segment, selector);
        return EMUL_DONE;
    }
    if ((selector & ~3u) == 0)
        return load_null(e, segment, selector);
    status = descriptor_fetch(e, segment, selector, VECTOR_GP, &found);
    if (status == EMUL_DONE)
        set_segment(e, segment, &found);
    return status;
}

enum emul_status execute_mov_to_segment(struct emul *e)
{
    unsigned segment = e->insn.reg & 7;
    uint64_t selector;
    enum emul_status status;

    if (segment == ABI_CS || segment >= ABI_SEGS)
        return emul_fault(e, VECTOR_UD);
    status = operand_read(e, 2, &selector);
    if (status == EMUL_DONE)
        status = load_segment(e, segment, (uint16_t)selector);
    e->out->shadow = status == EMUL_DONE && segment == ABI_SS;
    return status;
}

/* Which one PUSH and POP mean: ES, CS, SS and DS by one byte, FS and GS behind 0F. */
static unsigned pushed_segment(const struct emul *e)
{
    return (e->insn.opcode >> 3) & 7;
}

enum emul_status execute_push_segment(struct emul *e)
{
    return execute_push(e, e->regs->seg[pushed_segment(e)].selector);
}

enum emul_status execute_pop_segment(struct emul *e)
{
    unsigned segment = pushed_segment(e);
    struct place place;
    enum emul_status status = stack_prepare_pop(e, stack_operand_size(e), &place);

    if (status == EMUL_DONE)
        status = load_segment(e, segment, (uint16_t)memory_load(e, &place));
    e->out->shadow = status == EMUL_DONE && segment == ABI_SS;
    return status;
}

/* A far pointer in memory: the offset, and behind it the selector. */
static enum emul_status read_far_pointer(struct emul *e, uint64_t *offset, uint16_t *selector)
{
    unsigned size = e->insn.operand_size;
    struct operand rm;
    struct place part;
    enum emul_status status = operand_open_memory(e, size + 2, 0, 0, &rm);

    if (status != EMUL_DONE)
        return status;
    part = place_part(&rm.place, 0, size);
    *offset = memory_load(e, &part);
    part = place_part(&rm.place, size, 2);
    *selector = (uint16_t)memory_load(e, &part);
    return EMUL_DONE;
}

/* LES, LDS, LSS, LFS, LGS. */
enum emul_status execute_load_pointer(struct emul *e)
{
    unsigned op = e->insn.opcode;
    unsigned segment = e->insn.map == MAP_0F ? op & 7 : op == 0xc4 ? ABI_ES : ABI_DS;
    uint64_t offset = 0;
    uint16_t selector = 0;
    enum emul_status status = read_far_pointer(e, &offset, &selector);

    if (status == EMUL_DONE)
        status = load_segment(e, segment, selector);
    if (status == EMUL_DONE)
        register_write(e, e->insn.reg, e->insn.operand_size, offset);
    return status;
}

/* ---- Far branches, within a privilege level */

enum far_branch { FAR_JMP, FAR_CALL, FAR_RETURN };

/* In IA-32e mode a code segment is 64 bits wide or 32, not both. */
static bool is_code_width_bad(const struct emul *e, const struct abi_segment *cs)
{
    return (e->regs->efer & EFER_LMA) && (cs->attr & ABI_SEG_L) && (cs->attr & ABI_SEG_DB);
}

static unsigned dpl_of(const struct abi_segment *segment)
{
    return segment->attr >> ABI_SEG_DPL_SHIFT & 3;
}

static bool is_code(const struct abi_segment *segment)
{
    return (segment->attr & ABI_SEG_S) && (segment->attr & TYPE_CODE);
}

/* Where JMP and CALL go, RPL counts as far as it is a right less; a return has it as its new CPL. */
static enum emul_status check_code(struct emul *e, const struct abi_segment *cs, bool returns)
{
    unsigned cpl = cpl_of(e), rpl = cs->selector & 3, dpl = dpl_of(cs), level = returns ? rpl : cpl;
    bool conforming = cs->attr & TYPE_CONFORMING;

    if (!is_code(cs) || is_code_width_bad(e, cs) || (returns ? rpl < cpl : !conforming && rpl > cpl))
        return task_fault(e, VECTOR_GP, cs->selector);
    if (conforming ? dpl > level : dpl != level)
        return task_fault(e, VECTOR_GP, cs->selector);
    if (!(cs->attr & ABI_SEG_P))
        return task_fault(e, VECTOR_NP, cs->selector);
    return rpl > cpl && returns ? emul_unhandled(e, "far return to another privilege level") : EMUL_DONE;
}

/* What CS becomes with that selector, and whether the offset is in it. */
static enum emul_status find_code(struct emul *e, uint16_t selector, uint64_t offset, enum far_branch how,
                                  struct abi_segment *cs)
{
    enum emul_status status = EMUL_DONE;

    if (!in_protected_mode(e)) {
        *cs = e->regs->seg[ABI_CS];
        cs->selector = selector;
        cs->base = (uint64_t)selector << 4;
    } else if ((selector & ~3u) == 0) {
        return emul_fault(e, VECTOR_GP);
    } else {
        status = descriptor_read(e, selector, VECTOR_GP, cs);
        if (status == EMUL_DONE && how != FAR_RETURN && !(cs->attr & ABI_SEG_S))
            status = gate_branch(e, cs, how == FAR_CALL);
        if (status == EMUL_DONE)
            status = check_code(e, cs, how == FAR_RETURN);
        if (status != EMUL_DONE)
            return status;
        cs->selector = (uint16_t)((selector & ~3u) | cpl_of(e));
    }
    if ((e->regs->efer & EFER_LMA) && (cs->attr & ABI_SEG_L) ? !memory_is_canonical(e->regs, offset)
                                                             : offset > cs->limit)
        return emul_fault(e, VECTOR_GP);
    return in_protected_mode(e) ? descriptor_set_accessed(e, cs) : EMUL_DONE;
}

static enum emul_status branch_far(struct emul *e, uint16_t selector, uint64_t offset, bool call)
{
    unsigned size = e->insn.operand_size;
    uint64_t next = e->rip;
    struct abi_segment cs;
    struct place old_cs, old_ip;
    enum emul_status status = find_code(e, selector, offset, call ? FAR_CALL : FAR_JMP, &cs);

    if (status == EMUL_DONE && call)
        status = stack_prepare_push(e, size, &old_cs);
    if (status == EMUL_DONE && call)
        status = stack_prepare_push(e, size, &old_ip);
    if (status != EMUL_DONE)
        return status;
    if (call) {
        memory_store(e, &old_cs, e->regs->seg[ABI_CS].selector);
        memory_store(e, &old_ip, next);
    }
    set_segment(e, ABI_CS, &cs);
    e->rip = offset;
    return EMUL_DONE;
}

/* FF /3 and /5. With REX.W the offset has 64 bits, as Intel's CPUs have it. */
enum emul_status execute_far_branch(struct emul *e)
{
    uint64_t offset = 0;
    uint16_t selector = 0;
    enum emul_status status = read_far_pointer(e, &offset, &selector);

    return status == EMUL_DONE ? branch_far(e, selector, offset, (e->insn.reg & 7) == 3) : status;
}

/* 9A: the pointer is in the instruction, the stack in memory. */
enum emul_status execute_far_call(struct emul *e)
{
    unsigned size = e->insn.operand_size;

    return branch_far(e, (uint16_t)(e->insn.imm >> 8 * size), e->insn.imm & alu_mask(size), true);
}

enum emul_status execute_far_return(struct emul *e)
{
    unsigned size = e->insn.operand_size, width = emul_stack_size(e->regs);
    struct abi_segment cs;
    struct place ip, selector;
    uint64_t offset;
    enum emul_status status = stack_prepare_pop(e, size, &ip);

    if (status == EMUL_DONE)
        status = stack_prepare_pop(e, size, &selector);
    if (status != EMUL_DONE)
        return status;
    offset = memory_load(e, &ip);
    status = find_code(e, (uint16_t)memory_load(e, &selector), offset, FAR_RETURN, &cs);
    if (status != EMUL_DONE)
        return status;
    register_write(e, ABI_RSP, width, e->gpr[ABI_RSP] + e->insn.imm);
    set_segment(e, ABI_CS, &cs);
    e->rip = offset;
    return EMUL_DONE;
}
