/* What root does when a guest exits. What root does not do, the device world does, by an upcall. The vCPU is in ROOT,
 * but in the quick exits, where it is in GUEST. */
#include "kernel/base/asm.h"
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "kernel/base/time.h"
#include "kernel/threads/schedule.h"
#include "kernel/vm/control_registers.h"
#include "kernel/vm/cpuid.h"
#include "kernel/vm/fpu.h"
#include "kernel/vm/msr.h"
#include "kernel/vm/vcpu.h"
#include "lapic/regs.h"
#include "lib/muldiv.h"
#include "lib/string.h"

enum { RFLAGS_IF = 1 << 9 };
enum { PM_TIMER_SIZE = 4 };
#define KVM_ENOSYS (-1000)

static void end_with(struct vcpu *v, enum abi_end reason, const char *what)
{
    const struct exit *e = &v->exit;

    log_vm_line(v->vm->id, LOG_WARNING, "guest %s: vCPU %u %s (exit code 0x%x, 0x%lx, 0x%lx) at RIP 0x%lx",
                v->vm->config.name, v->index, what, e->code, e->info[0], e->info[1], v->exit_rip);
    vm_end(v->vm, reason, 0);
}

/* Tells the device world of an EOI, if one is due. */
static void finish_eoi(struct vcpu *v)
{
    if (v->eoi_vector < 0)
        return;

    v->page->upcall.u.eoi.vector = (uint32_t)v->eoi_vector;
    v->eoi_vector = -1;
    (void)!vcpu_upcall(v, ABI_UPCALL_EOI); /* if the VM is ending, TEARDOWN is pending and will be served */
}

static void do_MMIO(struct vcpu *v)
{
    const struct exit *e = &v->exit;

    /* The CPU made the access while it delivered an event. Only an access of the instruction at RIP can be emulated. */
    if (v->event.valid) {
        end_with(v, ABI_END_EMULATION, "delivers an event by way of memory that is none");
        return;
    }

    struct abi_upcall *u = &v->page->upcall;
    u->u.emulate.gpa = e->u.mmio.gpa;
    u->u.emulate.gpa_valid = e->u.mmio.final;
    u->u.emulate.write = e->u.mmio.write;
    u->u.emulate.fetch = e->u.mmio.fetch;
    u->u.emulate.bytes_count = e->u.mmio.bytes_count;
    if (e->u.mmio.bytes_count)
        memcpy(u->u.emulate.bytes, e->u.mmio.bytes, sizeof e->u.mmio.bytes);

    if (vcpu_upcall(v, ABI_UPCALL_EMULATE) == OK)
        finish_eoi(v);
}

static void do_RDMSR(struct vcpu *v)
{
    uint64_t value;

    if (msr_read(v, (uint32_t)v->gpr[ABI_RCX], &value)) {
        vcpu_inject_exception(v, VECTOR_GP, true, 0);
        return;
    }
    if (!vcpu_skip(v))
        return;
    v->gpr[ABI_RAX] = (uint32_t)value;
    v->gpr[ABI_RDX] = value >> 32;
}

static void do_WRMSR(struct vcpu *v)
{
    uint64_t value = (uint32_t)v->gpr[ABI_RAX] | v->gpr[ABI_RDX] << 32;

    if (msr_write(v, (uint32_t)v->gpr[ABI_RCX], value)) {
        vcpu_inject_exception(v, VECTOR_GP, true, 0);
        return;
    }

    if (vcpu_has_lapic(v))
        inhibit_follow_mode(v);
    if (vcpu_skip(v))
        finish_eoi(v);
}

static void do_RDPMC(struct vcpu *v)
{
    enum { CR4_PCE = 1 << 8 };
    bool allowed = backend->get_cpl(v) == 0 || (backend->get_cr4(v) & CR4_PCE);
    uint64_t value;

    if (!allowed || msr_read_counter(v, (uint32_t)v->gpr[ABI_RCX], &value)) {
        vcpu_inject_exception(v, VECTOR_GP, true, 0);
        return;
    }
    if (!vcpu_skip(v))
        return;
    v->gpr[ABI_RAX] = (uint32_t)value;
    v->gpr[ABI_RDX] = value >> 32;
}

