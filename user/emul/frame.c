/* The stack by more than one item, or by flags: PUSHA, POPA, PUSHF, POPF, ENTER, LEAVE; and BOUND. */
#include "user/emul/state.h"

#define RFLAGS_IF  BIT(9)
#define RFLAGS_VIF BIT(19)
#define RFLAGS_VIP BIT(20)
#define RFLAGS_ID  BIT(21)
#define CR4_VME    BIT(0)

#define IOPL_SHIFT 12

#define MAX_LEVELS 32u
#define ALL        8u /* registers of PUSHA */

static unsigned iopl(const struct emul *e)
{
    return (e->rflags & RFLAGS_IOPL) >> IOPL_SHIFT;
}

static bool in_virtual_8086(const struct emul *e)
{
    return e->regs->rflags & RFLAGS_VM;
}

/* Everything is reached first, so that a fault at one item leaves no other written. */
enum emul_status execute_pusha(struct emul *e)
{
    unsigned size = e->insn.operand_size;
    struct place places[ALL];
    uint64_t values[ALL];
    enum emul_status status = EMUL_DONE;

    memcpy(values, e->gpr, sizeof(values)); /* with the stack pointer as it was */
    for (unsigned i = 0; i < ALL && status == EMUL_DONE; i++)
        status = stack_prepare_push(e, size, &places[i]);
    if (status != EMUL_DONE)
        return status;
    for (unsigned i = 0; i < ALL; i++)
        memory_store(e, &places[i], values[i]);
    return EMUL_DONE;
}

enum emul_status execute_popa(struct emul *e)
{
    unsigned size = e->insn.operand_size;
    struct place places[ALL];
    enum emul_status status = EMUL_DONE;

    for (unsigned i = 0; i < ALL && status == EMUL_DONE; i++)
        status = stack_prepare_pop(e, size, &places[i]);
    if (status != EMUL_DONE)
        return status;
    for (unsigned i = 0; i < ALL; i++) {
        uint64_t value = memory_load(e, &places[i]);

        if (ALL - 1 - i != ABI_RSP) /* which is passed over */
            register_write(e, ALL - 1 - i, size, value);
    }
    return EMUL_DONE;
}

/* Virtual-8086 mode with IOPL below 3: by VME, 16-bit images only, with VIF for IF (SDM Vol. 3, 21.3.3). */
static bool is_virtual_interrupt_flag(const struct emul *e)
{
    return in_virtual_8086(e) && iopl(e) < 3;
}

static bool is_flag_image_forbidden(const struct emul *e)
{
    return is_virtual_interrupt_flag(e) && (!(e->regs->cr4 & CR4_VME) || e->insn.operand_size != 2);
}

enum emul_status execute_pushf(struct emul *e)
{
    uint64_t image = e->rflags & ~(RFLAGS_VM | RFLAGS_RF);

    if (is_flag_image_forbidden(e))
        return emul_fault(e, VECTOR_GP);
    if (is_virtual_interrupt_flag(e)) {
        alu_set_flag(&image, RFLAGS_IF, image & RFLAGS_VIF);
        image |= RFLAGS_IOPL;
    }
    return execute_push(e, image);
}

/* Which flags this program may change (SDM Vol. 2, POPF). */
static uint64_t writable_flags(const struct emul *e)
{
    uint64_t flags = RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT;
    unsigned cpl = e->regs->cr0 & CR0_PE ? e->regs->cpl : 0;

    if (stack_operand_size(e) > 2)
        flags |= RFLAGS_AC | RFLAGS_ID;
    if (in_virtual_8086(e))
        return flags | (iopl(e) == 3 ? RFLAGS_IF : 0);
    return flags | (cpl == 0 ? RFLAGS_IOPL : 0) | (cpl <= iopl(e) ? RFLAGS_IF : 0);
}

enum emul_status execute_popf(struct emul *e)
{
    unsigned size = stack_operand_size(e);
    uint64_t mask = writable_flags(e), image;
    struct place place;
    enum emul_status status;

