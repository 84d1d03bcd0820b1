/* Instructions on the bits of general registers: double shifts, scans and counts, MOVBE, CRC32, ADX, and BMI by VEX. */
#include "user/emul/coverage.h"

#define TZCNT FEATURE(ABI_FEATURES_7_EBX, 3) /* of BMI1 */
#define LZCNT FEATURE(ABI_FEATURES_80000001_ECX, 5)

#define CRC32C_REVERSED 0x82f63b78u /* SDM Vol. 2, CRC32: 11EDC6F41h, bits in the order of a CRC's */

static uint64_t compute_double_shift(struct emul *e, uint64_t old, uint64_t count, unsigned size)
{
    uint64_t filler = register_read(e, e->insn.reg, size);

    return alu_double_shift(e->insn.opcode < 0xa8, old, filler, (unsigned)count, size, &e->rflags);
}

/* SHLD (A4, A5), SHRD (AC, AD). */
enum emul_status execute_double_shift(struct emul *e)
{
    uint64_t count = e->insn.opcode & 1 ? e->gpr[ABI_RCX] & 0xff : e->insn.imm, old;
    struct operand rm;
    enum emul_status status = operand_open(e, e->insn.operand_size, WALK_WRITE, &rm);

    return status == EMUL_DONE ? operand_modify(e, &rm, compute_double_shift, count, &old) : status;
}

/* value is not 0. */
static unsigned lowest_bit(uint64_t value)
{
    return (unsigned)__builtin_ctzll(value);
}

static unsigned highest_bit(uint64_t value)
{
    return 63u - (unsigned)__builtin_clzll(value);
}

/* TZCNT, LZCNT: the operand's size for 0. */
static void count_zeros(struct emul *e, bool from_top, uint64_t value, unsigned size)
{
    unsigned bits = 8 * size, count = bits;

    if (value)
        count = from_top ? bits - 1 - highest_bit(value) : lowest_bit(value);
    alu_set_flag(&e->rflags, RFLAGS_CF, value == 0);
    alu_set_flag(&e->rflags, RFLAGS_ZF, count == 0);
    register_write(e, e->insn.reg, size, count);
}

/* BSF (BC), BSR (BD); with F3, TZCNT and LZCNT on CPUs that have them. Of 0, BSF and BSR leave the register alone. */
enum emul_status execute_scan(struct emul *e)
{
    unsigned size = e->insn.operand_size;
    bool from_top = e->insn.opcode & 1;
    uint64_t value;
    enum emul_status status = operand_read(e, size, &value);

    if (status != EMUL_DONE)
        return status;
    if (e->insn.repeat == 0xf3 && coverage_shown(e, from_top ? LZCNT : TZCNT)) {
        count_zeros(e, from_top, value, size);
        return EMUL_DONE;
    }
    alu_set_flag(&e->rflags, RFLAGS_ZF, value == 0);
    if (value)
        register_write(e, e->insn.reg, size, from_top ? highest_bit(value) : lowest_bit(value));
    return EMUL_DONE;
}

enum emul_status execute_popcnt(struct emul *e)
{
    unsigned size = e->insn.operand_size, count = 0;
    uint64_t value;
    enum emul_status status = operand_read(e, size, &value);

    if (status != EMUL_DONE)
        return status;
    for (uint64_t rest = value; rest; rest &= rest - 1)
        count++;
    e->rflags &= ~RFLAGS_ARITHMETIC;
    alu_set_flag(&e->rflags, RFLAGS_ZF, value == 0);
    register_write(e, e->insn.reg, size, count);
    return EMUL_DONE;
}

static uint64_t swap_bytes(uint64_t value, unsigned size)
{
    return __builtin_bswap64(value) >> (64 - 8 * size);
}

enum emul_status execute_movbe(struct emul *e)
{
    bool store = e->insn.opcode == 0xf1;
    unsigned size = e->insn.operand_size;
    struct operand rm;
    enum emul_status status = operand_open(e, size, store ? WALK_WRITE : 0, &rm);

    if (status != EMUL_DONE)
        return status;
    if (store)
        operand_store(e, &rm, swap_bytes(register_read(e, e->insn.reg, size), size));
    else
        register_write(e, e->insn.reg, size, swap_bytes(operand_load(e, &rm), size));
    return EMUL_DONE;
}

/* F0: a byte; F1: as the operand size says. The register is one of 32 bits, or with REX.W of 64. */
enum emul_status execute_crc32(struct emul *e)
{
    unsigned size = operand_size_of(e);
    uint32_t crc = (uint32_t)e->gpr[e->insn.reg];
    uint64_t value;
    enum emul_status status = operand_read(e, size, &value);

    if (status != EMUL_DONE)
        return status;
    for (unsigned i = 0; i < size; i++) {
        crc ^= (uint8_t)(value >> 8 * i);
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ CRC32C_REVERSED : crc >> 1;
    }
    e->gpr[e->insn.reg] = crc;
    return EMUL_DONE;
}

