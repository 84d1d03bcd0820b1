#include "vmx/vmx.h"

#include "kernel/base/asm.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/memory/nested.h"
#include "kernel/vm/control_registers.h"
#include "kernel/vm/cpuid.h"
#include "kernel/vm/msr.h"
#include "lib/string.h"

enum { IA32_FEATURE_CONTROL = 0x3a, FEATURE_LOCKED = 1, FEATURE_VMX = 4, EFER = 0xc0000080 };
enum { VPIDS = 1 << 16, IO_BITMAP_ORDER = 1 };
/* PAUSEs that are at most PLE_GAP_TICKS of the TSC apart are a spin loop. A spin loop that lasts longer than
 * PLE_WINDOW_TICKS exits. */
enum { PLE_GAP_TICKS = 128, PLE_WINDOW_TICKS = 4096 };

static const uint32_t switched[SWITCHED] = {MSR_KERNEL_GS_BASE, MSR_STAR, MSR_LSTAR, MSR_SFMASK};

static uint8_t *msr_bitmap, *io_bitmap;

/* SDM Vol. 3, tables 29-2 to 29-7. */
enum { READ_WRITE_EXECUTE = 7, LEAF_WRITE_BACK = 6 << 3 };
static struct nested_format nested = {.table = READ_WRITE_EXECUTE, .leaf = READ_WRITE_EXECUTE | LEAF_WRITE_BACK};

/* The VM-instruction error; 0 if there is no current VMCS. */
static uint64_t instruction_error(void)
{
    uint64_t error;
    return vmread(INSTRUCTION_ERROR, &error) ? error : 0;
}

void vmcs_failed(const char *what, uint64_t field)
{
    panic("%s of 0x%lx failed, instruction error %lu", what, field, instruction_error());
}

void vmcs_refused(const char *what, uint64_t field)
{
    struct vmx_cpu *c = this_cpu()->backend;

    if (!c->creation.active)
        vmcs_failed(what, field);
    if (c->creation.what)
        return;
    c->creation.what = what;
    c->creation.field = field;
    c->creation.error = instruction_error();
}

static bool present(void)
{
    return cpuid(1, 0).ecx >> 5 & 1;
}

/* Lets the guest read and write an MSR without an exit. Entries and exits switch that MSR, by the VMCS or by the arrays
 * of MSRs, and no value in it harms root. The bitmap has a bit an MSR for reads in its first half, and one for writes
 * in its second half (SDM Vol. 3, 25.6.9). */
static void pass_msr(uint32_t msr)
{
    uint32_t bit = (msr >= 0xc0000000 ? 0x400 * 8 : 0) + (msr & 0x1fff);

    msr_bitmap[bit / 8] &= (uint8_t) ~(1u << bit % 8);
    msr_bitmap[0x800 + bit / 8] &= (uint8_t) ~(1u << bit % 8);
}

static const char *probe(void)
{
    static const uint32_t passed[] = {MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
                                      MSR_FS_BASE,     MSR_GS_BASE,      MSR_KERNEL_GS_BASE};

    const char *problem = vmx_probe(rdmsr, read_cr0(), read_cr4());
    if (problem)
        return problem;

    nested.large = vmx_caps.ept_vpid & EPT_CAP_2M;
    nested.huge = vmx_caps.ept_vpid & EPT_CAP_1G;

    msr_bitmap = page_alloc(0);
    io_bitmap = page_alloc(IO_BITMAP_ORDER);
    if (!msr_bitmap || !io_bitmap)
        return "no memory for VMX's bitmaps: give the machine more";

    memset(msr_bitmap, 0xff, PAGE_SIZE);
    memset(io_bitmap, 0xff, PAGE_SIZE << IO_BITMAP_ORDER);
    for (unsigned i = 0; i < ARRAY_SIZE(passed); i++)
        pass_msr(passed[i]);
    return NULL;
}

static int cpu_enable(void)
{
    static_assert(sizeof(struct vmx_cpu) <= PAGE_SIZE, "fits a page");
    struct vmx_cpu *c = page_alloc(0);
    uint32_t *region = page_alloc(0);

    if (!c || !region) {
        page_free(c, 0);
        page_free(region, 0);
        return E_NOMEM;
    }

    /* With VMX locked off, VMXON would fault. */
    uint64_t feature = rdmsr(IA32_FEATURE_CONTROL);
    if ((feature & FEATURE_LOCKED) && !(feature & FEATURE_VMX))
        return E_NOTSUP;
    if (!(feature & FEATURE_LOCKED))
        wrmsr(IA32_FEATURE_CONTROL, feature | FEATURE_LOCKED | FEATURE_VMX);

    write_cr0(read_cr0() | vmx_caps.cr0_fixed[0]);
    write_cr4(read_cr4() | CR4_VMXE);
    region[0] = vmx_caps.revision;
    /* VMXON fails only if this CPU differs from the first one. Root stops then. */
    if (!vmxon(page_to_pa(region)))
        return E_NOTSUP;

    for (unsigned i = 0; i < SWITCHED; i++)
        c->host_msrs[i] = (struct msr_entry){.msr = switched[i], .value = rdmsr(switched[i])};
    asid_pool_init(&c->vpids, VPIDS);
    c->gdtr.limit = sizeof this_cpu()->self->gdt - 1;
    c->gdtr.base = (uint64_t)this_cpu()->self->gdt;
    vmx_set_longest_entry(c);
    c->vmxon_region = region;
    this_cpu()->backend = c;
    return OK;
}

