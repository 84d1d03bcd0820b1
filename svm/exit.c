/* Translates an exit code (APM Vol. 2, appendix C) into struct exit, which is the same for all back ends. */
#include "svm/svm.h"

#include "kernel/vm/machine_check_cpu.h"
#include "lib/string.h"

/* EXITINFO1 of a nested page fault (15.25.6). */
enum { NPF_WRITE = 2, NPF_FETCH = 16 };
#define NPF_FINAL BIT(32)

static void exception(struct exit *e, uint8_t vector)
{
    e->kind = ABI_EXIT_EXCEPTION;
    e->u.exception.vector = vector;
}

static void mmio(struct exit *e, const struct vmcb *c)
{
    e->kind = ABI_EXIT_MMIO;
    e->u.mmio.gpa = c->exit_info2;
    e->u.mmio.final = c->exit_info1 & NPF_FINAL;
    e->u.mmio.write = c->exit_info1 & NPF_WRITE;
    e->u.mmio.fetch = c->exit_info1 & NPF_FETCH;

    e->u.mmio.bytes_count = svm_caps.decode_assists ? c->fetched & 15 : 0;
    if (e->u.mmio.bytes_count)
        memcpy(e->u.mmio.bytes, c->bytes, sizeof e->u.mmio.bytes);
}

/* IRET has exited, and will unblock NMIs: the next entry executes IRET and exits again. */
static void iret(struct vcpu *v)
{
    v->exit.kind = ABI_EXIT_WINDOW;
    svm_of(v)->step = true;
}

/* The interrupt window is open. V_IRQ and its intercept are not needed any more. */
static void window(struct exit *e, struct vmcb *c)
{
    e->kind = ABI_EXIT_WINDOW;
    c->virtual_interrupt &= ~(uint32_t)V_IRQ;
    c->intercept1 &= ~(uint32_t)I1_VINTR;
}

void svm_take_back_event(struct vcpu *v, struct vmcb *c)
{
    /* V_IRQ without its intercept is a virtual interrupt that was not taken: v->event still is that interrupt, whatever
     * EXITINTINFO says. If IF is clear, nothing is due any more: the delivery has caused a fault, which the guest
     * itself handles. A CPU clears V_IRQ then, QEMU does not. */
    if ((c->virtual_interrupt & V_IRQ) && !(c->intercept1 & I1_VINTR)) {
        c->virtual_interrupt &= ~(uint32_t)V_IRQ;
        v->event.valid = c->rflags & RFLAGS_IF;
        return;
    }

    bool was_nmi = v->event.valid && v->event.type == EVENT_NMI;
    v->event = (struct event){.injection = c->exit_int_info & ~EVENT_RESERVED};

    /* The guest has got the NMI. */
    if (was_nmi && !v->event.valid)
        v->nmi_blocked = true;
}

void svm_decode_exit(struct vcpu *v)
{
    struct vmcb *c = svm_of(v)->vmcb;
    struct exit *e = &v->exit;
    /* VMEXIT_INVALID is -1, in 32 bits or in 64. */
    uint32_t code = (uint32_t)c->exit_code;

    e->code = code;
    e->info[0] = c->exit_info1;
    e->info[1] = c->exit_info2;

    bool known = svm_decode_instruction(v, c);
    e->instruction_length = c->next_rip ? (uint8_t)(c->next_rip - c->rip) : 0;
    /* A CPU without nRIP does not write the field, so an old value would stay. */
    c->next_rip = 0;

    /* If v->event is valid, svm_exited() has taken it back already. */
    if (!v->event.valid)
        svm_take_back_event(v, c);
    if (known)
        return;

    switch (code) {
    case EXIT_INTR:
    case EXIT_SMI:
    case EXIT_INIT:
        e->kind = ABI_EXIT_INTERRUPT;
        return;
    case EXIT_NMI:
        e->kind = ABI_EXIT_NMI;
        return;
    case EXIT_EXCEPTION0 + VECTOR_DB:
    case EXIT_EXCEPTION0 + VECTOR_AC:
        exception(e, (uint8_t)(code - EXIT_EXCEPTION0));
        return;
    case EXIT_EXCEPTION0 + VECTOR_MC:
        /* A machine check is root's to handle, as on VMX. */
        e->machine_check = machine_check_in_guest();
        e->kind = e->machine_check ? ABI_EXIT_OTHER : ABI_EXIT_INTERRUPT;
        return;
    case EXIT_VINTR:
        window(e, c);
        return;
    case EXIT_IRET:
        iret(v);
        return;
    case EXIT_CR4_READ:
    case EXIT_CR4_WRITE:
        e->kind = ABI_EXIT_CR4;
        e->u.read = code == EXIT_CR4_READ;
        return;
    case EXIT_CR8_WRITE:
        e->kind = ABI_EXIT_CR8;
        return;
    case EXIT_PAUSE:
        e->kind = ABI_EXIT_PAUSE;
        return;
    case EXIT_NPF:
        mmio(e, c);
        return;
    case EXIT_XSETBV:
        e->kind = ABI_EXIT_XSETBV;
        return;
    case EXIT_SHUTDOWN:
        e->kind = ABI_EXIT_SHUTDOWN;
        return;
    case EXIT_RDPMC:
        e->kind = ABI_EXIT_RDPMC;
        return;
    case EXIT_INVLPGA:
    case EXIT_VMRUN:
    case EXIT_VMLOAD:
    case EXIT_VMSAVE:
    case EXIT_STGI:
    case EXIT_CLGI:
    case EXIT_SKINIT:
    case EXIT_MONITOR:
    case EXIT_MWAIT:
    case EXIT_MWAIT_ARMED:
        exception(e, VECTOR_UD);
        return;
    case EXIT_INVD:
    case EXIT_WBINVD:
        e->kind = ABI_EXIT_CACHE;
        return;
    default:
        e->kind = ABI_EXIT_OTHER;
    }
}
