#include "svm/svm.h"

#include "kernel/base/asm.h"
#include "kernel/base/percpu.h"
#include "kernel/memory/nested.h"
#include "kernel/vm/control_registers.h"
#include "lib/string.h"

enum { RFLAGS_TF = 1 << 8, RFLAGS_RF = 1 << 16 };
enum { EFER = 0xc0000080, EFER_SVME = 1 << 12, VM_CR = 0xc0010114, VM_CR_SVMDIS = 1 << 4, VM_HSAVE_PA = 0xc0010117 };
/* CPUID 8000_000A EDX */
enum { HAS_NPT = 1, HAS_NRIP = 8, HAS_DECODE_ASSISTS = 128, HAS_PAUSE_FILTER = 1 << 10, HAS_PAUSE_THRESHOLD = 1 << 12 };
/* PAUSE exits after PAUSE_COUNT PAUSEs, each less than PAUSE_THRESHOLD cycles after the one before. The guest then
 * waits for a vCPU that does not run. */
enum { PAUSE_COUNT = 3000, PAUSE_THRESHOLD = 128 };
enum { MSRPM_ORDER = 1, IOPM_ORDER = 2 };

#define INTERCEPTS1                                                                                                    \
    (I1_INTR | I1_NMI | I1_SMI | I1_INIT | I1_RDPMC | I1_CPUID | I1_INVD | I1_HLT | I1_INVLPGA | I1_IOIO | I1_MSR |    \
     I1_FERR_FREEZE | I1_SHUTDOWN)
/* What svm_run() intercepts while it steps over one instruction. Lower half: all exceptions. Upper half: intercept1. */
const uint64_t svm_step_intercepts = UINT32_MAX | (uint64_t)((INTERCEPTS1 & ~(uint32_t)(I1_CPUID | I1_HLT)) | I1_VINTR)
                                                      << 32;

struct svm_caps svm_caps;
static uint8_t *msrpm, *iopm;

/* Each access through nested tables is a user access, so U is set. */
enum { P = 1, W = 2, U = 4 };
static struct nested_format nested = {.table = P | W | U, .leaf = P | W | U, .large = true};

static bool present(void)
{
    return cpuid(0x80000000, 0).eax >= 0x8000000a && (cpuid(0x80000001, 0).ecx >> 2 & 1);
}

/* Lets the guest read and write an MSR without an exit. The VMCB switches that MSR, and no value in it harms root. The
 * map has two bits an MSR: one for reads, one for writes (15.11). */
static void pass_msr(uint32_t msr)
{
    uint32_t bit = msr >= 0xc0000000 ? 0x800 * 8 + (msr - 0xc0000000) * 2 : msr * 2;

    msrpm[bit / 8] &= (uint8_t) ~(3u << bit % 8);
}

static const char *probe(void)
{
    static const uint32_t passed[] = {0x174,      0x175,      0x176,      0xc0000081, 0xc0000082,
                                      0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102};

    if (rdmsr(VM_CR) & VM_CR_SVMDIS)
        return "SVM is switched off in VM_CR: enable virtualization (SVM) in the firmware's set-up";
    struct cpuid a = cpuid(0x8000000a, 0);
    if (!(a.edx & HAS_NPT))
        return "this CPU's SVM has no nested paging (CPUID 8000_000A EDX.NP), which Lapwing needs: use a newer CPU";

    svm_caps = (struct svm_caps){.asids = MAX(a.ebx, 2u),
                                 .nrip = a.edx & HAS_NRIP,
                                 .decode_assists = a.edx & HAS_DECODE_ASSISTS,
                                 .pause_filter = a.edx & HAS_PAUSE_FILTER,
                                 .pause_threshold = a.edx & HAS_PAUSE_THRESHOLD};
    nested.huge = cpuid(0x80000001, 0).edx >> 26 & 1;

    msrpm = page_alloc(MSRPM_ORDER);
    iopm = page_alloc(IOPM_ORDER);
    if (!msrpm || !iopm)
        return "no memory for SVM's permission maps: give the machine more";

    memset(msrpm, 0xff, PAGE_SIZE << MSRPM_ORDER);
    memset(iopm, 0xff, PAGE_SIZE << IOPM_ORDER);
    for (unsigned i = 0; i < ARRAY_SIZE(passed); i++)
        pass_msr(passed[i]);
    return NULL;
}