/* SDM Vol. 1, 13.3, and Vol. 2, XSETBV: the reason for #UD is checked before all reasons for #GP. Root checks all of
 * them, since the CPU may exit before it has checked them itself (SDM Vol. 3, 26.1.1; APM Vol. 2, 15.9). */
static void do_XSETBV(struct vcpu *v)
{
    enum { CR4_OSXSAVE = 1 << 18, X87 = 1, SSE = 2, AVX = 4, AVX512 = 0xe0 };
    if (!(backend->get_cr4(v) & CR4_OSXSAVE)) {
        vcpu_inject_exception(v, VECTOR_UD, false, 0);
        return;
    }

    uint64_t value = (uint32_t)v->gpr[ABI_RAX] | v->gpr[ABI_RDX] << 32;
    bool good = (uint32_t)v->gpr[ABI_RCX] == 0 && backend->get_cpl(v) == 0 && (value & X87) &&
                !(value & ~fpu_xcr0_mask()) && (!(value & AVX) || (value & SSE)) &&
                (!(value & AVX512) || ((value & AVX512) == AVX512 && (value & AVX)));
    if (!good) {
        vcpu_inject_exception(v, VECTOR_GP, true, 0);
        return;
    }

    if (!vcpu_skip(v))
        return;
    fpu_switch_out();
    v->xcr0 = value; /* fpu_load() loads XCR0 before the next entry */
}

/* The general register of a MOV to or from a control register. Only the instruction says which one it is (SDM Vol. 2,
 * MOV), so the device world decodes it; its length is known after this. NULL: the device world answered with an
 * exception, or the VM is ending. */
static uint64_t *operand(struct vcpu *v)
{
    v->exit.instruction_length = 0;
    if (!vcpu_find_length(v))
        return NULL;
    return &v->gpr[v->page->reply.value % ABI_GPRS];
}

static bool in_64_bit_code(const struct vcpu *v)
{
    const struct abi_regs *regs = &v->page->regs;
    return (regs->efer & EFER_LMA) && (regs->seg[ABI_CS].attr & ABI_SEG_L);
}

/* MOV to CR8. It exits only without acceleration, or while an interrupt waits that a new TPR may let in. */
static void do_CR8(struct vcpu *v)
{
    const uint64_t *source = operand(v);
    if (!source)
        return;

    uint64_t value = in_64_bit_code(v) ? *source : (uint32_t)*source;
    if (value > 15) {
        vcpu_inject_exception(v, VECTOR_GP, true, 0);
        return;
    }

    if (!vcpu_skip(v))
        return;
    if (vcpu_has_lapic(v))
        lapic_set_cr8(v->lapic, (uint8_t)value);
    else
        backend->set_cr8(v, (uint8_t)value);
}

/* MOV to CR4; on SVM also MOV from CR4, so that the guest reads its own MCE bit and not root's. */
static void do_CR4(struct vcpu *v)
{
    bool read = v->exit.u.read;
    uint64_t *other = operand(v);
    if (!other)
        return;

    const struct abi_regs *regs = &v->page->regs;
    const struct control_registers before = {.cr0 = regs->cr0, .cr4 = regs->cr4, .efer = regs->efer};
    uint64_t value = in_64_bit_code(v) ? *other : (uint32_t)*other;
    if (!read && !cr4_write_valid(&before, value, guest_cr4_bits())) {
        vcpu_inject_exception(v, VECTOR_GP, true, 0);
        return;
    }

    if (!vcpu_skip(v))
        return;
    if (read)
        *other = backend->get_cr4(v);
    else
        backend->set_cr4(v, value);
}

/* If the exit cut off the delivery of an event, that event caused the task switch. The task switch delivers the event,
 * so it is not injected again. */
static void do_TASK_SWITCH(struct vcpu *v)
{
    v->page->upcall.u.task = v->exit.u.task;
    v->event.valid = false;
    (void)!vcpu_upcall(v, ABI_UPCALL_TASK_SWITCH);
}

static void do_HLT(struct vcpu *v)
{
    if (vcpu_skip(v) && !vcpu_has_wakeup(v))
        vcpu_park(v, backend->get_rflags(v) & RFLAGS_IF ? MP_HALTED : MP_HALTED_MASKED);
}

/* The guest may have written CR8 without an exit: the LAPIC follows. */
static void follow_cr8(struct vcpu *v)
{
    if (vcpu_has_lapic(v) && v->cr8 != lapic_get_cr8(v->lapic))
        lapic_set_cr8(v->lapic, v->cr8);
}

