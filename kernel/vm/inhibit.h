/*
 * APIC acceleration: the CPU does some work of a guest's LAPICs without an exit. So far this is CR8. While acceleration
 * is off, a MOV to CR8 exits.
 *
 * Acceleration is on for all vCPUs of a VM, or off for all. It is off while one of these reasons counts something:
 * - ABSENT: the guest has no LAPICs.
 * - CONFIG: the config file says so (lapic-acceleration = off).
 * - MODE: the number of vCPUs whose LAPIC is globally disabled, or not at its default address.
 */
#ifndef KERNEL_VM_INHIBIT_H
#define KERNEL_VM_INHIBIT_H

#include "kernel/threads/mutex.h"

enum inhibit { INHIBIT_ABSENT, INHIBIT_CONFIG, INHIBIT_MODE, INHIBITS };

struct inhibits {
    _Atomic uint32_t mask; /* bit n: count[n] is not 0 */
    uint32_t count[INHIBITS];
};

struct vm;
struct vcpu;

/* Adds `by` to a reason's count, which must not become negative. May be called before the VM's vCPUs run. After that,
 * only on a thread that may sleep, while none of the VM's vCPUs waits for that thread. */
void inhibit_change(struct vm *vm, enum inhibit why, int by);

/* Counts v in MODE, or not any more, by the mode that v's LAPIC is in now. On v's thread, in ROOT. */
void inhibit_follow_mode(struct vcpu *v);

/* Serves REQ_APIC: v->accelerated becomes what the mask says. The back end goes by v->accelerated. On v's thread. */
void inhibit_apply(struct vcpu *v);

#endif
