/* The one-byte opcode map. */
#include "user/emul/state.h"

static enum alu_op binary_op(const struct emul *e)
{
    return e->insn.opcode < 0x40 ? (e->insn.opcode >> 3) & 7 : e->insn.reg & 7;
}

static uint64_t compute_binary(struct emul *e, uint64_t old, uint64_t argument, unsigned size)
{
    return alu_binary(binary_op(e), old, argument, size, &e->rflags);
}

static uint64_t compute_exchange(struct emul *e, uint64_t old, uint64_t argument, unsigned size)
{
    (void)e, (void)old, (void)size;
    return argument;
}

/* ADD, OR, ADC, SBB, AND, SUB, XOR to r/m; CMP only reads it. */
static enum emul_status binary_to_rm(struct emul *e, uint64_t argument)
{
    struct operand rm;
    uint64_t old;
    bool compare = binary_op(e) == ALU_CMP;
    enum emul_status status = operand_open(e, operand_size_of(e), compare ? 0 : WALK_WRITE, &rm);

    if (status != EMUL_DONE)
        return status;
    if (!compare)
        return operand_modify(e, &rm, compute_binary, argument, &old);
    compute_binary(e, operand_load(e, &rm), argument, rm.size);
    return EMUL_DONE;
}

static void binary_to_register(struct emul *e, unsigned reg, uint64_t argument, unsigned size)
{
    uint64_t result = compute_binary(e, register_read(e, reg, size), argument, size);

    if (binary_op(e) != ALU_CMP)
        register_write(e, reg, size, result);
}

static enum emul_status store_rm(struct emul *e, unsigned size, uint64_t value)
{
    struct operand rm;
    enum emul_status status = operand_open(e, size, WALK_WRITE, &rm);

    if (status == EMUL_DONE)
        operand_store(e, &rm, value);
    return status;
}

/* 00-3F, in the forms r/m,r - r,r/m - accumulator,immediate. */
static enum emul_status execute_binary(struct emul *e)
{
    unsigned size = operand_size_of(e);
    uint64_t value;
    enum emul_status status;

    switch (e->insn.opcode & 7) {
    case 0:
    case 1:
        return binary_to_rm(e, register_read(e, e->insn.reg, size));
    case 2:
    case 3:
        status = operand_read(e, size, &value);
        if (status == EMUL_DONE)
            binary_to_register(e, e->insn.reg, value, size);
        return status;
    case 4:
    case 5:
        binary_to_register(e, ABI_RAX, operand_immediate(e), size);
        return EMUL_DONE;
    default:
        return execute_listed(e);
    }
}

static enum emul_status execute_test(struct emul *e)
{
    unsigned size = operand_size_of(e);
    uint64_t value;
    enum emul_status status = operand_read(e, size, &value);

    if (status == EMUL_DONE)
        alu_binary(ALU_AND, value, register_read(e, e->insn.reg, size), size, &e->rflags);
    return status;
}

static enum emul_status execute_exchange(struct emul *e)
{
    unsigned size = operand_size_of(e);
    struct operand rm;
    uint64_t old;
    enum emul_status status = operand_open(e, size, WALK_WRITE, &rm);

    if (status != EMUL_DONE)
        return status;
    status = operand_modify(e, &rm, compute_exchange, register_read(e, e->insn.reg, size), &old);
    if (status == EMUL_DONE)
        register_write(e, e->insn.reg, size, old);
    return status;
}

static enum emul_status load_register(struct emul *e, unsigned reg, unsigned size)
{
    uint64_t value;
    enum emul_status status = operand_read(e, size, &value);

    if (status == EMUL_DONE)
        register_write(e, reg, size, value);
    return status;
}

/* A selector in memory is a word, in a register it fills the operand. */
static enum emul_status execute_mov_from_segment(struct emul *e)
{
    unsigned reg = e->insn.reg & 7;

    if (reg >= ABI_SEGS)
        return emul_fault(e, VECTOR_UD);
    return store_rm(e, e->insn.mod == 3 ? e->insn.operand_size : 2, e->regs->seg[reg].selector);
}

static enum emul_status execute_lea(struct emul *e)
{
    if (e->insn.mod == 3)
        return emul_fault(e, VECTOR_UD);
    register_write(e, e->insn.reg, e->insn.operand_size, operand_offset(e));
    return EMUL_DONE;
}

