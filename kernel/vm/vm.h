/* A virtual machine: its memory, vCPUs, LAPICs and device world. */
#ifndef KERNEL_VM_VM_H
#define KERNEL_VM_VM_H

#include "kernel/base/logring.h"
#include "kernel/vm/inhibit.h"
#include "kernel/vm/requests.h"
#include "kernel/worlds/world.h"
#include "lapic/lapic.h"
#include "sched/group.h"

struct vcpu;

#define VM_EXTENTS 64

struct vm {
    uint32_t id;
    struct abi_vm_config config;
    struct world *world;
    struct sched_group group;                /* its threads: vCPUs and worker */
    struct frame_extent extents[VM_EXTENTS]; /* guest memory, in guest-physical order */
    uint32_t extent_count;
    uint64_t ram_low, ram_high; /* bytes: abi/ram.h */
    uint64_t tsc_offset;        /* guest TSC = host TSC + this, until the guest changes it: vcpu.tsc_offset */
    struct vcpu *vcpus[ABI_MAX_VCPUS];
    struct lapic *lapics[ABI_MAX_VCPUS];
    struct lapic_domain domain;
    uint64_t *nested; /* top table: guest-physical to host-physical; final before the first entry */

    _Atomic uint32_t state;  /* enum abi_vm_state */
    _Atomic uint32_t ending; /* 1: its end is decided; end_* are written by who set it */
    uint32_t end_reason, end_status;
    uint64_t created_tsc, booted_tsc, ended_tsc;
    uint64_t root_bytes; /* of root's pool: what vm_create took, for only control's thread allocates */
    bool paused;
    struct inhibits inhibits;
    struct mutex broadcast;        /* whoever asks all vCPUs for what may be waited for, and the inhibits' mask */
    _Atomic uint32_t acks;         /* acknowledgements that a broadcast still waits for */
    struct thread *_Atomic waiter; /* who waits for them */
    struct log_budget log;         /* of its world; kernel/base/log.c's */
    _Atomic uint32_t extint;       /* a guest without LAPICs: level of the 8259s' INTR */
};

/* All that follows is control's, on its thread. */
/* Everything for the VM that config describes, and its worker started: the VM's id, or E_NOMEM, E_INVAL, E_BUSY; then
 * nothing is left behind. */
int vm_create(const struct abi_vm_config *config) MUST_CHECK;
/* Ends it if need be, waits for its threads, frees everything. */
void vm_destroy(struct vm *vm);
struct vm *vm_find(uint64_t id); /* NULL: there is none */
uint32_t vm_count(void);
void vm_pause(struct vm *vm); /* returns when no vCPU is in the guest any more */
void vm_resume(struct vm *vm);

/* Any thread, any CPU: the guest has ended; the first call counts. */
void vm_end(struct vm *vm, enum abi_end reason, uint32_t status);
/* Its worker: the BSP starts with these registers, its LAPIC in virtual wire mode: OK, E_BUSY, E_INVAL: a
 * bit of CR4 or EFER that the guest is not offered. What the CPU does not take of the rest ends the guest at its first
 * entry. */
int vm_boot(struct vm *vm, const struct abi_regs *shared) MUST_CHECK;

/* The holder of vm->broadcast: asks all vCPUs for r, one that may be waited for (kernel/vm/requests.h); returns when each
 * has been outside of the guest since. */
void vm_broadcast(struct vm *vm, enum request r);

/* Is any of these size bytes of host-physical memory its guest's RAM? */
bool vm_has_memory(const struct vm *vm, uint64_t start, uint64_t size) MUST_CHECK;

/* Host-physical address of guest RAM; false: no RAM there. */
bool vm_translate(const struct vm *vm, uint64_t guest, paddr_t *out) MUST_CHECK;

#endif
