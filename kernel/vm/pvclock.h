/* KVM's paravirtual clock and steal time (Linux' Documentation/virt/kvm/x86/msr.rst, cpuid.rst). */
#ifndef KERNEL_VM_PVCLOCK_H
#define KERNEL_VM_PVCLOCK_H

#include "abi/types.h"

struct vcpu;

#define MSR_KVM_WALL_CLOCK_OLD  0x11u
#define MSR_KVM_SYSTEM_TIME_OLD 0x12u
#define MSR_KVM_WALL_CLOCK      0x4b564d00u
#define MSR_KVM_SYSTEM_TIME     0x4b564d01u
#define MSR_KVM_STEAL_TIME      0x4b564d03u

/* A write to one of these MSRs: OK, or E_INVAL: #GP. Own thread. */
int pvclock_msr_write(struct vcpu *v, uint32_t msr, uint64_t value);
/* Fills the page that the guest registered anew, and tells it there if it was paused. Own thread. */
void pvclock_write(struct vcpu *v);
/* Steal time, where v->thread has waited since it was last written. */
void pvclock_write_steal(struct vcpu *v);

#endif
