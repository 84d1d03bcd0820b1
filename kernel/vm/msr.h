/* The MSRs of a guest. kernel/vm/msr.c */
#ifndef KERNEL_VM_MSR_H
#define KERNEL_VM_MSR_H

#include "abi/types.h"

struct vcpu;

/* The MSRs that the back ends switch (SDM Vol. 4; APM Vol. 2, appendix A). */
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

/* Finds out what kind of CPU this is. Called once, on the BSP. */
void msr_setup(void);

/* RDMSR and WRMSR of the guest: OK, or negative: #GP(0). Only on v's thread. */
int msr_read(struct vcpu *v, uint32_t msr, uint64_t *value);
int msr_write(struct vcpu *v, uint32_t msr, uint64_t value);

/* As msr_write(), but only for MSRs that just keep what is written (kernel/vm/msr_table.h): short, and nothing else
 * changes. E_INVAL: #GP(0). E_NOENT: msr is not such an MSR. */
int msr_keep(struct vcpu *v, uint32_t msr, uint64_t value);

/* RDPMC of the guest: OK, or negative: #GP(0). The caller has checked the privilege. */
int msr_read_counter(const struct vcpu *v, uint32_t counter, uint64_t *value);

/* Sets all values as after power-up. */
void msr_reset(struct vcpu *v);

/* Resets what INIT resets. */
void msr_init(struct vcpu *v);

#endif
