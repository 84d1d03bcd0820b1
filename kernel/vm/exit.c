/* What root does when a guest exits. The vCPU is in ROOT; whatever is not done here goes to the device world. */
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

static void finish_eoi(struct vcpu *v)
{
    if (v->eoi_vector < 0)
        return;
    v->page->upcall.u.eoi.vector = (uint32_t)v->eoi_vector;
    v->eoi_vector = -1;
    (void)!vcpu_upcall(v, ABI_UPCALL_EOI); /* should the VM be ending, the next serving sees it */
}

static void do_MMIO(struct vcpu *v)
{
    const struct exit *e = &v->exit;
    if (v->event.valid) { /* the access is not the instruction's at RIP, which is all that can be emulated */
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

/* SDM Vol. 1, 13.3, and Vol. 2, XSETBV: #UD comes before all that is #GP. The CPU may have looked, before it exited, or
 * not (SDM Vol. 3, 26.1.1; APM Vol. 2, 15.9). */
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
    v->xcr0 = value; /* loaded with the state at the next entry */
}

/* MOV to or from a control register: which general register? Only the instruction says (SDM Vol. 2, MOV); its length is
 * known then. NULL: it is not there any more, or the VM is ending. */
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

/* MOV to CR8, while an interrupt waits behind it or without acceleration. */
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

/* MOV to CR4, and where the CPU tells of it MOV from CR4, for the guest sees its own MCE in it then, not root's. */
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

/* What was being delivered, the new task gets: the switch is the delivery. */
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

/* What the guest made of CR8 without an exit. */
static void follow_cr8(struct vcpu *v)
{
    if (vcpu_has_lapic(v) && v->cr8 != lapic_get_cr8(v->lapic))
        lapic_set_cr8(v->lapic, v->cr8);
}

/* ---- Exits that take nothing else: kernel/vm/vcpu.h */

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

/* None is offered. */
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

/* Registers of the LAPIC in x2APIC mode, and its deadline: what does not change its mode; and MSRs that only keep a
 * value. What is refused comes again the long way, for the exception, as what does more. */
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

/* With interrupts on, and while no other thread wants the CPU, the vCPU sleeps where it is. If what wakes it is nothing
 * for the guest, or more than that, do_HLT() has to see to it. */
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

/* ACPI 6.4, 4.8.3.3: the count that the device world's TMR_STS goes by. No port access has an exception any more that
 * has exited. */
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

/* ---- All exits: a function do_NAME for each of EXIT_TABLE */

static void do_INTERRUPT(UNUSED struct vcpu *v)
{
    irq_window();
}

static void do_NMI(UNUSED struct vcpu *v)
{
    irq_window();
}

/* The back end has seen to it, as with CR. */
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

/* Memory is coherent: nothing is to be written back. */
static void do_CACHE(struct vcpu *v)
{
    (void)!vcpu_skip(v);
}

static void do_SHUTDOWN(struct vcpu *v)
{
    end_with(v, ABI_END_TRIPLE_FAULT, "had a triple fault");
}

/* A quick one, but for its length. */
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

/* The device world says why; the guest ends, whatever it answers. */
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
    if (v->quick == QUICK_DONE) { /* CR8 has been followed, and TPR may have changed since */
        finish_eoi(v);
        return;
    }
    follow_cr8(v);
    handlers[v->exit.kind](v);
}
