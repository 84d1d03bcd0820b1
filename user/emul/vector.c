/*
 * Moves of vector registers: SSE and AVX loads and stores (SDM Vol. 2; exceptions: 2.4 and tables 2-17 to 2-25). The
 * registers are the vCPU's, in memory of root's: the emulator itself uses none.
 */
#include "user/emul/coverage.h"

#define CR0_EM      BIT(2)
#define CR4_OSFXSR  BIT(9)
#define CR4_OSXSAVE BIT(18)
#define XCR0_AVX    6u /* SSE and AVX */
#define VECTOR_NM   7u

#define STORE   1u
#define ALIGNED 2u
#define HIGH    4u  /* the upper half of 128 bits */
#define MERGE   8u  /* a load of half a register: VEX takes the other half from vvvv */
#define GENERAL 16u /* 4 bytes, with W 8 */

#define NP  PREFIX_NONE
#define P66 PREFIX_66
#define F3  PREFIX_F3
#define F2  PREFIX_F2

struct move {
    uint8_t map, opcode, prefixes;
    uint8_t size; /* bytes; 0: the whole register */
    uint8_t flags;
};

static const struct move moves[] = {
    {MAP_0F, 0x10, NP | P66, 0, 0},               /* MOVUPS, MOVUPD */
    {MAP_0F, 0x10, F3, 4, 0},                     /* MOVSS */
    {MAP_0F, 0x10, F2, 8, 0},                     /* MOVSD */
    {MAP_0F, 0x11, NP | P66, 0, STORE},           /* */
    {MAP_0F, 0x11, F3, 4, STORE},                 /* */
    {MAP_0F, 0x11, F2, 8, STORE},                 /* */
    {MAP_0F, 0x12, NP | P66, 8, MERGE},           /* MOVLPS, MOVLPD */
    {MAP_0F, 0x13, NP | P66, 8, STORE},           /* */
    {MAP_0F, 0x16, NP | P66, 8, MERGE | HIGH},    /* MOVHPS, MOVHPD */
    {MAP_0F, 0x17, NP | P66, 8, STORE | HIGH},    /* */
    {MAP_0F, 0x28, NP | P66, 0, ALIGNED},         /* MOVAPS, MOVAPD */
    {MAP_0F, 0x29, NP | P66, 0, STORE | ALIGNED}, /* */
    {MAP_0F, 0x2b, NP | P66, 0, STORE | ALIGNED}, /* MOVNTPS, MOVNTPD */
    {MAP_0F, 0x6e, P66, 4, GENERAL},              /* MOVD, MOVQ */
    {MAP_0F, 0x6f, P66, 0, ALIGNED},              /* MOVDQA */
    {MAP_0F, 0x6f, F3, 0, 0},                     /* MOVDQU */
    {MAP_0F, 0x7e, P66, 4, STORE | GENERAL},      /* MOVD, MOVQ */
    {MAP_0F, 0x7e, F3, 8, 0},                     /* MOVQ */
    {MAP_0F, 0x7f, P66, 0, STORE | ALIGNED},      /* MOVDQA */
    {MAP_0F, 0x7f, F3, 0, STORE},                 /* MOVDQU */
    {MAP_0F, 0xd6, P66, 8, STORE},                /* MOVQ */
    {MAP_0F, 0xe7, P66, 0, STORE | ALIGNED},      /* MOVNTDQ */
    {MAP_0F, 0xf0, F2, 0, 0},                     /* LDDQU */
    {MAP_0F38, 0x2a, P66, 0, ALIGNED},            /* MOVNTDQA */
};

static const struct move *find_move(const struct insn *insn)
{
    for (unsigned i = 0; i < ARRAY_SIZE(moves); i++)
        if (moves[i].map == insn->map && moves[i].opcode == insn->opcode && (moves[i].prefixes & insn_prefix_bit(insn)))
            return &moves[i];
    return NULL;
}

static bool is_vex(const struct emul *e)
{
    return e->insn.encoding == ENCODING_VEX;
}

/* May the program use these registers? xcr0 is the vCPU's. */
static enum emul_status check_use(struct emul *e, uint64_t xcr0)
{
    const struct abi_regs *regs = e->regs;

    if (is_vex(e)) {
        if (!in_protected_mode(e) || !(regs->cr4 & CR4_OSXSAVE) || (xcr0 & XCR0_AVX) != XCR0_AVX)
            return emul_fault(e, VECTOR_UD);
    } else if ((regs->cr0 & CR0_EM) || !(regs->cr4 & CR4_OSFXSR)) {
        return emul_fault(e, VECTOR_UD);
    }
    return regs->cr0 & CR0_TS ? emul_fault(e, VECTOR_NM) : EMUL_DONE;
}

