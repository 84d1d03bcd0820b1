/*
 * The guest-physical address space as a vCPU sees it through the instruction emulator: RAM, the page of its own LAPIC,
 * and the buses. Callers hold no lock. RAM and the LAPIC need none; for the buses these functions take the world's
 * lock.
 */
#ifndef USER_DEVICES_GUEST_MEMORY_H
#define USER_DEVICES_GUEST_MEMORY_H

#include "abi/abi.h"
#include "user/emul/emul.h"

/* ram_base: in this world, guest-physical address g is mapped at ram_base + g. To be called before any vCPU runs. */
void guest_memory_init(const struct abi_info *info, uint8_t *ram_base);

/* The n bytes of guest RAM at gpa. NULL: not all of them are RAM. */
void *guest_ram(uint64_t gpa, uint64_t n);

/* The emulator's callbacks. Their ctx is the slot of the calling thread: (void *)(uintptr_t)slot. */
const struct emul_ops *guest_memory_ops(void);

/* Set where the vCPU of that slot has its xAPIC page; all ones: nowhere. To be called in each upcall before the
 * operations are used. */
void guest_memory_set_lapic(unsigned slot, uint64_t base);

#endif
