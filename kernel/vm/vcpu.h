/* A virtual CPU: one kernel thread that moves between the guest, root and its guest's device world. */
#ifndef KERNEL_VM_VCPU_H
#define KERNEL_VM_VCPU_H

#include "kernel/cpu/key.h"
#include "kernel/threads/thread.h"
#include "kernel/threads/timer.h"
#include "kernel/vm/backend.h"
#include "kernel/vm/vm.h"
#include "kernel/vm/word.h"

/* An event on its way into the guest. The first 64 bits are laid out as SVM's EVENTINJ (APM Vol. 2, 15.20). Of these,
 * the first 32 are also laid out as VMX's VM-entry interruption-information field (SDM Vol. 3, 25.8.3). */
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

/*
 * How far vcpu_exit_quickly() has handled an exit, and what the back end does then:
 * - Unless it is NOT, the back end moves RIP behind the instruction that exited, if there is one, and ends an interrupt
 *   shadow.
 * - If it is AGAIN, the back end counts the exit and enters the guest again, with v->event.
 * - Otherwise the back end leaves the value in v->quick, and run() returns.
 */
enum quick {
    QUICK_NOT,  /* nothing is done */
    QUICK_SKIP, /* RIP and the shadow are done, and nothing else */
    QUICK_DONE, /* everything is done */
    QUICK_AGAIN /* everything is done, and the guest can be entered again */
};

enum { VCPU_CPUID_ENTRIES = 8 };

/* On while there is a vCPU without a LAPIC, in any VM. */
DECLARE_KEY(lapic_absent)

struct vcpu {
    vcpu_word word;
    struct vm *vm;
    uint32_t index;
    struct thread *thread;
    struct abi_page *page; /* of this vCPU's slot in the device world */
    uint64_t world_rsp;    /* the top of this vCPU's stack in the device world */
    void *backend;         /* the back end's own data */

    uint64_t gpr[ABI_GPRS]; /* as of the last exit; root may change all sixteen */
    struct exit exit;
    enum quick quick;    /* how far `exit` has been handled */
    uint8_t cr8;         /* as of the last exit */
    struct event event;  /* to be injected at the next entry; the back end clears or sets it when the guest exits */
    uint8_t nmi_pending; /* 0..2: how many NMIs are latched and not injected yet */
    bool nmi_blocked;    /* until IRET */
    bool accelerated;    /* the CPU may do work of the LAPIC: kernel/vm/inhibit.h */
    /* Windows and acceleration have to be looked at before the next entry: what the back end was told of them may not
     * hold any more. Always true while an NMI is pending or blocked. */
    bool windows;
    bool odd_mode; /* the mode of this vCPU's LAPIC counts in INHIBIT_MODE, and so keeps acceleration off */
    /* The device world has to be told of an EOI: its vector. ABI_EOI_NONE: it has to be told that a LAPIC takes
     * messages now that no LAPIC took before. -1: nothing is due. */
    int eoi_vector;

    struct lapic *lapic; /* NULL: the guest has no LAPICs; ask vcpu_has_lapic() */
    struct timer timer;  /* the LAPIC timer's deadline */

    uint8_t *fpu; /* XSAVE area */
    uint64_t xcr0;
    uint64_t msr_system_time, msr_wall_clock, msr_steal_time; /* KVM's paravirtual clock: as the guest wrote them */
    uint64_t tsc_offset; /* guest TSC = host TSC + this; other vCPUs of the VM read this, atomically */
    uint64_t tsc_adjust; /* IA32_TSC_ADJUST */
    uint32_t clock_version;
    atomic_bool was_paused; /* set by vm_resume(), cleared when CLOCK is served */
    uint64_t stolen;        /* thread->waited_ticks when steal time was last written; UINT64_MAX: it has to be */
    struct msr_store *msrs; /* kernel/vm/msr_table.h */

    struct cpuid_entry { /* kernel/vm/cpuid.c: answers that do not change */
        uint64_t key, rax, rbx, rcx, rdx;
    } cpuid[VCPU_CPUID_ENTRIES];

    /* For control, read from other CPUs. exit_rip: RIP as of the last exit to ROOT. */
    uint64_t entries, parks, wakes, exit_rip;
    uint64_t entries_before_reset; /* `entries` at the last INIT or power-up */
    uint64_t exits[ABI_EXITS];
};

/* Does this vCPU have a LAPIC? The question costs nothing while all guests have LAPICs (kernel/cpu/key.h). */
static inline bool vcpu_has_lapic(const struct vcpu *v) { return !lapic_absent_on() || v->lapic; }

/* Creates vCPU number index of the VM. When this returns OK, the vCPU is parked, UNINITIALIZED, and visible to other
 * threads. E_NOMEM, E_NOTSUP: nothing is left behind. */
int vcpu_create(struct vm *vm, uint32_t index) MUST_CHECK;

/* Frees a vCPU that vcpu_create() has created. Its thread must be gone. */
void vcpu_destroy(struct vcpu *v);

/* Sets the request and delivers it. Any CPU may call this. vector: the start page of a SIPI. */
void vcpu_ask(struct vcpu *v, enum request r, uint8_t vector);