static uint64_t compute_arpl(struct emul *e, uint64_t old, uint64_t argument, unsigned size)
{
    bool lower = (old & 3) < (argument & 3);

    (void)size;
    alu_set_flag(&e->rflags, RFLAGS_ZF, lower);
    return lower ? (old & ~3ull) | (argument & 3) : old;
}

static enum emul_status execute_arpl(struct emul *e)
{
    struct operand rm;
    uint64_t old;
    enum emul_status status;

    if (!in_protected_mode(e))
        return emul_fault(e, VECTOR_UD);
    status = operand_open(e, 2, WALK_WRITE, &rm);
    if (status == EMUL_DONE)
        status = operand_modify(e, &rm, compute_arpl, register_read(e, e->insn.reg, 2), &old);
    return status;
}

static enum emul_status execute_movsxd(struct emul *e)
{
    unsigned size = e->insn.operand_size == 2 ? 2 : 4;
    uint64_t value;
    enum emul_status status;

    if (!in_64_bit_mode(e))
        return execute_arpl(e);
    status = operand_read(e, size, &value);
    if (status == EMUL_DONE)
        register_write(e, e->insn.reg, e->insn.operand_size, (uint64_t)alu_signed(value, size));
    return status;
}

void execute_imul(struct emul *e, unsigned reg, uint64_t a, uint64_t b)
{
    unsigned size = e->insn.operand_size;
    uint64_t high;

    register_write(e, reg, size, alu_multiply(a, b, true, size, &high, &e->rflags));
}

static enum emul_status execute_imul_immediate(struct emul *e)
{
    uint64_t value;
    enum emul_status status = operand_read(e, e->insn.operand_size, &value);

    if (status == EMUL_DONE)
        execute_imul(e, e->insn.reg, value, operand_immediate(e));
    return status;
}

static enum emul_status execute_xlat(struct emul *e)
{
    unsigned segment = e->insn.segment == NO_REGISTER ? ABI_DS : e->insn.segment;
    uint64_t offset = (e->gpr[ABI_RBX] + (e->gpr[ABI_RAX] & 0xff)) & alu_mask(e->insn.address_size);
    struct place place;
    enum emul_status status = memory_translate(e, segment, offset, 1, 0, &place);

    if (status == EMUL_DONE)
        register_write(e, ABI_RAX, 1, memory_load(e, &place));
    return status;
}

enum emul_status execute_one_byte(struct emul *e)
{
    const struct insn *insn = &e->insn;
    unsigned size = operand_size_of(e), low = (insn->opcode & 7) | (insn->rex & REX_B ? 8 : 0);

    if (insn->opcode < 0x40)
        return execute_binary(e);
    switch (insn->opcode) {
    case 0x50 ... 0x57:
        return execute_push(e, e->gpr[low]);
    case 0x58 ... 0x5f:
        return execute_pop_register(e, low);
    case 0x63:
        return execute_movsxd(e);
    case 0x68:
    case 0x6a:
        return execute_push(e, operand_immediate(e));
    case 0x69:
    case 0x6b:
        return execute_imul_immediate(e);
    case 0x80 ... 0x83:
        return binary_to_rm(e, operand_immediate(e));
    case 0x84:
    case 0x85:
        return execute_test(e);
    case 0x86:
    case 0x87:
        return execute_exchange(e);
    case 0x88:
    case 0x89:
        return store_rm(e, size, register_read(e, insn->reg, size));
    case 0x8a:
    case 0x8b:
        return load_register(e, insn->reg, size);
    case 0x8c:
        return execute_mov_from_segment(e);
    case 0x8d:
        return execute_lea(e);
    case 0xa0:
    case 0xa1: /* moffs: mod, base and index say nothing but a displacement */
        return load_register(e, ABI_RAX, size);
    case 0xa2:
    case 0xa3:
        return store_rm(e, size, e->gpr[ABI_RAX]);
    case 0x6c ... 0x6f:
    case 0xa4 ... 0xa7:
    case 0xaa ... 0xaf:
        return execute_string(e);
    case 0xc2:
    case 0xc3:
        return execute_return(e);
    case 0xc6:
    case 0xc7:
        if (insn->reg & 7)
            return execute_listed(e);
        return store_rm(e, size, operand_immediate(e));
    case 0xd7:
        return execute_xlat(e);
    case 0xe8:
        return execute_call(e, e->rip + operand_immediate(e));
    case 0x8f:
    case 0xc0:
    case 0xc1:
    case 0xd0 ... 0xd3:
    case 0xf6:
    case 0xf7:
    case 0xfe:
    case 0xff:
        return execute_group(e);
    default:
        return execute_listed(e);
    }
}