static int cpu_enable(void)
{
    static_assert(sizeof(struct svm_cpu) <= PAGE_SIZE, "fits a page");
    struct svm_cpu *s = page_alloc(0);
    void *host = page_alloc(0), *save = page_alloc(0);

    if (!s || !host || !save) {
        page_free(s, 0);
        page_free(host, 0);
        page_free(save, 0);
        return E_NOMEM;
    }

    wrmsr(EFER, rdmsr(EFER) | EFER_SVME);
    wrmsr(VM_HSAVE_PA, page_to_pa(save).v);
    __asm__ volatile("vmsave" ::"a"(page_to_pa(host).v) : "memory");

    s->host_state = page_to_pa(host).v;
    s->save_area = save;
    asid_pool_init(&s->asids, svm_caps.asids);
    this_cpu()->backend = s;
    return OK;
}

static int svm_vcpu_create(struct vcpu *v)
{
    struct svm_vcpu *s = page_alloc(0);
    struct vmcb *c = s ? page_alloc(0) : NULL;

    if (!c) {
        page_free(s, 0);
        return E_NOMEM;
    }

    s->vmcb = c;
    s->vmcb_pa = page_to_pa(c).v;
    v->backend = s;

    /* MOV to and from debug registers does not exit: while a vCPU is current, the CPU's DR0 to DR3 are the guest's. */
    c->intercept_dr = 0;
    /* The delivery of #DB or #AC may raise the same exception, without end and without an interrupt in between. */
    c->intercept_exceptions = 1u << VECTOR_DB | 1u << VECTOR_AC | 1u << VECTOR_MC;
    c->intercept_cr = CR4_READ | CR4_WRITE;
    c->intercept1 = INTERCEPTS1;
    c->intercept2 = I2_VMRUN | I2_VMMCALL | I2_VMLOAD | I2_VMSAVE | I2_STGI | I2_CLGI | I2_SKINIT | I2_WBINVD |
                    I2_MONITOR | I2_MWAIT | I2_MWAIT_ARMED | I2_XSETBV;
    /* Without the filter, each PAUSE would exit (15.14.4). */
    if (svm_caps.pause_filter) {
        c->intercept1 |= I1_PAUSE;
        c->pause_count = PAUSE_COUNT;
        c->pause_threshold = svm_caps.pause_threshold ? PAUSE_THRESHOLD : 0;
    }

    c->iopm_base = page_to_pa(iopm).v;
    c->msrpm_base = page_to_pa(msrpm).v;
    c->tsc_offset = v->tsc_offset;
    c->virtual_interrupt = V_INTR_MASKING;
    c->nested_control = 1;
    c->nested_cr3 = page_to_pa(v->vm->nested).v;
    c->g_pat = 0x0007040600070406;
    c->efer = EFER_SVME;
    return OK;
}

static void svm_vcpu_destroy(struct vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);
    page_free(s->vmcb, 0);
    page_free(s, 0);
    v->backend = NULL;
}

/* After an exit, only DR0 to DR3 stay in this CPU's registers. All the rest is in the VMCB. */
static void release(struct vcpu *v)
{
    struct svm_cpu *cpu = this_cpu()->backend;
    struct svm_vcpu *s = svm_of(v);

    if (cpu->current != s)
        return;

    save_breakpoints(s->dr);
    cpu->current = NULL;
}

void svm_get_breakpoints(const struct vcpu *v, uint64_t dr[4])
{
    const struct svm_cpu *cpu = this_cpu()->backend;
    const struct svm_vcpu *s = svm_of(v);
    if (cpu->current == s)
        save_breakpoints(dr);
    else
        memcpy(dr, s->dr, sizeof s->dr);
}

/* After an exit by a host interrupt. */
static enum quick interrupted(struct vcpu *v, struct vmcb *c)
{
    /* IF is set, so the CPU takes the host's interrupts between STGI and CLGI. */
    __asm__ volatile("stgi; nop; clgi" ::: "memory");
    v->exit.kind = ABI_EXIT_INTERRUPT;
    v->cr8 = svm_cr8(c);
    return vcpu_interrupted(v);
}

/* After an exit by HLT. HLT counts as executed, whatever comes next: the interrupt shadow is over, and exit_rip is
 * behind HLT. vcpu_exit_quickly() may wait for an interrupt, and GIF has to be set for that. */
static enum quick halted(struct vcpu *v, struct vmcb *c)
{
    c->interrupt_shadow = 0;
    v->exit_rip = c->next_rip;

    __asm__ volatile("cli; stgi" ::: "memory");
    enum quick quick = vcpu_exit_quickly(v);
    __asm__ volatile("clgi; sti" ::: "memory");
    return quick;
}

