/* The 0F opcode map. */
#include "user/emul/coverage.h"

#define CX16      FEATURE(ABI_FEATURES_1_ECX, 13)
#define MAX_TRIES 64 /* of CMPXCHG16B against other CPUs */

static enum emul_status execute_cmov(struct emul *e)
{
    unsigned size = e->insn.operand_size;
    struct operand rm;
    uint64_t value;
    enum emul_status status = operand_open(e, size, 0, &rm);

    if (status != EMUL_DONE)
        return status;
    value = operand_load(e, &rm); /* whether it is used or not (SDM Vol. 2, CMOVcc) */
    if (!alu_condition(e->insn.opcode & 15, e->rflags))
        value = register_read(e, e->insn.reg, size);
    register_write(e, e->insn.reg, size, value);
    return EMUL_DONE;
}

static enum emul_status execute_setcc(struct emul *e)
{
    struct operand rm;
    enum emul_status status = operand_open(e, 1, WALK_WRITE, &rm);

    if (status == EMUL_DONE)
        operand_store(e, &rm, alu_condition(e->insn.opcode & 15, e->rflags));
    return status;
}

/* BT, BTS, BTR, BTC: argument is the bit's number in the operand. */
static unsigned bit_op(const struct emul *e)
{
    return e->insn.opcode == 0xba ? e->insn.reg & 7 : (e->insn.opcode >> 3) & 7;
}

static uint64_t compute_bit(struct emul *e, uint64_t old, uint64_t argument, unsigned size)
{
    uint64_t bit = 1ull << argument;

    (void)size;
    e->rflags = old & bit ? e->rflags | RFLAGS_CF : e->rflags & ~RFLAGS_CF;
    switch (bit_op(e)) {
    case 5:
        return old | bit;
    case 6:
        return old & ~bit;
    case 7:
        return old ^ bit;
    default:
        return old;
    }
}

/* A bit number in a register reaches beyond the operand, in both directions (SDM Vol. 2, BT). */
static enum emul_status execute_bit(struct emul *e)
{
    unsigned size = e->insn.operand_size, bits = 8 * size;
    bool test = bit_op(e) == 4;
    int64_t number =
        e->insn.opcode == 0xba ? (int64_t)e->insn.imm : alu_signed(register_read(e, e->insn.reg, size), size);
    struct operand rm;
    uint64_t old;
    enum emul_status status;

    if (bit_op(e) < 4)
        return emul_fault(e, VECTOR_UD);
    if (e->insn.mod != 3 && e->insn.opcode != 0xba)
        status = operand_open_memory(e, size, test ? 0 : WALK_WRITE, (number >> 3) & -(int64_t)size, &rm);
    else
        status = operand_open(e, size, test ? 0 : WALK_WRITE, &rm);
    if (status != EMUL_DONE)
        return status;
    if (!test)
        return operand_modify(e, &rm, compute_bit, (uint64_t)number & (bits - 1), &old);
    compute_bit(e, operand_load(e, &rm), (uint64_t)number & (bits - 1), size);
    return EMUL_DONE;
}

static uint64_t compute_cmpxchg(struct emul *e, uint64_t old, uint64_t argument, unsigned size)
{
    alu_binary(ALU_CMP, register_read(e, ABI_RAX, size), old, size, &e->rflags);
    return e->rflags & RFLAGS_ZF ? argument : old;
}

/* The destination is written in any case (SDM Vol. 2, CMPXCHG). */
static enum emul_status execute_cmpxchg(struct emul *e)
{
    unsigned size = operand_size_of(e);
    struct operand rm;
    uint64_t old;
    enum emul_status status = operand_open(e, size, WALK_WRITE, &rm);

    if (status == EMUL_DONE)
        status = operand_modify(e, &rm, compute_cmpxchg, register_read(e, e->insn.reg, size), &old);
    if (status == EMUL_DONE && !(e->rflags & RFLAGS_ZF))
        register_write(e, ABI_RAX, size, old);
    return status;
}

static uint64_t compute_cmpxchg8b(struct emul *e, uint64_t old, uint64_t argument, unsigned size)
{
    uint64_t expected = (uint32_t)e->gpr[ABI_RAX] | e->gpr[ABI_RDX] << 32;

    (void)size;
    e->rflags = old == expected ? e->rflags | RFLAGS_ZF : e->rflags & ~RFLAGS_ZF;
    return old == expected ? argument : old;
}

static enum emul_status execute_cmpxchg8b(struct emul *e)
{
    struct operand rm;
    uint64_t old;
    enum emul_status status = operand_open(e, 8, WALK_WRITE, &rm);

    if (status == EMUL_DONE)
        status = operand_modify(e, &rm, compute_cmpxchg8b, (uint32_t)e->gpr[ABI_RBX] | e->gpr[ABI_RCX] << 32, &old);
    if (status == EMUL_DONE && !(e->rflags & RFLAGS_ZF)) {
        register_write(e, ABI_RAX, 4, old);
        register_write(e, ABI_RDX, 4, old >> 32);
    }
    return status;
}

