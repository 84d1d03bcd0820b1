/* The guest's registers in the VMCS (SDM Vol. 3, 25.4). */
#include "kernel/base/asm.h"
#include "kernel/vm/msr.h"
#include "lib/string.h"
#include "vmx/fields.h"
#include "vmx/vmx.h"

enum { CR4_MCE = 1 << 6, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, LDTR = ABI_SEGS, TR, DEBUG_CONTROL_RESET = 0x400 };
enum { CR0_PE = 1, CR0_TS = 8, CR0_STATUS = 0xf, DR7_LOCAL = 0x155 };
#define CR0_PG        BIT(31)
#define DR6_RESET     0xffff0ff0ull
#define TYPE_ACCESSED 1u
#define TYPE_BUSY     2u
#define DPL_MASK      (3u << ABI_SEG_DPL_SHIFT)
#define SEGMENT(f, i) ((f) + 2 * (int)(i))

/* Access rights of the VMCS from attributes of the ABI. The VMCS has the bits at their places in a descriptor. The ABI
 * leaves out the four bits of the limit in between. */
static uint32_t rights_of(uint16_t attr)
{
    return attr & ABI_SEG_P ? (attr & 0xffu) | (attr & 0xf00u) << 4 : RIGHTS_UNUSABLE;
}

static struct abi_segment read_segment(unsigned i)
{
    uint32_t rights = read32((enum vmcs32)SEGMENT(GUEST_ES_RIGHTS, i));
    bool usable = !(rights & RIGHTS_UNUSABLE);
    return (struct abi_segment){.selector = read16((enum vmcs16)SEGMENT(GUEST_ES, i)),
                                .attr = usable ? (uint16_t)((rights & 0xff) | (rights >> 4 & 0xf00)) : 0,
                                .limit = read32((enum vmcs32)SEGMENT(GUEST_ES_LIMIT, i)),
                                .base = readn((enum vmcsn)SEGMENT(GUEST_ES_BASE, i))};
}

static void write_segment(unsigned i, const struct abi_segment *s, uint32_t rights)
{
    write16((enum vmcs16)SEGMENT(GUEST_ES, i), s->selector);
    write32((enum vmcs32)SEGMENT(GUEST_ES_LIMIT, i), s->limit);
    write32((enum vmcs32)SEGMENT(GUEST_ES_RIGHTS, i), rights);
    writen((enum vmcsn)SEGMENT(GUEST_ES_BASE, i), s->base);
}

unsigned vmx_get_cpl(struct vcpu *v)
{
    vmx_load(v);
    return read32((enum vmcs32)SEGMENT(GUEST_ES_RIGHTS, ABI_SS)) >> ABI_SEG_DPL_SHIFT & 3;
}

/* The guest's value of CR0 or CR4: bits of the mask are in the shadow, the others in the field. */
static uint64_t behind_mask(enum vmcsn field, enum vmcsn mask, enum vmcsn shadow)
{
    uint64_t owned = readn(mask);

    return (readn(field) & ~owned) | (readn(shadow) & owned);
}

uint64_t vmx_get_cr0(struct vcpu *v)
{
    vmx_load(v);
    return behind_mask(GUEST_CR0, CR0_MASK, CR0_SHADOW);
}

uint64_t vmx_get_cr4(struct vcpu *v)
{
    vmx_load(v);
    return behind_mask(GUEST_CR4, CR4_MASK, CR4_SHADOW);
}

uint64_t vmx_get_efer(struct vcpu *v)
{
    vmx_load(v);
    return read64(GUEST_EFER);
}

/* LMA is set if LME and CR0.PG are. When the guest changes CR0.PG, the CPU changes LMA itself (SDM Vol. 3, 28.3.2). */
void vmx_set_efer(struct vcpu *v, uint64_t efer)
{
    vmx_load(v);

    bool long_mode = (efer & EFER_LME) && (readn(GUEST_CR0) & CR0_PG);
    write64(GUEST_EFER, (efer & ~(uint64_t)EFER_LMA) | (long_mode ? EFER_LMA : 0));

    uint32_t controls = read32(ENTRY_CONTROLS) & ~(uint32_t)ENTRY_LONG_MODE;
    write32(ENTRY_CONTROLS, controls | (long_mode ? ENTRY_LONG_MODE : 0));
}

