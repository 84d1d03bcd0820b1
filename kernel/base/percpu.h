/* What each CPU has for itself, reached through GS. */
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

/* Selectors; SYSCALL and SYSRET want this order (SDM Vol. 3, 6.8.8). */
enum { SEL_KERNEL_CS = 0x08, SEL_KERNEL_DS = 0x10, SEL_USER_DS = 0x1b, SEL_USER_CS = 0x23, SEL_TSS = 0x28 };

/* Of tss.ist: no gate has it. #MC in root is handled there, and not where the CPU has pushed its frame, which the next
 * #MC would overwrite (kernel/cpu/trap.asm). */
enum { PERCPU_IST_HANDLED = 3 };

struct percpu {
    struct percpu *self; /* GS:0 */
    uint64_t kernel_rsp; /* GS:8, stack of a system call */
    uint64_t user_rsp;   /* GS:16, the caller's, for an instant */
    uint32_t index;      /* GS:24 */
    uint32_t apic_id;
    struct thread *current;
    struct vcpu *fpu_owner; /* whose extended state the registers hold */
    struct schedule *schedule;
    uint64_t kstack_epoch;
    void *backend; /* the back end's own */
    struct tss tss;
    uint64_t gdt[8];
    bool resched;   /* somebody has a better claim to this CPU than the current thread */
    bool unwatched; /* no tick is set for the current thread: the last one came while it waited */
};

/* Each access is one instruction. The address is an offset in GS, 0 by linker.ld: who needs one that is good without
 * GS takes `self`. */
extern __seg_gs struct percpu percpu_in_gs;
static inline __seg_gs struct percpu *this_cpu(void) { return &percpu_in_gs; }

static inline struct thread *current_thread(void) { return this_cpu()->current; }

/* CPUs that run; while CPUs are started, the last one does not yet. Their areas by index, the BSP's is 0. */
uint32_t cpu_count(void);
extern struct percpu *percpu_areas[ABI_MAX_CPUS];
static inline struct percpu *percpu_of(uint32_t index) { return percpu_areas[index]; }

/* A page for the area of one more CPU, zeroed, and 2 to the power of PERCPU_STACKS_ORDER pages behind each other: a page
 * each for the stacks of its #DF, NMI and #MC, the others for where #MC is handled. NULL: there are too many CPUs
 * already; the caller keeps the pages. */
#define PERCPU_STACKS_ORDER 3
struct percpu *percpu_add(void *page, uint8_t *stacks, uint32_t apic_id) MUST_CHECK;
/* The one added last does not come up: it does not count. */
void percpu_withdraw(void);
/* GS, GDT, TSS of the CPU that calls; its area must not be in use by another. */
void percpu_load(struct percpu *p);

#endif
