/* Interrupts that nobody can have sent: of a vector without a handler, or of an exception's. Machines with a fault of
 * their own, and emulators, send such; nothing is lost by them. */
#ifndef KERNEL_CPU_STRAY_H
#define KERNEL_CPU_STRAY_H

#include "abi/types.h"

/*
 * The CPU came by that exception vector (0..31): was it an interrupt? True if the vector is in service in the LAPIC, or
 * no exception of root's has it, or no_error_code: the CPU has pushed none where the exception has one. An exception
 * never comes with the vector in service: whoever takes such an interrupt dismisses it at once.
 */
bool stray_is_interrupt(uint8_t vector, bool no_error_code);

/* Takes one, on that CPU: dismisses it if it is in service (else the EOI would be another one's), counts it, and logs
 * it when the vector's count is a power of two. Interrupts are off. */
void stray_take(uint8_t vector, uint32_t cpu);

#endif
