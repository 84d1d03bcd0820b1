/* Translates an exit reason (SDM Vol. 3, appendix C) into struct exit, which is the same for all back ends. */
#include "vmx/vmx.h"

#include "kernel/vm/machine_check_cpu.h"

enum reason {
    EXCEPTION_OR_NMI = 0,
    EXTERNAL_INTERRUPT,
    TRIPLE_FAULT,
    INIT_SIGNAL,
    INTERRUPT_WINDOW = 7,
    NMI_WINDOW,
    TASK_SWITCH,
    CPUID,
    GETSEC,
    HLT,
    INVD,
    RDPMC = 15,
    VMCALL = 18,
    VMCLEAR,
    VMXON = 27,
    CR_ACCESS,
    IO_INSTRUCTION = 30,
    RDMSR,
    WRMSR,
    ENTRY_FAILED_STATE,
    MWAIT = 36,
    MONITOR = 39,
    PAUSE,
    ENTRY_FAILED_MACHINE_CHECK,
    TPR_BELOW_THRESHOLD = 43,
    EPT_VIOLATION = 48,
    INVEPT = 50,
    PREEMPTION_TIMER_EXPIRED = 52,
    INVVPID,
    WBINVD,
    XSETBV,
};
#define ENTRY_FAILED BIT(31)

/* EVENT_ICEBP: the event type of INT1, which enum event_type does not have. EVENT_TYPE: the mask of types. */
enum { EVENT_ICEBP = 5, EVENT_TYPE = 7 };

/* Exit qualifications (28.2.1). */
enum {
    /* Of I/O */
    IO_SIZE = 7,
    IO_IN = 8,
    IO_STRING = 16,
    /* Of an EPT violation */
    EPT_WRITE = 2,
    EPT_FETCH = 4,
    EPT_FINAL = 0x180,
    EPT_IRET_UNBLOCKED_NMI = 1 << 12
};

static void exception(struct exit *e, uint8_t vector)
{
    e->kind = ABI_EXIT_EXCEPTION;
    e->u.exception.vector = vector;
}

/* #DB exits before the CPU changes DR6 and DR7 (SDM Vol. 3, 18.2.3 and 28.2.1), so root changes them here. After INT1,
 * root moves RIP behind the instruction instead. */
static void debug_exception(struct vcpu *v, uint32_t event)
{
    enum { DR6_HITS = 0xf, DR6_SET = 0xe00f };
    struct vmx_vcpu *s = vmx_of(v);

    exception(&v->exit, VECTOR_DB);
    if ((event >> 8 & EVENT_TYPE) == EVENT_ICEBP) {
        vmx_put_rip(s, s->rip + v->exit.instruction_length);
        return;
    }

    write_dr6((read_dr6() & ~(uint64_t)DR6_HITS) | (v->exit.info[0] & DR6_SET));
    writen(GUEST_DR7, readn(GUEST_DR7) & ~(uint64_t)DR7_GD);
}

/* An NMI and a machine check are root's to handle. INT 2 runs root's NMI handler now, and its IRET unblocks NMIs. */
static void exception_or_nmi(struct vcpu *v)
{
    uint32_t event = read32(EXIT_EVENT);

    switch (event & 0xff) {
    case VECTOR_NMI:
        v->exit.kind = ABI_EXIT_NMI;
        __asm__ volatile("int $2" ::: "memory");
        return;
    case VECTOR_MC:
        v->exit.machine_check = machine_check_in_guest();
        v->exit.kind = v->exit.machine_check ? ABI_EXIT_OTHER : ABI_EXIT_INTERRUPT;
        return;
    case VECTOR_DB:
        debug_exception(v, event);
        return;
    default:
        exception(&v->exit, (uint8_t)event);
    }
}

static void io(struct exit *e)
{
    uint64_t how = e->info[0] = readn(EXIT_QUALIFICATION);

    e->kind = ABI_EXIT_IO;
    e->u.io.access.port = (uint16_t)(how >> 16);
    e->u.io.access.size = (how & IO_SIZE) + 1;
    e->u.io.access.write = !(how & IO_IN);
    e->u.io.string = how & IO_STRING;
    e->u.io.watched = readn(GUEST_DR7) & DR7_ENABLED;
}

