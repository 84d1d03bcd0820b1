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
    uint64_t dr[4]; /* the guest's DR0-3 while they are not in the registers */
    uint64_t mce;   /* the guest's CR4.MCE, in its place; the CPU's is root's */
    bool step;      /* leave behind the next instruction: NMIs may come then */
    bool stepping;  /* doing so */
};

struct svm_cpu {
    struct asid_pool asids;
    uint64_t host_state;      /* VMSAVE of root's own: a page, physical */
    void *save_area;          /* VM_HSAVE_PA */
    struct svm_vcpu *current; /* whose DR0-3 are in the registers, for root uses none; its ASID is this CPU's */
};

struct svm_caps {
    uint32_t asids;
    bool nrip, decode_assists, pause_filter, pause_threshold;
};
extern struct svm_caps svm_caps;

static inline struct svm_vcpu *svm_of(const struct vcpu *v) { return v->backend; }

/* V_TPR (15.21.1) */
static inline uint8_t svm_cr8(const struct vmcb *c) { return c->virtual_interrupt & 15; }

/* svm/exit.c: v->exit and v->event from the VMCB. */
void svm_decode_exit(struct vcpu *v);
/* Its parts. If v->event was valid or EXITINTINFO is: what was on its way into the guest and did not
 * arrive, goes in again (15.7.2). */
void svm_take_back_event(struct vcpu *v, struct vmcb *c);
/* The exits that there are most of: kind and u, and where it is known next_rip; false: another one. */
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
        v->cr8 = svm_cr8(c); /* its handler may look */
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
/* svm/step.c: around an entry, the second behind svm_decode_exit(). */
struct svm_step {
    bool active, to_task;
    uint64_t rip, rflags, dr6;
};
void svm_step_begin(struct vcpu *v, struct svm_step *before);
void svm_step_end(struct vcpu *v, const struct svm_step *before);
/* svm/state.c */
void svm_get_regs(struct vcpu *v, struct abi_regs *out);
/* DR0 to DR3, wherever they are. */
void svm_get_breakpoints(const struct vcpu *v, uint64_t dr[4]);
void svm_set_regs(struct vcpu *v, const struct abi_regs *regs);
void svm_set_start(struct vcpu *v, uint8_t page);
void svm_set_system(struct vcpu *v, const struct abi_regs *regs);
int svm_get_msr(struct vcpu *v, uint32_t msr, uint64_t *value);
int svm_set_msr(struct vcpu *v, uint32_t msr, uint64_t value);
uint64_t svm_get_cr4(struct vcpu *v);
/* Writes the field; what translations it leaves, the caller sees to. */
void svm_put_cr4(struct vcpu *v, uint64_t cr4);
uint64_t svm_get_efer(struct vcpu *v);
void svm_set_efer(struct vcpu *v, uint64_t efer);
/* svm/run.asm: into the guest, again and again until svm_exited(v, vmcb) is false. The addresses of the VMCB and of
 * host_state are physical. Exits of CPUID, HLT, RDMSR and WRMSR have next_rip, even if the CPU does not tell it. */
void svm_run(struct vcpu *v, struct vmcb *vmcb, uint64_t vmcb_pa, uint64_t host_state);
static_assert(offsetof(struct vcpu, gpr) == 56 && offsetof(struct svm_caps, nrip) == 4, "svm/run.asm knows");
extern const uint64_t svm_step_intercepts;
/* After each exit: enter again at once? */
bool svm_exited(struct vcpu *v, struct vmcb *vmcb);

#endif
