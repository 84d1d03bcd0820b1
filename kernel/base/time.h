/* The clock is the host's TSC. */
#ifndef KERNEL_BASE_TIME_H
#define KERNEL_BASE_TIME_H

#include "kernel/base/asm.h"

/* Once, on the BSP: finds the TSC's frequency (CPUID 15h, 16h, else measured against the ACPI PM timer or the 8254) and
 * the wall clock (CMOS RTC). pm_timer: its port, 0: none. */
void time_init(uint16_t pm_timer);
static inline uint64_t tsc_now(void) { return rdtsc(); }
uint64_t tsc_hz(void);
/* Ticks for that many microseconds, rounded up; at most 2^40 of them. */
uint64_t tsc_from_us(uint64_t us);
/* Seconds since 1970-01-01 UTC when time_init() ran, and the TSC at that moment. */
uint64_t boot_wall_seconds(void);
uint64_t boot_wall_tsc(void);

#endif
