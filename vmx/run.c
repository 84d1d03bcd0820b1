/* Entry into the guest and exit from it, with the state that VMX does not switch by itself. */
#include "kernel/base/asm.h"
#include "kernel/base/percpu.h"
#include "kernel/base/time.h"
#include "vmx/vmx.h"

enum { CR0_PE = 1, DEBUG_BS = 1 << 14, DEBUGCTL_BTF = 2 };
/* How long the guest runs at most, whatever becomes of the host's own interrupts:
 * LONGEST_ENTRY_US: one entry.
 * LONGEST_CLOSED_US: with the guest's IF clear, a series of entries without an exit for an interrupt. A UART's FIFO
 * overflows after 1.4 ms. */
enum { LONGEST_ENTRY_US = 10000, LONGEST_CLOSED_US = 1000 };

void vmx_set_longest_entry(struct vmx_cpu *c)
{
    c->entry_ticks = (uint32_t)MIN(tsc_from_us(LONGEST_ENTRY_US) >> vmx_caps.timer_shift, (uint64_t)UINT32_MAX - 1) + 1;
    c->closed_ticks = tsc_from_us(LONGEST_CLOSED_US);
}

/*
 * With the guest's IF set, an interrupt of the host that is due ends the entry at once. So the timer is only the bound
 * of one entry, and its value in the VMCS stays the same.
 *
 * With IF clear, Bochs does not end the entry for an interrupt (docs/debugging.md). The timer stands for a point in
 * time, s->leave_by, since the guest may exit again and again before. A new point in time is chosen after IF was set,
 * or after an exit for an interrupt.
 */
void vmx_set_preemption_timer(const struct vmx_cpu *c, struct vmx_vcpu *s)
{
    if (!(vmx_caps.control[PIN] & PIN_PREEMPTION_TIMER))
        return;

    uint32_t ticks = c->entry_ticks;
    if (!(s->rflags & RFLAGS_IF)) {
        uint64_t now = tsc_now();

        if (s->timer == 0 || s->timer == c->entry_ticks)
            s->leave_by = now + c->closed_ticks;
        ticks = (uint32_t)MIN(s->leave_by > now ? (s->leave_by - now) >> vmx_caps.timer_shift : 0, ticks - 2ull) + 1;
    }

    write32(PREEMPTION_TIMER, ticks);
    s->timer = ticks;
}

void vmx_use_address_space(struct vcpu *v)
{
    struct vmx_cpu *c = this_cpu()->backend;
    struct vmx_vcpu *s = vmx_of(v);
    bool *clean = &s->clean_on[this_cpu()->index];

    /* The tables of a VM that is gone may have been at the same address, and have left translations in this CPU (SDM
     * Vol. 3, 29.4.3.3). */
    if (!*clean) {
        uint64_t pointer = vmx_ept_pointer(v);

        if (!invept(vmx_caps.ept_vpid & EPT_CAP_INVEPT_ONE ? INVALIDATE_ONE : INVALIDATE_ALL, pointer))
            vmcs_refused("INVEPT", pointer);
        *clean = true;
    }

    /* Without VPIDs, each entry and each exit drops all translations. */
    if (!(vmx_caps.control[PROC2] & PROC2_VPID))
        return;

    /* INVVPID is for all vCPUs of this CPU. So a failure is not one of a vCPU in creation alone. */
    uint32_t before = s->vpid.number;
    if (asid_use(&c->vpids, &s->vpid, this_cpu()->index) && !invvpid(INVALIDATE_ALL, 0))
        vmcs_failed("INVVPID", 0);
    if (s->vpid.number != before)
        put16(VPID, (uint16_t)s->vpid.number);
}

/* Exceptions with an error code (SDM Vol. 3, 27.2.1.3): #DF #TS #NP #SS #GP #PF #AC. */
#define HAS_ERROR_CODE (1u << 8 | 0x1fu << 10 | 1u << 17)

