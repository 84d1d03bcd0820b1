/*
 * What the comparison with Unicorn executes: random instructions, registers such that most accesses hit memory, and the
 * flags that the manuals leave undefined afterwards.
 */
#ifndef TESTS_UNIT_EMUL_RANDOM_H
#define TESTS_UNIT_EMUL_RANDOM_H

#include "tests/unit/test.h"
#include "user/emul/alu.h"
#include "user/emul/emul.h"
#include "user/emul/insn.h"
#include "user/emul/x86.h"

#define RAM_SIZE 0x40000u /* from address 0: all that real mode reaches */
#define CODE     0x12000u
#define CODE_16  0x2000u /* in real mode, where CS is 0 */
#define SLOTS    1024u   /* of 16 bytes: each instruction has its own, since Unicorn keeps what it translated */
#define DATA     0x20000u
#define DATA_END 0x30000u

struct machine {
    unsigned mode; /* 8, 4, 2 */
    uint64_t seed;
    struct insn insn;
    struct abi_regs regs;
    uint8_t code[15];
    uint32_t at;            /* where the code is */
    uint8_t *ours, *theirs; /* RAM of both */
    bool as_mmio, hole;
    uint32_t port_values[64], our_ports, their_ports; /* a log of port writes, as a running hash, and reads */
    uint64_t our_hash, their_hash;
};

static unsigned register_count(const struct machine *m) { return m->mode == 8 ? 16 : 8; }

static uint32_t code_of(const struct machine *m) { return m->mode == 2 ? CODE_16 : CODE; }

/* ---- Random instructions */

/*
 * {map, opcode, ModRM.reg or -1 for any, mandatory prefix, VEX} of everything that is emulated; a range is one choice
 * among the others.
 */
static const struct {
    uint8_t map, first, last;
    int8_t reg;
    uint8_t prefix;
    bool vex;
} instructions[] = {
    {0, 0x00, 0x3f, -1, 0, false},    {0, 0x50, 0x5f, -1, 0, false},    {0, 0x63, 0x63, -1, 0, false},
    {0, 0x68, 0x6b, -1, 0, false},    {0, 0x6c, 0x6f, -1, 0, false},    {0, 0x80, 0x83, -1, 0, false},
    {0, 0x84, 0x8b, -1, 0, false},    {0, 0x88, 0x8b, -1, 0, false},    {0, 0x8d, 0x8d, -1, 0, false},
    {0, 0x8f, 0x8f, 0, 0, false},     {0, 0xa0, 0xa3, -1, 0, false},    {0, 0xa4, 0xa7, -1, 0, false},
    {0, 0xaa, 0xaf, -1, 0, false},    {0, 0xc0, 0xc1, -1, 0, false},    {0, 0xc2, 0xc3, -1, 0, false},
    {0, 0xc6, 0xc7, 0, 0, false},     {0, 0xd0, 0xd3, -1, 0, false},    {0, 0xd7, 0xd7, -1, 0, false},
    {0, 0xe8, 0xe8, -1, 0, false},    {0, 0xf6, 0xf7, -1, 0, false},    {0, 0xf6, 0xf7, -1, 0, false},
    {0, 0xfe, 0xff, -1, 0, false},    {0, 0xff, 0xff, 2, 0, false},     {0, 0xff, 0xff, 4, 0, false},
    {0, 0xff, 0xff, 6, 0, false},     {1, 0x40, 0x4f, -1, 0, false},    {1, 0x90, 0x9f, -1, 0, false},
    {1, 0xa3, 0xa3, -1, 0, false},    {1, 0xab, 0xab, -1, 0, false},    {1, 0xb3, 0xb3, -1, 0, false},
    {1, 0xbb, 0xbb, -1, 0, false},    {1, 0xba, 0xba, -1, 0, false},    {1, 0xaf, 0xaf, -1, 0, false},
    {1, 0xb0, 0xb1, -1, 0, false},    {1, 0xb6, 0xb7, -1, 0, false},    {1, 0xbe, 0xbf, -1, 0, false},
    {1, 0xc0, 0xc1, -1, 0, false},    {1, 0xc3, 0xc3, -1, 0, false},    {1, 0xc7, 0xc7, 1, 0, false},
    {0, 0x60, 0x62, -1, 0, false},    {0, 0x9c, 0x9c, -1, 0, false},    {0, 0xc8, 0xc9, -1, 0, false},
    {0, 0xf6, 0xf7, 6, 0, false},     {0, 0xf6, 0xf7, 7, 0, false},     {1, 0xa4, 0xa5, -1, 0, false},
    {1, 0xac, 0xad, -1, 0, false},    {1, 0xbc, 0xbd, -1, 0, false},    {1, 0xc7, 0xc7, 1, 0, false},
    {1, 0xbc, 0xbd, -1, 0xf3, false}, {2, 0xf0, 0xf1, -1, 0xf2, false}, {2, 0xf6, 0xf6, -1, 0x66, false},
    {2, 0xf6, 0xf6, -1, 0xf3, false}, {2, 0xf2, 0xf2, -1, 0, true},     {2, 0xf3, 0xf3, 1, 0, true},
    {2, 0xf3, 0xf3, 2, 0, true},      {2, 0xf3, 0xf3, 3, 0, true},      {2, 0xf5, 0xf5, -1, 0, true},
    {2, 0xf5, 0xf5, -1, 0xf2, true},  {2, 0xf5, 0xf5, -1, 0xf3, true},  {2, 0xf6, 0xf6, -1, 0xf2, true},
    {2, 0xf7, 0xf7, -1, 0, true},     {2, 0xf7, 0xf7, -1, 0x66, true},  {2, 0xf7, 0xf7, -1, 0xf2, true},
    {2, 0xf7, 0xf7, -1, 0xf3, true},  {3, 0xf0, 0xf0, -1, 0xf2, true},
};

