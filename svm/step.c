/*
 * One instruction, and then an exit: for an NMI that waits for an IRET or for the end of an interrupt shadow, which
 * nothing else shows. TF makes the CPU raise a #DB behind the instruction, which is intercepted (15.12.2). Should an
 * IRET fault, its handler finds TF in the frame, and at worst takes a #DB too many. An IRET to another task would leave
 * TF in this one's TSS: there any exit has to do that finds the guest elsewhere.
 */
#include "svm/svm.h"

enum { RFLAGS_TF = 1 << 8, RFLAGS_NT = 1 << 14, EFER_LMA = 1 << 10, DR6_BS = 1 << 14 };

/* The bits of DR6 that mean a breakpoint: a condition that DR7 does not enable may set its bit, too (13.1.1.3). */
static uint64_t breakpoints(uint64_t dr7)
{
    uint64_t enabled = dr7 | dr7 >> 1; /* locally or globally: bits 0, 2, 4, 6 */
    return (enabled & 1) | (enabled >> 1 & 2) | (enabled >> 2 & 4) | (enabled >> 3 & 8);
}

void svm_step_begin(struct vcpu *v, struct svm_step *before)
{
    struct svm_vcpu *s = svm_of(v);
    struct vmcb *c = s->vmcb;
    /* An event would take TF along into its frame; the next exit asks again. */
    *before = (struct svm_step){.active = s->step && !v->event.valid,
                                .to_task = (c->rflags & RFLAGS_NT) && !(c->efer & EFER_LMA),
                                .rip = c->rip,
                                .rflags = c->rflags,
                                .dr6 = c->dr6};
    s->step = false;
    if (!before->active)
        return;
    c->rflags |= before->to_task ? 0 : RFLAGS_TF;
    c->intercept1 &= ~(uint32_t)I1_IRET;
}

void svm_step_end(struct vcpu *v, const struct svm_step *before)
{
    struct vmcb *c = svm_of(v)->vmcb;
    if (!before->active)
        return;
    if (before->to_task) {
        v->nmi_blocked = v->nmi_blocked && c->rip == before->rip;
        return;
    }
    if ((uint32_t)c->exit_code != EXIT_EXCEPTION0 + VECTOR_DB) {
        c->rflags = (c->rflags & ~(uint64_t)RFLAGS_TF) | (before->rflags & RFLAGS_TF);
        return;
    }
    if (!v->nmi_blocked) /* no IRET, which has taken TF from its frame: an INIT may have come behind its exit */
        c->rflags = (c->rflags & ~(uint64_t)RFLAGS_TF) | (before->rflags & RFLAGS_TF);
    v->nmi_blocked = false;
    v->exit.kind = ABI_EXIT_WINDOW;
    bool stepped = before->rflags & RFLAGS_TF; /* by the guest, too */
    if (!stepped)
        c->dr6 = (c->dr6 & ~(uint64_t)DR6_BS) | (before->dr6 & DR6_BS);
    if (stepped || (c->dr6 & ~before->dr6 & breakpoints(c->dr7)))
        v->event = (struct event){.valid = true, .vector = VECTOR_DB, .type = EVENT_EXCEPTION};
}
