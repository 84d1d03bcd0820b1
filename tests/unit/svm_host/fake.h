/* As tests/unit/vmx_host/fake.h, for svm/ and tests/unit/test_svm_fields.c. */
#ifndef TESTS_UNIT_SVM_HOST_FAKE_H
#define TESTS_UNIT_SVM_HOST_FAKE_H

#include "kernel/base/asm.h"

struct cpuid fake_cpuid(uint32_t leaf);
uint64_t fake_rdmsr(uint32_t msr);

#define cpuid(leaf, subleaf) fake_cpuid(leaf)
#define rdmsr                fake_rdmsr
#define wrmsr(msr, value)    ((void)(msr), (void)(value))
#define load_breakpoints(dr) ((void)(dr))
#define save_breakpoints(dr) ((void)(dr))

#define this_cpu this_cpu_by_gs
#include "kernel/base/percpu.h"
#undef this_cpu
struct percpu *this_cpu(void);

#endif
