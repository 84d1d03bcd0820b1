/*
 * The extended state: the registers of x87, SSE, AVX, ..., PKRU. On each CPU these registers hold the state of one
 * vCPU; or of none, and are then in their initial state.
 *
 * Root and the worlds do not use these registers. CR0.TS is set outside of guests, so a world that uses one takes #NM
 * and ends. In a guest, CR0.TS is the guest's own. docs/security.md
 */
#ifndef KERNEL_VM_FPU_H
#define KERNEL_VM_FPU_H

#include "kernel/base/percpu.h"

/* Called once on each CPU, before the functions below. */
void fpu_init(void);

/* The size of an XSAVE area, as an order for page_alloc(). */
unsigned fpu_area_order(void);

/* The bits of XCR0 that guests may set. 0: the CPU has no XSAVE. */
uint64_t fpu_xcr0_mask(void);

/* Writes the power-up state into an area. */
void fpu_reset(uint8_t *area);

/* Do this CPU's registers hold v's extended state? */
static inline bool fpu_is_loaded(const struct vcpu *v) { return this_cpu()->fpu_owner == v; }

/* Loads v's extended state, which is not loaded, into the registers. Saves that of the vCPU that had them before.
 * Interrupts must be off. */
void fpu_load(struct vcpu *v);

/* If the registers hold a vCPU's state: saves it and clears the registers. Called before that vCPU's thread may run on
 * another CPU, or another thread on this one. */
void fpu_switch_out(void);

#endif
