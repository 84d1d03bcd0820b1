/* The one table through which root calls a back end (svm/ or vmx/). It is chosen at boot and does not change after
 * that. */
#ifndef KERNEL_VM_BACKEND_H
#define KERNEL_VM_BACKEND_H

#include "abi/abi.h"

struct nested_format;
struct vcpu;

/* Exceptions (SDM Vol. 3, table 7-1). */
enum { VECTOR_DB = 1, VECTOR_NMI = 2, VECTOR_UD = 6, VECTOR_GP = 13, VECTOR_AC = 17, VECTOR_MC = 18 };

/* Why the guest exited, in words that are the same for both vendors. run() fills this in. */
struct exit {
    enum abi_exit kind;
    uint8_t instruction_length; /* 0: the CPU did not tell */
    uint32_t code;              /* the vendor's number, for messages */
    uint64_t info[2];           /* the vendor's details, for messages */
    bool machine_check;         /* OTHER: a machine check destroyed what the guest did */
    union {
        struct {
            struct abi_io access;
            bool string;
            bool watched; /* DR7 enables breakpoints, perhaps on this port */
        } io;
        struct {
            uint64_t gpa;
            bool final; /* the access is that of the instruction, not one of the page walk to it */
            bool write, fetch;
            uint8_t bytes_count;
            uint8_t bytes[15];
        } mmio;
        struct abi_task_switch task;
        struct {
            uint8_t vector; /* to be injected into the guest; its error code, if it has one, is 0 */
        } exception;
        bool read;       /* CR4: MOV from CR4, not to it */
        uint32_t fields; /* REFUSED: how many entries of v->page->fields are filled */
    } u;
};

struct backend {
    const char *name;
    /* Is this CPU of this back end's vendor? */
    bool (*present)(void);

    /* Does the CPU have everything that is required? NULL: yes. Else a line for the log: what is missing, and what to
     * do. Called once, on the BSP. */
    const char *(*probe)(void);

    /* Switches virtualization on, on this CPU: OK, E_NOMEM, E_NOTSUP. */
    int (*cpu_enable)(void);

    /* The format of the nested tables, which map guest memory as RAM, writable and executable. probe() fills it. */
    const struct nested_format *nested;

    /* OK, E_NOMEM, E_NOTSUP (the log says why). v->vm->nested must be there. */
    int (*vcpu_create)(struct vcpu *v);
    void (*vcpu_destroy)(struct vcpu *v);

    /* After this call nothing of v's state is in this CPU. Called before v's thread may run on another CPU, and after
     * another thread has touched v's registers. */
    void (*release)(struct vcpu *v);

    /* ---- The rest is called on the vCPU's thread, or before that has run. Interrupts are off. */

    /* Enters the guest and injects v->event, if that is valid. When it returns:
     * - v->exit says why the guest exited;
     * - v->event is the event whose delivery the exit cut off, if there was one;
     * - v->cr8 and v->exit_rip are the guest's;
     * - a host interrupt that made the guest exit is still pending.
     * Between an exit and the next entry it may call vcpu_exit_quickly(). */
    void (*run)(struct vcpu *v);

    void (*get_regs)(struct vcpu *v, struct abi_regs *out);        /* all of them */
    void (*set_regs)(struct vcpu *v, const struct abi_regs *regs); /* all of them */

    /* For a SIPI: CS and RIP of real-mode code that starts at page, a number of a 4 KiB page. v has not run since its
     * reset. */
    void (*set_start)(struct vcpu *v, uint8_t page);

    /* Sets the registers of ABI_REPLY_TASK. Of a back end that gives TASK_SWITCH exits. */
    void (*switch_task)(struct vcpu *v, const struct abi_regs *regs, const uint64_t pdpte[4]);
    void (*set_system)(struct vcpu *v, const struct abi_regs *regs); /* the registers of ABI_REPLY_SYSTEM */

    uint64_t (*get_rip)(struct vcpu *v);
    void (*set_rip)(struct vcpu *v, uint64_t rip); /* ends an interrupt shadow */
    uint64_t (*get_rflags)(struct vcpu *v);
    void (*set_rflags)(struct vcpu *v, uint64_t rflags);
    void (*set_shadow)(struct vcpu *v); /* the interrupt shadow that MOV SS makes */

    /* May an interrupt or NMI be injected now, RFLAGS.IF left aside? Yes: the guest's RFLAGS, which is never 0, since
     * bit 1 is always set. 0: no, there is an interrupt shadow, or a debug trap is due, which comes first. */
    uint64_t (*unblocked)(struct vcpu *v);
    void (*set_cr2)(struct vcpu *v, uint64_t cr2);

    /* For a #DB that is injected: sets these bits of DR6 and leaves the others. Adds the debug traps that were pending
     * to it, and clears DR7.GD (SDM Vol. 3, 18.2.3 and 18.2.4). */
    void (*add_dr6)(struct vcpu *v, uint64_t bits);

    unsigned (*get_cpl)(struct vcpu *v);
    uint64_t (*get_efer)(struct vcpu *v);
    void (*set_efer)(struct vcpu *v, uint64_t efer); /* as the guest wants it; checked by the caller */
    uint64_t (*get_cr4)(struct vcpu *v);
    void (*set_cr4)(struct vcpu *v, uint64_t cr4); /* of a back end that gives CR4 exits; checked by the caller */
    uint64_t (*get_cr0)(struct vcpu *v);

    /* MSRs that the CPU switches for the guest: OK, E_NOENT: msr is not one of them. */
    int (*get_msr)(struct vcpu *v, uint32_t msr, uint64_t *value);
    int (*set_msr)(struct vcpu *v, uint32_t msr, uint64_t value);

    /* Asks for an exit as soon as the guest could take an interrupt of this priority class, and as soon as it could
     * take an NMI. interrupt_class: 1..15; 16: an interrupt that heeds no TPR; 0: none is wanted. Holds until the next
     * call. To be called after set_cr8(). */
    void (*set_windows)(struct vcpu *v, uint8_t interrupt_class, bool nmi);
    void (*set_cr8)(struct vcpu *v, uint8_t cr8);
    void (*set_tsc_offset)(struct vcpu *v); /* v->tsc_offset has changed */
};

/* The back end that all CPUs use. NULL: there is none, and no guest runs. */
extern const struct backend *backend;

/* Chooses the first back end that is present, or logs what the CPU lacks for it. Called once, on the BSP. */
void backend_find(void);

/* Puts a back end into the section .backends, where backend_find() looks. */
#define REGISTER_BACKEND(b)                                                                                            \
    static const struct backend *const b##_entry __attribute__((section(".backends"), used)) = &(b)

#endif