/* ---- Quick exits: those that need no upcall and no switch of threads (vcpu_exit_quickly() in kernel/vm/vcpu.h) */

/* Called after a step that may have asked this vCPU for something: looks at the word, and serves events. */
static enum quick serve_quickly(struct vcpu *v)
{
    bool nothing = word_quiet(&v->word) && vcpu_events_stand(v) && !thread_should_yield();
    return nothing ? QUICK_AGAIN : vcpu_serve_events(v);
}

static enum quick cpuid_quickly(struct vcpu *v)
{
    const struct cpuid_entry *e = guest_cpuid(v, (uint32_t)v->gpr[ABI_RAX], (uint32_t)v->gpr[ABI_RCX]);

    v->gpr[ABI_RAX] = e->rax;
    v->gpr[ABI_RBX] = e->rbx;
    v->gpr[ABI_RCX] = e->rcx;
    v->gpr[ABI_RDX] = e->rdx;
    return QUICK_AGAIN;
}

/* No hypercall is offered. */
static enum quick hypercall_quickly(struct vcpu *v)
{
    v->gpr[ABI_RAX] = (uint64_t)KVM_ENOSYS;
    return QUICK_AGAIN;
}

static enum quick rdmsr_quickly(struct vcpu *v)
{
    uint64_t value;

    follow_cr8(v);
    if (msr_read(v, (uint32_t)v->gpr[ABI_RCX], &value))
        return QUICK_NOT;
    v->gpr[ABI_RAX] = (uint32_t)value;
    v->gpr[ABI_RDX] = value >> 32;
    return QUICK_AGAIN;
}

/* WRMSR of what a quick exit can do: the LAPIC's registers in x2APIC mode and its TSC deadline, none of which changes
 * the LAPIC's mode; and MSRs that only keep a value. QUICK_NOT: the write is refused, or the MSR is another one.
 * do_WRMSR() handles it then, the exception included. */
static __attribute__((noinline)) enum quick write_other(struct vcpu *v, uint32_t msr, uint64_t value)
{
    if (msr >> 8 != MSR_X2APIC >> 8 && msr != MSR_IA32_TSC_DEADLINE)
        return msr_keep(v, msr, value) ? QUICK_NOT : QUICK_AGAIN;
    if (lapic_msr_write(v->lapic, msr, value, tsc_now() + v->tsc_offset))
        return QUICK_NOT;
    return serve_quickly(v);
}

static enum quick wrmsr_quickly(struct vcpu *v)
{
    if (!vcpu_has_lapic(v))
        return QUICK_NOT;

    follow_cr8(v);
    uint32_t msr = (uint32_t)v->gpr[ABI_RCX];
    uint64_t value = (uint32_t)v->gpr[ABI_RAX] | v->gpr[ABI_RDX] << 32;
    return lapic_write_usual(v->lapic, msr, value) ? serve_quickly(v) : write_other(v, msr, value);
}

/* HLT with RFLAGS.IF = 1: while no other thread is runnable on this CPU, the vCPU halts the CPU here and is WAITING
 * (docs/vcpu.md, quick exits). QUICK_SKIP: do_HLT() has to look again, for one of these reasons:
 * - the vCPU could not wait here;
 * - another thread became runnable;
 * - what woke the vCPU brought no event for the guest, or more than events. */
static enum quick hlt_quickly(struct vcpu *v)
{
    follow_cr8(v);
    if (!(backend->get_rflags(v) & RFLAGS_IF) || !vcpu_events_stand(v) || !schedule_alone() || !word_wait(&v->word))
        return QUICK_SKIP;

    v->parks++;
    while (word_where(atomic_load(&v->word)) == WHERE_WAITING && schedule_wait())
        ;
    if (!word_go_on(&v->word)) {
        v->parks--;
        return QUICK_SKIP;
    }

    __atomic_fetch_add(&v->wakes, 1, __ATOMIC_RELAXED);
    if (this_cpu()->unwatched)
        schedule_watch();
    return vcpu_serve_events(v) == QUICK_AGAIN && v->event.valid ? QUICK_AGAIN : QUICK_SKIP;
}

enum quick vcpu_interrupted(struct vcpu *v)
{
    follow_cr8(v);
    return serve_quickly(v);
}

