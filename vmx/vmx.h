/* Intel's VMX (SDM Vol. 3, chapters 24 to 32): what the files of this back end share. */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include "kernel/asid.h"
#include "kernel/vcpu.h"
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
    uint64_t dr[4], dr6, cr2; /* the guest's, while it does not run */
    /* CPUs that have dropped what other tables at the same address may have left. */
    bool clean_on[ABI_MAX_CPUS];
    uint64_t cstar; /* nothing in 64-bit mode uses it on these CPUs */
    uint32_t proc_controls, tpr_threshold;
    uint8_t class; /* of the interrupt whose window is wanted; 0: none */
    bool nmi_window;
};

struct vmx_cpu {
    struct msr_entry host_msrs[SWITCHED]; /* first: aligned to 16 bytes */
    struct asid_pool vpids;
    void *vmxon_region;
    struct vcpu *current; /* whose VMCS is */
};

static inline struct vmx_vcpu *vmx_of(const struct vcpu *v)
{
    return v->backend;
}

/* vmx/vmx.c: v's VMCS becomes this CPU's current one, if it is not. */
void vmx_load(struct vcpu *v);
/* vmx/exit.c: v->exit and v->event from the VMCS. */
void vmx_decode_exit(struct vcpu *v);
/* vmx/cr.c: a write of CR0 or CR4 that exited. */
void vmx_cr_access(struct vcpu *v);
/* vmx/state.c */
void vmx_get_regs(struct vcpu *v, struct abi_regs *out);
void vmx_set_regs(struct vcpu *v, const struct abi_regs *regs);
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
void vmx_run(struct vcpu *v);
uint64_t vmx_get_rip(struct vcpu *v);
void vmx_set_rip(struct vcpu *v, uint64_t rip);
uint64_t vmx_get_rflags(struct vcpu *v);
void vmx_set_rflags(struct vcpu *v, uint64_t rflags);
void vmx_set_shadow(struct vcpu *v);
bool vmx_in_shadow(struct vcpu *v);
void vmx_set_cr2(struct vcpu *v, uint64_t cr2);
void vmx_add_dr6(struct vcpu *v, uint64_t bits);
void vmx_set_windows(struct vcpu *v, uint8_t class, bool nmi);
uint8_t vmx_get_cr8(struct vcpu *v);
void vmx_set_cr8(struct vcpu *v, uint8_t cr8);
/* vmx/entry.asm: VMLAUNCH or VMRESUME with v->gpr and back; false: the entry failed with an error number. */
bool vmx_enter(uint64_t *gpr, bool launched);
extern const uint8_t vmx_exit_entry[]; /* HOST_RIP */

#endif
