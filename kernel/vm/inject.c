#include "kernel/vm/vcpu.h"

enum { CR0_PE = 1 << 0, RFLAGS_IF = 1 << 9, RFLAGS_RF = 1 << 16 };

/* A vector of the LAPIC's or, by a cycle in the device world, of the 8259s'; negative: nothing is due. */
static int pending_interrupt(struct vcpu *v)
{
    if (vcpu_has_lapic(v))
        return lapic_pending(v->lapic);
    return atomic_load(&v->vm->extint) ? LAPIC_EXTINT : LAPIC_NONE;
}

/* The 8259 cycle: its vector, or LAPIC_NONE. */
static __attribute__((noinline)) int acknowledge(struct vcpu *v)
{
    if (vcpu_has_lapic(v))
        lapic_accept_extint(v->lapic);
    if (vcpu_upcall(v, ABI_UPCALL_INTA) || (v->page->reply.flags & ABI_REPLY_SPURIOUS))
        return LAPIC_NONE;
    return (uint8_t)v->page->reply.vector;
}

/*
 * At most one event an entry, and never over one that is already on its way. An interrupt leaves the LAPIC only when it
 * is put into v->event, which then survives until the guest has it.
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
    uint8_t class = 0;
    if (!vcpu_has_lapic(v))
        class = atomic_load(&v->vm->extint) ? LAPIC_EXTINT_CLASS : 0;
    else if (lapic_waits(v->lapic)) /* what TPR holds back counts, too: the guest's next MOV CR8 may free it */
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

/* Traps and aborts; #DB is either, and what it says of RF stands in RFLAGS already. */
#define NOT_FAULTS (1u << 1 | 1u << 3 | 1u << 4 | 1u << 8 | 1u << 18)

/* A fault's frame has RF set, which the CPU leaves to us (SDM Vol. 3, 18.3.1.1).
 * Real mode knows no error codes (SDM Vol. 3, 20.1.4), and VM entry refuses them there (26.2.1.3). */
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
