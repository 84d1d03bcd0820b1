/*
 * The emulator against Unicorn: the same random instruction on the same registers and memory, in 64-, 32- and 16-bit
 * code; registers, RIP, flags, memory and port accesses must come out the same.
 *
 * Flags that the manuals leave undefined are not compared (undefined_flags). Not compared either:
 *  - what ends in #UD or a segment-limit fault here: Unicorn checks no limits and hardly any LOCK;
 *  - accesses to addresses where neither has memory;
 *  - F6 /1 and F7 /1, the second encoding of TEST, which Unicorn does not know, and C6 and C7 with REX.R, which it
 *    takes for another member of the group;
 *  - LOCK NEG, whose flags it gets wrong;
 *  - RET with a count above 32767, which Unicorn takes for negative; MOVBE, of which it has no CPU;
 *  - the high half of RAX after a 32-bit CMPXCHG that succeeds: Unicorn clears it, the manuals leave RAX alone.
 */
// links: user/emul/decode.c user/emul/tables.c user/emul/alu.c user/emul/memory.c user/emul/operands.c
// links: user/emul/walk.c user/emul/stack.c user/emul/one_byte.c user/emul/group.c user/emul/two_byte.c
// links: user/emul/string.c user/emul/io.c user/emul/step.c lib/format.c
// libs: -lunicorn
#include <unicorn/unicorn.h>

#include "tests/unit/test.h"
#include "user/emul/alu.h"
#include "user/emul/emul.h"
#include "user/emul/insn.h"
#include "user/emul/x86.h"

#define INSTRUCTIONS 250000 /* of each mode */

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

static uint32_t code_of(const struct machine *m)
{
    return m->mode == 2 ? CODE_16 : CODE;
}

/* ---- The emulator's side */

static int phys_read(void *ctx, uint64_t gpa, void *dst, uint32_t size)
{
    struct machine *m = ctx;

    if (gpa + size > RAM_SIZE) {
        m->hole = true;
        return -1;
    }
    memcpy(dst, m->ours + gpa, size);
    return 0;
}

static int phys_write(void *ctx, uint64_t gpa, const void *src, uint32_t size)
{
    struct machine *m = ctx;

    if (gpa + size > RAM_SIZE) {
        m->hole = true;
        return -1;
    }
    memcpy(m->ours + gpa, src, size);
    return 0;
}

static void *ram(void *ctx, uint64_t gpa)
{
    struct machine *m = ctx;

    if (m->as_mmio || gpa >= RAM_SIZE)
        return NULL;
    return m->ours + (gpa & ~0xfffull);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 0x9e3779b97f4a7c15ull;
}

static int port_in(void *ctx, uint16_t port, uint8_t size, uint32_t *value)
{
    struct machine *m = ctx;

    m->our_hash = mix(m->our_hash, port * 8u + size);
    *value = m->port_values[m->our_ports++ & 63] & (uint32_t)((1ull << 8 * size) - 1);
    return 0;
}

static int port_out(void *ctx, uint16_t port, uint8_t size, uint32_t value)
{
    struct machine *m = ctx;

    m->our_hash = mix(mix(m->our_hash, 0x80000u + port * 8u + size), value);
    return 0;
}

static const struct emul_ops ops = {phys_read, phys_write, port_in, port_out, ram, 40};

/* ---- Unicorn's side */

static uint32_t unicorn_in(uc_engine *uc, uint32_t port, int size, void *ctx)
{
    struct machine *m = ctx;

    (void)uc;
    m->their_hash = mix(m->their_hash, port * 8u + (unsigned)size);
    return m->port_values[m->their_ports++ & 63] & (uint32_t)((1ull << 8 * size) - 1);
}

static void unicorn_out(uc_engine *uc, uint32_t port, int size, uint32_t value, void *ctx)
{
    struct machine *m = ctx;

    (void)uc;
    m->their_hash = mix(mix(m->their_hash, 0x80000u + port * 8u + (unsigned)size), value);
}

static int register_ids[ABI_GPRS + 2];

static void set_register_ids(unsigned mode)
{
    static const int wide[] = {UC_X86_REG_RAX, UC_X86_REG_RCX, UC_X86_REG_RDX,   UC_X86_REG_RBX, UC_X86_REG_RSP,
                               UC_X86_REG_RBP, UC_X86_REG_RSI, UC_X86_REG_RDI,   UC_X86_REG_R8,  UC_X86_REG_R9,
                               UC_X86_REG_R10, UC_X86_REG_R11, UC_X86_REG_R12,   UC_X86_REG_R13, UC_X86_REG_R14,
                               UC_X86_REG_R15, UC_X86_REG_RIP, UC_X86_REG_EFLAGS};
    static const int narrow[] = {UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX, UC_X86_REG_ESP,
                                 UC_X86_REG_EBP, UC_X86_REG_ESI, UC_X86_REG_EDI, UC_X86_REG_EIP, UC_X86_REG_EFLAGS};

    if (mode == 8)
        memcpy(register_ids, wide, sizeof(wide));
    else
        memcpy(register_ids, narrow, sizeof(narrow));
}

