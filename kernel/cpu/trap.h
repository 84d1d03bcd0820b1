/* Interrupts and exceptions (SDM Vol. 3, chapter 7): entry, dispatch, the way back to ring 3. */
#ifndef KERNEL_CPU_TRAP_H
#define KERNEL_CPU_TRAP_H

#include "kernel/base/trap_frame.h"

/* Vectors of root's own. KICK and WAKE do nothing: they make a guest leave, and an idle CPU look. */
enum vector {
    VECTOR_SERIAL = 0x30,
    VECTOR_NOTIFY = 0xf2, /* posted interrupts */
    VECTOR_KICK = 0xf3,
    VECTOR_RESCHEDULE = 0xf4,
    VECTOR_TIMER = 0xf5,
    VECTOR_ERROR = 0xf6,
    VECTOR_PATCH = 0xf7, /* kernel/cpu/key.c */
    VECTOR_WAKE = 0xf8,
    VECTOR_MACHINE_CHECK = 0xf9, /* one was taken, and control is to hear of it */
    VECTOR_SPURIOUS = 0xff,      /* differs from NOTIFY: some LAPICs take no EOI for this one */
};

/* Builds the IDT; once. Then loads it on this CPU. */
void trap_init(void);
void trap_load(void);
/* Once, on the BSP, with paging on and before other CPUs run and interrupts are on: what comes from ring 3 clears
 * AC. */
void trap_use_smap(void);

/* Who serves an interrupt vector (32..255); the LAPIC's EOI follows by itself. Once for each vector, before it
 * comes. */
void irq_register(uint8_t vector, void (*handler)(void));

/* Who sees each NMI, which root's CPUs send each other and nobody else. Once, before the first comes. */
void trap_register_nmi(void (*handler)(void));
/* Who judges a machine check in root or ring 3. True: what ring 3 did is lost, as by a fault. Once; one that comes
 * before is a panic. */
void trap_register_machine_check(bool (*handler)(const struct trap_frame *frame));
/* Who ends the world of the running thread for an exception in ring 3. Once, before a world runs. */
void trap_register_user_fault(void (*handler)(const struct trap_frame *frame));
/* Before an interrupt that came from ring 3 returns there, interrupts off: may switch threads, may not return at all.
 * kernel/threads/thread.c. */
void user_return(void);

#endif