static bool chance(struct machine *m, unsigned percent) { return test_random(&m->seed) % 100 < percent; }

/* C4 and two bytes: any register everywhere, L and what RORX has not are 0. */
static unsigned put_vex(struct machine *m, unsigned pick, uint8_t *at)
{
    uint64_t r = test_random(&m->seed);
    uint8_t prefix = instructions[pick].prefix, wide = m->mode == 8 ? r & 0x80 : 0;
    uint8_t pp = prefix == 0xf2 ? 3 : prefix == 0xf3 ? 2 : prefix == 0x66;
    uint8_t registers = m->mode == 8 ? (r >> 8) & 0xe0 : 0xe0;
    uint8_t vvvv = instructions[pick].map == 3 ? 0x78 : (r >> 16) & 0x78;

    at[0] = 0xc4;
    at[1] = registers | instructions[pick].map;
    at[2] = wide | pp | vvvv | (m->mode == 8 ? 0 : 0x40);
    return 3;
}

static void put_32(uint8_t *at, uint32_t value) { memcpy(at, &value, 4); }

static void build_instruction(struct machine *m)
{
    uint64_t r = test_random(&m->seed);
    unsigned n = 0, pick = (unsigned)(r % ARRAY_SIZE(instructions)), modrm;
    unsigned span = instructions[pick].last - instructions[pick].first + 1u;
    uint8_t opcode = (uint8_t)(instructions[pick].first + (r >> 16) % span);

    if (instructions[pick].map == 0 && (opcode & 0xe7) == 0x26) /* a prefix in this range */
        opcode -= 4;
    for (unsigned i = 0; i < sizeof(m->code); i++)
        m->code[i] = (uint8_t)test_random(&m->seed);
    if (!instructions[pick].vex && instructions[pick].prefix != 0x66 && instructions[pick].map != 3 && chance(m, 20))
        m->code[n++] = 0x66;
    if (chance(m, 10))
        m->code[n++] = 0x67;
    if (!instructions[pick].vex && chance(m, 10))
        m->code[n++] = 0xf0;
    if (instructions[pick].map == 0 && opcode >= 0x6c && opcode < 0xb0 && (opcode < 0x70 || opcode > 0xa3) &&
        chance(m, 60))
        m->code[n++] = 0xf2 + (r & 1);
    if (instructions[pick].prefix && !instructions[pick].vex)
        m->code[n++] = instructions[pick].prefix;
    if (m->mode == 8 && !instructions[pick].vex && chance(m, 50))
        m->code[n++] = 0x40 | ((r >> 40) & 15);
    if (instructions[pick].vex)
        n += put_vex(m, pick, m->code + n);
    else if (instructions[pick].map >= 1)
        m->code[n++] = 0x0f;
    if (instructions[pick].map >= 2 && !instructions[pick].vex)
        m->code[n++] = 0x38;
    m->code[n++] = opcode;
    if (instructions[pick].map == 0 && opcode >= 0xa0 && opcode <= 0xa3) {
        put_32(m->code + n, DATA + (uint32_t)(r >> 33) % (DATA_END - DATA));
        put_32(m->code + n + 4, 0);
        return;
    }
    modrm = m->code[n];
    if (instructions[pick].reg >= 0)
        modrm = (modrm & 0xc7) | (unsigned)instructions[pick].reg << 3;
    if ((modrm >> 6) == 3 && chance(m, 60))
        modrm = (modrm & 0x3f) | 0x40;
    m->code[n] = (uint8_t)modrm;
    if (m->mode != 2 && (modrm & 0xc7) == 5) /* absolute, or relative to RIP */
        put_32(m->code + n + 1, (m->mode == 8 ? DATA - m->at : DATA) + 0x1000);
}