/* As the 8-byte one, it writes what was there if that is not what was expected. */
static enum emul_status execute_cmpxchg16b(struct emul *e)
{
    uint64_t wanted[2] = {e->gpr[ABI_RBX], e->gpr[ABI_RCX]}, old[2];
    struct operand rm;
    struct place part;
    bool same;
    enum emul_status status;

    if (!coverage_shown(e, CX16))
        return emul_fault(e, VECTOR_UD);
    if (!operand_is_aligned(e, 16))
        return emul_fault(e, VECTOR_GP);
    status = operand_open(e, 16, WALK_WRITE, &rm);
    if (status != EMUL_DONE)
        return status;
    for (unsigned i = 0; i < MAX_TRIES; i++) {
        part = place_part(&rm.place, 0, 8);
        old[0] = memory_load(e, &part);
        part = place_part(&rm.place, 8, 8);
        old[1] = memory_load(e, &part);
        same = old[0] == e->gpr[ABI_RAX] && old[1] == e->gpr[ABI_RDX];
        if (!memory_exchange_16(e, &rm.place, old, same ? wanted : old))
            continue;
        alu_set_flag(&e->rflags, RFLAGS_ZF, same);
        if (!same) {
            e->gpr[ABI_RAX] = old[0];
            e->gpr[ABI_RDX] = old[1];
        }
        return EMUL_DONE;
    }
    return EMUL_AGAIN;
}

static enum emul_status execute_group_9(struct emul *e)
{
    if (e->insn.mod == 3 || (e->insn.reg & 7) != 1)
        return execute_listed(e);
    return e->insn.rex & REX_W ? execute_cmpxchg16b(e) : execute_cmpxchg8b(e);
}

static uint64_t compute_add(struct emul *e, uint64_t old, uint64_t argument, unsigned size)
{
    return alu_binary(ALU_ADD, old, argument, size, &e->rflags);
}

static enum emul_status execute_xadd(struct emul *e)
{
    unsigned size = operand_size_of(e);
    struct operand rm;
    uint64_t old;
    enum emul_status status = operand_open(e, size, WALK_WRITE, &rm);

    if (status == EMUL_DONE)
        status = operand_modify(e, &rm, compute_add, register_read(e, e->insn.reg, size), &old);
    if (status == EMUL_DONE && (rm.memory || e->insn.rm != e->insn.reg)) /* the sum wins */
        register_write(e, e->insn.reg, size, old);
    return status;
}

/* MOVZX (B6, B7), MOVSX (BE, BF). */
static enum emul_status execute_extend(struct emul *e)
{
    unsigned size = e->insn.opcode & 1 ? 2 : 1;
    struct operand rm;
    uint64_t value;
    enum emul_status status = operand_open(e, size, 0, &rm);

    if (status != EMUL_DONE)
        return status;
    value = operand_load(e, &rm);
    if (e->insn.opcode & 8)
        value = (uint64_t)alu_signed(value, size);
    register_write(e, e->insn.reg, e->insn.operand_size, value);
    return EMUL_DONE;
}

static enum emul_status execute_imul_rm(struct emul *e)
{
    unsigned size = e->insn.operand_size;
    struct operand rm;
    enum emul_status status = operand_open(e, size, 0, &rm);

    if (status == EMUL_DONE)
        execute_imul(e, e->insn.reg, register_read(e, e->insn.reg, size), operand_load(e, &rm));
    return status;
}

static enum emul_status execute_movnti(struct emul *e)
{
    unsigned size = e->insn.rex & REX_W ? 8 : 4;
    struct operand rm;
    enum emul_status status;

    if (e->insn.mod == 3 || e->insn.operand_prefix || e->insn.repeat)
        return emul_fault(e, VECTOR_UD);
    status = operand_open(e, size, WALK_WRITE, &rm);
    if (status == EMUL_DONE)
        operand_store(e, &rm, register_read(e, e->insn.reg, size));
    return status;
}

/* What only prepares caches for what may come, or does nothing at all: no access, so no fault (SDM Vol. 2,
 * PREFETCHh). */
enum emul_status execute_nothing(struct emul *e)
{
    (void)e;
    return EMUL_DONE;
}

/* CLFLUSH, CLFLUSHOPT, CLWB: with the checks of a load, and nothing to write back of what is no memory. */
enum emul_status execute_flush(struct emul *e)
{
    struct operand line;

    return operand_open_memory(e, 1, 0, 0, &line);
}

enum emul_status execute_0f(struct emul *e)
{
    switch (e->insn.opcode) {
    case 0x40 ... 0x4f:
        return execute_cmov(e);
    case 0x90 ... 0x9f:
        return execute_setcc(e);
    case 0xa3:
    case 0xab:
    case 0xb3:
    case 0xba:
    case 0xbb:
        return execute_bit(e);
    case 0xaf:
        return execute_imul_rm(e);
    case 0xb0:
    case 0xb1:
        return execute_cmpxchg(e);
    case 0xb6:
    case 0xb7:
    case 0xbe:
    case 0xbf:
        return execute_extend(e);
    case 0xc0:
    case 0xc1:
        return execute_xadd(e);
    case 0xc3:
        return execute_movnti(e);
    case 0xc7:
        return execute_group_9(e);
    default:
        return execute_listed(e);
    }
}
