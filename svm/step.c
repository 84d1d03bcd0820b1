/*
 * One instruction, and then an exit: for an NMI that waits for an IRET or for the end of an interrupt shadow, which
 * nothing else shows. TF makes the CPU raise a #DB behind the instruction, which is intercepted (15.12.2). Should an
 * IRET fault, its handler finds TF in the frame, and at worst takes a #DB too many. An IRET to another task would leave
 * TF in this one's TSS: there any exit has to do that finds the guest elsewhere.
 */
#include "svm/svm.h"

enum { RFLAGS_TF = 1 << 8, RFLAGS_NT = 1 << 14, EFER_LMA = 1 << 10 };

/* Those that are not enabled are reported, too, where their address matches: 0 mostly (SDM Vol. 3, 18.2.3). */
static uint64_t enabled_breakpoints(uint64_t dr7)
{
    uint64_t enabled = 0;
    for (unsigned n = 0; n < 4; n++)
        enabled |= (dr7 >> 2 * n & 3) ? BIT(n) : 0;
    return enabled;
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
    s->stepping = before->active;
    if (!before->active)
        return;
    c->rflags |= before->to_task ? 0 : RFLAGS_TF;
    c->intercept1 &= ~(uint32_t)I1_IRET;
}

void svm_step_end(struct vcpu *v, const struct svm_step *before)
{
    struct vmcb *c = svm_of(v)->vmcb;
    svm_of(v)->stepping = false;
    if (!before->active)
        return;
    if (before->to_task) {
        v->nmi_blocked = v->nmi_blocked && c->rip == before->rip;
        return;
    }
    bool trapped = (uint32_t)c->exit_code == EXIT_EXCEPTION0 + VECTOR_DB;
    if (!trapped || !v->nmi_blocked) /* else it was the IRET, which has loaded RFLAGS */
        c->rflags = (c->rflags & ~(uint64_t)RFLAGS_TF) | (before->rflags & RFLAGS_TF);
    if (!trapped)
        return;
    v->nmi_blocked = false;
    v->exit.kind = ABI_EXIT_WINDOW;
    bool stepped = before->rflags & RFLAGS_TF; /* by the guest, too */
    uint64_t hit = c->dr6 & ~before->dr6 & enabled_breakpoints(c->dr7);
    if (stepped || hit)
        v->event = (struct event){.valid = true, .vector = VECTOR_DB, .type = EVENT_EXCEPTION};
    if (!stepped)
        c->dr6 = before->dr6 | hit;
}
