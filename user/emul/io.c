/*
 * The right to use a port: IOPL and the I/O permission bitmap (SDM Vol. 1, 18.5.2).
 *
 * The CPU has checked it before its exit, but for the instruction that was there then: another CPU may have put a
 * different one in its place since.
 */
#include "user/emul/state.h"

#define TSS_TYPE_16        0x1u /* available; the busy bit is 2 */
#define TSS_TYPE_BUSY      0x2u
#define TSS_BITMAP_POINTER 102u

/* Two bytes of the TSS. An offset beyond the limit is #GP. */
static enum emul_status read_tss(struct emul *e, uint32_t offset, uint16_t *value)
{
    const struct abi_segment *tr = &e->regs->tr;
    uint64_t linear = tr->base + offset;
    struct place place;
    enum emul_status status;

    if (offset + 1 > tr->limit)
        return emul_fault(e, VECTOR_GP);
    if (!(e->regs->efer & EFER_LMA))
        linear = (uint32_t)linear;
    status = memory_translate_linear(e, linear, 2, WALK_IMPLICIT, &place);
    *value = status == EMUL_DONE ? (uint16_t)memory_load(e, &place) : 0;
    return status;
}

enum emul_status io_check(struct emul *e, uint16_t port, unsigned size)
{
    const struct abi_regs *regs = e->regs;
    bool virtual_8086 = regs->rflags & RFLAGS_VM;
    uint16_t start = 0, bits = 0;
    enum emul_status status;

    if (!(regs->cr0 & CR0_PE))
        return EMUL_DONE;
    if (!virtual_8086 && regs->cpl <= ((regs->rflags & RFLAGS_IOPL) >> 12))
        return EMUL_DONE;
    if (!(regs->tr.attr & ABI_SEG_P) || (regs->tr.attr & ABI_SEG_TYPE & ~TSS_TYPE_BUSY) == TSS_TYPE_16)
        return emul_fault(e, VECTOR_GP);
    status = read_tss(e, TSS_BITMAP_POINTER, &start);
    if (status == EMUL_DONE)
        status = read_tss(e, (uint32_t)start + port / 8, &bits);
    if (status != EMUL_DONE)
        return status;
    return (bits >> (port & 7)) & ((1u << size) - 1) ? emul_fault(e, VECTOR_GP) : EMUL_DONE;
}
