/* A virtual CPU: one kernel thread that moves between the guest, root and its guest's device world. */
#ifndef KERNEL_VM_VCPU_H
#define KERNEL_VM_VCPU_H

#include "kernel/cpu/key.h"
#include "kernel/threads/thread.h"
#include "kernel/threads/timer.h"
#include "kernel/vm/backend.h"
#include "kernel/vm/vm.h"
#include "kernel/vm/word.h"

/* An event on its way into the guest; the first 64 bits as EVENTINJ has them (APM Vol. 2, 15.20), and of these the
 * first 32 as VMX has them (SDM Vol. 3, 25.8.3). */
struct event {
    union {
        struct {
            uint32_t vector : 8, type : 3; /* enum event_type */
            bool has_error_code : 1;
            uint32_t zero : 19;
            bool valid : 1;
            uint32_t error_code;
        };
        uint64_t injection;
    };
    uint8_t instruction_length; /* of a software interrupt or exception; 0: unknown */
};
enum event_type { EVENT_INTERRUPT = 0, EVENT_NMI = 2, EVENT_EXCEPTION = 3, EVENT_SOFTWARE = 4 };

/* How far an exit has been handled: vcpu_exit_quickly(). */
enum quick {
    QUICK_NOT,  /* nothing is done */
    QUICK_SKIP, /* nothing is done, but the back end moves RIP behind the instruction, and ends an interrupt shadow */
    QUICK_DONE, /* it does so, and all else is done */
    QUICK_AGAIN /* it does so, counts the exit and enters again, with v->event; else it leaves this in v->quick */
};

enum { VCPU_CPUID_ENTRIES = 8 };

/* Is there a vCPU without a LAPIC, in any VM? */
DECLARE_KEY(lapic_absent)

struct vcpu {
    vcpu_word word;
    struct vm *vm;
    uint32_t index;
    struct thread *thread;
    struct abi_page *page; /* of its slot in the device world */
    uint64_t world_rsp;    /* where its stack there begins */
    void *backend;         /* the back end's own */

    uint64_t gpr[ABI_GPRS]; /* as of the last exit; all sixteen, to be changed by root at will */
    struct exit exit;
    enum quick quick;    /* exit has been handled so far */
    uint8_t cr8;         /* as of the last exit */
    struct event event;  /* to be injected at the next entry; the back end clears or sets it when it exits */
    uint8_t nmi_pending; /* so many, 0 to 2, are latched and not injected yet */
    bool nmi_blocked;    /* until IRET */
    bool accelerated;    /* the CPU may do the LAPIC's work: kernel/vm/inhibit.h */
    bool windows;        /* what the back end was told of windows and acceleration may not hold for the next entry;
                          * NMIs that are pending or blocked are always a reason */
    bool odd_mode;       /* its LAPIC counts as a reason against that */
    int eoi_vector;      /* an EOI broadcast is due in the device world, or ABI_EOI_NONE is; -1: nothing */

    struct lapic *lapic; /* NULL: a guest without; ask vcpu_has_lapic() */
    struct timer timer;  /* the LAPIC timer's deadline */

    uint8_t *fpu; /* XSAVE area */
    uint64_t xcr0;
    uint64_t msr_system_time, msr_wall_clock, msr_steal_time; /* KVM's paravirtual clock: as the guest wrote them */
    uint64_t tsc_offset; /* guest TSC = host TSC + this; read by other vCPUs of its VM, atomically */
    uint64_t tsc_adjust; /* IA32_TSC_ADJUST */
    uint32_t clock_version;
    atomic_bool was_paused; /* set by vm_resume(), taken when CLOCK is served */
    uint64_t stolen;
    struct msr_store *msrs; /* kernel/vm/msr_table.h */

    struct cpuid_entry { /* kernel/vm/cpuid.c: answers that do not change */
        uint64_t key, rax, rbx, rcx, rdx;
    } cpuid[VCPU_CPUID_ENTRIES];

    uint64_t entries, parks, wakes, exit_rip; /* for control, read from other CPUs: RIP as of the last exit to ROOT */
    uint64_t entries_before_reset;            /* entries as of the last INIT or power-up */
    uint64_t exits[ABI_EXITS];
};

/* Free as long as all guests have theirs. */
static inline bool vcpu_has_lapic(const struct vcpu *v) { return !lapic_absent_on() || v->lapic; }

/* The one constructor and the one destructor; the latter only after the former returned 0 and after the thread is gone.
 * The vCPU is parked, UNINITIALIZED, and visible to others when this returns: OK, E_NOMEM, E_NOTSUP. */
