/* Stands before kernel/base/asm.h: what a program on the host may not execute becomes a call into tests/core/machine.c. */
#ifndef CORE_SHADOW_ASM_H
#define CORE_SHADOW_ASM_H

#define rdtsc       rdtsc_of_cpu
#define cpu_pause   cpu_pause_of_cpu
#define irq_disable irq_disable_of_cpu
#define irq_window  irq_window_of_cpu
#define irq_wait    irq_wait_of_cpu
#define write_cr3   write_cr3_of_cpu
#include_next "kernel/base/asm.h"
#undef rdtsc
#undef cpu_pause
#undef irq_disable
#undef irq_window
#undef irq_wait
#undef write_cr3

uint64_t rdtsc(void);
void cpu_pause(void);
void irq_window(void);
void irq_wait(void);
static inline void write_cr3(uint64_t v) { (void)v; }

#endif
