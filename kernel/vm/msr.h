/* The MSRs of a guest. kernel/vm/msr.c */
#ifndef KERNEL_VM_MSR_H
#define KERNEL_VM_MSR_H

#include "abi/types.h"

struct vcpu;

/* Those that the back ends switch (SDM Vol. 4; APM Vol. 2, appendix A). */
enum {
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP,
    MSR_SYSENTER_EIP,
    MSR_PAT = 0x277,
    MSR_STAR = 0xc0000081,
    MSR_LSTAR,
    MSR_CSTAR,
    MSR_SFMASK,
    MSR_FS_BASE = 0xc0000100,
    MSR_GS_BASE,
    MSR_KERNEL_GS_BASE
};

/* Once, on the BSP: what kind of CPU this is. */
void msr_setup(void);

/* Own thread: OK, or negative: #GP(0). */
int msr_read(struct vcpu *v, uint32_t msr, uint64_t *value);
int msr_write(struct vcpu *v, uint32_t msr, uint64_t value);
/* The same of an MSR that only keeps what is written: short, and it touches nothing else. Negative: it is refused, or
 * the MSR is another one. */
int msr_keep(struct vcpu *v, uint32_t msr, uint64_t value);
/* RDPMC, whose privilege has been checked: the same. */
int msr_read_counter(const struct vcpu *v, uint32_t counter, uint64_t *value);

/* Power-up values; what INIT resets. */
void msr_reset(struct vcpu *v);
void msr_init(struct vcpu *v);

#endif
