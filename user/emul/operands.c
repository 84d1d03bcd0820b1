/* Registers, effective addresses and the operand that ModRM.rm names. */
#include "user/emul/state.h"

/* Attempts of a LOCKed operation against other CPUs; after them the guest executes the instruction anew. */
#define MAX_TRIES 64

uint64_t register_read(const struct emul *e, unsigned reg, unsigned size)
{
    if (size == 1 && !e->insn.has_rex && reg >= 4 && reg < 8)
        return (e->gpr[reg - 4] >> 8) & 0xff;
    return e->gpr[reg & 15] & alu_mask(size);
}

void register_write(struct emul *e, unsigned reg, unsigned size, uint64_t value)
{
    uint64_t *gpr = &e->gpr[reg & 15];
    uint64_t mask = alu_mask(size);

    if (size == 1 && !e->insn.has_rex && reg >= 4 && reg < 8) {
        gpr = &e->gpr[reg - 4];
        *gpr = (*gpr & ~0xff00ull) | (value & 0xff) << 8;
    } else if (size >= 4) {
        *gpr = value & mask;
    } else {
        *gpr = (*gpr & ~mask) | (value & mask);
    }
}

/* SDM Vol. 1, 3.7.5; RIP-relative: the address of the next instruction counts. */
static uint64_t displaced_offset(const struct emul *e, int64_t displacement)
{
    const struct insn *insn = &e->insn;
    uint64_t offset = (uint64_t)insn->disp + (uint64_t)displacement;

    if (insn->rip_relative)
        offset += e->rip;
    if (insn->base != NO_REGISTER)
        offset += e->gpr[insn->base];
    if (insn->index != NO_REGISTER)
        offset += e->gpr[insn->index] << insn->scale;
    return offset & alu_mask(insn->address_size);
}

uint64_t operand_offset(const struct emul *e)
{
    return displaced_offset(e, 0);
}

unsigned operand_segment(const struct emul *e)
{
    const struct insn *insn = &e->insn;

    if (insn->segment != NO_REGISTER)
        return insn->segment;
    return insn->base == ABI_RSP || insn->base == ABI_RBP ? ABI_SS : ABI_DS;
}

bool operand_is_aligned(const struct emul *e, unsigned alignment)
{
    unsigned segment = operand_segment(e);
    uint64_t base = in_64_bit_mode(e) && segment < ABI_FS ? 0 : e->regs->seg[segment].base;

    return ((base + operand_offset(e)) & (alignment - 1)) == 0;
}

enum emul_status operand_open_memory(struct emul *e, unsigned size, uint32_t access, int64_t displacement,
                                     struct operand *operand)
{
    operand->memory = true;
    operand->size = size;
    return memory_translate(e, operand_segment(e), displaced_offset(e, displacement), size, access, &operand->place);
}

enum emul_status operand_open(struct emul *e, unsigned size, uint32_t access, struct operand *operand)
{
    if (e->insn.mod != 3)
        return operand_open_memory(e, size, access, 0, operand);
    operand->memory = false;
    operand->size = size;
    return EMUL_DONE;
}

uint64_t operand_load(struct emul *e, const struct operand *operand)
{
    if (operand->memory)
        return memory_load(e, &operand->place);
    return register_read(e, e->insn.rm, operand->size);
}

void operand_store(struct emul *e, const struct operand *operand, uint64_t value)
{
    if (operand->memory)
        memory_store(e, &operand->place, value);
    else
        register_write(e, e->insn.rm, operand->size, value);
}

/* XCHG with memory is LOCKed without the prefix (SDM Vol. 3, 8.1.2.1). */
static bool is_atomic(const struct emul *e)
{
    const struct insn *insn = &e->insn;

    return insn->lock || (insn->map == MAP_ONE_BYTE && (insn->opcode == 0x86 || insn->opcode == 0x87));
}

enum emul_status operand_modify(struct emul *e, const struct operand *operand, compute_fn *compute, uint64_t argument,
                                uint64_t *old)
{
    uint64_t rflags = e->rflags, value;

    for (unsigned i = 0; i < MAX_TRIES; i++) {
        e->rflags = rflags;
        *old = operand_load(e, operand);
        value = compute(e, *old, argument, operand->size);
        if (!operand->memory || !is_atomic(e)) {
            operand_store(e, operand, value);
            return EMUL_DONE;
        }
        if (memory_exchange(e, &operand->place, *old, value))
            return EMUL_DONE;
    }
    return EMUL_AGAIN;
}

uint64_t operand_immediate(const struct emul *e)
{
    unsigned size = e->insn.imm_size;

    return size == 1 || size == 2 || size == 4 ? (uint64_t)alu_signed(e->insn.imm, size) : e->insn.imm;
}
