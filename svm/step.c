/*
 * Executes one instruction in the guest, then exits. This is for an NMI that waits for an IRET or for the end of an
 * interrupt shadow: SVM has no exit that shows when either is over.
 *
 * TF makes the CPU raise a #DB behind the instruction, and #DB is intercepted (15.12.2). If the instruction is an IRET
 * that faults, the handler of the fault finds TF in its frame. At worst the guest then takes a #DB too many.
 *
 * An IRET to another task would leave TF in the TSS of the old task. So TF is not used there: the step is over at any
 * exit at which RIP has changed.
 */
#include "svm/svm.h"

enum { RFLAGS_TF = 1 << 8, RFLAGS_NT = 1 << 14, EFER_LMA = 1 << 10 };

/* The breakpoints that DR7 enables, as DR6 has them: bits 0 to 3. DR6 may report a breakpoint that is not enabled, too,
 * if its address matches (SDM Vol. 3, 18.2.3); the address of such a breakpoint is mostly 0. */
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

    /* With an event there is no step: the delivery would put TF into the event's frame. After the next exit,
     * set_windows() asks for the step again. */
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
    /* If NMIs were blocked and the step is done, the instruction was the IRET: TF is what IRET has loaded. Else TF gets
     * the guest's value again. */
    if (!trapped || !v->nmi_blocked)
        c->rflags = (c->rflags & ~(uint64_t)RFLAGS_TF) | (before->rflags & RFLAGS_TF);
    if (!trapped)
        return;

    v->nmi_blocked = false;
    v->exit.kind = ABI_EXIT_WINDOW;

    /* The guest gets a #DB if the guest itself had set TF, or if a breakpoint of the guest's was hit. */
    bool stepped = before->rflags & RFLAGS_TF;
    uint64_t hit = c->dr6 & ~before->dr6 & enabled_breakpoints(c->dr7);
    if (stepped || hit)
        v->event = (struct event){.valid = true, .vector = VECTOR_DB, .type = EVENT_EXCEPTION};
    if (!stepped)
        c->dr6 = before->dr6 | hit;
}
