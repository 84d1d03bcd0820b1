/* Interrupts and exceptions (SDM Vol. 3, chapter 7): their entry and dispatch, and the way back to ring 3. */
#ifndef KERNEL_CPU_TRAP_H
#define KERNEL_CPU_TRAP_H

#include "kernel/base/trap_frame.h"

/* Root's own vectors. KICK and WAKE have no handlers: KICK makes a guest exit, and WAKE makes an idle CPU look. */
enum vector {
    VECTOR_SERIAL = 0x30,
    VECTOR_NOTIFY = 0xf2, /* posted interrupts */
    VECTOR_KICK = 0xf3,
    VECTOR_RESCHEDULE = 0xf4,
    VECTOR_TIMER = 0xf5,
    VECTOR_ERROR = 0xf6,
    VECTOR_PATCH = 0xf7, /* kernel/cpu/key.c */
    VECTOR_WAKE = 0xf8,
    VECTOR_MACHINE_CHECK = 0xf9, /* a machine check was taken, and control is to hear of it */
    VECTOR_SPURIOUS = 0xff,      /* not the same as NOTIFY: some LAPICs take no EOI for this one */
};

/* Builds the IDT, and loads it on this CPU. Called once, on the BSP. */
void trap_init(void);
/* Loads the IDT on this CPU. */
void trap_load(void);
/*
 * If the CPU has SMAP: from now on every entry from ring 3 clears AC. Called once, on the BSP, after paging_init(),
 * before other CPUs run and before interrupts are on.
 */
void trap_use_smap(void);

/*
 * The handler serves an interrupt vector (32..255), with interrupts off. The LAPIC's EOI has been sent before. Called
 * once for each vector, before the vector comes.
 */
void irq_register(uint8_t vector, void (*handler)(void));

/* The handler is called for each NMI. Only root's CPUs send NMIs, to each other. Called once, before the first NMI. */
void trap_register_nmi(void (*handler)(void));
/*
 * The handler judges a machine check in root or ring 3. It returns true if what ring 3 did is lost, as after a fault.
 * Called once. A machine check that comes before is a panic.
 */
void trap_register_machine_check(bool (*handler)(const struct trap_frame *frame));
/* The handler ends the world of the running thread after an exception in ring 3. Called once, before a world runs. */
void trap_register_user_fault(void (*handler)(const struct trap_frame *frame));
/*
 * Called with interrupts off, before an interrupt or a system call returns to ring 3. May switch threads, and may not
 * return at all. kernel/worlds/user.c.
 */
void user_return(void);

#endif
