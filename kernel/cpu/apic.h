/* The host's local APIC, in x2APIC mode where the CPU has it (SDM Vol. 3, chapter 11). */
#ifndef KERNEL_CPU_APIC_H
#define KERNEL_CPU_APIC_H

#include "abi/types.h"

/*
 * Chooses the mode, and in xAPIC mode maps the registers. Called once, on the BSP. False: there is no LAPIC, which a
 * log line has said, or no memory.
 */
bool apic_init(void) MUST_CHECK;
/*
 * Enables this CPU's LAPIC. Of its LVT entries, those of the timer, of errors and of LINT1 (NMI) are not masked. Called
 * on each CPU, after time_init().
 */
void apic_enable(void);
/* This CPU's APIC ID. */
uint32_t apic_id(void);
void apic_eoi(void);
/* Is that vector in service on this CPU? If so, an EOI would dismiss it, or a vector above it. */
bool apic_in_service(uint8_t vector);
/* Sends a fixed interrupt to the CPU with that index, which may be this CPU. Does not wait until it arrives. */
void apic_ipi(uint32_t cpu, uint8_t vector);
/*
 * Sends a fixed interrupt to this CPU. May be called in an exception that comes anywhere, even while this CPU is about
 * to send another interrupt.
 */
void apic_ipi_self(uint8_t vector);
/* Send INIT and start-up to the CPU with that APIC ID. page: physical address of the start, shifted right by 12. */
void apic_send_init(uint32_t apic_id);
void apic_send_startup(uint32_t apic_id, uint8_t page);
void apic_send_nmi_to_others(void);
/*
 * Makes VECTOR_TIMER come on this CPU at that TSC tick or soon after. It may come early, but never much too late. A
 * deadline in the past: it comes at once. NEVER: it does not come. Uses TSC-deadline mode where the CPU has it, else
 * the counter.
 */
void apic_timer_set(uint64_t deadline);

#endif