void vmx_get_regs(struct vcpu *v, struct abi_regs *out)
{
    vmx_load(v);

    memcpy(out->gpr, v->gpr, sizeof out->gpr);
    for (unsigned i = 0; i < ABI_SEGS; i++)
        out->seg[i] = read_segment(i);
    out->ldtr = read_segment(LDTR);
    out->tr = read_segment(TR);
    out->gdtr = (struct abi_segment){.base = readn(GUEST_GDTR_BASE), .limit = read32(GUEST_GDTR_LIMIT)};
    out->idtr = (struct abi_segment){.base = readn(GUEST_IDTR_BASE), .limit = read32(GUEST_IDTR_LIMIT)};

    out->rip = vmx_of(v)->rip;
    out->rflags = vmx_of(v)->rflags;
    out->cr0 = vmx_get_cr0(v);
    out->cr2 = read_cr2();
    out->cr3 = readn(GUEST_CR3);
    out->cr4 = vmx_get_cr4(v);
    out->efer = vmx_get_efer(v);
    out->cpl = vmx_get_cpl(v);
    out->reserved = 0;

    out->dr7 = readn(GUEST_DR7);
    if (out->dr7 & DR7_ENABLED)
        save_breakpoints(out->dr);
}

/* A CPU that loads a selector marks the descriptor as accessed, or a TSS as busy. An entry fails without these marks
 * (SDM Vol. 3, 27.3.1.2). */
static void write_segments(const struct abi_regs *r)
{
    for (unsigned i = 0; i < ABI_SEGS; i++) {
        uint32_t rights = rights_of(r->seg[i].attr);

        if (!(rights & RIGHTS_UNUSABLE))
            rights |= TYPE_ACCESSED;
        /* VMX keeps the CPL in the DPL of SS. */
        if (i == ABI_SS)
            rights = (rights & ~DPL_MASK) | r->cpl << ABI_SEG_DPL_SHIFT;
        write_segment(i, &r->seg[i], rights);
    }

    write_segment(LDTR, &r->ldtr, rights_of(r->ldtr.attr));
    write_segment(TR, &r->tr, rights_of(r->tr.attr) | TYPE_BUSY);
}

/* Not for registers with PAE paging, whose PDPTEs would have to be read. Root sets all registers only of a vCPU that
 * starts. */
void vmx_set_regs(struct vcpu *v, const struct abi_regs *r)
{
    struct vmx_vcpu *s = vmx_of(v);

    vmx_load(v);
    memcpy(v->gpr, r->gpr, sizeof v->gpr);
    write_segments(r);
    writen(GUEST_GDTR_BASE, r->gdtr.base);
    write32(GUEST_GDTR_LIMIT, r->gdtr.limit & 0xffff);
    writen(GUEST_IDTR_BASE, r->idtr.base);
    write32(GUEST_IDTR_LIMIT, r->idtr.limit & 0xffff);

    vmx_put_rip(s, r->rip);
    vmx_put_rflags(s, r->rflags);
    vmx_put_interruptibility(s, 0);
    s->rsp = r->gpr[ABI_RSP];
    writen(GUEST_RSP, s->rsp);

    uint64_t owned = readn(CR0_MASK);
    writen(GUEST_CR0, (r->cr0 & ~owned) | vmx_caps.cr0_fixed[0]);
    writen(CR0_SHADOW, r->cr0);
    writen(GUEST_CR3, r->cr3);
    /* MCE in the VMCS stays as root has it. With MCE clear, a machine check in the guest would shut the CPU down. */
    writen(GUEST_CR4, (r->cr4 & ~readn(CR4_MASK)) | CR4_VMXE | (read_cr4() & CR4_MCE));
    writen(CR4_SHADOW, r->cr4);
    vmx_set_efer(v, r->efer);

    writen(GUEST_DR7, DEBUG_CONTROL_RESET);
    load_breakpoints((const uint64_t[4]){0});
    write_dr6(DR6_RESET);
    write_cr2(r->cr2);
    writen(GUEST_PENDING_DEBUG, 0);
    s->trap_due = false;

    /* A new VPID: no translation from before is used. */
    s->vpid.generation = 0;
}

void vmx_set_start(struct vcpu *v, uint8_t page)
{
    vmx_load(v);
    write16((enum vmcs16)SEGMENT(GUEST_ES, ABI_CS), (uint16_t)(page << 8));
    writen((enum vmcsn)SEGMENT(GUEST_ES_BASE, ABI_CS), (uint64_t)page << 12);
    vmx_put_rip(vmx_of(v), 0);
}

/* The values are not checked here: a VM entry checks them. */
void vmx_set_system(struct vcpu *v, const struct abi_regs *r)
{
    vmx_load(v);
    write_segments(r);
    writen(GUEST_GDTR_BASE, r->gdtr.base);
    write32(GUEST_GDTR_LIMIT, r->gdtr.limit & 0xffff);
    writen(GUEST_IDTR_BASE, r->idtr.base);
    write32(GUEST_IDTR_LIMIT, r->idtr.limit & 0xffff);
    writen(GUEST_CR0, (readn(GUEST_CR0) & ~(uint64_t)(CR0_STATUS & ~CR0_PE)) | (r->cr0 & CR0_STATUS));
}