/*
 * Injects an event at the next entry.
 *
 * An interrupt that the guest can take at once goes in as a virtual interrupt (15.21.4). The CPU takes a virtual
 * interrupt before the next instruction, just as it takes an interrupt of EVENTINJ. But QEMU may deliver an
 * interrupt of EVENTINJ twice (docs/debugging.md). All other events go in by EVENTINJ, and so does an interrupt while
 * V_IRQ is used for a window.
 */
static inline __attribute__((always_inline)) void inject(const struct event *e, struct vmcb *c)
{
    if (e->type == EVENT_INTERRUPT && (c->rflags & RFLAGS_IF) && !(c->interrupt_shadow & 1) &&
        !(c->virtual_interrupt & V_IRQ)) {
        c->virtual_interrupt |= V_IRQ | V_IGN_TPR;
        c->virtual_vector = e->vector;
    } else {
        c->event_injection = e->injection;
    }
}

/* Ends the loop of entries in svm_run(): the vCPU goes on in ROOT. */
static __attribute__((noinline)) bool leave(struct vcpu *v, const struct vmcb *c, enum quick quick)
{
    v->quick = quick;
    v->gpr[ABI_RAX] = c->rax;
    v->gpr[ABI_RSP] = c->rsp;
    v->exit_rip = c->rip;
    v->cr8 = svm_cr8(c);

    if (quick == QUICK_NOT)
        svm_decode_exit(v);
    return false;
}

bool svm_exited(struct vcpu *v, struct vmcb *c)
{
    enum quick quick;

    if (v->event.valid)
        svm_take_back_event(v, c);
    if (v->event.valid || svm_of(v)->stepping)
        return leave(v, c, QUICK_NOT);

    if (c->exit_code == EXIT_INTR) {
        quick = interrupted(v, c);
    } else {
        if (!svm_decode_instruction(v, c) || !c->next_rip || (c->rflags & (RFLAGS_TF | RFLAGS_RF)))
            return leave(v, c, QUICK_NOT);

        v->gpr[ABI_RAX] = c->rax;
        quick = c->exit_code == EXIT_HLT ? halted(v, c) : vcpu_exit_quickly(v);
        if (quick == QUICK_NOT)
            return leave(v, c, QUICK_NOT);

        c->rax = v->gpr[ABI_RAX];
        c->rip = c->next_rip;
        c->next_rip = 0;
        c->interrupt_shadow = 0;
    }
    if (quick != QUICK_AGAIN)
        return leave(v, c, quick);

    v->exits[v->exit.kind]++;
    if (v->event.valid)
        inject(&v->event, c);
    c->tlb_control = TLB_NOTHING;
    return true;
}

static void make_current(struct svm_cpu *cpu, struct svm_vcpu *s)
{
    s->vmcb->tlb_control = asid_use(&cpu->asids, &s->asid, this_cpu()->index) ? TLB_FLUSH_ALL : TLB_NOTHING;
    s->vmcb->asid = s->asid.number;
    load_breakpoints(s->dr);
    cpu->current = s;
}

static __attribute__((noinline)) void run_step(struct vcpu *v, const struct svm_vcpu *s, const struct svm_cpu *cpu)
{
    struct svm_step step;
    svm_step_begin(v, &step);
    svm_run(v, s->vmcb, s->vmcb_pa, cpu->host_state);
    svm_step_end(v, &step);
}

static void run(struct vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);
    struct svm_cpu *cpu = this_cpu()->backend;
    struct vmcb *c = s->vmcb;

    /* An exit leaves EVENTINJ without an event, too (15.20): svm_exited() relies on that. */
    c->event_injection = 0;
    if (v->event.valid)
        inject(&v->event, c);

    c->rax = v->gpr[ABI_RAX];
    c->rsp = v->gpr[ABI_RSP];
    c->tlb_control = TLB_NOTHING;
    if (cpu->current != s)
        make_current(cpu, s);

    if (s->step)
        run_step(v, s, cpu);
    else
        svm_run(v, c, s->vmcb_pa, cpu->host_state);
}

static uint64_t get_rip(struct vcpu *v)
{
    return svm_of(v)->vmcb->rip;
}

static void set_rip(struct vcpu *v, uint64_t rip)
{
    svm_of(v)->vmcb->rip = rip;
    svm_of(v)->vmcb->interrupt_shadow = 0;
}

static uint64_t get_rflags(struct vcpu *v)
{
    return svm_of(v)->vmcb->rflags;
}

static void set_rflags(struct vcpu *v, uint64_t rflags)
{
    svm_of(v)->vmcb->rflags = rflags | 2;
}

static void set_shadow(struct vcpu *v)
{
    svm_of(v)->vmcb->interrupt_shadow = 1;
}