/* Injects v->event at the next entry (SDM Vol. 3, 27.8.3). The entry would fail if an error code were missing, were one
 * too many, or were too large. The device world chooses error codes, and must not be able to stop root by them. So this
 * function makes them valid. */
static void set_event(const struct vcpu *v)
{
    const struct event *e = &v->event;
    bool error_code = e->type == EVENT_EXCEPTION && (HAS_ERROR_CODE >> e->vector & 1) && (readn(GUEST_CR0) & CR0_PE);

    write32(ENTRY_EVENT, e->vector | (uint32_t)e->type << 8 | (error_code ? EVENT_ERROR_CODE : 0) | EVENT_VALID);
    if (error_code)
        write32(ENTRY_EVENT_ERROR, e->has_error_code ? e->error_code & 0xffff : 0);
    if (e->type >= EVENT_SOFTWARE)
        write32(ENTRY_EVENT_LENGTH, e->instruction_length);
}

/* Sets the exits for which windows and CR8 ask. If the guest's TPR is at or above the class of the interrupt, the
 * interrupt waits for a lower TPR: the TPR threshold exits. Else the interrupt waits for IF: interrupt-window
 * exiting. */
static void set_exits(struct vcpu *v)
{
    struct vmx_vcpu *s = vmx_of(v);
    uint32_t wanted = s->virtual_apic[VIRTUAL_TPR] | (uint32_t)s->class << 8 | (uint32_t)s->nmi_window << 16 |
                      (uint32_t)v->accelerated << 17;

    if (wanted == s->exits_for)
        return;
    s->exits_for = wanted;

    bool masked = s->class <= s->virtual_apic[VIRTUAL_TPR] >> 4;
    uint32_t controls = s->proc_controls & ~(uint32_t)(PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW | PROC_CR8_LOAD);
    controls |= s->class && !masked ? PROC_INTERRUPT_WINDOW : 0;
    controls |= v->accelerated ? 0 : PROC_CR8_LOAD;
    controls |= s->nmi_window ? PROC_NMI_WINDOW : 0;
    if (controls != s->proc_controls)
        write32(PROC_CONTROLS, controls);
    s->proc_controls = controls;

    uint32_t threshold = masked ? s->class : 0;
    if (threshold != s->tpr_threshold)
        write32(TPR_THRESHOLD, threshold);
    s->tpr_threshold = threshold;
}

/* In an interrupt shadow, an entry needs the pending debug exception BS set if TF is set and BTF clear, and else clear
 * (SDM Vol. 3, 27.3.1.5). */
static void set_pending_step(const struct vmx_vcpu *s)
{
    bool step = (s->rflags & RFLAGS_TF) && !(read64(GUEST_DEBUGCTL) & DEBUGCTL_BTF);
    uint64_t pending = readn(GUEST_PENDING_DEBUG) & ~(uint64_t)DEBUG_BS;

    writen(GUEST_PENDING_DEBUG, pending | (step ? DEBUG_BS : 0));
}

void vmx_write_back_others(struct vmx_vcpu *s)
{
    if (s->dirty & DIRTY_RFLAGS)
        writen(GUEST_RFLAGS, s->rflags);
    if (s->dirty & DIRTY_INTERRUPTIBILITY)
        write32(GUEST_INTERRUPTIBILITY, s->interruptibility);
    if (s->interruptibility & IN_SHADOW)
        set_pending_step(s);
}

void vmx_prepare_entry(struct vcpu *v)
{
    /* Without an event nothing has to be written: the last exit has cleared the valid bit of the field. */
    if (v->event.valid)
        set_event(v);
    set_exits(v);
    vmx_write_back(this_cpu()->backend, vmx_of(v));
}

