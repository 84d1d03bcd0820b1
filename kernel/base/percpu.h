/* What each CPU has for itself. Code reaches it through GS. */
#ifndef KERNEL_BASE_PERCPU_H
#define KERNEL_BASE_PERCPU_H

#include "abi/abi.h"

struct thread;
struct vcpu;
struct schedule;

/* Task-state segment (SDM Vol. 3, 8.7). */
struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map_base;
} __attribute__((packed));
static_assert(sizeof(struct tss) == 104, "TSS layout");

/* Segment selectors. SYSCALL and SYSRET require this order (SDM Vol. 3, 6.8.8). */
enum { SEL_KERNEL_CS = 0x08, SEL_KERNEL_DS = 0x10, SEL_USER_DS = 0x1b, SEL_USER_CS = 0x23, SEL_TSS = 0x28 };

/*
 * An index of tss.ist that no gate uses. A #MC in root is handled on this stack, and not on the stack where the CPU has
 * pushed its frame, as the next #MC would overwrite that frame (kernel/cpu/trap.asm).
 */
enum { PERCPU_IST_HANDLED = 3 };

struct percpu {
    struct percpu *self; /* GS:0 */
    uint64_t kernel_rsp; /* GS:8, the RSP with which a system call begins */
    uint64_t user_rsp;   /* GS:16, the RSP of a system call's caller, until it is pushed */
    uint32_t index;      /* GS:24 */
    uint32_t apic_id;
    struct thread *current;
    struct vcpu *fpu_owner; /* the vCPU whose extended state is in the registers */
    struct schedule *schedule;
    uint64_t kstack_epoch; /* of this CPU's last TLB flush: kernel/memory/kstack.c */
    void *backend;         /* the back end's own data */
    struct tss tss;
    uint64_t gdt[8];
    bool resched;   /* another thread has a better claim to this CPU than the current thread */
    bool unwatched; /* no tick is set for the current thread, as set_slice() last ran while the thread waited */
};

/*
 * Each access to a member is one instruction. The address of percpu_in_gs is an offset in GS, 0 by linker.ld. Code that
 * needs an address that is valid without GS takes `self`.
 */
extern __seg_gs struct percpu percpu_in_gs;
static inline __seg_gs struct percpu *this_cpu(void) { return &percpu_in_gs; }

static inline struct thread *current_thread(void) { return this_cpu()->current; }

/* How many CPUs run. While CPUs are being started, the last one counts, but may not run yet. */
uint32_t cpu_count(void);
/* The CPUs' areas by index. The BSP's index is 0. */
extern struct percpu *percpu_areas[ABI_MAX_CPUS];
static inline struct percpu *percpu_of(uint32_t index) { return percpu_areas[index]; }

/*
 * Makes the area of one more CPU. page: zeroed, for the area. stacks: 2^PERCPU_STACKS_ORDER contiguous pages, of which
 * one each is the stack for #DF, NMI and #MC, and the others are the stack where #MC is handled. NULL: there are too
 * many CPUs already, and the caller keeps the pages.
 */
#define PERCPU_STACKS_ORDER 3
struct percpu *percpu_add(void *page, uint8_t *stacks, uint32_t apic_id) MUST_CHECK;
/* The CPU that was added last does not come up: cpu_count() does not count it any more. */
void percpu_withdraw(void);
/* Loads GS, GDT and TSS of the CPU that calls, from its area, which no other CPU may use. */
void percpu_load(struct percpu *p);

#endif
