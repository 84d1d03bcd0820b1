/* What the system calls VM_INFO, VCPU_INFO and SYSTEM_INFO write into the buffer. */
#ifndef ABI_ANSWERS_H
#define ABI_ANSWERS_H

#include "abi/limits.h"
#include "abi/types.h"

enum abi_mp_state {
    ABI_MP_RUNNABLE,
    ABI_MP_UNINITIALIZED,
    ABI_MP_WAIT_FOR_SIPI,
    ABI_MP_HALTED,
    ABI_MP_PAUSED,
};

#define EXIT_TABLE(X)                                                                                                  \
    X(INTERRUPT, "interrupt")                                                                                          \
    X(NMI, "nmi")                                                                                                      \
    X(WINDOW, "window")                                                                                                \
    X(HLT, "hlt")                                                                                                      \
    X(CPUID, "cpuid")                                                                                                  \
    X(RDMSR, "rdmsr")                                                                                                  \
    X(WRMSR, "wrmsr")                                                                                                  \
    X(IO, "io")                                                                                                        \
    X(MMIO, "mmio")                                                                                                    \
    X(HYPERCALL, "hypercall")                                                                                          \
    X(XSETBV, "xsetbv")                                                                                                \
    X(PAUSE, "pause")                                                                                                  \
    X(SHUTDOWN, "shutdown")                                                                                            \
    X(EXCEPTION, "exception")                                                                                          \
    X(CR, "cr")                                                                                                        \
    X(CR4, "cr4")                                                                                                      \
    X(CR8, "cr8")                                                                                                      \
    X(CACHE, "cache")                                                                                                  \
    X(RDPMC, "rdpmc")                                                                                                  \
    X(TASK_SWITCH, "task switch")                                                                                      \
    X(REFUSED, "refused entry")                                                                                        \
    X(OTHER, "other")

enum abi_exit {
#define X(name, text) ABI_EXIT_##name,
    EXIT_TABLE(X)
#undef X
        ABI_EXITS
};

struct abi_vm_info {
    char name[ABI_NAME_SIZE];
    uint32_t state; /* enum abi_vm_state */
    uint32_t vcpus;
    uint32_t end_reason; /* enum abi_end */
    uint32_t end_status;
    uint64_t memory;      /* bytes of guest RAM */
    uint64_t created_tsc; /* host TSC, as the next two */
    uint64_t booted_tsc;  /* first entry of the BSP; 0: not yet */
    uint64_t ended_tsc;   /* 0: not yet */
    uint64_t exits;       /* of all vCPUs */
    uint64_t root_bytes;  /* root's memory that the VM's creation took, guest RAM not counted */
    uint32_t paused;
    uint32_t reserved;
};
enum abi_vm_state { ABI_VM_LOADING, ABI_VM_RUNNING, ABI_VM_ENDED };

struct abi_vcpu_info {
    uint64_t word;     /* the state word, raw */
    uint32_t mp_state; /* enum abi_mp_state */
    uint32_t where;    /* 0 root, 1 guest, 2 parked or waiting for an interrupt on its CPU */
    uint32_t cpu;      /* the CPU on which it runs or ran last */
    uint32_t apic_id;
    uint64_t run_ticks; /* TSC ticks on a CPU */
    uint64_t entries;
    uint64_t parks, wakes;
    uint64_t rip; /* of its last exit */
    uint64_t exits[ABI_EXITS];
};

struct abi_system_info {
    uint32_t cpus;
    uint32_t vms;
    uint64_t guest_memory_total, guest_memory_free; /* bytes */
    uint64_t root_memory_total, root_memory_free;
    uint64_t root_text_bytes;
    char backend[16]; /* "svm", "vmx" */
    char cpu_name[49];
    uint8_t reserved[7];
};

#endif
