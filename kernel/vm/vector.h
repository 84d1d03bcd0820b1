/*
 * Vector registers of a vCPU, for the emulator in its device world. Only on the vCPU's own thread. The emulator can
 * write only values of these registers, and every value is valid. It cannot change any other part of the area that
 * XRSTOR reads.
 */
#ifndef KERNEL_VM_VECTOR_H
#define KERNEL_VM_VECTOR_H

#include "abi/types.h"

enum { VECTOR_SIZE = 64 };
struct vcpu;

/* Reads register n, 0..15. The parts that the CPU does not have are 0. Returns the vCPU's XCR0, or E_RANGE: there is no
 * such register. */
int64_t vector_read(struct vcpu *v, uint64_t n, uint8_t value[VECTOR_SIZE]);

/* Writes register n, 0..15: OK, E_RANGE. */
int64_t vector_write(struct vcpu *v, uint64_t n, const uint8_t value[VECTOR_SIZE]);

#endif