void vmx_run(struct vcpu *v)
{
    vmx_load(v);
    const struct vmx_cpu *c = this_cpu()->backend;
    struct vmx_vcpu *s = vmx_of(v);

    vmx_prepare_entry(v);
    if (v->gpr[ABI_RSP] != s->rsp)
        writen(GUEST_RSP, v->gpr[ABI_RSP]);

    if (!vmx_enter(v->gpr, s->launched, v))
        vmcs_failed(s->launched ? "VMRESUME" : "VMLAUNCH", v->index);
    s->launched = true;

    /* An exit sets the limits of GDTR and IDTR to 64 KiB (SDM Vol. 3, 28.5.2). Ring 3 could use what is behind the GDT,
     * so the GDT gets its limit back. The IDT needs no other limit. */
    __asm__ volatile("lgdt %0" ::"m"(c->gdtr));
}

uint64_t vmx_get_rip(struct vcpu *v)
{
    return vmx_of(v)->rip;
}

/* Only 64-bit code may have an RIP beyond 4 GiB (SDM Vol. 3, 27.3.1.4), so code whose RIP was beyond 4 GiB is 64-bit
 * code. For other code CS.L decides, in long mode only: CS.L has no meaning in another mode. */
void vmx_set_rip(struct vcpu *v, uint64_t rip)
{
    struct vmx_vcpu *s = vmx_of(v);

    if (rip > UINT32_MAX && s->rip <= UINT32_MAX) {
        vmx_load(v);
        if (!((read32(ENTRY_CONTROLS) & ENTRY_LONG_MODE) &&
              (read32((enum vmcs32)(GUEST_ES_RIGHTS + 2 * ABI_CS)) & RIGHTS_LONG)))
            rip = (uint32_t)rip;
    }

    vmx_put_rip(s, rip);
    if (s->interruptibility & IN_SHADOW)
        vmx_put_interruptibility(s, s->interruptibility & ~(uint32_t)IN_SHADOW);
}

uint64_t vmx_get_rflags(struct vcpu *v)
{
    return vmx_of(v)->rflags;
}

void vmx_set_rflags(struct vcpu *v, uint64_t rflags)
{
    vmx_put_rflags(vmx_of(v), rflags);
}

void vmx_set_shadow(struct vcpu *v)
{
    struct vmx_vcpu *s = vmx_of(v);
    vmx_put_interruptibility(s, (s->interruptibility & ~(uint32_t)IN_SHADOW) | SHADOW_MOV_SS);
}

/* While a debug trap is due, no event may be injected: the trap would be lost (SDM Vol. 3, 27.7.3). */
uint64_t vmx_unblocked(struct vcpu *v)
{
    const struct vmx_vcpu *s = vmx_of(v);
    return s->trap_due || (s->interruptibility & IN_SHADOW) ? 0 : s->rflags;
}

void vmx_set_cr2(struct vcpu *v, uint64_t cr2)
{
    vmx_load(v);
    write_cr2(cr2);
}

void vmx_add_dr6(struct vcpu *v, uint64_t bits)
{
    enum { PENDING_HITS = 0xf, PENDING_ENABLED = 1 << 12 };

    vmx_load(v);
    uint64_t pending = readn(GUEST_PENDING_DEBUG);
    if (pending & PENDING_ENABLED)
        bits |= pending & PENDING_HITS;

    /* The pending trap goes along with the #DB: an entry that injects an event drops a trap (SDM Vol. 3, 27.7.3). */
    writen(GUEST_PENDING_DEBUG, 0);
    vmx_of(v)->trap_due = false;

    write_dr6(read_dr6() | bits);
    writen(GUEST_DR7, readn(GUEST_DR7) & ~(uint64_t)DR7_GD);
}

void vmx_set_windows(struct vcpu *v, uint8_t class, bool nmi)
{
    vmx_of(v)->class = class;
    vmx_of(v)->nmi_window = nmi;
}

void vmx_set_cr8(struct vcpu *v, uint8_t cr8)
{
    vmx_of(v)->virtual_apic[VIRTUAL_TPR] = (uint8_t)(cr8 << 4);
}

void vmx_set_tsc_offset(struct vcpu *v)
{
    vmx_load(v);
    write64(TSC_OFFSET, v->tsc_offset);
}