/* Writes the state of root that an exit loads, and that differs between CPUs or may change. */
static void write_host_state(void)
{
    struct percpu *p = this_cpu()->self;

    putn(HOST_CR0, read_cr0());
    putn(HOST_CR3, read_cr3());
    putn(HOST_CR4, read_cr4());
    putn(HOST_GS_BASE, (uint64_t)p);
    putn(HOST_TR_BASE, (uint64_t)&p->tss);
    putn(HOST_GDTR_BASE, (uint64_t)p->gdt);
    put64(EXIT_MSR_LOAD, page_to_pa(p->backend).v);
}

static void release(struct vcpu *v)
{
    struct vmx_cpu *c = this_cpu()->backend;
    struct vmx_vcpu *s = vmx_of(v);

    if (c->current != v)
        return;

    s->cr2 = read_cr2();
    save_breakpoints(s->dr);
    s->dr6 = read_dr6();

    paddr_t vmcs = page_to_pa(s->vmcs);
    if (!vmclear(vmcs))
        vmcs_failed("VMCLEAR", vmcs.v);
    c->current = NULL;
    s->launched = false;
}

void vmx_make_current(struct vcpu *v)
{
    struct vmx_cpu *c = this_cpu()->backend;
    struct vmx_vcpu *s = vmx_of(v);

    if (c->current)
        release(c->current);

    paddr_t vmcs = page_to_pa(s->vmcs);
    if (!vmptrld(vmcs))
        vmcs_refused("VMPTRLD", vmcs.v);
    c->current = v;

    write_host_state();
    vmx_use_address_space(v);
    load_breakpoints(s->dr);
    write_dr6(s->dr6);
    write_cr2(s->cr2);
    s->timer = 0;
}

/* Fields that are 0 always, or at first. They have to be written: what a new VMCS holds is not defined (SDM Vol. 3,
 * 25.11.3). With PF_ERROR_MASK and PF_ERROR_MATCH 0, the bit of #PF in the exception bitmap alone says whether #PF
 * exits. */
static const uint16_t vmcs_zeros[] = {PF_ERROR_MASK,      PF_ERROR_MATCH,     CR3_TARGET_COUNT,  ENTRY_EVENT,
                                      TPR_THRESHOLD,      GUEST_ACTIVITY,     GUEST_DEBUGCTL,    GUEST_SYSENTER_CS,
                                      GUEST_SYSENTER_ESP, GUEST_SYSENTER_EIP, HOST_FS,           HOST_GS,
                                      HOST_FS_BASE,       HOST_SYSENTER_CS,   HOST_SYSENTER_ESP, HOST_SYSENTER_EIP};

static void write_controls(struct vcpu *v)
{
    for (unsigned i = 0; i < ARRAY_SIZE(vmcs_zeros); i++)
        vmcs_put(vmcs_zeros[i], 0);

    const struct vmx_vcpu *s = vmx_of(v);
    put32(PIN_CONTROLS, vmx_caps.control[PIN]);
    put32(PROC_CONTROLS, s->proc_controls);
    put32(PROC2_CONTROLS, vmx_caps.control[PROC2]);
    put32(EXIT_CONTROLS, vmx_caps.control[EXIT]);
    put32(ENTRY_CONTROLS, vmx_caps.control[ENTRY]);
    /* The delivery of #DB or #AC may raise the same exception, without end and without an interrupt in between. */
    put32(EXCEPTION_BITMAP, 1u << VECTOR_DB | 1u << VECTOR_AC | 1u << VECTOR_MC);

    put64(IO_BITMAP_A, page_to_pa(io_bitmap).v);
    put64(IO_BITMAP_B, page_to_pa(io_bitmap).v + PAGE_SIZE);
    put64(MSR_BITMAP, page_to_pa(msr_bitmap).v);
    put64(TSC_OFFSET, v->tsc_offset);
    put64(VIRTUAL_APIC, page_to_pa(s->virtual_apic).v);
    put64(EPT_POINTER, vmx_ept_pointer(v));

    put64(ENTRY_MSR_LOAD, page_to_pa(s).v);
    put32(ENTRY_MSR_LOAD_COUNT, SWITCHED);
    put64(EXIT_MSR_STORE, page_to_pa(s).v);
    put32(EXIT_MSR_STORE_COUNT, 1);
    put32(EXIT_MSR_LOAD_COUNT, SWITCHED);

    if (vmx_caps.control[PROC2] & PROC2_PLE) {
        put32(PLE_GAP, PLE_GAP_TICKS);
        put32(PLE_WINDOW, PLE_WINDOW_TICKS);
    }

    /* NE has to be 1 in VMX operation. CD and NW never reach the CPU, since an exit would not put them back. */
    putn(CR0_MASK, vmx_caps.cr0_fixed[0] | (BIT(29) | BIT(30)));
    /* The guest's MCE is in the shadow only. */
    putn(CR4_MASK, ~guest_cr4_bits() | CR4_MCE);

    put64(VMCS_LINK, UINT64_MAX);
    put64(GUEST_PAT, 0x0007040600070406);

    put16(HOST_CS, SEL_KERNEL_CS);
    put16(HOST_SS, SEL_KERNEL_DS);
    put16(HOST_DS, SEL_KERNEL_DS);
    put16(HOST_ES, SEL_KERNEL_DS);
    put16(HOST_TR, SEL_TSS);
    put64(HOST_PAT, rdmsr(MSR_PAT));
    put64(HOST_EFER, rdmsr(EFER));
    putn(HOST_IDTR_BASE, idt_base());
    putn(HOST_RIP, (uint64_t)vmx_exit_entry);
}

