/* Exceptions and interrupts of a guest. */
#ifndef GUEST_TRAP_H
#define GUEST_TRAP_H

#include "tests/guests/lib/cpu.h"

enum {
    VECTOR_DE = 0,
    VECTOR_DB = 1,
    VECTOR_NMI = 2,
    VECTOR_BP = 3,
    VECTOR_UD = 6,
    VECTOR_NM = 7,
    VECTOR_DF = 8,
    VECTOR_TS = 10,
    VECTOR_NP = 11,
    VECTOR_SS = 12,
    VECTOR_GP = 13,
    VECTOR_PF = 14,
};
#define NO_TRAP (-1)

struct trap {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t vector, error_code, rip, cs, rflags, rsp, ss;
};

/* Called with interrupts off on the CPU that trapped; may change *t, with which the code goes on. NULL: none. An
 * interrupt's handler writes the EOI. A vector from 0 to 31 without a handler, outside of catch(), ends the guest. */
typedef void trap_handler(struct trap *t);
void trap_set(unsigned vector, trap_handler *handler);

/* Take this CPU's GDT, TSS and IDT into use. */
void trap_init(unsigned index);

/* Load the IDT of the guest again, after something else was there. */
void trap_load_idt(void);

/* Call f(argument): NO_TRAP if it returned, or the vector of the exception that ended it; that is in trap_caught(). */
int catch_trap(void (*f)(void *), void *argument);
const struct trap *trap_caught(void);

/* RDMSR and WRMSR: NO_TRAP or the exception's vector. */
int try_rdmsr(uint32_t msr, uint64_t *value);
int try_wrmsr(uint32_t msr, uint64_t value);

#endif
