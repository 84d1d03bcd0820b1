/* A world's information page: what a guest is, and what its machine is made of. */
#ifndef ABI_INFO_H
#define ABI_INFO_H

#include "abi/features.h"
#include "abi/limits.h"
#include "abi/ram.h"
#include "abi/types.h"

/* Root answers 32-bit reads of the guest's ACPI PM timer. The value is the host's TSC * ABI_PM_TIMER_HZ / tsc_hz,
 * rounded down. */
#define ABI_PM_TIMER_PORT 0x608
#define ABI_PM_TIMER_HZ   3579545ull

#define ABI_INFO_PAGES 8

struct abi_module {
    uint64_t address; /* in this world; 0: not mapped here */
    uint64_t size;    /* bytes; the rest of the last page reads as zero */
    char name[ABI_MODULE_NAME_SIZE];
};

/* What a guest is, from its section of the config file. Root uses the fields it needs and copies the rest on. */
struct abi_vm_config {
    char name[ABI_NAME_SIZE];
    uint64_t memory;    /* ABI_MIN_MEMORY..ABI_MAX_MEMORY, a multiple of 4 KiB */
    uint32_t vcpus;     /* 1..ABI_MAX_VCPUS; fixed for the VM's life */
    uint32_t weight;    /* of the whole guest: share of the CPU, 1..ABI_MAX_WEIGHT; 100 is usual */
    uint32_t cpu_limit; /* of the whole guest: percent of one CPU, 1..ABI_MAX_CPU_LIMIT, or ABI_NO_CPU_LIMIT */
    uint32_t reserved;
    uint64_t cpus[ABI_MAX_CPUS / 64]; /* CPUs on which its threads may run; all zero: any */
    uint8_t lapic;                    /* 0: no LAPICs */
    uint8_t exit_device;              /* port 0xf4 ends the guest */
    uint8_t restart;                  /* on-exit = restart; only control uses it */
    uint8_t acceleration;             /* 0: the CPU does nothing for the LAPICs by itself */
    int32_t image;                    /* index into the boot modules */
    int32_t initrd;                   /* -1: none */
    uint32_t module_count;            /* multiboot1 modules */
    int32_t modules[16];
    uint16_t module_args[16]; /* offset in args of each module's command line, from the config; ends with a NUL */
    char args[ABI_CMDLINE_SIZE];
    char cmdline[ABI_CMDLINE_SIZE];
};

struct abi_info {
    uint64_t tsc_hz;                      /* of the host's TSC; all times in this interface are host TSC ticks */
    uint64_t boot_tsc;                    /* TSC at the moment of boot_wall_s */
    uint64_t boot_wall_s;                 /* seconds since 1970-01-01 UTC, from the RTC */
    uint64_t guest_tsc_offset;            /* guest TSC = host TSC + this (mod 2^64) */
    uint64_t ram_low, ram_high;           /* bytes: abi/ram.h */
    uint32_t features[ABI_FEATURE_WORDS]; /* device worlds only */
    uint32_t vm_id;
    uint32_t cpu_count; /* physical CPUs */
    uint64_t rsdp;      /* control only: physical address of the host's RSDP, 0: none */
    uint64_t log_from;  /* control only: number (LOG_READ) of the first log line that root has not printed itself */
    uint32_t module_count;
    uint32_t reserved;
    struct abi_vm_config config; /* device worlds only */
    struct abi_module modules[ABI_MAX_MODULES];
};
static_assert(sizeof(struct abi_info) <= ABI_INFO_PAGES * PAGE_SIZE, "abi_info fits its pages");

#endif