/* ---- Random registers, such that most accesses hit the data area */

static uint64_t interesting(struct machine *m)
{
    static const uint64_t edges[] = {0,      1,          0x7f,       0x80,       0xff,       0x7fff, 0x8000,
                                     0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 63, ~0ull,  (1ull << 63) - 1};
    uint64_t r = test_random(&m->seed);

    return r & 3 ? test_random(&m->seed) : edges[(r >> 8) % ARRAY_SIZE(edges)];
}

static uint64_t data_address(struct machine *m)
{
    return m->mode == 2 ? test_random(&m->seed) & 0xffff
                        : DATA + 0x400 + test_random(&m->seed) % (DATA_END - DATA - 0x800);
}

static void aim_memory_operand(struct machine *m)
{
    const struct insn *insn = &m->insn;
    uint64_t *gpr = m->regs.gpr;
    uint64_t offset = data_address(m) - (uint64_t)insn->disp;

    if (!insn->has_modrm || insn->mod == 3 || insn->rip_relative)
        return;
    if (insn->index != NO_REGISTER && insn->base != NO_REGISTER && insn->index != insn->base) {
        gpr[insn->index] = test_random(&m->seed) & 0xff;
        gpr[insn->base] = offset - (gpr[insn->index] << insn->scale);
    } else if (insn->index != NO_REGISTER && insn->base != NO_REGISTER) {
        gpr[insn->base] = offset / ((1u << insn->scale) + 1);
    } else if (insn->index != NO_REGISTER) {
        gpr[insn->index] = offset >> insn->scale;
    } else if (insn->base != NO_REGISTER) {
        gpr[insn->base] = offset;
    }
    if (insn->address_size == 4 && m->mode == 8 && insn->base != NO_REGISTER && chance(m, 50))
        gpr[insn->base] |= test_random(&m->seed) << 32;
}

static bool is_string(const struct insn *insn)
{
    return insn->map == MAP_ONE_BYTE &&
           ((insn->opcode >= 0x6c && insn->opcode <= 0x6f) ||
            (insn->opcode >= 0xa4 && insn->opcode <= 0xaf && (insn->opcode & 0xfe) != 0xa8));
}

static bool is_scan(const struct insn *insn) { return insn->map == MAP_0F && (insn->opcode & 0xfe) == 0xbc; }

static bool is_long_double_shift(const struct machine *m)
{
    const struct insn *insn = &m->insn;
    unsigned count = insn->opcode & 1 ? (unsigned)m->regs.gpr[ABI_RCX] : (unsigned)insn->imm;

    return insn->map == MAP_0F && (insn->opcode & 0xf6) == 0xa4 && insn->operand_size == 2 && (count & 31) > 16;
}

static bool is_cmpxchg(const struct insn *insn) { return insn->map == MAP_0F && (insn->opcode & 0xfe) == 0xb0; }

/* They would need descriptors. */
static bool is_of_segments(const struct insn *insn)
{
    if (insn->map != MAP_ONE_BYTE)
        return false;
    return (insn->opcode < 0x40 && (insn->opcode & 7) >= 6) ||
           (insn->opcode == 0xff && ((insn->reg & 7) == 3 || (insn->reg & 7) == 5));
}

static bool unknown_to_unicorn(const struct insn *insn)
{
    unsigned op = insn->opcode & 0xfe;

    if (is_of_segments(insn))
        return true;
    if (insn->encoding == ENCODING_VEX && insn->map == MAP_0F38) /* PEXT and PDEP; BEXTR */
        return (insn->opcode == 0xf5 && insn->vector_prefix) || (insn->opcode == 0xf7 && !insn->vector_prefix);
    if (insn->encoding == ENCODING_VEX || (insn->map == MAP_0F && (insn->opcode & 0xf7) == 0xa4)) /* RORX, SHLD, SHRD */
        return insn->rip_relative;
    if (insn->map == MAP_ONE_BYTE && insn->opcode == 0xc8 && insn->operand_size != (insn->mode == 2 ? 2 : 4))
        return insn->mode != 8;
    if (insn->map == MAP_0F38) /* CRC32, ADX */
        return insn->mode == 2 || (insn->repeat && insn->operand_prefix);
    return insn->map == MAP_ONE_BYTE &&
           ((op == 0xf6 && (insn->reg & 7) == 1) || (op == 0xf6 && (insn->reg & 7) == 3 && insn->lock) ||
            (insn->opcode == 0xc2 && insn->imm >= 0x8000) || (op == 0xc6 && (insn->rex & REX_R)));
}

