#include "svm/svm.h"

#include "kernel/base/asm.h"
#include "kernel/base/percpu.h"
#include "kernel/vm/control_registers.h"
#include "kernel/vm/msr.h"
#include "lib/string.h"

enum { CR0_STATUS = 0xf, EFER_SVME = 1 << 12 };

/* The VMCB's segments in the order of enum abi_seg. */
static struct abi_segment *segment(struct vmcb *c, unsigned i)
{
    struct abi_segment *const segments[ABI_SEGS] = {&c->es, &c->cs, &c->ss, &c->ds, &c->fs, &c->gs};
    return segments[i];
}

void svm_get_regs(struct vcpu *v, struct abi_regs *out)
{
    struct vmcb *c = svm_of(v)->vmcb;

    static_assert(offsetof(struct vmcb, gdtr) - offsetof(struct vmcb, es) == sizeof out->seg &&
                      offsetof(struct abi_regs, gdtr) - offsetof(struct abi_regs, seg) == sizeof out->seg,
                  "the VMCB's order of them is that of enum abi_seg");

    memcpy(out->gpr, v->gpr, sizeof out->gpr);
    memcpy(out->seg, &c->es, sizeof out->seg);
    out->gdtr = c->gdtr;
    out->idtr = c->idtr;
    out->ldtr = c->ldtr;
    out->tr = c->tr;

    out->rip = c->rip;
    out->rflags = c->rflags;
    out->cr0 = c->cr0;
    out->cr2 = c->cr2;
    out->cr3 = c->cr3;
    out->cr4 = svm_get_cr4(v);
    out->efer = c->efer & ~(uint64_t)EFER_SVME;
    out->cpl = c->cpl;
    out->reserved = 0;

    out->dr7 = c->dr7;
    if (c->dr7 & DR7_ENABLED)
        svm_get_breakpoints(v, out->dr);
}

/* Sets DR0 to DR3. They are in this CPU's registers, too, while the vCPU is the CPU's current one. */
static void put_breakpoints(struct vcpu *v, const uint64_t dr[4])
{
    const struct svm_cpu *cpu = this_cpu()->backend;
    struct svm_vcpu *s = svm_of(v);

    memcpy(s->dr, dr, sizeof s->dr);
    if (cpu->current == s)
        load_breakpoints(dr);
}

void svm_set_regs(struct vcpu *v, const struct abi_regs *r)
{
    struct vmcb *c = svm_of(v)->vmcb;

    memcpy(v->gpr, r->gpr, sizeof v->gpr);
    for (unsigned i = 0; i < ABI_SEGS; i++)
        *segment(c, i) = r->seg[i];
    c->gdtr = r->gdtr;
    c->idtr = r->idtr;
    c->ldtr = r->ldtr;
    c->tr = r->tr;

    c->rip = r->rip;
    c->rflags = r->rflags | 2;
    c->cr0 = r->cr0;
    c->cr2 = r->cr2;
    c->cr3 = r->cr3;
    svm_put_cr4(v, r->cr4);
    c->efer = r->efer | EFER_SVME;
    c->cpl = (uint8_t)r->cpl;

    put_breakpoints(v, (const uint64_t[4]){0});
    c->dr6 = 0xffff0ff0;
    c->dr7 = 0x400;
    c->interrupt_shadow = 0;

    /* A new ASID: no translation from before is used. */
    svm_of(v)->asid.generation = 0;
}

void svm_set_start(struct vcpu *v, uint8_t page)
{
    struct vmcb *c = svm_of(v)->vmcb;
    c->cs.selector = (uint16_t)(page << 8);
    c->cs.base = (uint64_t)page << 12;
    c->rip = 0;
}

/* The values are not checked here: VMRUN checks them. */
void svm_set_system(struct vcpu *v, const struct abi_regs *r)
{
    struct vmcb *c = svm_of(v)->vmcb;

    for (unsigned i = 0; i < ABI_SEGS; i++)
        *segment(c, i) = r->seg[i];
    c->gdtr = r->gdtr;
    c->idtr = r->idtr;
    c->ldtr = r->ldtr;
    c->tr = r->tr;

    c->cr0 = (c->cr0 & ~(uint64_t)(CR0_STATUS & ~CR0_PE)) | (r->cr0 & CR0_STATUS);
}

/* MCE in the VMCB stays as root has it. With MCE clear, a machine check in the guest would shut the CPU down (APM
 * Vol. 2, 9.3.2). */
void svm_put_cr4(struct vcpu *v, uint64_t cr4)
{
    svm_of(v)->mce = cr4 & CR4_MCE;
    svm_of(v)->vmcb->cr4 = cr4 | (read_cr4() & CR4_MCE);
}

uint64_t svm_get_cr4(struct vcpu *v)
{
    return (svm_of(v)->vmcb->cr4 & ~(uint64_t)CR4_MCE) | svm_of(v)->mce;
}

uint64_t svm_get_efer(struct vcpu *v)
{
    return svm_of(v)->vmcb->efer & ~(uint64_t)EFER_SVME;
}

/* LMA is set if LME and CR0.PG are (APM Vol. 2, 3.1.7). When the guest changes CR0.PG, the CPU changes LMA itself. */
void svm_set_efer(struct vcpu *v, uint64_t efer)
{
    struct vmcb *c = svm_of(v)->vmcb;

    efer &= ~(uint64_t)EFER_LMA;
    if ((efer & EFER_LME) && (c->cr0 & CR0_PG))
        efer |= EFER_LMA;
    c->efer = efer | EFER_SVME;
}

/* Where the VMCB keeps an MSR. NULL: the VMCB has no such MSR. */
static uint64_t *slot(struct vmcb *c, uint32_t msr)
{
    switch (msr) {
    case MSR_PAT:
        return &c->g_pat;
    case MSR_SYSENTER_CS:
        return &c->sysenter_cs;
    case MSR_SYSENTER_ESP:
        return &c->sysenter_esp;
    case MSR_SYSENTER_EIP:
        return &c->sysenter_eip;
    case MSR_STAR:
        return &c->star;
    case MSR_LSTAR:
        return &c->lstar;
    case MSR_CSTAR:
        return &c->cstar;
    case MSR_SFMASK:
        return &c->sfmask;
    case MSR_FS_BASE:
        return &c->fs.base;
    case MSR_GS_BASE:
        return &c->gs.base;
    case MSR_KERNEL_GS_BASE:
        return &c->kernel_gs_base;
    default:
        return NULL;
    }
}

int svm_get_msr(struct vcpu *v, uint32_t msr, uint64_t *value)
{
    const uint64_t *s = slot(svm_of(v)->vmcb, msr);
    if (!s)
        return E_NOENT;
    *value = *s;
    return OK;
}

int svm_set_msr(struct vcpu *v, uint32_t msr, uint64_t value)
{
    uint64_t *s = slot(svm_of(v)->vmcb, msr);
    if (!s)
        return E_NOENT;
    *s = value;
    return OK;
}