static uint64_t unblocked(struct vcpu *v)
{
    const struct vmcb *c = svm_of(v)->vmcb;
    return c->interrupt_shadow & 1 ? 0 : c->rflags;
}

static void set_cr2(struct vcpu *v, uint64_t cr2)
{
    svm_of(v)->vmcb->cr2 = cr2;
}

static void add_dr6(struct vcpu *v, uint64_t bits)
{
    struct vmcb *c = svm_of(v)->vmcb;
    c->dr6 |= bits;
    c->dr7 &= ~(uint64_t)DR7_GD;
}

static unsigned get_cpl(struct vcpu *v)
{
    return svm_of(v)->vmcb->cpl;
}

/* MOV to CR4 that changes a bit of paging drops all translations (SDM Vol. 3, 4.10.4.1). The vCPU gets a new ASID,
 * which has none. */
static void set_cr4(struct vcpu *v, uint64_t cr4)
{
    if ((cr4 ^ svm_get_cr4(v)) & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP)) {
        release(v);
        svm_of(v)->asid.generation = 0;
    }
    svm_put_cr4(v, cr4);
}

static uint64_t get_cr0(struct vcpu *v)
{
    return svm_of(v)->vmcb->cr0;
}

static void set_tsc_offset(struct vcpu *v)
{
    svm_of(v)->vmcb->tsc_offset = v->tsc_offset;
}

static void set_cr8(struct vcpu *v, uint8_t cr8)
{
    struct vmcb *c = svm_of(v)->vmcb;
    c->virtual_interrupt = (c->virtual_interrupt & ~15u) | (cr8 & 15u);
}

/*
 * The interrupt window is a virtual interrupt that is intercepted.
 *
 * The priority of the virtual interrupt, which the CPU would compare with V_TPR (15.21.4), is not used. QEMU opens the
 * window for an equal priority, too, over and over; and QEMU dies when the guest lowers CR8 while V_IRQ is set. Instead
 * V_IRQ is set only when the class is above CR8, and writes of CR8 exit.
 */
static void set_windows(struct vcpu *v, uint8_t class, bool nmi)
{
    struct vmcb *c = svm_of(v)->vmcb;

    c->virtual_interrupt &= ~(uint32_t)V_IRQ;
    c->intercept1 &= ~(uint32_t)(I1_VINTR | I1_IRET);
    c->intercept_cr &= ~(uint32_t)CR8_WRITE;

    if (class || !v->accelerated)
        c->intercept_cr |= CR8_WRITE;
    if (class > svm_cr8(c)) {
        c->virtual_interrupt |= V_IRQ | V_IGN_TPR;
        c->intercept1 |= I1_VINTR;
    }

    /* IRET exits from the very entry that injects an NMI: the NMI's handler may return without an exit before. */
    if (nmi || v->nmi_blocked || (v->event.valid && v->event.type == EVENT_NMI))
        c->intercept1 |= I1_IRET;
    /* The NMI waits for the end of an interrupt shadow, or for another event that goes in first. In the second case
     * svm_step_begin() leaves out the step, and the next IRET exits. */
    if (nmi && !v->nmi_blocked)
        svm_of(v)->step = true;
}

static const struct backend svm = {.name = "svm",
                                   .present = present,
                                   .probe = probe,
                                   .cpu_enable = cpu_enable,
                                   .nested = &nested,
                                   .vcpu_create = svm_vcpu_create,
                                   .vcpu_destroy = svm_vcpu_destroy,
                                   .release = release,
                                   .run = run,
                                   .get_regs = svm_get_regs,
                                   .set_regs = svm_set_regs,
                                   .set_start = svm_set_start,
                                   .set_system = svm_set_system,
                                   .get_rip = get_rip,
                                   .set_rip = set_rip,
                                   .get_rflags = get_rflags,
                                   .set_rflags = set_rflags,
                                   .set_shadow = set_shadow,
                                   .unblocked = unblocked,
                                   .set_cr2 = set_cr2,
                                   .add_dr6 = add_dr6,
                                   .get_cpl = get_cpl,
                                   .get_efer = svm_get_efer,
                                   .set_efer = svm_set_efer,
                                   .get_cr4 = svm_get_cr4,
                                   .set_cr4 = set_cr4,
                                   .get_cr0 = get_cr0,
                                   .get_msr = svm_get_msr,
                                   .set_msr = svm_set_msr,
                                   .set_windows = set_windows,
                                   .set_cr8 = set_cr8,
                                   .set_tsc_offset = set_tsc_offset};
REGISTER_BACKEND(svm);
