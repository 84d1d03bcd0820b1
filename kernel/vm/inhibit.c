#include "kernel/vm/inhibit.h"

#include "kernel/base/panic.h"
#include "kernel/vm/vcpu.h"

/*
 * Ask, wait, write: every vCPU is asked, all have left the guest, and only then the mask changes. It looks backwards,
 * and it is what makes the assertion in enter_guest() exact: whoever was asked cannot enter before it has served the
 * request, and serving it waits for the lock that is held until the mask is written. With the mask written first, a
 * vCPU that is already past the word's compare-and-swap would enter with what the mask no longer allows.
 */
void inhibit_change(struct vm *vm, enum inhibit why, int by)
{
    struct inhibits *i = &vm->inhibits;
    mutex_lock(&vm->broadcast);
    ASSERT(by >= 0 || i->count[why] >= (uint32_t)-by);
    i->count[why] += (uint32_t)by;
    uint32_t mask = 0, before = atomic_load_explicit(&i->mask, memory_order_relaxed);
    for (unsigned n = 0; n < INHIBITS; n++)
        mask |= i->count[n] ? 1u << n : 0;
    if (!mask != !before)
        vm_broadcast(vm, REQ_APIC);
    atomic_store(&i->mask, mask);
    mutex_unlock(&vm->broadcast);
}

void inhibit_follow_mode(struct vcpu *v)
{
    bool odd = !lapic_in_place(v->lapic);
    if (odd == v->odd_mode)
        return;
    v->odd_mode = odd;
    inhibit_change(v->vm, INHIBIT_MODE, odd ? 1 : -1);
}

void inhibit_apply(struct vcpu *v)
{
    v->windows = true; /* of which acceleration is a part */
    mutex_lock(&v->vm->broadcast);
    v->accelerated = !atomic_load(&v->vm->inhibits.mask);
    mutex_unlock(&v->vm->broadcast);
}