/* What VEX adds: 256 bits where the whole register moves, and a register in vvvv only where one is merged. */
static bool is_vex_bad(const struct emul *e, const struct move *move)
{
    bool scalar = move->opcode <= 0x11 && move->size; /* MOVSS, MOVSD: L is ignored */

    if (!is_vex(e))
        return false;
    return (e->insn.vector_256 && move->size && !scalar) || (e->insn.vvvv && !(move->flags & MERGE));
}

static void copy_from_memory(struct emul *e, const struct place *place, uint8_t *to, unsigned size)
{
    for (unsigned at = 0; at < size; at += 8) {
        unsigned piece = MIN(size - at, 8u);
        struct place part = place_part(place, at, piece);
        uint64_t value = memory_load(e, &part);

        memcpy(to + at, &value, piece);
    }
}

static void copy_to_memory(struct emul *e, const struct place *place, const uint8_t *from, unsigned size)
{
    for (unsigned at = 0; at < size; at += 8) {
        unsigned piece = MIN(size - at, 8u);
        struct place part = place_part(place, at, piece);
        uint64_t value = 0;

        memcpy(&value, from + at, piece);
        memory_store(e, &part, value);
    }
}

static void load(struct emul *e, const struct move *move, const struct place *place, unsigned size)
{
    struct emul_vector reg, other;

    e->ops->vector_read(e->ctx, e->insn.reg, &reg);
    if (is_vex(e) && (move->flags & MERGE)) {
        e->ops->vector_read(e->ctx, e->insn.vvvv, &other);
        memcpy(reg.bytes, other.bytes, 16);
    }
    if (!(move->flags & MERGE))
        memset(reg.bytes, 0, 16);
    if (is_vex(e)) /* and nothing stays above */
        memset(reg.bytes + 16, 0, sizeof(reg.bytes) - 16);
    copy_from_memory(e, place, reg.bytes + (move->flags & HIGH ? 8 : 0), size);
    e->ops->vector_write(e->ctx, e->insn.reg, &reg);
}

enum emul_status execute_vector_move(struct emul *e)
{
    const struct move *move = find_move(&e->insn);
    struct emul_vector reg;
    struct operand rm;
    unsigned size;
    enum emul_status status;

    if (!move || !e->ops->vector_read)
        return emul_unhandled(e, "vector registers are out of reach");
    if (is_vex_bad(e, move))
        return emul_fault(e, VECTOR_UD);
    status = check_use(e, e->ops->vector_read(e->ctx, e->insn.reg, &reg));
    if (status != EMUL_DONE)
        return status;
    size = move->size ? move->size : e->insn.vector_256 ? 32 : 16;
    if ((move->flags & GENERAL) && (e->insn.rex & REX_W))
        size = 8;
    if ((move->flags & ALIGNED) && !operand_is_aligned(e, size))
        return emul_fault(e, VECTOR_GP);
    status = operand_open_memory(e, size, move->flags & STORE ? WALK_WRITE : 0, 0, &rm);
    if (status != EMUL_DONE)
        return status;
    if (move->flags & STORE)
        copy_to_memory(e, &rm.place, reg.bytes + (move->flags & HIGH ? 8 : 0), size);
    else
        load(e, move, &rm.place, size);
    return EMUL_DONE;
}

/* MASKMOVDQU: to DS:rDI those bytes whose mask has its top bit; where no bit is set nothing is looked at. */
enum emul_status execute_masked_store(struct emul *e)
{
    unsigned segment = e->insn.segment == NO_REGISTER ? ABI_DS : e->insn.segment;
    struct emul_vector source, mask;
    struct place place[16];
    enum emul_status status;

    if (!e->ops->vector_read)
        return emul_unhandled(e, "vector registers are out of reach");
    status = check_use(e, e->ops->vector_read(e->ctx, e->insn.reg, &source));
    if (status == EMUL_DONE && is_vex(e) && (e->insn.vector_256 || e->insn.vvvv))
        status = emul_fault(e, VECTOR_UD);
    if (status != EMUL_DONE)
        return status;
    e->ops->vector_read(e->ctx, e->insn.rm, &mask);
    for (unsigned i = 0; i < 16 && status == EMUL_DONE; i++)
        if (mask.bytes[i] & 0x80)
            status = memory_translate(e, segment, (e->gpr[ABI_RDI] + i) & alu_mask(e->insn.address_size), 1, WALK_WRITE,
                                      &place[i]);
    for (unsigned i = 0; i < 16 && status == EMUL_DONE; i++)
        if (mask.bytes[i] & 0x80)
            memory_store(e, &place[i], source.bytes[i]);
    return status;
}
