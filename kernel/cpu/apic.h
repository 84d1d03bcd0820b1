/* The host's local APIC, in x2APIC mode where offered (SDM Vol. 3, chapter 11). */
#ifndef KERNEL_CPU_APIC_H
#define KERNEL_CPU_APIC_H

#include "abi/types.h"

/* Once, on the BSP: chooses the mode, maps the xAPIC page if need be; false: there is no LAPIC (said in a log line). */
bool apic_init(void) MUST_CHECK;
/* This CPU's LAPIC: enabled, LVTs masked but the timer's and the error's. Each CPU; time_init() came before. */
void apic_enable(void);
/* This CPU's APIC ID. */
uint32_t apic_id(void);
void apic_eoi(void);
/* Is that vector in service, so that an EOI would dismiss it or one above it? */
bool apic_in_service(uint8_t vector);
/* A fixed interrupt to the CPU with that index (this one's too). Does not wait for its arrival. */
void apic_ipi(uint32_t cpu, uint8_t vector);
/* A fixed interrupt to this CPU, which may be about to send another one: from an exception that comes anywhere. */
void apic_ipi_self(uint8_t vector);
/* INIT, start-up and NMI, by APIC ID. */
void apic_send_init(uint32_t apic_id);
void apic_send_startup(uint32_t apic_id, uint8_t page);
void apic_send_nmi_to_others(void);
/* VECTOR_TIMER on this CPU at that TSC tick, or soon after; it may come early, never much too late. In the past: at
 * once. NEVER: off. TSC-deadline mode where the CPU has it, else the counter. */
void apic_timer_set(uint64_t deadline);

#endif
