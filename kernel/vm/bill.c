#include "kernel/vm/bill.h"

#include <stdatomic.h>

#include "kernel/threads/schedule.h"
#include "kernel/vm/vm.h"

static _Atomic uint64_t causers; /* bit n: VM n makes work for control */
static_assert(ABI_MAX_VMS <= 64, "a bit for each");

void bill_cause(uint32_t vm)
{
    if (!(atomic_load_explicit(&causers, memory_order_relaxed) >> vm & 1))
        atomic_fetch_or(&causers, BIT(vm));
}

/* No causers: nobody pays. If all causers are VMs that are being created, or that are gone, nobody can pay now, and the
 * time stays to be paid. */
void bill_control(struct thread *t, bool runnable)
{
    uint64_t mask = runnable ? atomic_load(&causers) : atomic_exchange(&causers, 0), n = 0;

    for (uint64_t m = mask; m; m &= m - 1)
        n += vm_find((uint64_t)__builtin_ctzll(m)) != NULL;
    if (mask && !n)
        return;

    uint64_t ticks = t->se.run_ticks - t->billed_ticks + 2 * schedule_price();
    t->billed_ticks = t->se.run_ticks;

    for (uint64_t m = mask; m; m &= m - 1) {
        struct vm *vm = vm_find((uint64_t)__builtin_ctzll(m));

        if (vm)
            atomic_fetch_add_explicit(&vm->group.bill, ticks / n, memory_order_relaxed);
    }
}