/* If CR3 changes, the guest's translations and PDPTEs are others (SDM Vol. 3, 4.10.4.1 and 27.3.2.4). */
void vmx_switch_task(struct vcpu *v, const struct abi_regs *r, const uint64_t pdpte[4])
{
    vmx_load(v);

    write_segments(r);
    writen(GUEST_CR0, readn(GUEST_CR0) | CR0_TS);
    writen(GUEST_DR7, readn(GUEST_DR7) & ~(uint64_t)DR7_LOCAL);
    if (readn(GUEST_CR3) == r->cr3)
        return;

    writen(GUEST_CR3, r->cr3);
    for (int i = 0; i < 4; i++)
        write64((enum vmcs64)(GUEST_PDPTE0 + 2 * i), pdpte[i]);
    vmx_of(v)->vpid.generation = 0;
    vmx_use_address_space(v);
}

/* The field of the VMCS that keeps an MSR. 0, which is no field of the guest's state: there is no such field. */
static uint16_t field_of(uint32_t msr)
{
    switch (msr) {
    case MSR_PAT:
        return GUEST_PAT;
    case MSR_SYSENTER_CS:
        return GUEST_SYSENTER_CS;
    case MSR_SYSENTER_ESP:
        return GUEST_SYSENTER_ESP;
    case MSR_SYSENTER_EIP:
        return GUEST_SYSENTER_EIP;
    case MSR_FS_BASE:
        return SEGMENT(GUEST_ES_BASE, ABI_FS);
    case MSR_GS_BASE:
        return SEGMENT(GUEST_ES_BASE, ABI_GS);
    default:
        return 0;
    }
}

/* Where struct vmx_vcpu keeps an MSR. NULL: struct vmx_vcpu has no such MSR. */
static uint64_t *slot(struct vmx_vcpu *s, uint32_t msr)
{
    for (unsigned i = 0; i < SWITCHED; i++)
        if (s->msrs[i].msr == msr)
            return &s->msrs[i].value;
    return msr == MSR_CSTAR ? &s->cstar : NULL;
}

int vmx_get_msr(struct vcpu *v, uint32_t msr, uint64_t *value)
{
    const uint64_t *s = slot(vmx_of(v), msr);
    uint16_t field = field_of(msr);

    if (!s && !field)
        return E_NOENT;

    vmx_load(v);
    *value = s ? *s : vmcs_get(field);
    return OK;
}

int vmx_set_msr(struct vcpu *v, uint32_t msr, uint64_t value)
{
    uint64_t *s = slot(vmx_of(v), msr);
    uint16_t field = field_of(msr);

    if (!s && !field)
        return E_NOENT;
    /* The upper half of SFMASK is reserved: if a bit of it were set, the next entry would fail. */
    if (msr == MSR_SFMASK && value >> 32)
        return E_INVAL;

    vmx_load(v);
    if (s)
        *s = value;
    else
        vmcs_set(field, value);
    return OK;
}

unsigned vmx_get_fields(const struct vcpu *v, struct abi_field *out)
{
    /* Runs of fields of the guest's state. Within a run, the numbers of fields are 2 apart. */
    static const struct {
        uint16_t first, last;
    } runs[] = {
        {ENTRY_CONTROLS, ENTRY_CONTROLS}, {GUEST_ES, SEGMENT(GUEST_ES, TR)},   {VMCS_LINK, GUEST_EFER},
        {GUEST_PDPTE0, GUEST_PDPTE0 + 6}, {GUEST_ES_LIMIT, GUEST_SYSENTER_CS}, {GUEST_CR0, GUEST_SYSENTER_EIP},
    };
    unsigned n = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(runs); i++)
        for (unsigned field = runs[i].first; field <= runs[i].last; field += 2)
            if (vmx_field_exists(field))
                out[n++] = (struct abi_field){field, vmcs_get(field)};

    for (unsigned i = 0; i < 2; i++) {
        out[n++] = (struct abi_field){IA32_VMX_CR0_FIXED0 + i, vmx_caps.cr0_fixed[i]};
        out[n++] = (struct abi_field){IA32_VMX_CR4_FIXED0 + i, vmx_caps.cr4_fixed[i]};
    }

    out[n++] = (struct abi_field){ENTRY_EVENT, v->event.valid ? EVENT_VALID | (uint32_t)v->event.type << 8 : 0};
    return n;
}
