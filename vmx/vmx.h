/* Intel's VMX (SDM Vol. 3, chapters 24 to 32): what the files of this back end share. */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include "kernel/base/percpu.h"
#include "kernel/vm/asid.h"
#include "kernel/vm/vcpu.h"
#include "lib/breakpoints.h"
#include "vmx/caps.h"
#include "vmx/vmcs.h"

/* Event fields (25.8.3), interruptibility (25.4.2), access rights (25.4.1). */
enum {
    EVENT_ERROR_CODE = 1 << 11,
    SHADOW_STI = 1,
    SHADOW_MOV_SS = 2,
    IN_SHADOW = SHADOW_STI | SHADOW_MOV_SS,
    BLOCKED_BY_NMI = 8,
    RIGHTS_LONG = 1 << 13,
    RIGHTS_UNUSABLE = 1 << 16
};

/* MSRs that VMX does not switch by itself are loaded from here at entries; the first one is stored at exits. */
enum { SWITCHED_KERNEL_GS_BASE, SWITCHED_STAR, SWITCHED_LSTAR, SWITCHED_SFMASK, SWITCHED };
struct msr_entry { /* SDM Vol. 3, table 25-15 */
    uint32_t msr, reserved;
    uint64_t value;
};

struct vmx_vcpu {
    struct msr_entry msrs[SWITCHED]; /* first: aligned to 16 bytes */
    void *vmcs;
    uint8_t *virtual_apic; /* only its TPR is in use */
    bool launched;         /* since the last VMCLEAR */
    struct asid vpid;
    /* Of the VMCS: read at each exit, what changes is written at the next entry. It follows the vCPU as v->gpr does. */
    uint64_t rip, rflags, rsp;
    uint32_t interruptibility;
    uint8_t dirty;            /* enum vmx_dirty */
    bool trap_due;            /* a debug trap comes with the next entry */
    uint64_t dr[4], dr6, cr2; /* the guest's, while its VMCS is not the current one: root needs none of these */
    /* CPUs that have dropped what other tables at the same address may have left. */
    bool clean_on[ABI_MAX_CPUS];
    uint64_t cstar; /* nothing in 64-bit mode uses it on these CPUs */
    uint32_t proc_controls, tpr_threshold;
    uint8_t class; /* of the interrupt whose window is wanted; 0: none */
    bool nmi_window;
    uint32_t exits_for; /* what the two before were made from */
    uint32_t timer;     /* as the VMCS has it; 0: to be set anew */
    uint64_t leave_by;  /* TSC, while the guest's IF is clear: vmx_set_preemption_timer() */
};
enum { DR7_GD = 1 << 13 };
enum { RFLAGS_TF = 1 << 8, RFLAGS_IF = 1 << 9, RFLAGS_RF = 1 << 16 };
enum { VIRTUAL_TPR = 0x80 }; /* in virtual_apic */
enum vmx_dirty { DIRTY_RIP = 1, DIRTY_RFLAGS = 2, DIRTY_INTERRUPTIBILITY = 4 };

struct vmx_cpu {
    struct msr_entry host_msrs[SWITCHED]; /* first: aligned to 16 bytes */
    struct asid_pool vpids;
    void *vmxon_region;
    struct vcpu *current; /* whose VMCS is */
    struct {
        bool active;
        const char *what; /* the instruction that failed first; NULL: none has */
        uint64_t field, error;
    } creation;            /* of a vCPU, going on now on this CPU */
    uint32_t entry_ticks;  /* of the preemption timer: no entry lasts longer */
    uint64_t closed_ticks; /* of the TSC, the same with the guest's IF clear */
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdtr;
};

static inline struct vmx_vcpu *vmx_of(const struct vcpu *v) { return v->backend; }

static inline uint64_t vmx_ept_pointer(const struct vcpu *v)
{
    enum { EPT_WRITE_BACK = 6, EPT_WALK_4 = 3 << 3 }; /* 25.6.11 */
    return page_to_pa(v->vm->nested).v | EPT_WRITE_BACK | EPT_WALK_4;
}

