#include "kernel/vm/inhibit.h"

#include "kernel/base/panic.h"
#include "kernel/vm/vcpu.h"

/*
 * Ask, wait, write. First every vCPU is asked, then all of them have left the guest, and only then the mask changes.
 *
 * This order makes the assertion in enter_guest() exact. A vCPU that was asked cannot enter before it has served the
 * request. Serving it takes the lock, which is held here until the mask is written. If the mask were written first, a
 * vCPU that is past word_enter() already would enter with an acceleration that the mask does not allow any more.
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
    v->windows = true; /* acceleration may change, so the next entry has to be prepared anew */
    mutex_lock(&v->vm->broadcast);
    v->accelerated = !atomic_load(&v->vm->inhibits.mask);
    mutex_unlock(&v->vm->broadcast);
}
