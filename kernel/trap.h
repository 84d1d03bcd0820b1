/* Interrupts and exceptions (SDM Vol. 3, chapter 7): entry, dispatch, the way back to ring 3. */
#ifndef KERNEL_TRAP_H
#define KERNEL_TRAP_H

#include "abi/types.h"

/* Vectors of root's own. KICK and WAKE do nothing: they make a guest leave, and an idle CPU look. */
enum vector {
    VECTOR_SERIAL = 0x30,
    VECTOR_NOTIFY = 0xf2, /* posted interrupts */
    VECTOR_KICK = 0xf3,
    VECTOR_RESCHEDULE = 0xf4,
    VECTOR_TIMER = 0xf5,
    VECTOR_ERROR = 0xf6,
    VECTOR_PATCH = 0xf7, /* kernel/key.c */
    VECTOR_WAKE = 0xf8,
    VECTOR_MACHINE_CHECK = 0xf9, /* one was taken, and control is to hear of it */
    VECTOR_SPURIOUS = 0xff,      /* differs from NOTIFY: some LAPICs take no EOI for this one */
};

/* As the entry stubs of exceptions push it. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error_code; /* NO_ERROR_CODE: of an exception that has one, the CPU has pushed none */
    uint64_t rip, cs, rflags, rsp, ss;
};

#define NO_ERROR_CODE UINT64_MAX

static inline bool trap_from_user(const struct trap_frame *f) { return f->cs & 3; }

/* Builds the IDT; once. Then loads it on this CPU. */
void trap_init(void);
void trap_load(void);
/* Once, on the BSP, with paging on and before other CPUs run and interrupts are on: what comes from ring 3 clears AC.
 */
void trap_use_smap(void);

/* Who serves an interrupt vector (32..255); the LAPIC's EOI follows by itself. Once for each vector, before it comes.
 */
void irq_register(uint8_t vector, void (*handler)(void));

/* An exception in ring 3: ends the world of the running thread. kernel/world.c. */
void trap_user_fault(struct trap_frame *frame);
/* Before an interrupt that came from ring 3 returns there, interrupts off: may switch threads, may not return at all.
 * kernel/thread.c. */
void user_return(void);

#endif