static void set_registers(struct machine *m)
{
    uint64_t *gpr = m->regs.gpr;

    memset(gpr, 0, sizeof(m->regs.gpr));
    for (unsigned i = 0; i < register_count(m); i++)
        gpr[i] = interesting(m);
    gpr[ABI_RSP] = data_address(m);
    if (m->insn.map == MAP_0F && (m->insn.opcode & 0xe7) == 0xa3 && chance(m, 70)) /* BT and its like */
        gpr[m->insn.reg] = (uint64_t)((int64_t)test_random(&m->seed) >> 51);
    if (is_string(&m->insn)) {
        gpr[ABI_RSI] = data_address(m);
        gpr[ABI_RDI] = chance(m, 20) ? gpr[ABI_RSI] : data_address(m);
        gpr[ABI_RCX] = test_random(&m->seed) % 20;
    }
    if (m->insn.map == MAP_ONE_BYTE && m->insn.opcode == 0xd7)
        gpr[ABI_RBX] = data_address(m);
    if (m->insn.encoding == ENCODING_VEX && m->insn.opcode == 0xf5 && !m->insn.vector_prefix) /* BZHI */
        gpr[m->insn.vvvv] &= 0x1f;
    aim_memory_operand(m);
    if (is_cmpxchg(&m->insn) && m->insn.base != ABI_RAX && m->insn.index != ABI_RAX &&
        chance(m, 50)) /* CMPXCHG that succeeds */
        memcpy(&gpr[ABI_RAX], m->ours + (gpr[m->insn.base & 15] + (uint64_t)m->insn.disp) % (RAM_SIZE - 8), 8);
    if (m->mode != 8)
        for (unsigned i = 0; i < ABI_GPRS; i++)
            gpr[i] = (uint32_t)gpr[i];
    m->regs.rip = m->at;
    m->regs.rflags = 2 | (test_random(&m->seed) & (RFLAGS_ARITHMETIC | RFLAGS_DF));
}

/* ---- Undefined flags */

static uint64_t undefined_shift_flags(const struct machine *m, unsigned count)
{
    bool doubles = m->insn.map == MAP_0F; /* SHLD, SHRD */
    unsigned size = doubles || (m->insn.opcode & 1) ? m->insn.operand_size : 1;
    bool rotates = !doubles && (m->insn.reg & 7) < 4;
    uint64_t flags = 0;

    count &= size == 8 ? 63 : 31;
    if (count == 0)
        return 0;
    if (count != 1)
        flags |= RFLAGS_OF;
    if (!rotates)
        flags |= RFLAGS_AF | (count >= 8 * size ? RFLAGS_CF : 0);
    return flags;
}

/* And CF of some of BMI, which is defined, but not as Unicorn has it. */
static uint64_t undefined_flags(const struct machine *m)
{
    const struct insn *insn = &m->insn;
    unsigned reg = insn->reg & 7, op = insn->opcode;
    uint64_t product = RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF;

    if (insn->encoding == ENCODING_VEX && insn->map == MAP_0F38 && !insn->vector_prefix)
        return RFLAGS_AF | RFLAGS_PF | (op != 0xf2 ? RFLAGS_CF : 0);
    if (insn->map == MAP_0F) {
        if (op == 0xaf)
            return product;
        if (is_scan(insn))
            return RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF | (insn->repeat == 0xf3 ? 0 : RFLAGS_CF);
        if ((op & 0xf6) == 0xa4)
            return undefined_shift_flags(m, op & 1 ? m->regs.gpr[ABI_RCX] & 0xff : (unsigned)insn->imm);
        return (op & 0xe7) == 0xa3 || op == 0xba ? RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF : 0;
    }
    if (insn->map != MAP_ONE_BYTE)
        return 0;
    if (op < 0x40 || (op >= 0x80 && op <= 0x83)) {
        unsigned binary = op < 0x40 ? op >> 3 : reg;

        return binary == ALU_OR || binary == ALU_AND || binary == ALU_XOR ? RFLAGS_AF : 0;
    }
    switch (op) {
    case 0x84:
    case 0x85:
    case 0xa8:
    case 0xa9:
        return RFLAGS_AF;
    case 0x69:
    case 0x6b:
        return product;
    case 0xf6:
    case 0xf7:
        return reg <= 1 ? RFLAGS_AF : reg == 4 || reg == 5 ? product : reg >= 6 ? RFLAGS_ARITHMETIC : 0;
    case 0xc0:
    case 0xc1:
        return undefined_shift_flags(m, (unsigned)insn->imm);
    case 0xd0:
    case 0xd1:
        return undefined_shift_flags(m, 1);
    case 0xd2:
    case 0xd3:
        return undefined_shift_flags(m, m->regs.gpr[ABI_RCX] & 0xff);
    }
    return 0;
}

#endif
