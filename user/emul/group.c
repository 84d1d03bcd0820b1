/* One-byte opcodes that ModRM.reg extends: groups 1A, 2, 3, 4, 5 (SDM Vol. 2, A.4). */
#include "user/emul/state.h"

static uint64_t compute_shift(struct emul *e, uint64_t old, uint64_t argument, unsigned size)
{
    return alu_shift(e->insn.reg & 7, old, (unsigned)argument, size, &e->rflags);
}

static uint64_t compute_not(struct emul *e, uint64_t old, uint64_t argument, unsigned size)
{
    (void)e, (void)argument;
    return ~old & alu_mask(size);
}

static uint64_t compute_neg(struct emul *e, uint64_t old, uint64_t argument, unsigned size)
{
    (void)argument;
    return alu_binary(ALU_SUB, 0, old, size, &e->rflags);
}

static uint64_t compute_inc(struct emul *e, uint64_t old, uint64_t argument, unsigned size)
{
    (void)argument;
    return alu_inc(old, size, &e->rflags);
}

static uint64_t compute_dec(struct emul *e, uint64_t old, uint64_t argument, unsigned size)
{
    (void)argument;
    return alu_dec(old, size, &e->rflags);
}

static enum emul_status modify_rm(struct emul *e, compute_fn *compute, uint64_t argument)
{
    struct operand rm;
    uint64_t old;
    enum emul_status status = operand_open(e, operand_size_of(e), WALK_WRITE, &rm);

    return status == EMUL_DONE ? operand_modify(e, &rm, compute, argument, &old) : status;
}

static enum emul_status execute_shift(struct emul *e)
{
    uint64_t count = 1;

    if (e->insn.opcode < 0xd0)
        count = e->insn.imm;
    else if (e->insn.opcode >= 0xd2)
        count = e->gpr[ABI_RCX] & 0xff;
    return modify_rm(e, compute_shift, count);
}

/* MUL and IMUL of the accumulator: bytes into AX, else into rDX:rAX. */
static void multiply_accumulator(struct emul *e, uint64_t value, unsigned size)
{
    bool is_signed = (e->insn.reg & 7) == 5;
    uint64_t high, low = alu_multiply(e->gpr[ABI_RAX], value, is_signed, size, &high, &e->rflags);

    if (size == 1) {
        register_write(e, ABI_RAX, 2, high << 8 | low);
        return;
    }
    register_write(e, ABI_RAX, size, low);
    register_write(e, ABI_RDX, size, high);
}

/* DIV (/6), IDIV (/7) of the accumulator: AX by a byte, else rDX:rAX. */
static enum emul_status execute_divide(struct emul *e)
{
    unsigned size = operand_size_of(e);
    uint64_t low = register_read(e, ABI_RAX, size), high, divisor, quotient, remainder;
    enum emul_status status = operand_read(e, size, &divisor);

    if (status != EMUL_DONE)
        return status;
    high = size == 1 ? e->gpr[ABI_RAX] >> 8 & 0xff : register_read(e, ABI_RDX, size);
    if (!alu_divide(high, low, divisor, (e->insn.reg & 7) == 7, size, &quotient, &remainder))
        return emul_fault(e, VECTOR_DE);
    if (size == 1) {
        register_write(e, ABI_RAX, 2, remainder << 8 | quotient);
        return EMUL_DONE;
    }
    register_write(e, ABI_RAX, size, quotient);
    register_write(e, ABI_RDX, size, remainder);
    return EMUL_DONE;
}

static enum emul_status execute_group_3(struct emul *e)
{
    struct operand rm;
    enum emul_status status;

    switch (e->insn.reg & 7) {
    case 2:
        return modify_rm(e, compute_not, 0);
    case 3:
        return modify_rm(e, compute_neg, 0);
    case 6:
    case 7:
        return execute_divide(e);
    }
    status = operand_open(e, operand_size_of(e), 0, &rm);
    if (status != EMUL_DONE)
        return status;
    if ((e->insn.reg & 7) >= 4)
        multiply_accumulator(e, operand_load(e, &rm), rm.size);
    else /* TEST; /1 is an alias of /0 */
        alu_binary(ALU_AND, operand_load(e, &rm), operand_immediate(e), rm.size, &e->rflags);
    return EMUL_DONE;
}

static enum emul_status execute_group_45(struct emul *e)
{
    unsigned reg = e->insn.reg & 7;

    if (reg <= 1)
        return modify_rm(e, reg ? compute_dec : compute_inc, 0);
    if (e->insn.opcode == 0xfe || reg == 7)
        return emul_fault(e, VECTOR_UD);
    switch (reg) {
    case 2:
        return execute_branch_rm(e, true);
    case 4:
        return execute_branch_rm(e, false);
    case 6:
        return execute_push_rm(e);
    }
    return execute_listed(e);
}

enum emul_status execute_group(struct emul *e)
{
    switch (e->insn.opcode) {
    case 0x8f:
        return e->insn.reg & 7 ? emul_fault(e, VECTOR_UD) : execute_pop_rm(e);
    case 0xf6:
    case 0xf7:
        return execute_group_3(e);
    case 0xfe:
    case 0xff:
        return execute_group_45(e);
    default:
        return execute_shift(e);
    }
}
