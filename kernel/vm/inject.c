/* Which event the next entry brings into the guest. */
#include "kernel/vm/vcpu.h"

enum { CR0_PE = 1 << 0, RFLAGS_IF = 1 << 9, RFLAGS_RF = 1 << 16 };

/* What is due: a vector of the LAPIC; LAPIC_EXTINT, an 8259 cycle, for whose vector the device world is asked; or
 * LAPIC_NONE. */
static int pending_interrupt(struct vcpu *v)
{
    if (vcpu_has_lapic(v))
        return lapic_pending(v->lapic);
    return atomic_load(&v->vm->extint) ? LAPIC_EXTINT : LAPIC_NONE;
}

/* Makes an 8259 cycle, by an upcall: the vector, or LAPIC_NONE. */
static __attribute__((noinline)) int acknowledge(struct vcpu *v)
{
    if (vcpu_has_lapic(v))
        lapic_accept_extint(v->lapic);
    if (vcpu_upcall(v, ABI_UPCALL_INTA) || (v->page->reply.flags & ABI_REPLY_SPURIOUS))
        return LAPIC_NONE;
    return (uint8_t)v->page->reply.vector;
}

/*
 * Each entry has at most one event. An event that is on its way already is never replaced. An interrupt leaves the
 * LAPIC only when it is put into v->event, and stays there until the guest has it.
 *
 * Windows: the back end is told of the priority class of an interrupt that waits, and whether an NMI waits.
 */
enum quick vcpu_prepare_events(struct vcpu *v, enum where where)
{
    int pending = LAPIC_NONE;

    if (!v->event.valid && v->nmi_pending && !v->nmi_blocked && backend->unblocked(v) & ~RFLAGS_IF) {
        v->nmi_pending--;
        v->event = (struct event){.valid = true, .vector = VECTOR_NMI, .type = EVENT_NMI};
    }

    if (!v->event.valid && backend->unblocked(v) & RFLAGS_IF)
        pending = vcpu_has_lapic(v) ? lapic_take(v->lapic) : pending_interrupt(v);
    if (pending == LAPIC_EXTINT && where == WHERE_GUEST) /* no upcall between two entries */
        return QUICK_DONE;
    if (pending == LAPIC_EXTINT)
        pending = acknowledge(v);
    if (pending != LAPIC_NONE)
        v->event = (struct event){.valid = true, .vector = (uint8_t)pending, .type = EVENT_INTERRUPT};

    /* An interrupt that the TPR holds back counts, too: the guest's next MOV to CR8 may free it. */
    uint8_t class = 0;
    if (!vcpu_has_lapic(v))
        class = atomic_load(&v->vm->extint) ? LAPIC_EXTINT_CLASS : 0;
    else if (lapic_waits(v->lapic))
        class = lapic_waiting_class(v->lapic);

    if (vcpu_has_lapic(v) && lapic_take_tpr(v->lapic))
        backend->set_cr8(v, lapic_get_cr8(v->lapic));

    bool before = v->windows;
    v->windows = class || v->nmi_pending || v->nmi_blocked || (v->event.valid && v->event.type == EVENT_NMI);
    if (before || v->windows)
        backend->set_windows(v, class, v->nmi_pending > 0);
    return v->windows && v->nmi_pending ? QUICK_DONE : QUICK_AGAIN;
}

bool vcpu_has_wakeup(struct vcpu *v)
{
    if (!vcpu_events_stand(v))
        (void)vcpu_prepare_events(v, WHERE_ROOT);

    return v->event.valid || (v->nmi_pending && !v->nmi_blocked) ||
           (v->windows && (backend->get_rflags(v) & RFLAGS_IF) && pending_interrupt(v) != LAPIC_NONE);
}

/* The vectors of traps and aborts: #DB, #BP, #OF, #DF, #MC. #DB may also be a fault; RF is in RFLAGS already then. */
#define NOT_FAULTS (1u << 1 | 1u << 3 | 1u << 4 | 1u << 8 | 1u << 18)

/* - RF: the frame of a fault has RF set. For an injected fault, the CPU leaves that to root (SDM Vol. 3, 18.3.1.1).
 * - Error code: in real mode no exception has one (SDM Vol. 3, 20.1.4), and a VM entry with one is refused there
 *   (26.2.1.3). */
void vcpu_inject_exception(struct vcpu *v, uint8_t vector, bool has_error_code, uint32_t error_code)
{
    if (!(NOT_FAULTS >> vector & 1))
        backend->set_rflags(v, backend->get_rflags(v) | RFLAGS_RF);
    v->event = (struct event){.valid = true,
                              .vector = vector,
                              .type = EVENT_EXCEPTION,
                              .has_error_code = has_error_code && (backend->get_cr0(v) & CR0_PE),
                              .error_code = error_code};
}
