/* Fetch, decode, execute, retire: the emulator's entry points. */
#include "lib/format.h"
#include "lib/string.h"
#include "user/emul/state.h"

unsigned emul_code_size(const struct abi_regs *regs)
{
    uint16_t attr = regs->seg[ABI_CS].attr;

    if (regs->rflags & RFLAGS_VM)
        return 2;
    if ((regs->efer & EFER_LMA) && (attr & ABI_SEG_L))
        return 8;
    return attr & ABI_SEG_DB ? 4 : 2;
}

/* SDM Vol. 3, table 6-1. */
#define WITH_ERROR_CODE                                                                                                \
    (BIT(VECTOR_DF) | BIT(VECTOR_TS) | BIT(VECTOR_NP) | BIT(VECTOR_SS) | BIT(VECTOR_GP) | BIT(VECTOR_PF) |             \
     BIT(VECTOR_AC))

enum emul_status emul_fault(struct emul *e, unsigned vector)
{
    e->out->vector = (uint8_t)vector;
    e->out->has_error_code = (WITH_ERROR_CODE >> vector & 1) && (e->regs->cr0 & CR0_PE);
    e->out->error_code = 0;
    return EMUL_FAULT;
}

enum emul_status emul_page_fault(struct emul *e, uint64_t linear, uint32_t error)
{
    e->regs->cr2 = linear;
    e->out->vector = VECTOR_PF;
    e->out->has_error_code = true;
    e->out->error_code = error;
    return EMUL_FAULT;
}

enum emul_status emul_unhandled(struct emul *e, const char *reason)
{
    e->out->reason = reason;
    return EMUL_UNHANDLED;
}

void emul_commit(struct emul *e)
{
    memcpy(e->regs->gpr, e->gpr, sizeof(e->gpr));
    e->regs->rflags = e->rflags;
}

void emul_begin(struct emul *e, const struct emul_ops *ops, void *ctx, struct abi_regs *regs, struct emul_result *out)
{
    memset(out, 0, sizeof(*out));
    e->ops = ops;
    e->ctx = ctx;
    e->regs = regs;
    e->out = out;
    e->rip = regs->rip;
    e->rflags = regs->rflags;
    e->knows_gpa = false;
    e->hits = 0;
    e->insn.mode = (uint8_t)emul_code_size(regs);
    memcpy(e->gpr, regs->gpr, sizeof(e->gpr));
    out->rip = regs->rip;
}

/*
 * Add to out->bytes what lies at RIP behind them, up to the page's end, the limit of CS or 15 bytes in all; at least
 * one byte, or the fault that the CPU would raise there.
 */
static enum emul_status fetch_more(struct emul *e)
{
    const struct abi_segment *cs = &e->regs->seg[ABI_CS];
    struct emul_result *out = e->out;
    uint64_t offset = e->regs->rip + out->bytes_count, linear = offset;
    unsigned room = EMUL_MAX_LENGTH - out->bytes_count;
    struct place place;
    enum emul_status status;
    const char *page;

    if (in_64_bit_mode(e)) {
        if (!memory_is_canonical(e->regs, linear))
            return emul_fault(e, VECTOR_GP);
    } else {
        offset = (uint32_t)offset;
        if (offset > cs->limit)
            return emul_fault(e, VECTOR_GP);
        linear = (uint32_t)(cs->base + offset);
        room = MIN(room, cs->limit - offset + 1);
    }
    status = memory_translate_linear(e, linear, 1, WALK_FETCH | (e->regs->cpl == 3 ? WALK_USER : 0), &place);
    if (status != EMUL_DONE)
        return status;
    room = MIN(room, PAGE_SIZE - (linear & (PAGE_SIZE - 1)));
    page = e->ops->ram(e->ctx, place.gpa[0]);
    if (!page)
        return emul_unhandled(e, "instruction fetch outside RAM");
    page += place.gpa[0] & (PAGE_SIZE - 1);
    if (room == EMUL_MAX_LENGTH) /* the usual length, which needs no loop */
        memcpy(out->bytes, page, EMUL_MAX_LENGTH);
    else
        memcpy(out->bytes + out->bytes_count, page, room);
    out->bytes_count += (uint8_t)room;
    return EMUL_DONE;
}

static enum emul_status fetch_and_decode(struct emul *e)
{
    struct emul_result *out = e->out;
    unsigned mode = e->insn.mode;

    for (;;) {
        int length = out->bytes_count ? decode(out->bytes, out->bytes_count, mode, &e->insn) : DECODE_MORE;
        enum emul_status status;

        if (length == DECODE_UNDEFINED)
            return emul_fault(e, VECTOR_UD);
        if (length != DECODE_MORE) {
            out->length = out->bytes_count = (uint8_t)length;
            out->rm = e->insn.rm;
            e->rip = e->regs->rip + (unsigned)length;
            if (mode != 8)
                e->rip = (uint32_t)e->rip;
            return EMUL_DONE;
        }
        if (out->bytes_count == EMUL_MAX_LENGTH)
            return emul_fault(e, VECTOR_GP); /* too long */
        status = fetch_more(e);
        if (status != EMUL_DONE)
            return status;
    }
}

