/* The back end, and guests whose every vCPU does at random what is hard for root. */
#include <string.h>

#include "kernel/base/time.h"
#include "kernel/memory/nested.h"
#include "kernel/vm/cpuid.h"
#include "kernel/vm/fpu.h"
#include "kernel/vm/msr.h"
#include "kernel/vm/pvclock.h"
#include "lapic/internal.h"
#include "tests/core/core.h"

enum { RFLAGS_IF = 1 << 9 };
#define VECTOR_TIMER_OF_GUEST 0x51u

struct guest {
    struct abi_regs regs;
    uint8_t window; /* class wanted, as set_windows has it */
    bool nmi_window;
    uint8_t cr8;
    uint32_t mmio_offset, mmio_value; /* of the exit under way */
};

static _Atomic uint64_t interrupts;

uint64_t guest_interrupts(void)
{
    return atomic_load(&interrupts);
}

static struct guest *of(struct vcpu *v)
{
    return v->backend;
}

bool guest_interruptible(struct vcpu *v)
{
    return v->exit.kind == ABI_EXIT_HLT && (of(v)->regs.rflags & RFLAGS_IF);
}

static int create(struct vcpu *v)
{
    static_assert(sizeof(struct guest) <= PAGE_SIZE, "fits a page");
    v->backend = page_alloc(0);
    ghost_vcpu_made(v);
    return OK;
}

static void destroy(struct vcpu *v)
{
    ghost_vcpu_gone(v);
    page_free(v->backend, 0);
}

/* ---- What the guest does */

/* An exit by WRMSR, where the LAPIC listens to it. */
static void wrmsr_exit(struct vcpu *v, uint32_t msr, uint64_t value)
{
    v->exit = (struct exit){.kind = ABI_EXIT_WRMSR, .instruction_length = 2};
    v->gpr[ABI_RCX] = msr;
    v->gpr[ABI_RAX] = (uint32_t)value;
    v->gpr[ABI_RDX] = value >> 32;
}

/* A write to the LAPIC, the way its mode offers; while it is disabled, the access is nobody's. */
static void lapic_exit(struct vcpu *v, uint32_t offset, uint32_t value)
{
    if (lapic_mode(v->lapic) == LAPIC_X2APIC) {
        wrmsr_exit(v, MSR_X2APIC + (offset >> 4), value);
        return;
    }
    of(v)->mmio_offset = offset;
    of(v)->mmio_value = value;
    v->exit = (struct exit){.kind = ABI_EXIT_MMIO};
}

static void ipi_exit(struct vcpu *v)
{
    static const uint32_t modes[] = {DELIVERY_FIXED, DELIVERY_FIXED, DELIVERY_LOWEST, DELIVERY_NMI,
                                     DELIVERY_SIPI,  DELIVERY_SIPI,  DELIVERY_SIPI,   DELIVERY_SIPI};
    uint32_t mode = one_in(16) ? DELIVERY_INIT : modes[core_random() % ARRAY_SIZE(modes)];
    uint32_t icr = mode | ICR_ASSERT | (0x40 + (uint32_t)(core_random() % 8));
    uint64_t to = core_random() % v->vm->config.vcpus;
    if (one_in(2))
        icr |= ICR_ALL_BUT_SELF;
    else if (mode != DELIVERY_INIT && one_in(8))
        icr |= ICR_SELF;
    if (lapic_mode(v->lapic) == LAPIC_X2APIC) {
        wrmsr_exit(v, MSR_X2APIC_ICR, to << 32 | icr);
    } else if (one_in(2)) {
        lapic_exit(v, APIC_ICR_HI, (uint32_t)to << 24);
    } else {
        lapic_exit(v, APIC_ICR_LO, icr);
    }
}

/* IA32_APIC_BASE: off, on, x2APIC, elsewhere. */
static void mode_exit(struct vcpu *v)
{
    static const uint64_t next[][2] = {[LAPIC_DISABLED] = {APIC_BASE_EN, APIC_BASE_EN},
                                       [LAPIC_XAPIC] = {APIC_BASE_EN | APIC_BASE_EXTD, 0},
                                       [LAPIC_X2APIC] = {0, 0}};
    enum lapic_mode mode = lapic_mode(v->lapic);
    uint64_t value = APIC_BASE_DEFAULT | next[mode][core_random() % 2];
    if (mode == LAPIC_XAPIC && one_in(3))
        value = (one_in(2) ? 0xd0000000 : APIC_BASE_DEFAULT) | APIC_BASE_EN;
    wrmsr_exit(v, MSR_IA32_APIC_BASE, value);
}

