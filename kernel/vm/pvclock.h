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

/* All of these: only on v's thread. */

/* A write to one of these MSRs: OK, or E_INVAL: #GP. */
int pvclock_msr_write(struct vcpu *v, uint32_t msr, uint64_t value);

/* Writes the clock's page again, if the guest has registered one. Tells the guest there if it was paused. */
void pvclock_write(struct vcpu *v);

/* Writes steal time, if the guest has registered it: how long v->thread has waited for a CPU, in ns. */
void pvclock_write_steal(struct vcpu *v);

#endif