/* ADCX (66), ADOX (F3). */
enum emul_status execute_adx(struct emul *e)
{
    unsigned size = e->insn.rex & REX_W ? 8 : 4;
    uint64_t flag = insn_prefix(&e->insn) == 0x66 ? RFLAGS_CF : RFLAGS_OF, value;
    enum emul_status status = operand_read(e, size, &value);

    if (status == EMUL_DONE)
        register_write(e, e->insn.reg, size,
                       alu_add_with(flag, register_read(e, e->insn.reg, size), value, size, &e->rflags));
    return status;
}

/* ---- BMI1 and BMI2 by VEX (SDM Vol. 2) */

/* Group 17: BLSR /1, BLSMSK /2, BLSI /3. */
static void lowest_set(struct emul *e, uint64_t value, unsigned size)
{
    unsigned reg = e->insn.reg & 7;
    uint64_t result = reg == 1 ? value & (value - 1) : reg == 2 ? value ^ (value - 1) : value & -value;

    result &= alu_mask(size);
    alu_bit_flags(result, reg == 3 ? value != 0 : value == 0, size, &e->rflags);
    register_write(e, e->insn.vvvv, size, result);
}

static void bextr(struct emul *e, uint64_t value, uint64_t control, unsigned size)
{
    unsigned start = control & 0xff, length = control >> 8 & 0xff;

    value = start < 64 ? value >> start : 0;
    if (length < 64)
        value &= (1ull << length) - 1;
    alu_bit_flags(value, false, size, &e->rflags);
    register_write(e, e->insn.reg, size, value);
}

static void bzhi(struct emul *e, uint64_t value, uint64_t index, unsigned size)
{
    index &= 0xff;
    if (index < 8 * size)
        value &= (1ull << index) - 1;
    alu_bit_flags(value, index >= 8 * size, size, &e->rflags);
    register_write(e, e->insn.reg, size, value);
}

/* PDEP: bits of source from below to where the mask has ones; PEXT: the other way. */
static uint64_t scatter(uint64_t source, uint64_t mask, bool extract)
{
    uint64_t result = 0;

    for (unsigned n = 0; mask; mask &= mask - 1, n++) {
        unsigned at = lowest_bit(mask);

        result |= extract ? (source >> at & 1) << n : (source >> n & 1) << at;
    }
    return result;
}

static void mulx(struct emul *e, uint64_t value, unsigned size)
{
    uint64_t flags = 0, high, low = alu_multiply(e->gpr[ABI_RDX], value, false, size, &high, &flags);

    register_write(e, e->insn.vvvv, size, low);
    register_write(e, e->insn.reg, size, high); /* which wins, if they are one register */
}

/* SHLX (66), SARX (F3), SHRX (F2), no flags. */
static uint64_t shift(unsigned prefix, uint64_t value, uint64_t count, unsigned size)
{
    enum alu_shift op = prefix == 0x66 ? ALU_SHL : prefix == 0xf3 ? ALU_SAR : ALU_SHR;
    uint64_t flags = 0;

    return alu_shift(op, value, (unsigned)(count & 0xff), size, &flags);
}

enum emul_status execute_bmi(struct emul *e)
{
    const struct insn *insn = &e->insn;
    unsigned size = insn->rex & REX_W ? 8 : 4, prefix = insn->vector_prefix;
    uint64_t other = register_read(e, insn->vvvv, size), value, flags = 0;
    bool rotates = insn->map == MAP_0F3A, lowest = insn->opcode == 0xf3;
    enum emul_status status;

    if (insn->vector_256 || !in_protected_mode(e) || (rotates && insn->vvvv) ||
        (lowest && ((insn->reg & 7) < 1 || (insn->reg & 7) > 3)))
        return emul_fault(e, VECTOR_UD);
    status = operand_read(e, size, &value);
    if (status != EMUL_DONE)
        return status;
    if (rotates)
        register_write(e, insn->reg, size, alu_shift(ALU_ROR, value, (unsigned)insn->imm, size, &flags));
    else if (lowest)
        lowest_set(e, value, size);
    else if (insn->opcode == 0xf6)
        mulx(e, value, size);
    else if (insn->opcode == 0xf5 && !prefix)
        bzhi(e, value, other, size);
    else if (insn->opcode == 0xf5)
        register_write(e, insn->reg, size, scatter(other, value, prefix == 0xf3));
    else if (insn->opcode == 0xf7 && !prefix)
        bextr(e, value, other, size);
    else if (insn->opcode == 0xf7)
        register_write(e, insn->reg, size, shift(prefix, value, other, size));
    else { /* ANDN */
        value &= ~other;
        alu_bit_flags(value, false, size, &e->rflags);
        register_write(e, insn->reg, size, value);
    }
    return EMUL_DONE;
}
