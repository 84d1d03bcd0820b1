/* MOVS, CMPS, STOS, LODS, SCAS, INS, OUTS and their REP (SDM Vol. 1, 7.3.9; Vol. 2, REP). */
#include "user/emul/watch.h"

/* Where a string instruction's elements are; the port of INS and OUTS is in DX. */
struct string {
    unsigned size;
    uint64_t mask; /* of the address size */
    bool port;     /* INS, OUTS */
    bool source;   /* reads DS:rSI */
    bool target;   /* uses ES:rDI */
    bool writes;   /* to ES:rDI */
    bool compares;
};

static struct string describe(const struct insn *insn)
{
    struct string s = {.size = insn->opcode & 1 ? insn->operand_size : 1, .mask = alu_mask(insn->address_size)};

    switch (insn->opcode & ~1u) {
    case 0x6c: /* INS */
        s.port = s.target = s.writes = true;
        break;
    case 0x6e: /* OUTS */
        s.port = s.source = true;
        break;
    case 0xa4: /* MOVS */
        s.source = s.target = s.writes = true;
        break;
    case 0xa6: /* CMPS */
        s.source = s.target = s.compares = true;
        break;
    case 0xaa: /* STOS */
        s.target = s.writes = true;
        break;
    case 0xac: /* LODS */
        s.source = true;
        break;
    case 0xae: /* SCAS */
        s.target = s.compares = true;
        break;
    }
    if (s.port && s.size == 8)
        s.size = 4;
    return s;
}

static uint64_t port_input(struct emul *e, unsigned size)
{
    uint32_t value = 0;

    if (e->ops->port_in(e->ctx, (uint16_t)e->gpr[ABI_RDX], (uint8_t)size, &value) < 0)
        value = 0xffffffff;
    return value;
}

/* rSI or rDI to the next element; only the address size's part of it changes. */
static void advance(struct emul *e, const struct string *s, unsigned reg)
{
    uint64_t step = e->rflags & RFLAGS_DF ? -(uint64_t)s->size : s->size;

    register_write(e, reg, e->insn.address_size, e->gpr[reg] + step);
}

/* One element. Nothing is read that could have an effect before everything that can fault has been looked at. */
static enum emul_status execute_element(struct emul *e, const struct string *s)
{
    unsigned segment = e->insn.segment == NO_REGISTER ? ABI_DS : e->insn.segment;
    struct place source, target;
    enum emul_status status = EMUL_DONE;
    uint64_t value = e->gpr[ABI_RAX];

    if (s->source)
        status = memory_translate(e, segment, e->gpr[ABI_RSI] & s->mask, s->size, 0, &source);
    if (status == EMUL_DONE && s->target)
        status = memory_translate(e, ABI_ES, e->gpr[ABI_RDI] & s->mask, s->size, s->writes ? WALK_WRITE : 0, &target);
    if (status != EMUL_DONE)
        return status;

    if (s->port && watch_is_on(e))
        watch_port(e, (uint16_t)e->gpr[ABI_RDX], s->size);
    if (s->source)
        value = memory_load(e, &source);
    else if (s->port)
        value = port_input(e, s->size);

    if (s->compares)
        alu_binary(ALU_CMP, value, memory_load(e, &target), s->size, &e->rflags);
    else if (s->writes)
        memory_store(e, &target, value);
    else if (s->port)
        e->ops->port_out(e->ctx, (uint16_t)e->gpr[ABI_RDX], (uint8_t)s->size, (uint32_t)value);
    else
        register_write(e, ABI_RAX, s->size, value);

    if (s->source)
        advance(e, s, ABI_RSI);
    if (s->target)
        advance(e, s, ABI_RDI);
    return EMUL_DONE;
}

/* REPE (F3) and REPNE (F2) end on ZF for CMPS and SCAS; for the others both are REP. */
static bool is_decided(const struct emul *e, const struct string *s)
{
    bool zero = e->rflags & RFLAGS_ZF;

    return s->compares && zero != (e->insn.repeat == 0xf3);
}

enum emul_status execute_string(struct emul *e)
{
    struct string s = describe(&e->insn);
    bool single_step = e->rflags & RFLAGS_TF;
    enum emul_status status = EMUL_DONE;

    if (s.port)
        status = io_check(e, (uint16_t)e->gpr[ABI_RDX], s.size);
    if (status != EMUL_DONE)
        return status;
    if (!e->insn.repeat)
        return execute_element(e, &s);

    for (unsigned i = 0; e->gpr[ABI_RCX] & s.mask; i++) {
        if (i == EMUL_STRING_PIECE || (i > 0 && (single_step || e->hits)))
            return EMUL_AGAIN;
        status = execute_element(e, &s);
        if (status != EMUL_DONE) {
            e->hits = 0; /* of one that has not been */
            return status;
        }
        register_write(e, ABI_RCX, e->insn.address_size, e->gpr[ABI_RCX] - 1);
        emul_commit(e);
        if (is_decided(e, &s))
            break;
    }
    return EMUL_DONE;
}
