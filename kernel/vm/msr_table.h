/*
 * The MSRs of a guest that only keep what is written, or always read the same. A table says which MSRs these are, on
 * which vendor's CPUs they are, and what may be written. A write has no other effect: memory types, for example, are
 * those of the host. Pure logic, no hardware. kernel/vm/msr_table.c
 */
#ifndef KERNEL_VM_MSR_TABLE_H
#define KERNEL_VM_MSR_TABLE_H

#include "abi/abi.h"

enum msr_vendor { MSR_INTEL = 1, MSR_AMD = 2, MSR_BOTH = MSR_INTEL | MSR_AMD };

struct msr_cpu {
    enum msr_vendor vendor; /* a guest's vendor is the host's */
    unsigned physical_bits; /* MAXPHYADDR */
};

enum { MSR_STORE_SIZE = 64 };
struct msr_store {
    uint64_t kept[MSR_STORE_SIZE];
};

/* Sets all values as firmware leaves them after power-up. ram_low, ram_high: bytes of RAM below 4 GiB and from there
 * on. */
void msr_store_reset(struct msr_store *s, const struct msr_cpu *cpu, uint64_t ram_low, uint64_t ram_high);

/* OK; E_NOENT: such a CPU does not have this MSR, or it is not in the table. */
int msr_store_read(const struct msr_store *s, const struct msr_cpu *cpu, uint32_t msr, uint64_t *value) MUST_CHECK;

/* The same, and E_INVAL: #GP(0), since the value has a reserved bit, type or address. */
int msr_store_write(struct msr_store *s, const struct msr_cpu *cpu, uint32_t msr, uint64_t value) MUST_CHECK;

/* RDPMC: OK, E_INVAL: there is no such counter. */
int msr_store_counter(const struct msr_store *s, const struct msr_cpu *cpu, uint32_t counter,
                      uint64_t *value) MUST_CHECK;

#endif