static void free_parts(struct vmx_vcpu *s)
{
    if (s) {
        page_free(s->vmcs, 0);
        page_free(s->virtual_apic, 0);
    }
    page_free(s, 0);
}

/* Writes what does not change, or has a first value, into the VMCS of a new vCPU. A failure refuses this guest only:
 * no state of a guest is lost. */
static int write_vmcs(struct vcpu *v)
{
    struct vmx_cpu *c = this_cpu()->backend;
    paddr_t vmcs = page_to_pa(vmx_of(v)->vmcs);

    /* Before creation.active is set: if this fails, the state of the current vCPU is lost. */
    if (c->current)
        release(c->current);

    c->creation.active = true;
    c->creation.what = NULL;
    if (vmclear(vmcs)) {
        vmx_load(v);
        write_controls(v);
        c->creation.active = false;
        release(v);
    } else {
        vmcs_refused("VMCLEAR", vmcs.v);
        c->creation.active = false;
    }

    if (!c->creation.what)
        return OK;
    log_line(LOG_ERROR,
             "%s: vcpu %u: %s of 0x%lx failed, instruction error %lu: this CPU's VMX, or that of a hypervisor below, "
             "lacks what Lapwing uses: please report it",
             v->vm->config.name, v->index, c->creation.what, c->creation.field, c->creation.error);
    return E_NOTSUP;
}

static int vmx_vcpu_create(struct vcpu *v)
{
    static_assert(sizeof(struct vmx_vcpu) <= PAGE_SIZE, "fits a page");
    struct vmx_vcpu *s = page_alloc(0);

    if (s) {
        s->vmcs = page_alloc(0);
        s->virtual_apic = page_alloc(0);
    }
    if (!s || !s->vmcs || !s->virtual_apic) {
        free_parts(s);
        return E_NOMEM;
    }

    *(uint32_t *)s->vmcs = vmx_caps.revision;
    for (unsigned i = 0; i < SWITCHED; i++)
        s->msrs[i].msr = switched[i];
    s->proc_controls = vmx_caps.control[PROC];
    s->exits_for = UINT32_MAX;
    v->backend = s;

    int err = write_vmcs(v);
    if (err) {
        free_parts(s);
        v->backend = NULL;
    }
    return err;
}

static void vmx_vcpu_destroy(struct vcpu *v)
{
    free_parts(vmx_of(v));
    v->backend = NULL;
}

static const struct backend vmx = {.name = "vmx",
                                   .present = present,
                                   .probe = probe,
                                   .cpu_enable = cpu_enable,
                                   .nested = &nested,
                                   .vcpu_create = vmx_vcpu_create,
                                   .vcpu_destroy = vmx_vcpu_destroy,
                                   .release = release,
                                   .run = vmx_run,
                                   .get_regs = vmx_get_regs,
                                   .set_regs = vmx_set_regs,
                                   .set_start = vmx_set_start,
                                   .set_system = vmx_set_system,
                                   .switch_task = vmx_switch_task,
                                   .get_rip = vmx_get_rip,
                                   .set_rip = vmx_set_rip,
                                   .get_rflags = vmx_get_rflags,
                                   .set_rflags = vmx_set_rflags,
                                   .set_shadow = vmx_set_shadow,
                                   .unblocked = vmx_unblocked,
                                   .set_cr2 = vmx_set_cr2,
                                   .add_dr6 = vmx_add_dr6,
                                   .get_cpl = vmx_get_cpl,
                                   .get_efer = vmx_get_efer,
                                   .set_efer = vmx_set_efer,
                                   .get_cr4 = vmx_get_cr4,
                                   .get_cr0 = vmx_get_cr0,
                                   .get_msr = vmx_get_msr,
                                   .set_msr = vmx_set_msr,
                                   .set_windows = vmx_set_windows,
                                   .set_cr8 = vmx_set_cr8,
                                   .set_tsc_offset = vmx_set_tsc_offset};
REGISTER_BACKEND(vmx);