static unsigned register_count(const struct machine *m)
{
    return m->mode == 8 ? 16 : 8;
}

static uc_err run_unicorn(struct machine *m, uc_engine *uc, struct abi_regs *regs)
{
    unsigned n = register_count(m);
    bool repeated = m->insn.repeat && m->insn.map == MAP_ONE_BYTE;
    uint64_t flags = regs->rflags;
    uc_err err;

    for (unsigned i = 0; i < n; i++)
        uc_reg_write(uc, register_ids[i], &regs->gpr[i]);
    uc_reg_write(uc, register_ids[n + 1], &flags);
    uint8_t slot[16];

    memset(slot, 0xf4, sizeof(slot));
    memcpy(slot, m->code, m->insn.length);
    uc_mem_write(uc, m->at, slot, sizeof(slot));
    err = uc_emu_start(uc, m->at, repeated ? m->at + m->insn.length : 0xfff0, 0, repeated ? 1000 : 1);
    for (unsigned i = 0; i < n; i++)
        uc_reg_read(uc, register_ids[i], &regs->gpr[i]);
    regs->rip = 0;
    uc_reg_read(uc, register_ids[n], &regs->rip);
    flags = 0;
    uc_reg_read(uc, register_ids[n + 1], &flags);
    regs->rflags = flags;
    return err;
}

/* ---- Random instructions */

/* {map, opcode, ModRM.reg or -1 for any} of everything that is emulated; ranges are spread by pick(). */
static const struct {
    uint8_t map, first, last;
    int8_t reg;
} instructions[] = {
    {0, 0x00, 0x3f, -1}, {0, 0x50, 0x5f, -1}, {0, 0x63, 0x63, -1}, {0, 0x68, 0x6b, -1}, {0, 0x6c, 0x6f, -1},
    {0, 0x80, 0x83, -1}, {0, 0x84, 0x8b, -1}, {0, 0x88, 0x8b, -1}, {0, 0x8d, 0x8d, -1}, {0, 0x8f, 0x8f, 0},
    {0, 0xa0, 0xa3, -1}, {0, 0xa4, 0xa7, -1}, {0, 0xaa, 0xaf, -1}, {0, 0xc0, 0xc1, -1}, {0, 0xc2, 0xc3, -1},
    {0, 0xc6, 0xc7, 0},  {0, 0xd0, 0xd3, -1}, {0, 0xd7, 0xd7, -1}, {0, 0xe8, 0xe8, -1}, {0, 0xf6, 0xf7, -1},
    {0, 0xf6, 0xf7, -1}, {0, 0xfe, 0xff, -1}, {0, 0xff, 0xff, 2},  {0, 0xff, 0xff, 4},  {0, 0xff, 0xff, 6},
    {1, 0x40, 0x4f, -1}, {1, 0x90, 0x9f, -1}, {1, 0xa3, 0xa3, -1}, {1, 0xab, 0xab, -1}, {1, 0xb3, 0xb3, -1},
    {1, 0xbb, 0xbb, -1}, {1, 0xba, 0xba, -1}, {1, 0xaf, 0xaf, -1}, {1, 0xb0, 0xb1, -1}, {1, 0xb6, 0xb7, -1},
    {1, 0xbe, 0xbf, -1}, {1, 0xc0, 0xc1, -1}, {1, 0xc3, 0xc3, -1}, {1, 0xc7, 0xc7, 1},
};

static bool chance(struct machine *m, unsigned percent)
{
    return test_random(&m->seed) % 100 < percent;
}

static void put_32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, 4);
}

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
    if (chance(m, 20))
        m->code[n++] = 0x66;
    if (chance(m, 10))
        m->code[n++] = 0x67;
    if (chance(m, 10))
        m->code[n++] = 0xf0;
    if (instructions[pick].map == 0 && opcode >= 0x6c && opcode < 0xb0 && (opcode < 0x70 || opcode > 0xa3) &&
        chance(m, 60))
        m->code[n++] = 0xf2 + (r & 1);
    if (m->mode == 8 && chance(m, 50))
        m->code[n++] = 0x40 | ((r >> 40) & 15);
    if (instructions[pick].map >= 1)
        m->code[n++] = 0x0f;
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

