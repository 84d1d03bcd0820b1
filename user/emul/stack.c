/* PUSH, POP, near CALL, JMP and RET: everything that moves the stack pointer or RIP. */
#include "user/emul/state.h"

unsigned emul_stack_size(const struct abi_regs *regs)
{
    if (emul_code_size(regs) == 8)
        return 8;
    return regs->seg[ABI_SS].attr & ABI_SEG_DB ? 4 : 2;
}

unsigned stack_operand_size(const struct emul *e)
{
    return in_64_bit_mode(e) && e->insn.operand_size == 4 ? 8 : e->insn.operand_size;
}

enum emul_status stack_prepare_push(struct emul *e, unsigned size, struct place *place)
{
    unsigned width = emul_stack_size(e->regs);
    uint64_t top = (e->gpr[ABI_RSP] - size) & alu_mask(width);

    register_write(e, ABI_RSP, width, top);
    return memory_translate(e, ABI_SS, top, size, WALK_WRITE, place);
}

enum emul_status stack_prepare_pop(struct emul *e, unsigned size, struct place *place)
{
    unsigned width = emul_stack_size(e->regs);
    uint64_t top = e->gpr[ABI_RSP] & alu_mask(width);

    register_write(e, ABI_RSP, width, top + size);
    return memory_translate(e, ABI_SS, top, size, 0, place);
}

enum emul_status execute_push(struct emul *e, uint64_t value)
{
    struct place place;
    enum emul_status status = stack_prepare_push(e, stack_operand_size(e), &place);

    if (status == EMUL_DONE)
        memory_store(e, &place, value);
    return status;
}

/* The source's address counts with RSP as it was before, and MMIO is read only when the stack is known to be there. */
enum emul_status execute_push_rm(struct emul *e)
{
    struct operand source;
    struct place place;
    uint64_t value = 0;
    enum emul_status status = operand_open(e, stack_operand_size(e), 0, &source);

    if (status != EMUL_DONE)
        return status;
    if (!source.memory)
        value = operand_load(e, &source);
    status = stack_prepare_push(e, source.size, &place);
    if (status != EMUL_DONE)
        return status;
    if (source.memory)
        value = operand_load(e, &source);
    memory_store(e, &place, value);
    return EMUL_DONE;
}

enum emul_status execute_pop_register(struct emul *e, unsigned reg)
{
    unsigned size = stack_operand_size(e);
    struct place place;
    enum emul_status status = stack_prepare_pop(e, size, &place);

    if (status == EMUL_DONE)
        register_write(e, reg, size, memory_load(e, &place));
    return status;
}

/* The destination's address counts with RSP as it is afterwards (SDM Vol. 2, POP). */
enum emul_status execute_pop_rm(struct emul *e)
{
    struct operand destination;
    struct place place;
    enum emul_status status = stack_prepare_pop(e, stack_operand_size(e), &place);

    if (status != EMUL_DONE)
        return status;
    status = operand_open(e, stack_operand_size(e), WALK_WRITE, &destination);
    if (status == EMUL_DONE)
        operand_store(e, &destination, memory_load(e, &place));
    return status;
}

static enum emul_status check_target(struct emul *e, uint64_t *target)
{
    *target &= alu_mask(stack_operand_size(e));
    if (in_64_bit_mode(e) ? !memory_is_canonical(e->regs, *target) : *target > e->regs->seg[ABI_CS].limit)
        return emul_fault(e, VECTOR_GP);
    return EMUL_DONE;
}

/* Intel ignores the prefix on near branches in 64-bit mode, AMD truncates RIP: no compiler emits it. */
static bool is_vendors_affair(const struct emul *e)
{
    return in_64_bit_mode(e) && e->insn.operand_size == 2;
}

static enum emul_status unhandled_branch(struct emul *e)
{
    return emul_unhandled(e, "near branch with an operand-size prefix");
}

enum emul_status execute_call(struct emul *e, uint64_t target)
{
    uint64_t next = e->rip;
    enum emul_status status;

    if (is_vendors_affair(e))
        return unhandled_branch(e);
    status = check_target(e, &target);
    if (status == EMUL_DONE)
        status = execute_push(e, next);
    e->rip = target;
    return status;
}

enum emul_status execute_branch_rm(struct emul *e, bool call)
{
    struct operand source;
    uint64_t target;
    enum emul_status status;

    if (is_vendors_affair(e))
        return unhandled_branch(e);
    status = operand_open(e, stack_operand_size(e), 0, &source);
    if (status != EMUL_DONE)
        return status;
    target = operand_load(e, &source);
    if (call)
        return execute_call(e, target);
    status = check_target(e, &target);
    e->rip = target;
    return status;
}

/* C3, and C2 which takes arguments off the stack too. */
enum emul_status execute_return(struct emul *e)
{
    unsigned width = emul_stack_size(e->regs);
    struct place place;
    uint64_t target;
    enum emul_status status;

    if (is_vendors_affair(e))
        return unhandled_branch(e);
    status = stack_prepare_pop(e, stack_operand_size(e), &place);
    if (status != EMUL_DONE)
        return status;
    target = memory_load(e, &place);
    register_write(e, ABI_RSP, width, e->gpr[ABI_RSP] + e->insn.imm);
    status = check_target(e, &target);
    e->rip = target;
    return status;
}
