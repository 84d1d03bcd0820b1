/*
 * The extended state (x87, SSE, AVX, ..., PKRU) is some vCPU's, or nobody's and then in its initial state. Root and the
 * worlds use none: CR0.TS is set outside of guests, whose own CR0 has the guest's TS, and a world that uses one of
 * these registers ends by #NM. docs/security.md
 */
#ifndef KERNEL_VM_FPU_H
#define KERNEL_VM_FPU_H

#include "kernel/base/percpu.h"

/* On each CPU. Then bytes of an XSAVE area, as an order for page_alloc; and the XCR0 bits that guests may set. */
void fpu_init(void);
unsigned fpu_area_order(void);
uint64_t fpu_xcr0_mask(void);
/* The power-up state in a zeroed area. */
void fpu_reset(uint8_t *area);
static inline bool fpu_is_loaded(const struct vcpu *v) { return this_cpu()->fpu_owner == v; }
/* Interrupts off: the registers become this vCPU's, whose they are not; whoever's they were, is saved. */
void fpu_load(struct vcpu *v);
/* Saves and clears the registers if they are some vCPU's: before its thread may run elsewhere, or another one here. */
void fpu_switch_out(void);

#endif