static inline void vmx_put_rip(struct vmx_vcpu *s, uint64_t rip)
{
    s->rip = rip;
    s->dirty |= DIRTY_RIP;
}
static inline void vmx_put_rflags(struct vmx_vcpu *s, uint64_t rflags)
{
    s->rflags = rflags | 2;
    s->dirty |= DIRTY_RFLAGS;
}
static inline void vmx_put_interruptibility(struct vmx_vcpu *s, uint32_t state)
{
    s->interruptibility = state;
    s->dirty |= DIRTY_INTERRUPTIBILITY;
}

/* vmx/vmx.c: v's VMCS becomes this CPU's current one, with what else it needs for an entry. */
void vmx_make_current(struct vcpu *v);
/* The same, if it is not. */
static inline void vmx_load(struct vcpu *v)
{
    const struct vmx_cpu *c = this_cpu()->backend;
    if (c->current != v)
        vmx_make_current(v);
}
/* vmx/exit.c: after each exit. Enter again at once? Else v->exit and v->event are there. */
bool vmx_exited(struct vcpu *v);
/* vmx/cr.c: a write of CR0 or CR4 that exited. */
void vmx_cr_access(struct vcpu *v);
/* vmx/state.c */
void vmx_get_regs(struct vcpu *v, struct abi_regs *out);
void vmx_set_regs(struct vcpu *v, const struct abi_regs *regs);
void vmx_set_start(struct vcpu *v, uint8_t page);
void vmx_set_system(struct vcpu *v, const struct abi_regs *regs);
void vmx_switch_task(struct vcpu *v, const struct abi_regs *regs, const uint64_t pdpte[4]);
int vmx_get_msr(struct vcpu *v, uint32_t msr, uint64_t *value);
int vmx_set_msr(struct vcpu *v, uint32_t msr, uint64_t value);
unsigned vmx_get_cpl(struct vcpu *v);
uint64_t vmx_get_cr0(struct vcpu *v);
uint64_t vmx_get_cr4(struct vcpu *v);
uint64_t vmx_get_efer(struct vcpu *v);
void vmx_set_efer(struct vcpu *v, uint64_t efer);
unsigned vmx_get_fields(const struct vcpu *v, struct abi_field *out); /* v's VMCS is current; how many */
/* vmx/run.c */
void vmx_set_preemption_timer(const struct vmx_cpu *c, struct vmx_vcpu *s);
void vmx_write_back_others(struct vmx_vcpu *s);
void vmx_use_address_space(struct vcpu *v); /* once it is current, and when its translations are others */
void vmx_set_longest_entry(struct vmx_cpu *c);
void vmx_prepare_entry(struct vcpu *v); /* v->event and all that has changed, but RSP */
void vmx_run(struct vcpu *v);
uint64_t vmx_get_rip(struct vcpu *v);
void vmx_set_rip(struct vcpu *v, uint64_t rip);
uint64_t vmx_get_rflags(struct vcpu *v);
void vmx_set_rflags(struct vcpu *v, uint64_t rflags);
void vmx_set_shadow(struct vcpu *v);
uint64_t vmx_unblocked(struct vcpu *v);
void vmx_set_cr2(struct vcpu *v, uint64_t cr2);
void vmx_add_dr6(struct vcpu *v, uint64_t bits);
void vmx_set_windows(struct vcpu *v, uint8_t class, bool nmi);
void vmx_set_cr8(struct vcpu *v, uint8_t cr8);
void vmx_set_tsc_offset(struct vcpu *v);

/* Before each entry: what has changed, of the registers that vmx_vcpu keeps. */
static inline void vmx_write_back(const struct vmx_cpu *c, struct vmx_vcpu *s)
{
    if ((s->dirty & ~DIRTY_RIP) || (s->interruptibility & IN_SHADOW))
        vmx_write_back_others(s);
    if (s->dirty & DIRTY_RIP)
        writen(GUEST_RIP, s->rip);
    s->dirty = 0;
    if (!(s->rflags & RFLAGS_IF) || s->timer != c->entry_ticks)
        vmx_set_preemption_timer(c, s);
}

/* vmx/entry.asm: VMLAUNCH or VMRESUME with v->gpr and back, again and again until vmx_exited(v) is false; false: the
 * entry failed with an error number. */
bool vmx_enter(uint64_t *gpr, bool launched, struct vcpu *v);
extern const uint8_t vmx_exit_entry[]; /* HOST_RIP */

#endif
