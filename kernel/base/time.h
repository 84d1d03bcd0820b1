/* Root's clock, which is the host's TSC. */
#ifndef KERNEL_BASE_TIME_H
#define KERNEL_BASE_TIME_H

#include "kernel/base/asm.h"

/*
 * Finds the TSC's frequency (by CPUID 15h, else measured by the ACPI PM timer, else by the 8254) and the wall clock
 * (CMOS RTC). pm_timer: the PM timer's port; 0: there is none. Called once, on the BSP.
 */
void time_init(uint16_t pm_timer);
static inline uint64_t tsc_now(void) { return rdtsc(); }
uint64_t tsc_hz(void);
/* The ticks of so many microseconds, rounded up. us: at most 2^40. */
uint64_t tsc_from_us(uint64_t us);
/* The seconds since 1970-01-01 UTC when time_init() ran, and the TSC at that moment. */
uint64_t boot_wall_seconds(void);
uint64_t boot_wall_tsc(void);

#endif
