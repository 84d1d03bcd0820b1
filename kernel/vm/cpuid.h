/* What CPUID tells a guest. One table says which features: kernel/vm/cpuid.c */
#ifndef KERNEL_VM_CPUID_H
#define KERNEL_VM_CPUID_H

#include "abi/abi.h"
#include "kernel/base/asm.h"

struct vcpu;
struct cpuid_entry;

/* The answer for this vCPU in its present state (CR4.OSXSAVE, XCR0, IA32_APIC_BASE.EN). It stays valid until the next
 * call for this vCPU. Only on v's thread. */
const struct cpuid_entry *guest_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf);

/* Do guests have IA32_TSC_ADJUST? Root provides it where the CPU has leaf 7, which tells guests of it. */
bool guest_has_tsc_adjust(void);

/* Is feature bit (0..31) of that leaf's register (0 EAX .. 3 EDX) offered to guests? */
bool guest_has(uint32_t leaf, unsigned reg, unsigned bit);

/* The bits of CR4 and EFER that guests may set: those of features that guests are offered. */
uint64_t guest_cr4_bits(void);
uint64_t guest_efer_bits(void);

/* Fills words with what guests see in the CPUID registers of enum abi_features. */
void guest_features(uint32_t words[ABI_FEATURE_WORDS]);

#endif
