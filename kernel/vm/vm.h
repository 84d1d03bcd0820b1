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
    _Atomic uint32_t ending; /* 1: the VM's end is decided; the thread that set this writes end_* */
    uint32_t end_reason, end_status;
    uint64_t created_tsc, booted_tsc, ended_tsc;
    /* Bytes of root's pool that vm_create() took. Only control's thread allocates, so the pool's change is the VM's. */
    uint64_t root_bytes;
    bool paused;
    struct inhibits inhibits;
    struct mutex broadcast;        /* guards `acks` and `waiter`, so one broadcast at a time; and `inhibits` */
    _Atomic uint32_t acks;         /* acknowledgements that a broadcast still waits for */
    struct thread *_Atomic waiter; /* the thread that waits for them */
    struct log_budget log;         /* of the VM's world, for kernel/base/log.c */
    _Atomic uint32_t extint;       /* in a guest without LAPICs: level of the 8259s' INTR */
};

/* ---- Only control's thread */

/* Creates the VM that config describes and starts its worker: the VM's id, or E_NOMEM, E_INVAL, E_NOTSUP (no back end),
 * E_BUSY (ABI_MAX_VMS VMs exist), and nothing is left behind. */
int vm_create(const struct abi_vm_config *config) MUST_CHECK;

/* Ends the VM if it has not ended, waits for its threads, frees everything. */
void vm_destroy(struct vm *vm);

struct vm *vm_find(uint64_t id); /* NULL: there is none */
uint32_t vm_count(void);
void vm_pause(struct vm *vm); /* returns when no vCPU is in the guest any more */
void vm_resume(struct vm *vm);

/* ---- Others */

/* Ends the guest. Any thread on any CPU may call this. The first call counts. */
void vm_end(struct vm *vm, enum abi_end reason, uint32_t status);

/* Only the VM's worker: starts the BSP with these registers, its LAPIC in virtual wire mode. OK; E_BUSY: it has been
 * started, or the VM has ended; E_INVAL: a bit of CR4 or EFER that the guest is not offered. If the CPU refuses any
 * other register, the guest ends at its first entry. */
int vm_boot(struct vm *vm, const struct abi_regs *shared) MUST_CHECK;

/* Asks all vCPUs for r, a request that may be waited for (kernel/vm/requests.h). Returns when each vCPU has been
 * outside of the guest since then. The caller holds vm->broadcast. */
void vm_broadcast(struct vm *vm, enum request r);

/* Is any of these size bytes, from host-physical address start on, RAM of this guest? */
bool vm_has_memory(const struct vm *vm, uint64_t start, uint64_t size) MUST_CHECK;

/* *out: the host-physical address of this guest-physical address. False: there is no RAM. */
bool vm_translate(const struct vm *vm, uint64_t guest, paddr_t *out) MUST_CHECK;

#endif
