/*
 * Stray interrupts, which nobody can have sent: their vector has no handler, or is an exception's. They come on faulty
 * machines and in emulators, and do no harm.
 */
#ifndef KERNEL_CPU_STRAY_H
#define KERNEL_CPU_STRAY_H

#include "abi/types.h"

/*
 * The CPU has come by that exception vector (0..31). Was it an interrupt, and no exception? True in one of these cases:
 *   - no_error_code: the vector's exception has an error code, and the CPU has pushed none;
 *   - no exception that can come in root has this vector;
 *   - the vector is in service in this CPU's LAPIC. An exception never comes while its vector is in service, as
 *     stray_take() dismisses such an interrupt at once.
 */
bool stray_is_interrupt(uint8_t vector, bool no_error_code);

/*
 * Takes a stray interrupt; cpu is this CPU's index. If the vector is in service, it is dismissed; if not, an EOI would
 * dismiss another one. Counts it, and logs it when the vector's count is a power of two. Interrupts are off.
 */
void stray_take(uint8_t vector, uint32_t cpu);

#endif
