/*
 * The guest-physical address space as a vCPU sees it through the instruction emulator: RAM, its own LAPIC's page, and
 * the buses behind them. No lock is held on entry: RAM and LAPIC need none, the buses take the world's.
 */
#ifndef USER_DEVICES_GUEST_MEMORY_H
#define USER_DEVICES_GUEST_MEMORY_H

#include "abi/abi.h"
#include "user/emul/emul.h"

/* Where RAM is mapped in this world: guest-physical address g at ram_base + g. Before any vCPU runs. */
void guest_memory_init(const struct abi_info *info, uint8_t *ram_base);

/* The n bytes of guest RAM at gpa, or NULL if one of them is not RAM. */
void *guest_ram(uint64_t gpa, uint64_t n);

/* The emulator's callbacks. Their ctx is the slot of the calling thread, as (void *)(uintptr_t)slot. */
const struct emul_ops *guest_memory_ops(void);

/* Where the vCPU of that slot has its xAPIC page; all ones: nowhere. Before each upcall that uses the operations. */
void guest_memory_set_lapic(unsigned slot, uint64_t base);

#endif