static void lapic_op(struct vcpu *v)
{
    if (!(v->lapic->svr & SVR_ENABLE) && lapic_mode(v->lapic) != LAPIC_DISABLED && one_in(2)) {
        lapic_exit(v, APIC_SVR, SVR_ENABLE | 0xff);
        return;
    }
    switch (core_random() % 12) {
    case 0:
        mode_exit(v);
        break;
    case 1:
        lapic_exit(v, APIC_SVR, one_in(4) ? 0xff : SVR_ENABLE | 0xff);
        break;
    case 2:
        lapic_exit(v, APIC_LVT_TIMER, VECTOR_TIMER_OF_GUEST | (one_in(2) ? LVT_TIMER_TSC_DEADLINE : 0));
        break;
    case 3:
        if (one_in(2))
            lapic_exit(v, APIC_INITIAL, (uint32_t)(core_random() % 4000));
        else if (one_in(8)) /* about where the host's clock is 0, and where it ends */
            wrmsr_exit(v, MSR_IA32_TSC_DEADLINE, v->vm->tsc_offset + core_random() % 4 - 2);
        else
            wrmsr_exit(v, MSR_IA32_TSC_DEADLINE, tsc_now() + v->vm->tsc_offset + core_random() % 8000);
        break;
    case 4:
        lapic_exit(v, APIC_LVT_LINT0, one_in(3) ? LVT_MASKED | DELIVERY_EXTINT : DELIVERY_EXTINT);
        break;
    case 5:
    case 10:
    case 11:
        lapic_exit(v, APIC_EOI, 0);
        break;
    case 6:
        lapic_exit(v, APIC_TPR, one_in(3) ? 0x50 : 0);
        break;
    default:
        ipi_exit(v);
    }
}

static void simple_exit(struct vcpu *v, enum abi_exit kind)
{
    v->exit = (struct exit){.kind = kind, .instruction_length = 1};
}

static bool window_opens(struct vcpu *v)
{
    const struct guest *g = of(v);
    return (g->window && (g->regs.rflags & RFLAGS_IF)) || (g->nmi_window && !v->nmi_blocked);
}

/* One instruction; true: it exits. */
static bool instruction(struct vcpu *v)
{
    struct guest *g = of(v);
    switch (core_random() % 16) {
    case 0:
        simple_exit(v, ABI_EXIT_CPUID);
        return true;
    case 1:
        simple_exit(v, ABI_EXIT_PAUSE);
        return true;
    case 2:
        simple_exit(v, ABI_EXIT_IO);
        v->exit.u.io.access.size = 1;
        return true;
    case 3:
    case 4:
        if (one_in(8))
            g->regs.rflags &= ~(uint64_t)RFLAGS_IF;
        else
            g->regs.rflags |= RFLAGS_IF;
        simple_exit(v, ABI_EXIT_HLT);
        return true;
    case 5: /* IRET */
        v->nmi_blocked = false;
        g->regs.rflags |= RFLAGS_IF;
        return false;
    case 6:
        g->regs.rflags ^= RFLAGS_IF;
        return false;
    case 7: /* it computes, until somebody has a reason to interrupt it */
        while (!irq_pending(me()) && !window_opens(v))
            if (g->window || g->nmi_window)
                g->regs.rflags |= RFLAGS_IF, v->nmi_blocked = false;
            else
                core_wait_irq();
        return false;
    case 8:
    case 9:
    case 10:
    case 11:
        if (!v->lapic)
            return false;
        lapic_op(v);
        return true;
    default:
        if (one_in(3000))
            simple_exit(v, ABI_EXIT_SHUTDOWN);
        return v->exit.kind == ABI_EXIT_SHUTDOWN;
    }
}