static bool is_cmpxchg(const struct insn *insn)
{
    return insn->map == MAP_0F && (insn->opcode & 0xfe) == 0xb0;
}

static bool unknown_to_unicorn(const struct insn *insn)
{
    unsigned op = insn->opcode & 0xfe;

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

static void set_mode(struct machine *m)
{
    uint16_t attr = m->mode == 8 ? 0x0a00 : m->mode == 4 ? 0x0c00 : 0;

    for (unsigned i = 0; i < ABI_SEGS; i++) {
        uint16_t selector = m->mode == 2 && i != ABI_CS ? (uint16_t)(DATA / 16 + i * 0x100) : 0;

        m->regs.seg[i] = (struct abi_segment){selector, attr | (i == ABI_CS ? 0x9b : 0x93), m->mode == 2 ? 0xffff : ~0u,
                                              selector * 16u};
    }
    m->regs.cr0 = m->mode == 2 ? 0 : CR0_PE;
    m->regs.efer = m->mode == 8 ? EFER_LMA : 0;
}

static void set_unicorn_segments(const struct machine *m, uc_engine *uc)
{
    static const int ids[] = {UC_X86_REG_ES, UC_X86_REG_CS, UC_X86_REG_SS, UC_X86_REG_DS, UC_X86_REG_FS, UC_X86_REG_GS};

    for (unsigned i = 0; i < ABI_SEGS && m->mode == 2; i++)
        uc_reg_write(uc, ids[i], &m->regs.seg[i].selector);
}

/* ---- Comparison */

static uint64_t undefined_shift_flags(const struct machine *m, unsigned count)
{
    unsigned size = m->insn.opcode & 1 ? m->insn.operand_size : 1;
    bool rotates = (m->insn.reg & 7) < 4;
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

static uint64_t undefined_flags(const struct machine *m)
{
    const struct insn *insn = &m->insn;
    unsigned reg = insn->reg & 7, op = insn->opcode;
    uint64_t product = RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF;

    if (insn->map == MAP_0F) {
        if (op == 0xaf)
            return product;
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
        return reg <= 1 ? RFLAGS_AF : reg == 4 || reg == 5 ? product : 0;
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

static void complain(const struct machine *m, const char *what, uint64_t ours, uint64_t theirs)
{
    char text[64] = "";

    for (unsigned i = 0; i < m->insn.length; i++)
        snprintf(text + 3 * i, 4, "%02x ", m->code[i]);
    if (test_fail())
        printf("mode %u: %s: %s: %llx, Unicorn says %llx\n", m->mode * 8, text, what, (unsigned long long)ours,
               (unsigned long long)theirs);
}

static bool same_registers(const struct machine *m, const struct abi_regs *ours, const struct abi_regs *theirs)
{
    static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    uint64_t flags = RFLAGS_ARITHMETIC & ~undefined_flags(m);

    for (unsigned i = 0; i < register_count(m); i++)
        if (ours->gpr[i] != theirs->gpr[i])
            return complain(m, names[i], ours->gpr[i], theirs->gpr[i]), false;
    if (ours->rip != theirs->rip)
        return complain(m, "rip", ours->rip, theirs->rip), false;
    if ((ours->rflags ^ theirs->rflags) & flags)
        return complain(m, "flags", ours->rflags & flags, theirs->rflags & flags), false;
    return true;
}

/* Unicorn would translate what is there, and keep that when the slot is used. */
static bool is_branch_into_code(const struct machine *m, uint64_t rip)
{
    return rip != m->at + m->insn.length && rip - code_of(m) < SLOTS * 16;
}

/* True: both executed the instruction. */
static bool compare(struct machine *m, uc_engine *uc)
{
    struct abi_regs ours = m->regs, theirs = m->regs;
    struct emul_result result;
    enum emul_status status;
    uc_err err;

    m->hole = false;
    m->our_ports = m->their_ports = 0;
    m->our_hash = m->their_hash = 0;
    m->as_mmio = chance(m, 50);
    status = emul_step(&ops, m, &ours, m->code, m->insn.length, &result);
    if (m->hole || status == EMUL_UNHANDLED || status == EMUL_FAULT || is_branch_into_code(m, ours.rip)) {
        if (m->hole || m->insn.repeat || status == EMUL_DONE) /* but a fault of another kind writes nothing */
            memcpy(m->ours, m->theirs, RAM_SIZE);
        return false;
    }
    err = run_unicorn(m, uc, &theirs);
    if (err == UC_ERR_FETCH_UNMAPPED || err == UC_ERR_FETCH_PROT) /* a branch was taken */
        err = UC_ERR_OK;
    if (err) {
        complain(m, "status", status, err);
        memcpy(m->ours, m->theirs, RAM_SIZE);
        return false;
    }
    if (is_cmpxchg(&m->insn) && m->insn.opcode == 0xb1 && m->insn.operand_size == 4 && (ours.rflags & RFLAGS_ZF))
        ours.gpr[ABI_RAX] = (uint32_t)ours.gpr[ABI_RAX];
    CHECK_EQ(status, EMUL_DONE);
    CHECK_EQ(result.length, m->insn.length);
    if (m->our_hash != m->their_hash)
        complain(m, "ports", m->our_hash, m->their_hash);
    return same_registers(m, &ours, &theirs);
}

static uc_engine *open_unicorn(struct machine *m, uc_mode mode)
{
    uint32_t code = code_of(m), end = code + SLOTS * 16, data = UC_PROT_READ | UC_PROT_WRITE;
    uc_engine *uc;
    uc_hook hooks[2];

    CHECK_EQ(uc_open(UC_ARCH_X86, mode, &uc), UC_ERR_OK);
    CHECK_EQ(uc_ctl_set_cpu_model(uc, UC_CPU_X86_HASWELL), UC_ERR_OK);
    CHECK_EQ(uc_mem_map_ptr(uc, 0, code, data, m->theirs), UC_ERR_OK);
    CHECK_EQ(uc_mem_map_ptr(uc, code, SLOTS * 16, UC_PROT_ALL, m->theirs + code), UC_ERR_OK);
    CHECK_EQ(uc_mem_map_ptr(uc, end, RAM_SIZE - end, data, m->theirs + end), UC_ERR_OK);
    memset(m->theirs + code, 0xf4, SLOTS * 16); /* HLT: Unicorn translates as far as it can, and dies of random data */
    memcpy(m->ours + code, m->theirs + code, SLOTS * 16);
    CHECK_EQ(uc_hook_add(uc, &hooks[0], UC_HOOK_INSN, (void *)unicorn_in, m, 1, 0, UC_X86_INS_IN), UC_ERR_OK);
    CHECK_EQ(uc_hook_add(uc, &hooks[1], UC_HOOK_INSN, (void *)unicorn_out, m, 1, 0, UC_X86_INS_OUT), UC_ERR_OK);
    set_unicorn_segments(m, uc);
    return uc;
}

static void run_mode(unsigned mode, uc_mode unicorn_mode)
{
    struct machine *m = calloc(1, sizeof(*m));
    unsigned compared = 0;
    uc_engine *uc = NULL;

    m->mode = mode;
    m->seed = mode;
    m->ours = aligned_alloc(4096, RAM_SIZE);
    m->theirs = aligned_alloc(4096, RAM_SIZE);
    for (unsigned i = 0; i < RAM_SIZE; i++)
        m->ours[i] = m->theirs[i] = (uint8_t)test_random(&m->seed);
    for (unsigned i = 0; i < 64; i++)
        m->port_values[i] = (uint32_t)test_random(&m->seed);
    set_mode(m);
    set_register_ids(mode);

    for (unsigned i = 0; i < INSTRUCTIONS && test_bad_checks < TEST_MAX_LINES; i++) {
        if (i % SLOTS == 0) {
            if (uc)
                uc_close(uc);
            uc = open_unicorn(m, unicorn_mode);
        }
        m->at = code_of(m) + i % SLOTS * 16;
        build_instruction(m);
        if (decode(m->code, sizeof(m->code), mode, &m->insn) <= 0 || unknown_to_unicorn(&m->insn))
            continue;
        set_registers(m);
        compared += compare(m, uc);
        memcpy(m->ours + m->at, m->theirs + m->at, 16);
        if (i % 64 == 0 && memcmp(m->ours, m->theirs, RAM_SIZE) != 0) {
            complain(m, "memory, in the last 64", 0, 0);
            memcpy(m->ours, m->theirs, RAM_SIZE);
        }
    }
    printf("%u-bit: %u instructions compared\n", mode * 8, compared);
    CHECK(compared > INSTRUCTIONS / 2);
    uc_close(uc);
    free(m->ours);
    free(m->theirs);
    free(m);
}

TEST(agrees_with_unicorn_in_64_bit_mode)
{
    run_mode(8, UC_MODE_64);
}

TEST(agrees_with_unicorn_in_32_bit_mode)
{
    run_mode(4, UC_MODE_32);
}

TEST(agrees_with_unicorn_in_real_mode)
{
    run_mode(2, UC_MODE_16);
}