/* LOCK: these instructions only, and only with a memory destination (SDM Vol. 2, LOCK). */
static bool is_lockable(const struct insn *insn)
{
    unsigned op = insn->opcode, reg = insn->reg & 7;

    if (!insn->has_modrm || insn->mod == 3)
        return false;
    if (insn->map == MAP_0F)
        return op == 0xab || op == 0xb3 || op == 0xbb || (op == 0xba && reg >= 5) || op == 0xb0 || op == 0xb1 ||
               op == 0xc0 || op == 0xc1 || (op == 0xc7 && reg == 1);
    if (insn->map != MAP_ONE_BYTE)
        return false;
    if (op < 0x38)
        return (op & 7) < 2;
    if (op >= 0x80 && op <= 0x83)
        return reg != 7;
    return op == 0x86 || op == 0x87 || ((op == 0xf6 || op == 0xf7) && (reg == 2 || reg == 3)) ||
           (op >= 0xfe && reg < 2);
}

static enum emul_status execute(struct emul *e)
{
    const struct insn *insn = &e->insn;

    if (insn->encoding != ENCODING_LEGACY)
        return execute_listed(e);
    if (insn->lock && !is_lockable(insn))
        return emul_fault(e, VECTOR_UD);
    switch (insn->map) {
    case MAP_ONE_BYTE:
        return execute_one_byte(e);
    case MAP_0F:
        return execute_0f(e);
    default:
        return execute_listed(e);
    }
}

/* RF is clear after every instruction that completes (SDM Vol. 3, 17.3.1.1). */
static void retire(struct emul *e)
{
    emul_commit(e);
    e->regs->rip = e->rip;
    e->regs->rflags &= ~RFLAGS_RF;
}

/* MOV from memory and MOVZX: no other access than this one can have been the CPU's. */
static bool is_load(const struct insn *insn)
{
    if (insn->map == MAP_ONE_BYTE)
        return (insn->opcode & 0xfe) == 0x8a || (insn->opcode & 0xfe) == 0xa0;
    return insn->map == MAP_0F && (insn->opcode & 0xfe) == 0xb6;
}

/* What comes behind an instruction, or behind an element of a REP; not behind a load of SS. */
static void find_traps(struct emul *e, uint64_t flags_before, bool counted)
{
    struct emul_result *out = e->out;

    if (out->shadow || !(out->status == EMUL_DONE || (out->status == EMUL_AGAIN && counted)))
        return;
    out->single_step = flags_before & RFLAGS_TF;
    out->breakpoints = e->hits;
}

static enum emul_status step(const struct emul_ops *ops, void *ctx, struct abi_regs *regs, const uint8_t *bytes,
                             unsigned bytes_count, const uint64_t *gpa, struct emul_result *out)
{
    uint64_t count_before = regs->gpr[ABI_RCX], flags_before = regs->rflags;
    struct emul e;

    emul_begin(&e, ops, ctx, regs, out);
    out->bytes_count = (uint8_t)MIN(bytes_count, (unsigned)EMUL_MAX_LENGTH);
    if (out->bytes_count)
        memcpy(out->bytes, bytes, out->bytes_count);
    out->status = fetch_and_decode(&e);
    if (out->status == EMUL_DONE) {
        if (gpa && is_load(&e.insn)) {
            e.knows_gpa = true;
            e.known_gpa = *gpa;
        }
        out->status = execute(&e);
    }
    if (out->status == EMUL_DONE)
        retire(&e);
    else if (out->status == EMUL_AGAIN) /* a breakpoint on the instruction has been passed (SDM Vol. 3, 18.3.1.1) */
        regs->rflags |= RFLAGS_RF;
    if ((flags_before & RFLAGS_TF) || e.hits)
        find_traps(&e, flags_before, regs->gpr[ABI_RCX] != count_before);
    return out->status;
}

enum emul_status emul_step(const struct emul_ops *ops, void *ctx, struct abi_regs *regs, const uint8_t *bytes,
                           unsigned bytes_count, struct emul_result *out)
{
    return step(ops, ctx, regs, bytes, bytes_count, NULL, out);
}

enum emul_status emul_step_read(const struct emul_ops *ops, void *ctx, struct abi_regs *regs, const uint8_t *bytes,
                                unsigned bytes_count, uint64_t gpa, struct emul_result *out)
{
    return step(ops, ctx, regs, bytes, bytes_count, &gpa, out);
}

int emul_length(const struct emul_ops *ops, void *ctx, struct abi_regs *regs, struct emul_result *out)
{
    struct emul e;

    emul_begin(&e, ops, ctx, regs, out);
    out->status = fetch_and_decode(&e);
    return out->length;
}

void emul_describe(const struct emul_result *result, char *text, size_t size)
{
    char bytes[3 * EMUL_MAX_LENGTH + 1] = "";
    size_t used = 0;

    for (unsigned i = 0; i < result->bytes_count; i++)
        used += (size_t)format(bytes + used, sizeof(bytes) - used, " %02x", result->bytes[i]);
    format(text, size, "%s at rip 0x%llx, bytes%s", result->reason ? result->reason : "emulated",
           (unsigned long long)result->rip, bytes[0] ? bytes : " unknown");
}
