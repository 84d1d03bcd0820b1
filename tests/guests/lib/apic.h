/* The local APIC in either mode, other CPUs, the IOAPIC. Register offsets are those of the xAPIC page. */
#ifndef GUEST_APIC_H
#define GUEST_APIC_H

#include "tests/guests/lib/guest.h"

#define LAPIC_BASE  0xfee00000ull
#define IOAPIC_BASE 0xfec00000ull

#define APIC_ID    0x020
#define APIC_LVR   0x030
#define APIC_TPR   0x080
#define APIC_EOI   0x0b0
#define APIC_LDR   0x0d0
#define APIC_SVR   0x0f0
#define APIC_ISR   0x100
#define APIC_IRR   0x200
#define APIC_ESR   0x280
#define APIC_ICR   0x300
#define APIC_ICR2  0x310
#define APIC_LVTT  0x320
#define APIC_LINT0 0x350
#define APIC_LINT1 0x360
#define APIC_TMICT 0x380
#define APIC_TMCCT 0x390
#define APIC_TDCR  0x3e0

#define SVR_ENABLE     0x100
#define LVT_MASKED     0x10000
#define LVT_EXTINT     0x700
#define TIMER_PERIODIC 0x20000
#define TIMER_DEADLINE 0x40000
#define TDCR_1         0xb

#define ICR_FIXED      0x000
#define ICR_LOWEST     0x100
#define ICR_SMI        0x200
#define ICR_RESERVED   0x300
#define ICR_NMI        0x400
#define ICR_INIT       0x500
#define ICR_STARTUP    0x600
#define ICR_EXTINT     0x700
#define ICR_LOGICAL    0x800
#define ICR_BUSY       0x1000
#define ICR_ASSERT     0x4000
#define ICR_LEVEL      0x8000
#define ICR_SELF       0x40000
#define ICR_ALL        0x80000
#define ICR_ALL_BUT_ME 0xc0000

#define APICBASE_BSP    BIT(8)
#define APICBASE_X2APIC BIT(10)
#define APICBASE_ENABLE BIT(11)

#define SPURIOUS_VECTOR 0xff

#define AP_CODE 0x8000 /* where a SIPI has to start an AP */

/* The CPU has a LAPIC; it has x2APIC mode (CPUID 1). */
bool lapic_offered(void);
bool x2apic_offered(void);

/* Enable this CPU's LAPIC in the one mode or the other; interrupts of the 8259s stay as they are on the BSP. */
void lapic_init(bool x2apic);

uint32_t lapic_read(uint32_t reg);
void lapic_write(uint32_t reg, uint32_t value);
uint32_t lapic_id(void);
void lapic_eoi(void);

/* Bit `vector` of the ISR or IRR. */
bool lapic_bit(uint32_t reg, uint8_t vector);

/* Send an IPI, and wait until it is accepted. With a shorthand in low the destination does not count. */
void lapic_ipi(uint32_t destination, uint32_t low);

uint32_t ioapic_read(uint8_t reg);
void ioapic_write(uint8_t reg, uint32_t value);

/* Write redirection entry n (82093AA, 3.2.4). */
void ioapic_entry(unsigned n, uint64_t value);

/* Called on each AP that smp_start() starts, its traps ready, interrupts off, LAPIC as after INIT but enabled in the
 * mode of the BSP. Returning halts it. */
typedef void ap_function(unsigned index);

/* For who sends INIT and SIPI himself: a SIPI to AP_CODE starts an AP at f. *smp_started() is how many have come.
 * Once. */
void smp_prepare(ap_function *f);
const volatile uint32_t *smp_started(void);

/* Start all APs at f; how many CPUs there are, the BSP included. Once. */
unsigned smp_start(ap_function *f);

/* The LAPIC id of a CPU that was started, and the TSC at its first instruction (APs only). */
uint32_t cpu_apic_id(unsigned index);
uint64_t cpu_began(unsigned index);

#endif