/* What stands in the IRR and would be taken has a window, unless another event goes before it. */
static void check_windows(const struct vcpu *v)
{
    const struct lapic *l = v->lapic;
    if (!l || !l->irr.words || v->event.valid || lapic_mode(l) == LAPIC_DISABLED)
        return;
    unsigned w = 31u ^ (unsigned)__builtin_clz(l->irr.words);
    unsigned vector = w * 64 + (63u ^ (unsigned)__builtin_clzll(l->irr.word[w]));
    const struct guest *g = v->backend;
    if (vector >> 4 > lapic_ppr(l) >> 4 && !g->window)
        core_fail("vCPU %u enters with vector %u in its IRR, and no window", v->index, vector);
}

static void enter(struct vcpu *v)
{
    check_windows(v);
    ghost_settled();
    me()->in_guest = v;
    me()->ticked = false;
    ghost_enters(v);
    v->exit = (struct exit){.kind = ABI_EXIT_INTERRUPT};
    if (!irq_pending(me()) && v->event.valid) { /* an interrupt that is pending keeps the event from being delivered */
        v->event.valid = false;
        if (v->event.type == EVENT_NMI)
            v->nmi_blocked = true;
        of(v)->regs.rflags &= ~(uint64_t)RFLAGS_IF;
        atomic_fetch_add(&interrupts, 1);
    }
    for (;;) {
        core_point();
        ghost_in_guest(v);
        if (irq_pending(me()))
            break;
        if (window_opens(v)) {
            simple_exit(v, ABI_EXIT_WINDOW);
            break;
        }
        if (instruction(v))
            break;
    }
    ghost_in_guest(v);
    ghost_leaves(v);
    me()->in_guest = NULL;
}

/* As a back end does it. */
static void run(struct vcpu *v)
{
    enum quick quick;
    do {
        enter(v);
        v->cr8 = v->lapic ? lapic_get_cr8(v->lapic) : of(v)->cr8;
        quick = QUICK_NOT;
        if (!v->event.valid && v->exit.kind == ABI_EXIT_INTERRUPT) {
            irq_window();
            quick = vcpu_interrupted(v);
        } else if (!v->event.valid && v->exit.instruction_length) {
            quick = vcpu_exit_quickly(v);
            if (quick == QUICK_AGAIN && v->exit.kind == ABI_EXIT_HLT && !v->event.valid)
                core_fail("vCPU %u goes on behind HLT, and nothing has ended it", v->index);
        }
        v->quick = quick;
    } while (quick == QUICK_AGAIN);
}

/* The device world, on a vCPU's thread. */
void guest_upcall(struct vcpu *v)
{
    struct abi_page *page = v->page;
    struct guest *g = of(v);
    if (word_where(atomic_load(&v->word)) == WHERE_GUEST || word_where(atomic_load(&v->word)) == WHERE_WAITING)
        core_fail("an upcall of vCPU %u between two entries", v->index);
    core_point();
    page->reply.flags = 0;
    switch (page->upcall.kind) {
    case ABI_UPCALL_EMULATE:
        (void)!lapic_mmio_write(v->lapic, g->mmio_offset, g->mmio_value, tsc_now() + v->vm->tsc_offset);
        break;
    case ABI_UPCALL_LENGTH:
        page->reply.length = 2;
        break;
    case ABI_UPCALL_INTA: /* the 8259s withdraw INTR, and then answer */
        if (v->lapic)
            lapic_extint(&v->vm->domain, false);
        else
            atomic_store(&v->vm->extint, 0);
        page->reply.vector = 0x20;
        page->reply.flags = one_in(4) ? ABI_REPLY_SPURIOUS : 0;
        break;
    case ABI_UPCALL_HALTED:
        if (one_in(4))
            vm_end(v->vm, ABI_END_STOPPED, 0);
        break;
    default:
        if (one_in(4) && v->lapic)
            (void)!lapic_message(&v->vm->domain, APIC_BASE_DEFAULT, 0x60);
    }
    thread_preempt_point(); /* as its return to ring 3 may be */
}

/* ---- The table */

static void get_regs(struct vcpu *v, struct abi_regs *out)
{
    *out = of(v)->regs;
}

static void set_regs(struct vcpu *v, const struct abi_regs *regs)
{
    of(v)->regs = *regs;
}