static void mmio(struct vcpu *v)
{
    struct exit *e = &v->exit;

    e->kind = ABI_EXIT_MMIO;
    e->u.mmio.gpa = read64(GUEST_PHYSICAL_ADDRESS);
    e->u.mmio.final = (e->info[0] & EPT_FINAL) == EPT_FINAL;
    e->u.mmio.write = e->info[0] & EPT_WRITE;
    e->u.mmio.fetch = e->info[0] & EPT_FETCH;
    e->u.mmio.bytes_count = 0;

    /* An IRET that exits here has unblocked NMIs already. The guest will execute the IRET again, so NMIs are blocked
     * again until then (28.2.3). */
    if ((e->info[0] & EPT_IRET_UNBLOCKED_NMI) && !v->event.valid) {
        v->nmi_blocked = true;
        vmx_put_interruptibility(vmx_of(v), vmx_of(v)->interruptibility | BLOCKED_BY_NMI);
    }
}

/* Sets v->event and v->nmi_blocked. An event that was on its way into the guest, and did not arrive, goes in again
 * (28.2.4). If that event is an NMI, NMIs may not be blocked when it goes in: its first delivery has blocked them. */
static void take_back_event(struct vcpu *v)
{
    struct vmx_vcpu *s = vmx_of(v);
    uint32_t info = read32(VECTORING_EVENT);

    v->event.valid = info & EVENT_VALID;
    if (v->event.valid) {
        v->event = (struct event){.valid = true,
                                  .vector = (uint8_t)info,
                                  .type = info >> 8 & EVENT_TYPE,
                                  .has_error_code = info & EVENT_ERROR_CODE,
                                  .error_code = read32(VECTORING_EVENT_ERROR),
                                  .instruction_length = v->exit.instruction_length};
        if (v->event.type == EVENT_NMI && (s->interruptibility & BLOCKED_BY_NMI))
            vmx_put_interruptibility(s, s->interruptibility & ~(uint32_t)BLOCKED_BY_NMI);
    }

    v->nmi_blocked = s->interruptibility & BLOCKED_BY_NMI;
}

/* The exit qualification is that of SDM Vol. 3, table 28-2. A task switch that delivers an NMI blocks NMIs. A task
 * switch by IRET unblocks them. */
static void task_switch(struct vcpu *v)
{
    enum { SOURCE_SHIFT = 30 };
    const struct event *event = &v->event;
    struct exit *e = &v->exit;

    e->kind = ABI_EXIT_TASK_SWITCH;
    e->u.task = (struct abi_task_switch){.selector = (uint16_t)e->info[0],
                                         .source = e->info[0] >> SOURCE_SHIFT & 3,
                                         .length = e->instruction_length,
                                         .vector = event->vector,
                                         .type = event->type,
                                         .has_error_code = event->has_error_code,
                                         .error_code = event->error_code};

    if (e->u.task.source == ABI_TASK_IRET || (event->valid && event->type == EVENT_NMI)) {
        v->nmi_blocked = e->u.task.source != ABI_TASK_IRET;
        uint32_t state = vmx_of(v)->interruptibility & ~(uint32_t)BLOCKED_BY_NMI;
        vmx_put_interruptibility(vmx_of(v), state | (v->nmi_blocked ? BLOCKED_BY_NMI : 0));
    }
}

/*
 * Plain exits: their kind, the length of the instruction and, for I/O, the exit qualification say all. 0 (which is
 * ABI_EXIT_INTERRUPT) stands for all other exits.
 *
 * No plain exit comes while an event is delivered (SDM Vol. 3, 28.2.4). A debug trap stays due behind a plain exit only
 * in the shadow of MOV SS (28.3.4).
 */
static const uint8_t plain[] = {
    [HLT] = ABI_EXIT_HLT,     [CPUID] = ABI_EXIT_CPUID,      [RDMSR] = ABI_EXIT_RDMSR,       [WRMSR] = ABI_EXIT_WRMSR,
    [PAUSE] = ABI_EXIT_PAUSE, [VMCALL] = ABI_EXIT_HYPERCALL, [IO_INSTRUCTION] = ABI_EXIT_IO,
};
static_assert(ABI_EXIT_INTERRUPT == 0, "not a plain one");

static enum abi_exit kind_of(enum reason reason)
{
    switch (reason) {
    case EXTERNAL_INTERRUPT:
    case INIT_SIGNAL:
    case PREEMPTION_TIMER_EXPIRED:
        return ABI_EXIT_INTERRUPT;
    case INTERRUPT_WINDOW:
    case NMI_WINDOW:
    case TPR_BELOW_THRESHOLD:
        return ABI_EXIT_WINDOW;
    case TRIPLE_FAULT:
        return ABI_EXIT_SHUTDOWN;
    case XSETBV:
        return ABI_EXIT_XSETBV;
    case INVD:
    case WBINVD:
        return ABI_EXIT_CACHE;
    case RDPMC:
        return ABI_EXIT_RDPMC;
    default:
        return reason < ARRAY_SIZE(plain) && plain[reason] ? (enum abi_exit)plain[reason] : ABI_EXIT_OTHER;
    }
}