/* Does what word_ask() has answered: kicks the CPU or wakes the thread. */
void vcpu_deliver(struct vcpu *v, struct told told);

/* ---- From here on: only the vCPU's own thread */

/* The thread's function. Returns after TEARDOWN. */
void vcpu_main(void *vcpu);

/* Serves all pending requests, in order. False: TEARDOWN was one of them. kernel/vm/serve.c */
bool vcpu_serve_requests(struct vcpu *v);
static inline bool vcpu_serve(struct vcpu *v) { return word_quiet(&v->word) || vcpu_serve_requests(v); }

/* Does what the last entry was prepared with hold for the next entry, too? True: besides v->event no event is due, and
 * no window. */
static inline bool vcpu_events_stand(const struct vcpu *v)
{
    return !v->windows && vcpu_has_lapic(v) && lapic_quiet(v->lapic);
}

/*
 * Chooses the event for the next entry, or asks the back end for windows. where: WHERE_ROOT or WHERE_GUEST.
 * AGAIN: the next entry is prepared. DONE: the entry must go by way of ROOT, for one of two reasons:
 * - an NMI waits for its window, which run() has to see to;
 * - in GUEST: an 8259 cycle is due, which needs an upcall. The interrupt has not been prepared.
 * kernel/vm/inject.c
 */
enum quick vcpu_prepare_events(struct vcpu *v, enum where where);

/* Makes an exception the event for the next entry. kernel/vm/inject.c */
void vcpu_inject_exception(struct vcpu *v, uint8_t vector, bool has_error_code, uint32_t error_code);

/* Would HLT end at once? Then the event that ends it may be in v->event already. kernel/vm/inject.c */
bool vcpu_has_wakeup(struct vcpu *v);

/* Parks the vCPU in the state mp, its thread on no run queue. Returns when an asker whose request wakes in mp has made
 * the vCPU ROOT again, and at once if such a request is pending already. */
void vcpu_park(struct vcpu *v, enum mp_state mp);

/*
 * The back end calls this between an exit and the next entry. It handles v->exit if that needs no upcall and no switch
 * of threads.
 *
 * Meanwhile the vCPU is GUEST in its word, and to other CPUs it is as good as one that has not exited yet. An asker
 * sends the kick, too. The kick pends while interrupts are off, and ends the entry that follows. In HLT the vCPU may be
 * WAITING for a while, and the host's interrupts are served.
 *
 * It needs exit.kind and exit.u of an instruction whose length is known, no v->event, and RFLAGS with neither TF nor
 * RF. In all other cases vcpu_skip() has to see to the instruction, in ROOT. kernel/vm/exit.c
 */
enum quick vcpu_exit_quickly(struct vcpu *v);

/* The same for INTERRUPT, after the host has taken its interrupts: DONE or AGAIN. */
enum quick vcpu_interrupted(struct vcpu *v);

/* AGAIN: TIMER, EVENT and CLOCK are served, and the next entry is prepared for what they brought. DONE: the vCPU has to
 * go to ROOT. kernel/vm/serve.c */
enum quick vcpu_serve_events(struct vcpu *v);

/* Does what vcpu_exit_quickly() has left of an exit, in ROOT. */
void vcpu_exit(struct vcpu *v);

/* Sets the state after power-up, or after INIT if init (SDM Vol. 3, table 10-1). A SIPI's start address is set after
 * this. */
void vcpu_reset(struct vcpu *v, bool init);

/* Runs the device world's entry point with page->upcall. OK, or E_INTR: the VM is ending. kernel/vm/upcall.c */
int vcpu_enter_world(struct vcpu *v, enum abi_upcall_kind kind) MUST_CHECK;

/* The same, and fills in page->regs for the upcalls that need the registers. */
static inline MUST_CHECK int vcpu_upcall(struct vcpu *v, enum abi_upcall_kind kind)
{
    if (kind == ABI_UPCALL_EMULATE || kind == ABI_UPCALL_LENGTH || kind == ABI_UPCALL_TASK_SWITCH) {
        backend->get_regs(v, &v->page->regs);
        v->page->upcall.lapic_base = vcpu_has_lapic(v) ? lapic_mmio_base(v->lapic) : ~0ull;
    }
    return vcpu_enter_world(v, kind);
}

/* Handles an IO exit by an upcall. */
void vcpu_do_io(struct vcpu *v);

/* Asks the device world for the length of the instruction that exited, and sets exit.instruction_length. False: the
 * device world answered with an exception, or the VM is ending. v->page->regs are the registers after this. */
bool vcpu_ask_length(struct vcpu *v) MUST_CHECK;

/* The same, but only if exit.instruction_length is not known yet. */
static inline MUST_CHECK bool vcpu_find_length(struct vcpu *v)
{
    return v->exit.instruction_length || vcpu_ask_length(v);
}

/* Moves RIP behind the instruction that exited, and injects the traps behind it. Asks the device world for the length
 * if need be. False: as vcpu_ask_length(). */
bool vcpu_skip_slowly(struct vcpu *v) MUST_CHECK;

/* The same, unless the back end has moved RIP already. */
static inline MUST_CHECK bool vcpu_skip(struct vcpu *v) { return v->quick == QUICK_SKIP || vcpu_skip_slowly(v); }

#endif