/* A read of the PM timer's port: ACPI 6.4, 4.8.3.3. The device world's TMR_STS goes by the same count. A port access
 * that has exited takes no exception any more: the CPU checks for these first. */
static enum quick io_quickly(struct vcpu *v)
{
    const struct exit *e = &v->exit;

    if (e->u.io.string || e->u.io.watched)
        return QUICK_NOT;
    if (e->u.io.access.port != ABI_PM_TIMER_PORT || e->u.io.access.size != PM_TIMER_SIZE || e->u.io.access.write)
        return QUICK_SKIP;

    v->gpr[ABI_RAX] = (uint32_t)mul_div(tsc_now(), ABI_PM_TIMER_HZ, tsc_hz());
    return QUICK_AGAIN;
}

enum quick vcpu_exit_quickly(struct vcpu *v)
{
    static enum quick (*const quick[ABI_EXITS])(struct vcpu *) = {
        [ABI_EXIT_CPUID] = cpuid_quickly, [ABI_EXIT_RDMSR] = rdmsr_quickly, [ABI_EXIT_WRMSR] = wrmsr_quickly,
        [ABI_EXIT_IO] = io_quickly,       [ABI_EXIT_HLT] = hlt_quickly,     [ABI_EXIT_HYPERCALL] = hypercall_quickly,
    };

    enum quick (*handler)(struct vcpu *) = quick[v->exit.kind];
    return handler ? handler(v) : QUICK_NOT;
}

/* ---- All exits: a function do_NAME for each row of EXIT_TABLE */

static void do_INTERRUPT(UNUSED struct vcpu *v)
{
    irq_window();
}

static void do_NMI(UNUSED struct vcpu *v)
{
    irq_window();
}

/* The back end has done everything for a WINDOW exit, and for a CR exit. */
static void do_WINDOW(UNUSED struct vcpu *v)
{
}

static void do_CR(UNUSED struct vcpu *v)
{
}

static void do_IO(struct vcpu *v)
{
    vcpu_do_io(v);
}

/* INVD and WBINVD: skipped. Memory is coherent, so nothing has to be written back. */
static void do_CACHE(struct vcpu *v)
{
    (void)!vcpu_skip(v);
}

static void do_SHUTDOWN(struct vcpu *v)
{
    end_with(v, ABI_END_TRIPLE_FAULT, "had a triple fault");
}

/* CPUID that could not be a quick exit, for example since the CPU did not tell the instruction's length. After
 * vcpu_skip() it is handled as a quick exit. */
static void do_CPUID(struct vcpu *v)
{
    if (vcpu_skip(v))
        (void)vcpu_exit_quickly(v);
}

static void do_HYPERCALL(struct vcpu *v)
{
    do_CPUID(v);
}

static void do_PAUSE(struct vcpu *v)
{
    if (vcpu_skip(v))
        thread_yield();
}

static void do_EXCEPTION(struct vcpu *v)
{
    uint8_t vector = v->exit.u.exception.vector;
    vcpu_inject_exception(v, vector, vector == VECTOR_GP || vector == VECTOR_AC, 0);
}

static void do_OTHER(struct vcpu *v)
{
    if (v->exit.machine_check)
        end_with(v, ABI_END_INTERNAL, "lost what it did to a machine check");
    else
        end_with(v, ABI_END_INVALID_STATE, "was left in a state that the CPU refuses");
}

/* The device world logs which rule the guest's state breaks. The guest ends, whatever the device world answers. */
static void do_REFUSED(struct vcpu *v)
{
    v->page->upcall.u.refused.count = v->exit.u.fields;
    (void)!vcpu_upcall(v, ABI_UPCALL_REFUSED);
    do_OTHER(v);
}

static void (*const handlers[ABI_EXITS])(struct vcpu *) = {
#define X(name, text) [ABI_EXIT_##name] = do_##name,
    EXIT_TABLE(X)
#undef X
};

void vcpu_exit(struct vcpu *v)
{
    /* QUICK_DONE: the LAPIC has followed CR8 already. The TPR may have changed since then, so v->cr8 may be old. */
    if (v->quick == QUICK_DONE) {
        finish_eoi(v);
        return;
    }

    follow_cr8(v);
    handlers[v->exit.kind](v);
}
