/*
 * What pure code of a device world asks of the outside. user/lib/env.c makes system calls of it; on the host the tests
 * supply their own (tests/unit/dev_env.h).
 */
#ifndef USER_LIB_ENV_H
#define USER_LIB_ENV_H

#include "abi/abi.h"

/* The host TSC. */
uint64_t env_now(void);

/* Sleep until env_unpark of this slot or until the host TSC reaches deadline (or NEVER); may return for no reason. */
void env_park(uint64_t deadline);
void env_unpark(unsigned slot);

/* There is something new in a console ring: wake control. */
void env_notify(void);

/* An interrupt message in MSI format: did a LAPIC take it? */
bool env_apic_msg(uint64_t address, uint32_t data);

/* The 8259s' INTR output changed. */
void env_extint(bool level);

/* The calling vCPU's xAPIC page: false if no LAPIC answers there. */
bool env_lapic_read(uint32_t offset, uint32_t *value);
bool env_lapic_write(uint32_t offset, uint32_t value);

/* Register ZMMn (0..15), 64 bytes, of the vCPU that runs on this slot, which is the caller's own: its XCR0. */
uint64_t env_vector_read(unsigned slot, unsigned n, uint8_t *value);
void env_vector_write(unsigned slot, unsigned n, const uint8_t *value);

/* The width of a guest-physical address, 32..52: guests see the CPU's own in CPUID 80000008h. */
unsigned env_physical_bits(void);

/* This guest has ended. */
void env_vm_end(enum abi_end reason, uint32_t status);

#endif