static void set_start(struct vcpu *v, uint8_t page)
{
    of(v)->regs.seg[ABI_CS].base = (uint64_t)page << 12;
    of(v)->regs.rip = 0;
}

static uint64_t get_rip(struct vcpu *v)
{
    return of(v)->regs.rip;
}

static void set_rip(struct vcpu *v, uint64_t rip)
{
    of(v)->regs.rip = rip;
}

static uint64_t get_rflags(struct vcpu *v)
{
    return of(v)->regs.rflags;
}

static void set_rflags(struct vcpu *v, uint64_t rflags)
{
    of(v)->regs.rflags = rflags;
}

/* Bit 1 of RFLAGS is always set. */
static uint64_t unblocked(struct vcpu *v)
{
    return of(v)->regs.rflags | 2;
}

static uint64_t get_zero(struct vcpu *v)
{
    (void)v;
    return 0;
}

static void set_windows(struct vcpu *v, uint8_t interrupt_class, bool nmi)
{
    struct guest *g = of(v);
    g->window = interrupt_class > g->cr8 ? interrupt_class : 0;
    g->nmi_window = nmi;
}

static void set_cr8(struct vcpu *v, uint8_t cr8)
{
    of(v)->cr8 = cr8;
}

static void release(struct vcpu *v)
{
    ghost_released(v);
}

/* Guest memory is not looked at. */
static const struct nested_format no_tables;
int nested_map(uint64_t *top, const struct nested_format *f, gpaddr_t guest, paddr_t to, uint64_t size)
{
    (void)top, (void)f, (void)guest, (void)to, (void)size;
    return OK;
}

void nested_destroy(uint64_t *top)
{
    page_free(top, 0);
}

static const struct backend made_up = {
    .name = "made up",
    .nested = &no_tables,
    .vcpu_create = create,
    .vcpu_destroy = destroy,
    .release = release,
    .run = run,
    .get_regs = get_regs,
    .set_regs = set_regs,
    .set_start = set_start,
    .get_rip = get_rip,
    .set_rip = set_rip,
    .get_rflags = get_rflags,
    .set_rflags = set_rflags,
    .unblocked = unblocked,
    .get_cr0 = get_zero,
    .set_windows = set_windows,
    .set_cr8 = set_cr8,
};
const struct backend *backend = &made_up;

/* ---- What an exit needs beside it */

/* As on a CPU with features that guests are not offered. */
uint64_t guest_cr4_bits(void)
{
    return ~CORE_HIDDEN;
}

uint64_t guest_efer_bits(void)
{
    return ~CORE_HIDDEN;
}

const struct cpuid_entry *guest_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
    (void)leaf, (void)subleaf;
    return v->cpuid;
}

int msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
    return v->lapic ? lapic_msr_write(v->lapic, msr, value, tsc_now() + v->vm->tsc_offset) : E_INVAL;
}

int msr_keep(UNUSED struct vcpu *v, UNUSED uint32_t msr, UNUSED uint64_t value)
{
    return E_NOENT;
}

void guest_features(uint32_t words[ABI_FEATURE_WORDS])
{
    memset(words, 0, ABI_FEATURE_WORDS * sizeof *words);
}

int msr_read_counter(UNUSED const struct vcpu *v, UNUSED uint32_t counter, UNUSED uint64_t *value)
{
    return E_INVAL;
}

int msr_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
    return v->lapic ? lapic_msr_read(v->lapic, msr, tsc_now() + v->vm->tsc_offset, value) : E_INVAL;
}

void msr_reset(struct vcpu *v)
{
    (void)v;
}

void msr_init(struct vcpu *v)
{
    (void)v;
}

unsigned fpu_area_order(void)
{
    return 0;
}

uint64_t fpu_xcr0_mask(void)
{
    return 1;
}

void fpu_reset(uint8_t *area)
{
    (void)area;
}

void fpu_load(struct vcpu *v)
{
    (void)v;
}

void fpu_switch_out(void)
{
}

void pvclock_write(struct vcpu *v)
{
    (void)v;
}

void pvclock_write_steal(struct vcpu *v)
{
    (void)v;
}
