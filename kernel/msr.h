/* The MSRs of a guest. kernel/msr.c */
#ifndef KERNEL_MSR_H
#define KERNEL_MSR_H

#include "abi/types.h"

struct vcpu;

/* Own thread: OK, or negative: #GP(0). */
int msr_read(struct vcpu *v, uint32_t msr, uint64_t *value);
int msr_write(struct vcpu *v, uint32_t msr, uint64_t value);
/* Power-up values; what INIT resets. */
void msr_reset(struct vcpu *v);
void msr_init(struct vcpu *v);

#endif
