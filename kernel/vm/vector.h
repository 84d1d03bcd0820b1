/*
 * Vector registers of a vCPU, for its device world's emulator: on the vCPU's thread, of its own vCPU. What is written
 * are values of registers, any of which is good; no other part of the area that XRSTOR reads can be changed.
 */
#ifndef KERNEL_VM_VECTOR_H
#define KERNEL_VM_VECTOR_H

#include "abi/types.h"

enum { VECTOR_SIZE = 64 };
struct vcpu;

/* Register n, 0..15, with zeros for what the CPU has not got: its XCR0; or E_RANGE. */
int64_t vector_read(struct vcpu *v, uint64_t n, uint8_t value[VECTOR_SIZE]);
/* OK, E_RANGE. */
int64_t vector_write(struct vcpu *v, uint64_t n, const uint8_t value[VECTOR_SIZE]);

#endif
