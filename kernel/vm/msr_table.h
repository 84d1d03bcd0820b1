/*
 * The MSRs of a guest that only keep what is written, or always read the same: which there are, on which vendor's CPU,
 * and what may be written. Their effect, on memory types above all, is the host's affair. Pure: no hardware.
 * kernel/vm/msr_table.c
 */
#ifndef KERNEL_VM_MSR_TABLE_H
#define KERNEL_VM_MSR_TABLE_H

#include "abi/abi.h"

enum msr_vendor { MSR_INTEL = 1, MSR_AMD = 2, MSR_BOTH = MSR_INTEL | MSR_AMD };

/* A guest's vendor is the host's; physical_bits: MAXPHYADDR. */
struct msr_cpu {
    enum msr_vendor vendor;
    unsigned physical_bits;
};

enum { MSR_STORE_SIZE = 64 };
struct msr_store {
    uint64_t kept[MSR_STORE_SIZE];
};

/* Values at power-up, as firmware leaves them; ram_low and ram_high: bytes of RAM below and from 4 GiB on. */
void msr_store_reset(struct msr_store *s, const struct msr_cpu *cpu, uint64_t ram_low, uint64_t ram_high);

/* OK; E_NOENT: such a CPU has no such MSR, or it is none of these. */
int msr_store_read(const struct msr_store *s, const struct msr_cpu *cpu, uint32_t msr, uint64_t *value) MUST_CHECK;

/* The same, and E_INVAL: a reserved value, bit or address, which is #GP(0). */
int msr_store_write(struct msr_store *s, const struct msr_cpu *cpu, uint32_t msr, uint64_t value) MUST_CHECK;

/* RDPMC: OK, E_INVAL: no such counter. */
int msr_store_counter(const struct msr_store *s, const struct msr_cpu *cpu, uint32_t counter,
                      uint64_t *value) MUST_CHECK;

#endif
