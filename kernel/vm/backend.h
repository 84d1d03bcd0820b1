/* The one table through which root calls a back end; chosen at boot, constant from then on. */
#ifndef KERNEL_VM_BACKEND_H
#define KERNEL_VM_BACKEND_H

#include "abi/abi.h"

struct nested_format;
struct vcpu;

/* Exceptions (SDM Vol. 3, table 7-1). */
enum { VECTOR_DB = 1, VECTOR_NMI = 2, VECTOR_UD = 6, VECTOR_GP = 13, VECTOR_AC = 17, VECTOR_MC = 18 };

/* Why the guest was left, in neutral words. Filled in by run(). */
struct exit {
    enum abi_exit kind;
    uint8_t instruction_length; /* 0: the CPU did not tell */
    uint32_t code;              /* the vendor's number, for messages */
    uint64_t info[2];           /* the vendor's details, for messages */
    bool machine_check;         /* OTHER: what the guest did is lost to one */
    union {
        struct {
            struct abi_io access;
            bool string;
            bool watched; /* DR7 enables breakpoints, perhaps on this port */
        } io;
        struct {
            uint64_t gpa;
            bool final; /* the access was the one that the page walk was for, not part of that walk */
            bool write, fetch;
            uint8_t bytes_count;
            uint8_t bytes[15];
        } mmio;
        struct abi_task_switch task;
        struct {
            uint8_t vector; /* to be handed to the guest; its error code, if it has one, is 0 */
        } exception;
        bool read;       /* CR4: MOV from it */
        uint32_t fields; /* REFUSED: so many are in v->page->fields */
    } u;
};

struct backend {
    const char *name;
    /* Is this CPU of that vendor's kind? */
    bool (*present)(void);
    /* Everything required is there: NULL, or a line that names what is missing and what to do. Once, on the BSP. */
    const char *(*probe)(void);
    /* Switches virtualization on, on this CPU: OK, E_NOMEM, E_NOTSUP. */
    int (*cpu_enable)(void);
    /* Of the tables that make guest memory RAM, writable and executable; probe() fills it. */
    const struct nested_format *nested;

    int (*vcpu_create)(struct vcpu *v); /* v->vm->nested is there: OK, E_NOMEM, E_NOTSUP (said in a log line) */
    void (*vcpu_destroy)(struct vcpu *v);
    /* Nothing of v's state stays in this CPU: before its thread may run elsewhere, and after its registers were touched
     * on another thread. */
    void (*release)(struct vcpu *v);

    /* The rest: on the vCPU's thread, or before it has run; interrupts off. */
    /* Enters the guest with v->event, comes back with v->exit and, if an event was cut off, v->event. Host interrupts
     * that ended it are pending still; v->cr8 and v->exit_rip are the guest's. Between an exit and the next entry it
     * may ask vcpu_exit_quickly(). */
    void (*run)(struct vcpu *v);
    void (*get_regs)(struct vcpu *v, struct abi_regs *out);        /* all of them */
    void (*set_regs)(struct vcpu *v, const struct abi_regs *regs); /* all of them */
    /* Of a vCPU that has not run since its reset: CS and RIP, for real-mode code at that page of 4 KiB. */
    void (*set_start)(struct vcpu *v, uint8_t page);
    /* The registers of ABI_REPLY_TASK. Of a back end that gives TASK_SWITCH exits. */
    void (*switch_task)(struct vcpu *v, const struct abi_regs *regs, const uint64_t pdpte[4]);
    void (*set_system)(struct vcpu *v, const struct abi_regs *regs); /* the registers of ABI_REPLY_SYSTEM */
    uint64_t (*get_rip)(struct vcpu *v);
    void (*set_rip)(struct vcpu *v, uint64_t rip); /* ends an interrupt shadow */
    uint64_t (*get_rflags)(struct vcpu *v);
    void (*set_rflags)(struct vcpu *v, uint64_t rflags);
    void (*set_shadow)(struct vcpu *v); /* as after MOV SS */
    /* RFLAGS, of which bit 1 is set; 0: no interrupt or NMI now: such a shadow, or a debug trap that comes first */
    uint64_t (*unblocked)(struct vcpu *v);
    void (*set_cr2)(struct vcpu *v, uint64_t cr2);
    /* For a #DB that is injected: sets these bits, leaves the others; takes what else of debug traps was due along, and
     * clears DR7.GD (SDM Vol. 3, 18.2.3 and 18.2.4). */
    void (*add_dr6)(struct vcpu *v, uint64_t bits);
    unsigned (*get_cpl)(struct vcpu *v);
    uint64_t (*get_efer)(struct vcpu *v);
    void (*set_efer)(struct vcpu *v, uint64_t efer); /* as the guest wants it; checked by the caller */
    uint64_t (*get_cr4)(struct vcpu *v);
    void (*set_cr4)(struct vcpu *v, uint64_t cr4); /* of a back end that gives CR4 exits; checked by the caller */
    uint64_t (*get_cr0)(struct vcpu *v);
    /* MSRs that the CPU switches for the guest: OK, E_NOENT: not one of them. */
    int (*get_msr)(struct vcpu *v, uint32_t msr, uint64_t *value);
    int (*set_msr)(struct vcpu *v, uint32_t msr, uint64_t value);
    /* Exit as soon as an interrupt of that priority class (1..15; 16: one that heeds no TPR; 0: none wanted) could be
     * taken; as soon as an NMI could be. Holds until it is told anew, behind set_cr8. */
    void (*set_windows)(struct vcpu *v, uint8_t interrupt_class, bool nmi);
    void (*set_cr8)(struct vcpu *v, uint8_t cr8);
    void (*set_tsc_offset)(struct vcpu *v); /* v->tsc_offset has changed */
};

/* The one that all CPUs use; NULL: there is none, and no guest runs. */
extern const struct backend *backend;

/* Takes the first that is present, and logs what the CPU lacks for it. Once, on the BSP. */
void backend_find(void);

/* A back end announces itself with this. */
#define REGISTER_BACKEND(b)                                                                                            \
    static const struct backend *const b##_entry __attribute__((section(".backends"), used)) = &(b)

#endif