int vcpu_create(struct vm *vm, uint32_t index) MUST_CHECK;
void vcpu_destroy(struct vcpu *v);

/* From any CPU: set the request and deliver it. vector: of a SIPI. */
void vcpu_ask(struct vcpu *v, enum request r, uint8_t vector);

/* What word_ask() said has to be done. */
void vcpu_deliver(struct vcpu *v, struct told told);

/* Own thread only, from here on. */
void vcpu_main(void *vcpu);
/* Serves what is pending, in order; false: torn down. kernel/vm/serve.c */
bool vcpu_serve_requests(struct vcpu *v);
static inline bool vcpu_serve(struct vcpu *v) { return word_quiet(&v->word) || vcpu_serve_requests(v); }
/* Is what the last entry was prepared with right for the next one, too, unless there is a v->event? No other is due,
 * and no window. */
static inline bool vcpu_events_stand(const struct vcpu *v)
{
    return !v->windows && vcpu_has_lapic(v) && lapic_quiet(v->lapic);
}
/* Chooses the event for the next entry, or opens windows for it: AGAIN. DONE: run() has to see to an NMI that waits; or
 * an 8259 cycle is due, and in GUEST, where there is no upcall, nothing is done. kernel/vm/inject.c */
enum quick vcpu_prepare_events(struct vcpu *v, enum where where);
void vcpu_inject_exception(struct vcpu *v, uint8_t vector, bool has_error_code, uint32_t error_code);
bool vcpu_has_wakeup(struct vcpu *v); /* would HLT end at once? What ends it may be in v->event then. */
/* In that mp_state and off every run queue, until the asker whose request wakes makes it ROOT again. */
void vcpu_park(struct vcpu *v, enum mp_state mp);
/*
 * The back end, between an exit and the next entry: handles v->exit if that takes no upcall and no switch of threads.
 * For all others the vCPU is GUEST meanwhile, which is as good as one that has not exited yet: whoever asks for
 * something sends the kick too; it pends while interrupts are off, and ends the entry that follows. In HLT it may
 * be WAITING for a while, with interrupts served. Needs exit.kind and exit.u of an instruction whose length is known,
 * no v->event, and neither TF nor RF in RFLAGS: else vcpu_skip() has to see to it. kernel/vm/exit.c
 */
enum quick vcpu_exit_quickly(struct vcpu *v);
/* The same for INTERRUPT, once the host has had its interrupts: DONE or AGAIN. */
enum quick vcpu_interrupted(struct vcpu *v);
/* DONE or AGAIN: events that were asked for are in v->event, or have windows. kernel/vm/serve.c */
enum quick vcpu_serve_events(struct vcpu *v);
/* Does the rest, in ROOT. */
void vcpu_exit(struct vcpu *v);
/* Power-up and INIT state (SDM Vol. 3, table 10-1); a SIPI's start address is set on top. */
void vcpu_reset(struct vcpu *v, bool init);
/* Runs the device world's entry point with page->upcall: OK, or E_INTR: the VM is ending. kernel/vm/upcall.c */
int vcpu_enter_world(struct vcpu *v, enum abi_upcall_kind kind) MUST_CHECK;
static inline MUST_CHECK int vcpu_upcall(struct vcpu *v, enum abi_upcall_kind kind)
{
    if (kind == ABI_UPCALL_EMULATE || kind == ABI_UPCALL_LENGTH || kind == ABI_UPCALL_TASK_SWITCH) {
        backend->get_regs(v, &v->page->regs);
        v->page->upcall.lapic_base = vcpu_has_lapic(v) ? lapic_mmio_base(v->lapic) : ~0ull;
    }
    return vcpu_enter_world(v, kind);
}
/* An IO exit: by the device world. */
void vcpu_do_io(struct vcpu *v);
/* Sees to it that exit.instruction_length is known, by the device world if need be, which has v->page->regs then;
 * false: an exception took its place, or the VM is ending. */
bool vcpu_ask_length(struct vcpu *v) MUST_CHECK;
static inline MUST_CHECK bool vcpu_find_length(struct vcpu *v)
{
    return v->exit.instruction_length || vcpu_ask_length(v);
}
/* The instruction that exited is done: RIP moves behind it. Asks the device world for its length if need be. */
bool vcpu_skip_slowly(struct vcpu *v) MUST_CHECK;
static inline MUST_CHECK bool vcpu_skip(struct vcpu *v) { return v->quick == QUICK_SKIP || vcpu_skip_slowly(v); }

#endif