/* The entry has failed. The guest has not run, and its state has not changed (SDM Vol. 3, 27.8). */
static void entry_failed(struct vcpu *v, enum reason reason)
{
    v->exit.kind = ABI_EXIT_OTHER;
    if (reason == ENTRY_FAILED_MACHINE_CHECK) {
        (void)!machine_check_in_guest();
        v->exit.machine_check = true;
    }
    if (reason == ENTRY_FAILED_STATE) {
        v->exit.kind = ABI_EXIT_REFUSED;
        v->exit.u.fields = vmx_get_fields(v, v->page->fields);
    }
}

static __attribute__((noinline)) void decode_fully(struct vcpu *v)
{
    /* Pending debug exceptions: an enabled breakpoint was hit (bit 12), a single step (bit 14). */
    enum { TRAP = 1 << 12 | 1 << 14 };
    struct exit *e = &v->exit;
    struct vmx_vcpu *s = vmx_of(v);
    enum reason reason = (enum reason)(e->code & 0xffff);

    e->info[0] = readn(EXIT_QUALIFICATION);
    if (e->code & ENTRY_FAILED) {
        entry_failed(v, reason);
        return;
    }

    s->trap_due = readn(GUEST_PENDING_DEBUG) & TRAP;
    take_back_event(v);
    e->kind = kind_of(reason);
    /* The host gets its interrupt now, so the next entry sets the preemption timer anew. */
    if (e->kind == ABI_EXIT_INTERRUPT)
        s->timer = 0;

    if (reason == EXCEPTION_OR_NMI)
        exception_or_nmi(v);
    else if (reason == IO_INSTRUCTION)
        io(e);
    else if (reason == EPT_VIOLATION)
        mmio(v);
    else if (reason == CR_ACCESS) {
        /* RSP may be the operand. */
        v->gpr[ABI_RSP] = readn(GUEST_RSP);
        vmx_cr_access(v);
    } else if (reason == TASK_SWITCH)
        task_switch(v);
    else if (reason == GETSEC || (reason >= VMCLEAR && reason <= VMXON) || reason == MWAIT || reason == MONITOR ||
             reason == INVEPT || reason == INVVPID)
        exception(e, VECTOR_UD);
}

static enum quick handle_quickly(struct vcpu *v)
{
    struct exit *e = &v->exit;
    struct vmx_vcpu *s = vmx_of(v);

    if (e->code >= ARRAY_SIZE(plain) || !plain[e->code] || (s->interruptibility & SHADOW_MOV_SS)) {
        decode_fully(v);
        if (e->kind != ABI_EXIT_INTERRUPT || v->event.valid)
            return QUICK_NOT;

        irq_window();
        return vcpu_interrupted(v);
    }

    v->event.valid = false;
    v->nmi_blocked = s->interruptibility & BLOCKED_BY_NMI;
    s->trap_due = false;
    e->kind = plain[e->code];
    e->info[0] = 0;
    if (e->code == IO_INSTRUCTION)
        io(e);

    if (s->rflags & (RFLAGS_TF | RFLAGS_RF))
        return QUICK_NOT;
    /* HLT is done, and its interrupt shadow over, before the vCPU waits. */
    if (e->code == HLT) {
        vmx_set_rip(v, s->rip + e->instruction_length);
        return vcpu_exit_quickly(v);
    }
    if (s->interruptibility & IN_SHADOW)
        return QUICK_NOT;

    enum quick quick = vcpu_exit_quickly(v);
    if (quick != QUICK_NOT)
        vmx_set_rip(v, s->rip + e->instruction_length);
    return quick;
}

/* Reads the fields that each exit needs. All other fields are read only for an exit that is not handled quickly. */
bool vmx_exited(struct vcpu *v)
{
    struct exit *e = &v->exit;
    struct vmx_vcpu *s = vmx_of(v);

    s->rip = readn(GUEST_RIP);
    s->rflags = readn(GUEST_RFLAGS);
    s->interruptibility = read32(GUEST_INTERRUPTIBILITY);
    v->exit_rip = s->rip;
    v->cr8 = s->virtual_apic[VIRTUAL_TPR] >> 4;
    /* The length has no meaning after an exit that no instruction caused. After such an exit no instruction is
     * skipped. */
    e->instruction_length = (uint8_t)read32(EXIT_INSTRUCTION_LENGTH);
    e->code = read32(EXIT_REASON);

    enum quick quick = handle_quickly(v);
    if (quick != QUICK_AGAIN) {
        v->quick = quick;
        s->rsp = v->gpr[ABI_RSP] = readn(GUEST_RSP);
        return false;
    }

    v->exits[e->kind]++;
    vmx_prepare_entry(v);
    return true;
}
