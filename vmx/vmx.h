/* Intel's VMX (SDM Vol. 3, chapters 24 to 32): what the files of this back end share. */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include "kernel/base/percpu.h"
#include "kernel/vm/asid.h"
#include "kernel/vm/vcpu.h"
#include "lib/breakpoints.h"
#include "vmx/caps.h"
#include "vmx/vmcs.h"

enum {
    /* Event fields (25.8.3) */
    EVENT_ERROR_CODE = 1 << 11,
    /* Interruptibility (25.4.2) */
    SHADOW_STI = 1,
    SHADOW_MOV_SS = 2,
    IN_SHADOW = SHADOW_STI | SHADOW_MOV_SS,
    BLOCKED_BY_NMI = 8,
    /* Access rights (25.4.1) */
    RIGHTS_LONG = 1 << 13,
    RIGHTS_UNUSABLE = 1 << 16
};

/* MSRs that have no field in the VMCS. An entry loads all of them from an array in this order (25.8.2), and an exit
 * loads root's. An exit stores the first one only (25.7.2). */
enum { SWITCHED_KERNEL_GS_BASE, SWITCHED_STAR, SWITCHED_LSTAR, SWITCHED_SFMASK, SWITCHED };

/* SDM Vol. 3, table 25-15. */
struct msr_entry {
    uint32_t msr, reserved;
    uint64_t value;
};

struct vmx_vcpu {
    /* The guest's values. This is the first member, so that the array is aligned to 16 bytes. */
    struct msr_entry msrs[SWITCHED];
    void *vmcs;
    /* The virtual-APIC page. Only its TPR is used. */
    uint8_t *virtual_apic;
    /* VMLAUNCH has succeeded since the last VMCLEAR. */
    bool launched;
    struct asid vpid;

    /* Copies of fields of the VMCS. Each exit reads them; the next entry writes those that have changed. Like v->gpr,
     * the copies are valid on any CPU. */
    uint64_t rip, rflags, rsp;
    uint32_t interruptibility;
    /* Which copies have changed: enum vmx_dirty. RSP is compared instead. */
    uint8_t dirty;

    /* A debug trap is due at the next entry. */
    bool trap_due;
    /* The guest's debug registers and CR2 while its VMCS is not current. Else they are in the CPU: root uses none. */
    uint64_t dr[4], dr6, cr2;
    /* The CPUs that have dropped the translations of older tables at the same address. */
    bool clean_on[ABI_MAX_CPUS];
    /* The guest's CSTAR. It is only kept: no 64-bit code uses CSTAR on Intel's CPUs. */
    uint64_t cstar;

    /* What the VMCS has. */
    uint32_t proc_controls, tpr_threshold;
    /* The priority class of the interrupt whose window is wanted. 0: no window. */
    uint8_t class;
    bool nmi_window;
    /* What set_exits() made proc_controls and tpr_threshold from. */
    uint32_t exits_for;
    /* The preemption timer as the VMCS has it. 0: the timer has to be set anew. */
    uint32_t timer;
    /* The TSC at which the guest has to exit while its IF is clear: vmx_set_preemption_timer(). */
    uint64_t leave_by;
};

enum { DR7_GD = 1 << 13 };
enum { RFLAGS_TF = 1 << 8, RFLAGS_IF = 1 << 9, RFLAGS_RF = 1 << 16 };

/* Offset of the TPR in virtual_apic. */
enum { VIRTUAL_TPR = 0x80 };

enum vmx_dirty { DIRTY_RIP = 1, DIRTY_RFLAGS = 2, DIRTY_INTERRUPTIBILITY = 4 };

struct vmx_cpu {
    /* Root's values. This is the first member, so that the array is aligned to 16 bytes. */
    struct msr_entry host_msrs[SWITCHED];
    struct asid_pool vpids;
    void *vmxon_region;
    /* The vCPU whose VMCS is this CPU's current one. NULL: none. */
    struct vcpu *current;
    /* A vCPU that is in creation on this CPU. */
    struct {
        bool active;
        /* The instruction that failed first, with its field or address and its error. NULL: none has failed. */
        const char *what;
        uint64_t field, error;
    } creation;
    /* The longest entry, in ticks of the preemption timer. */
    uint32_t entry_ticks;
    /* The longest time with the guest's IF clear and without an exit for the host, in ticks of the TSC. */
    uint64_t closed_ticks;
    /* What LGDT loads after an exit. */
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

/* vmx/vmx.c: makes v's VMCS the current one of this CPU. Also loads DR0 to DR3, DR6 and CR2, and writes what the VMCS
 * has to know of this CPU. */
void vmx_make_current(struct vcpu *v);

/* The same, unless v's VMCS is the current one already. */
static inline void vmx_load(struct vcpu *v)
{
    const struct vmx_cpu *c = this_cpu()->backend;
    if (c->current != v)
        vmx_make_current(v);
}

/* vmx/exit.c: called after each exit. True: vmx_enter() enters again at once. False: v->exit and v->event are
 * filled. */
bool vmx_exited(struct vcpu *v);

/* vmx/cr.c: a MOV to CR0, CR4 or CR8 that exited. v->exit.info[0] is the exit qualification. */
void vmx_cr_access(struct vcpu *v);

/* vmx/state.c: as in struct backend, if there is no comment. */
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
/* Writes what an entry that was refused had into out, for the device world. Returns the number of fields. v's VMCS has
 * to be the current one. */
unsigned vmx_get_fields(const struct vcpu *v, struct abi_field *out);

/* vmx/run.c: as in struct backend, if there is no comment. */

/* Sets the preemption timer for the next entry, if the CPU has one. */
void vmx_set_preemption_timer(const struct vmx_cpu *c, struct vmx_vcpu *s);
/* The part of vmx_write_back() that few entries need. */
void vmx_write_back_others(struct vmx_vcpu *s);
/* Gives v a VPID of this CPU, and drops translations that v must not use. Called when v's VMCS has become the current
 * one, and when v's translations have changed. */
void vmx_use_address_space(struct vcpu *v);
/* Fills c->entry_ticks and c->closed_ticks. */
void vmx_set_longest_entry(struct vmx_cpu *c);
/* Writes v->event, and all of v's state that has changed except RSP, to the VMCS. */
void vmx_prepare_entry(struct vcpu *v);
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

/* Before each entry: writes the copies of struct vmx_vcpu that have changed, except RSP, and sets the preemption
 * timer. */
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

/* vmx/entry.asm */

/* Enters the guest again and again, until vmx_exited(v) returns false. gpr is v->gpr. The first entry is VMRESUME if
 * launched, else VMLAUNCH. False: VMLAUNCH or VMRESUME failed, with a VM-instruction error. */
bool vmx_enter(uint64_t *gpr, bool launched, struct vcpu *v);
/* Where the CPU goes on after an exit: HOST_RIP. */
extern const uint8_t vmx_exit_entry[];

#endif