    if (is_flag_image_forbidden(e))
        return emul_fault(e, VECTOR_GP);
    status = stack_prepare_pop(e, size, &place);
    if (status != EMUL_DONE)
        return status;
    image = memory_load(e, &place);
    if (is_virtual_interrupt_flag(e)) {
        if ((image & RFLAGS_TF) || ((image & RFLAGS_IF) && (e->rflags & RFLAGS_VIP)))
            return emul_fault(e, VECTOR_GP);
        alu_set_flag(&image, RFLAGS_VIF, image & RFLAGS_IF);
        mask |= RFLAGS_VIF;
    }
    e->rflags = (e->rflags & ~mask) | (image & mask);
    return EMUL_DONE;
}

/* One level of ENTER: the frame pointer of an outer procedure goes from the caller's frame to the new one. */
struct level {
    struct place from, to;
};

static enum emul_status prepare_levels(struct emul *e, unsigned count, unsigned size, struct level *levels)
{
    unsigned width = emul_stack_size(e->regs);
    enum emul_status status = EMUL_DONE;

    for (unsigned i = 0; i < count && status == EMUL_DONE; i++) {
        uint64_t at = (e->gpr[ABI_RBP] - (i + 1) * size) & alu_mask(width);

        status = memory_translate(e, ABI_SS, at, size, 0, &levels[i].from);
        if (status == EMUL_DONE)
            status = stack_prepare_push(e, size, &levels[i].to);
    }
    return status;
}

/* SDM Vol. 2, ENTER; the stack must be writable where it ends, too. */
enum emul_status execute_enter(struct emul *e)
{
    unsigned size = stack_operand_size(e), width = emul_stack_size(e->regs);
    unsigned room = e->insn.imm & 0xffff, nesting = (e->insn.imm >> 16) % MAX_LEVELS;
    struct level levels[MAX_LEVELS];
    struct place old_frame, new_frame = {.size = {0}}, end;
    uint64_t frame;
    uint8_t hits;
    enum emul_status status = stack_prepare_push(e, size, &old_frame);

    frame = e->gpr[ABI_RSP];
    if (status == EMUL_DONE && nesting > 1)
        status = prepare_levels(e, nesting - 1, size, levels);
    if (status == EMUL_DONE && nesting > 0)
        status = stack_prepare_push(e, size, &new_frame);
    if (status != EMUL_DONE)
        return status;
    register_write(e, ABI_RSP, width, e->gpr[ABI_RSP] - room);
    hits = e->hits;
    status = memory_translate(e, ABI_SS, e->gpr[ABI_RSP] & alu_mask(width), size, WALK_WRITE, &end);
    if (status != EMUL_DONE)
        return status;
    e->hits = hits; /* nothing is written there */

    memory_store(e, &old_frame, e->gpr[ABI_RBP]);
    for (unsigned i = 0; i + 1 < nesting; i++)
        memory_store(e, &levels[i].to, memory_load(e, &levels[i].from));
    if (nesting > 0)
        memory_store(e, &new_frame, frame);
    register_write(e, ABI_RBP, MAX(size, width == 8 ? width : 0), frame);
    return EMUL_DONE;
}

enum emul_status execute_leave(struct emul *e)
{
    unsigned width = emul_stack_size(e->regs);

    register_write(e, ABI_RSP, width, e->gpr[ABI_RBP]);
    return execute_pop_register(e, ABI_RBP);
}

/* The register, as a signed number, against the two that are in memory; none of the flags. */
enum emul_status execute_bound(struct emul *e)
{
    unsigned size = e->insn.operand_size;
    int64_t index = alu_signed(register_read(e, e->insn.reg, size), size);
    struct operand bounds;
    struct place part;
    int64_t lower, upper;
    enum emul_status status = operand_open_memory(e, 2 * size, 0, 0, &bounds);

    if (status != EMUL_DONE)
        return status;
    part = place_part(&bounds.place, 0, size);
    lower = alu_signed(memory_load(e, &part), size);
    part = place_part(&bounds.place, size, size);
    upper = alu_signed(memory_load(e, &part), size);
    return index < lower || index > upper ? emul_fault(e, VECTOR_BR) : EMUL_DONE;
}
