/* One entry into the guest and the exit from it, with what VMX does not switch by itself. */
#include "kernel/asm.h"
#include "kernel/percpu.h"
#include "kernel/time.h"
#include "vmx/vmx.h"

enum {
    RFLAGS_TF = 1 << 8,
    RFLAGS_IF = 1 << 9,
    CR0_PE = 1,
    DEBUG_ENABLED = 1 << 12,
    DEBUG_BS = 1 << 14,
    DEBUGCTL_BTF = 2,
    TPR = 0x80
};
/* No entry lasts longer, whatever becomes of the host's own interrupts: with the guest's IF set, or clear. A UART's
 * FIFO overflows after 1.4 ms. */
enum { LONGEST_ENTRY_US = 10000, LONGEST_CLOSED_ENTRY_US = 1000 };

/* Until this CPU's next timer, the guest's TSC deadline and the end of its time slice included. */
static void set_preemption_timer(void)
{
    bool open = readn(GUEST_RFLAGS) & RFLAGS_IF;
    uint64_t now = tsc_now(), armed = timer_armed();
    uint64_t ticks = tsc_from_us(open ? LONGEST_ENTRY_US : LONGEST_CLOSED_ENTRY_US);
    if (armed)
        ticks = MIN(ticks, armed > now ? armed - now : 0);
    /* One more, so that the timer's own interrupt is there when the guest has left. */
    write32(PREEMPTION_TIMER, (uint32_t)MIN((ticks >> vmx_caps.timer_shift) + 1, (uint64_t)UINT32_MAX));
}

static void use_address_space(struct vcpu *v)
{
    struct vmx_cpu *c = this_cpu()->backend;
    struct vmx_vcpu *s = vmx_of(v);
    bool *clean = &s->clean_on[this_cpu()->index];
    if (!*clean) { /* tables that were at the same address before may have left something (SDM Vol. 3, 29.4.3.3) */
        uint64_t pointer = read64(EPT_POINTER);
        if (!invept(vmx_caps.ept_vpid & EPT_CAP_INVEPT_ONE ? INVALIDATE_ONE : INVALIDATE_ALL, pointer))
            vmcs_failed("INVEPT", pointer);
        *clean = true;
    }
    if (!(vmx_caps.control[PROC2] & PROC2_VPID))
        return; /* entries and exits flush */
    uint32_t before = s->vpid.number;
    if (asid_use(&c->vpids, &s->vpid, this_cpu()->index) && !invvpid(INVALIDATE_ALL, 0))
        vmcs_failed("INVVPID", 0);
    if (s->vpid.number != before)
        write16(VPID, (uint16_t)s->vpid.number);
}

/* Exceptions with an error code (SDM Vol. 3, 27.2.1.3): #DF #TS #NP #SS #GP #PF #AC. */
#define HAS_ERROR_CODE (1u << 8 | 0x1fu << 10 | 1u << 17)

/* SDM Vol. 3, 27.8.3. With an error code too many, too few or too large there would be no entry at all; the device
 * world chooses them, which may not stop root. */
static void set_event(const struct vcpu *v)
{
    const struct event *e = &v->event;
    if (!e->valid)
        return; /* the CPU has cleared the field */
    bool error_code = e->type == EVENT_EXCEPTION && (HAS_ERROR_CODE >> e->vector & 1) && (readn(GUEST_CR0) & CR0_PE);
    write32(ENTRY_EVENT, e->vector | (uint32_t)e->type << 8 | (error_code ? EVENT_ERROR_CODE : 0) | EVENT_VALID);
    if (error_code)
        write32(ENTRY_EVENT_ERROR, e->has_error_code ? e->error_code & 0xffff : 0);
    if (e->type >= EVENT_SOFTWARE)
        write32(ENTRY_EVENT_LENGTH, e->instruction_length);
}

