/*
 * APIC acceleration: what the CPU does for a guest's LAPIC without an exit, and when it may not. It is on for all vCPUs
 * of a VM, or off for all: on while no reason against it counts. It is CR8 so far, which exits where it is off.
 *
 * - ABSENT: the guest has no LAPICs.
 * - CONFIG: the config file says so (lapic-acceleration = off).
 * - MODE: vCPUs whose LAPIC is globally disabled, or not at its default address.
 */
#ifndef KERNEL_VM_INHIBIT_H
#define KERNEL_VM_INHIBIT_H

#include "kernel/threads/mutex.h"

enum inhibit { INHIBIT_ABSENT, INHIBIT_CONFIG, INHIBIT_MODE, INHIBITS };

struct inhibits {
    _Atomic uint32_t mask; /* bit n: reason n counts something */
    uint32_t count[INHIBITS];
};

struct vm;
struct vcpu;

/* Adds by to a reason's count, which must not become negative. Before the VM's vCPUs run, or on a thread that may
 * sleep, with none of the VM's vCPUs waiting for that thread. */
void inhibit_change(struct vm *vm, enum inhibit why, int by);
/* MODE, by what v's LAPIC is in now; on v's thread, in ROOT. */
void inhibit_follow_mode(struct vcpu *v);
/* Serves REQ_APIC: v->accelerated, by which the back end enters the guest, becomes what the mask says. */
void inhibit_apply(struct vcpu *v);

#endif
