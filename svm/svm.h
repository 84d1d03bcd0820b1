/* AMD's SVM (APM Vol. 2, chapter 15): what the files of this back end share. */
#ifndef SVM_SVM_H
#define SVM_SVM_H

#include "kernel/vm/asid.h"
#include "kernel/vm/vcpu.h"
#include "lib/breakpoints.h"
#include "svm/vmcb.h"

enum { RFLAGS_IF = 1 << 9, DR7_GD = 1 << 13 };

struct svm_vcpu {
    struct vmcb *vmcb;
    uint64_t vmcb_pa;
    struct asid asid;
    /* The guest's DR0 to DR3, while they are not in the CPU's registers. */
    uint64_t dr[4];
    /* The guest's CR4.MCE, at its bit of CR4. MCE in the VMCB's CR4 is root's. */
    uint64_t mce;
    /* The next entry executes one instruction and exits: an NMI may be injected then (svm/step.c). */
    bool step;
    /* The vCPU is in such an entry. */
    bool stepping;
};

struct svm_cpu {
    struct asid_pool asids;
    /* Physical address of the page into which VMSAVE has put root's own state. */
    uint64_t host_state;
    /* The page of VM_HSAVE_PA. */
    void *save_area;
    /* The vCPU whose DR0 to DR3 are in this CPU's registers (root uses no breakpoints), and whose ASID is one of this
     * CPU's. NULL: none. */
    struct svm_vcpu *current;
};

struct svm_caps {
    uint32_t asids;
    bool nrip, decode_assists, pause_filter, pause_threshold;
};

extern struct svm_caps svm_caps;

static inline struct svm_vcpu *svm_of(const struct vcpu *v) { return v->backend; }

/* The guest's CR8, which is V_TPR (15.21.1). */
static inline uint8_t svm_cr8(const struct vmcb *c) { return c->virtual_interrupt & 15; }

/* svm/exit.c */

/* Fills v->exit and v->event from the VMCB. */
void svm_decode_exit(struct vcpu *v);

/* Sets v->event from V_IRQ and EXITINTINFO: an event that was on its way into the guest, and did not arrive, goes in
 * again at the next entry (15.7.2). A part of svm_decode_exit(). */
void svm_take_back_event(struct vcpu *v, struct vmcb *c);

/* Decodes the most frequent exits: fills v->exit.kind and v->exit.u. After IOIO, next_rip is filled from
 * EXITINFO2 (15.10.2). False: the exit is another one. A part of svm_decode_exit(). */
static inline bool svm_decode_instruction(struct vcpu *v, struct vmcb *c)
{
    enum { IO_IN = 1, IO_STRING = 4, IO_SIZE_SHIFT = 4 }; /* EXITINFO1 (15.10.2) */
    struct exit *e = &v->exit;
    uint64_t info = c->exit_info1;

    switch (c->exit_code) {
    case EXIT_CPUID:
        e->kind = ABI_EXIT_CPUID;
        return true;
    case EXIT_MSR:
        e->kind = info & 1 ? ABI_EXIT_WRMSR : ABI_EXIT_RDMSR;
        /* The handler of the MSR may read v->cr8. */
        v->cr8 = svm_cr8(c);
        return true;
    case EXIT_IOIO:
        e->kind = ABI_EXIT_IO;
        e->u.io.access.port = (uint16_t)(info >> 16);
        e->u.io.access.size = info >> IO_SIZE_SHIFT & 7;
        e->u.io.access.write = !(info & IO_IN);
        e->u.io.string = info & IO_STRING;
        e->u.io.watched = c->dr7 & DR7_ENABLED;
        c->next_rip = c->exit_info2;
        return true;
    case EXIT_HLT:
        e->kind = ABI_EXIT_HLT;
        v->cr8 = svm_cr8(c);
        return true;
    case EXIT_VMMCALL:
        e->kind = ABI_EXIT_HYPERCALL;
        return true;
    default:
        return false;
    }
}

/* svm/step.c */

/* What svm_step_begin() keeps for svm_step_end(). */
struct svm_step {
    bool active, to_task;
    uint64_t rip, rflags, dr6;
};

/* Before an entry. */
void svm_step_begin(struct vcpu *v, struct svm_step *before);
/* After that entry, when svm_decode_exit() has run. */
void svm_step_end(struct vcpu *v, const struct svm_step *before);

/* svm/state.c: as in struct backend, if there is no comment. */
void svm_get_regs(struct vcpu *v, struct abi_regs *out);
/* svm/svm.c: reads the guest's DR0 to DR3 from the CPU's registers or from struct svm_vcpu, wherever they are. */
void svm_get_breakpoints(const struct vcpu *v, uint64_t dr[4]);
void svm_set_regs(struct vcpu *v, const struct abi_regs *regs);
void svm_set_start(struct vcpu *v, uint8_t page);
void svm_set_system(struct vcpu *v, const struct abi_regs *regs);
int svm_get_msr(struct vcpu *v, uint32_t msr, uint64_t *value);
int svm_set_msr(struct vcpu *v, uint32_t msr, uint64_t value);
uint64_t svm_get_cr4(struct vcpu *v);
/* Writes CR4 of the VMCB. The caller makes sure that no old translation is used, where the change asks for that. */
void svm_put_cr4(struct vcpu *v, uint64_t cr4);
uint64_t svm_get_efer(struct vcpu *v);
void svm_set_efer(struct vcpu *v, uint64_t efer);

/* svm/run.asm */

/* Enters the guest again and again, until svm_exited(v, vmcb) returns false. vmcb_pa and host_state are physical
 * addresses. After an exit of CPUID, HLT, RDMSR or WRMSR, next_rip is filled even on a CPU without nRIP, unless the
 * length of the instruction could not be found out: then next_rip is 0. */
void svm_run(struct vcpu *v, struct vmcb *vmcb, uint64_t vmcb_pa, uint64_t host_state);
static_assert(offsetof(struct vcpu, gpr) == 56 && offsetof(struct svm_caps, nrip) == 4, "svm/run.asm knows");

/* svm/svm.c: what svm_run() reads and calls. */
extern const uint64_t svm_step_intercepts;
/* Called after each exit. True: svm_run() enters again at once. */
bool svm_exited(struct vcpu *v, struct vmcb *vmcb);

#endif