/* With the guest's TPR at or above the class, the interrupt waits for a lower TPR, else for IF. */
static void set_exits(struct vcpu *v)
{
    struct vmx_vcpu *s = vmx_of(v);
    bool masked = s->class <= s->virtual_apic[TPR] >> 4;
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

/* An instruction that was stepped over in an interrupt shadow (SDM Vol. 3, 27.3.1.5). */
static void set_pending_step(void)
{
    if (!(read32(GUEST_INTERRUPTIBILITY) & IN_SHADOW))
        return;
    bool step = (readn(GUEST_RFLAGS) & RFLAGS_TF) && !(read64(GUEST_DEBUGCTL) & DEBUGCTL_BTF);
    uint64_t pending = readn(GUEST_PENDING_DEBUG) & ~(uint64_t)DEBUG_BS;
    writen(GUEST_PENDING_DEBUG, pending | (step ? DEBUG_BS : 0));
}

static void load_registers(const struct vmx_vcpu *s)
{
    load_breakpoints(s->dr);
    __asm__ volatile("mov %0, %%dr6" ::"r"(s->dr6));
    write_cr2(s->cr2);
}

static void save_registers(struct vmx_vcpu *s)
{
    s->cr2 = read_cr2();
    save_breakpoints(s->dr);
    __asm__ volatile("mov %%dr6, %0" : "=r"(s->dr6));
}

/* An exit leaves the GDT's limit at 64 KiB, which ring 3 could use (SDM Vol. 3, 28.5.2); the IDT needs no more. */
static void restore_gdt_limit(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdtr = {sizeof this_cpu()->gdt - 1, (uint64_t)this_cpu()->gdt};
    __asm__ volatile("lgdt %0" ::"m"(gdtr));
}

void vmx_run(struct vcpu *v)
{
    struct vmx_vcpu *s = vmx_of(v);
    vmx_load(v);
    use_address_space(v);
    set_event(v);
    set_exits(v);
    set_pending_step();
    if (vmx_caps.control[PIN] & PIN_PREEMPTION_TIMER)
        set_preemption_timer();
    writen(GUEST_RSP, v->gpr[ABI_RSP]);
    load_registers(s);
    bool entered = vmx_enter(v->gpr, s->launched);
    save_registers(s);
    restore_gdt_limit();
    if (!entered)
        vmcs_failed(s->launched ? "VMRESUME" : "VMLAUNCH", v->index);
    s->launched = true;
    v->gpr[ABI_RSP] = readn(GUEST_RSP);
    vmx_decode_exit(v);
}

uint64_t vmx_get_rip(struct vcpu *v)
{
    vmx_load(v);
    return readn(GUEST_RIP);
}

/* Only 64-bit code has an RIP beyond 4 GiB (SDM Vol. 3, 27.3.1.4). CS.L means nothing in another mode. */
void vmx_set_rip(struct vcpu *v, uint64_t rip)
{
    vmx_load(v);
    if (rip > UINT32_MAX && !((read32(ENTRY_CONTROLS) & ENTRY_LONG_MODE) &&
                              (read32((enum vmcs32)(GUEST_ES_RIGHTS + 2 * ABI_CS)) & RIGHTS_LONG)))
        rip = (uint32_t)rip;
    writen(GUEST_RIP, rip);
    uint32_t state = read32(GUEST_INTERRUPTIBILITY);
    if (state & IN_SHADOW)
        write32(GUEST_INTERRUPTIBILITY, state & ~(uint32_t)IN_SHADOW);
}

uint64_t vmx_get_rflags(struct vcpu *v)
{
    vmx_load(v);
    return readn(GUEST_RFLAGS);
}

void vmx_set_rflags(struct vcpu *v, uint64_t rflags)
{
    vmx_load(v);
    writen(GUEST_RFLAGS, rflags | 2);
}

void vmx_set_shadow(struct vcpu *v)
{
    vmx_load(v);
    write32(GUEST_INTERRUPTIBILITY, (read32(GUEST_INTERRUPTIBILITY) & ~(uint32_t)IN_SHADOW) | SHADOW_MOV_SS);
}

/* An event that is injected takes the place of a debug trap that is due, which would be lost (SDM Vol. 3, 27.7.3). */
bool vmx_in_shadow(struct vcpu *v)
{
    vmx_load(v);
    return (read32(GUEST_INTERRUPTIBILITY) & IN_SHADOW) || (readn(GUEST_PENDING_DEBUG) & (DEBUG_BS | DEBUG_ENABLED));
}

void vmx_set_cr2(struct vcpu *v, uint64_t cr2)
{
    vmx_of(v)->cr2 = cr2;
}

void vmx_add_dr6(struct vcpu *v, uint64_t bits)
{
    vmx_of(v)->dr6 |= bits;
}

void vmx_set_windows(struct vcpu *v, uint8_t class, bool nmi)
{
    vmx_of(v)->class = class;
    vmx_of(v)->nmi_window = nmi;
}

uint8_t vmx_get_cr8(struct vcpu *v)
{
    return vmx_of(v)->virtual_apic[TPR] >> 4;
}

void vmx_set_cr8(struct vcpu *v, uint8_t cr8)
{
    vmx_of(v)->virtual_apic[TPR] = (uint8_t)(cr8 << 4);
}
