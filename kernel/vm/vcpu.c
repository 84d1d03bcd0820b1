#include "kernel/vm/vcpu.h"

#include "kernel/base/panic.h"
#include "kernel/base/percpu.h"
#include "kernel/base/time.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/trap.h"
#include "kernel/threads/schedule.h"
#include "kernel/vm/control_registers.h"
#include "kernel/vm/cpuid.h"
#include "kernel/vm/fpu.h"
#include "kernel/vm/msr.h"
#include "kernel/vm/pvclock.h"
#include "kernel/vm/vm_fail.h"
#include "kernel/worlds/control.h"

struct key lapic_absent = {.name = "lapic_absent"};

static struct sched_group *timer_fired(struct timer *t)
{
    struct vcpu *v = CONTAINER_OF(t, struct vcpu, timer);

    vcpu_ask(v, REQ_TIMER, 0);
    return &v->vm->group;
}

static void free_parts(struct vcpu *v)
{
    thread_destroy(v->thread);
    page_free(v->fpu, fpu_area_order());
    page_free(v->msrs, 0);
    page_free(v->lapic, 0);
    page_free(v, 0);
}

/* The thread leaves its CPU and may go on elsewhere. So the extended state is saved, and the back end's state leaves
 * the CPU. */
static void left(struct thread *t, UNUSED bool runnable)
{
    fpu_switch_out();
    backend->release(t->vcpu);
}

static const struct thread_owner owner = {.left = left, .watch = vm_world_watch, .all_gone = control_wake};

int vcpu_create(struct vm *vm, uint32_t index)
{
    static_assert(sizeof(struct vcpu) <= PAGE_SIZE && sizeof(struct lapic) <= PAGE_SIZE, "a page each");
    struct vcpu *v = page_alloc(0);
    if (!v)
        return E_NOMEM;

    v->vm = vm;
    v->index = index;
    v->tsc_offset = vm->tsc_offset;
    v->page = vm->world->pages[ABI_SLOT_VCPU(index)];
    v->world_rsp = WORLD_STACKS_BASE + (ABI_SLOT_VCPU(index) + 1) * WORLD_STACK_STRIDE - 8;
    v->eoi_vector = -1;
    /* APIC is pending: broadcasts do not reach a vCPU that is not visible yet, so it has to look at the mask itself. */
    v->word = word_make(WHERE_PARKED, MP_UNINITIALIZED) | BIT(REQ_APIC);
    v->timer.fired = timer_fired;
    v->xcr0 = 1;

    /* Everything that can fail. */
    v->fpu = page_alloc(fpu_area_order());
    v->msrs = page_alloc(0);
    v->lapic = vm->config.lapic ? page_alloc(0) : NULL;
    v->thread = thread_create(vcpu_main, v, &vm->group, vm->config.cpus);
    int err = v->fpu && v->msrs && v->thread && (v->lapic || !vm->config.lapic) ? OK : E_NOMEM;
    err = err ? err : backend->vcpu_create(v);
    if (err) {
        free_parts(v);
        return err;
    }

    fpu_reset(v->fpu);
    msr_reset(v);
    v->thread->world = vm->world;
    v->thread->vcpu = v;
    v->thread->slot = ABI_SLOT_VCPU(index);
    v->thread->cr3 = page_to_pa(vm->world->pt).v;
    v->thread->alive = &vm->world->alive;
    v->thread->owner = &owner;

    /* From here on, others see the vCPU. */
    vm->vcpus[index] = v;
    if (v->lapic) {
        lapic_init(v->lapic, &vm->domain, index, index, index == 0);
        __atomic_store_n(&vm->lapics[index], v->lapic, __ATOMIC_RELEASE);
    } else {
        key_increment(&lapic_absent);
    }
    return OK;
}

void vcpu_destroy(struct vcpu *v)
{
    __atomic_store_n(&v->vm->lapics[v->index], NULL, __ATOMIC_RELEASE);
    if (!v->lapic)
        key_decrement(&lapic_absent);
    timer_cancel(&v->timer);
    v->vm->vcpus[v->index] = NULL;
    backend->vcpu_destroy(v);
    free_parts(v);
}

void vcpu_deliver(struct vcpu *v, struct told told)
{
    if (told.asked == ASKED_KICK && told.cpu != this_cpu()->index)
        apic_ipi(told.cpu, VECTOR_KICK);
    if (told.asked == ASKED_WAKE) {
        /* Atomic: an earlier waker may still be here. */
        __atomic_fetch_add(&v->wakes, 1, __ATOMIC_RELAXED);
        thread_wake(v->thread);
    }
}

void vcpu_ask(struct vcpu *v, enum request r, uint8_t vector)
{
    vcpu_deliver(v, word_ask(&v->word, r, vector));
}

/* Is it so that no vCPU can run again by itself? All vCPUs are looked at twice. A vCPU that is parked at the first look
 * may be woken after that, by a vCPU that still runs and is looked at later. At the second look, the woken vCPU is not
 * parked, or its entries have grown. */
static __attribute__((noinline)) bool all_halted(const struct vm *vm)
{
    uint64_t entries[2] = {0, 0};

    for (unsigned look = 0; look < 2; look++)
        for (uint32_t i = 0; i < vm->config.vcpus; i++) {
            const struct vcpu *v = vm->vcpus[i];
            uint64_t w = atomic_load(&v->word);
            enum mp_state mp = word_mp(w);

            if (word_where(w) != WHERE_PARKED ||
                (mp != MP_HALTED_MASKED && mp != MP_WAIT_FOR_SIPI && mp != MP_UNINITIALIZED) ||
                (vcpu_has_lapic(v) && lapic_lint0_wakes(v->lapic)))
                return false;
            entries[look] += __atomic_load_n(&v->entries, __ATOMIC_RELAXED);
        }
    return entries[0] == entries[1];
}

/* Sleeps until the word says that the vCPU is not parked any more. Its thread may be woken for other reasons, too. For
 * example, a device world may wake it before the guest has started. */
static void sleep(struct vcpu *v)
{
    while (word_where(atomic_load(&v->word)) == WHERE_PARKED)
        thread_park();
}

void vcpu_park(struct vcpu *v, enum mp_state mp)
{
    if (!word_park(&v->word, mp))
        return;

    v->parks++;
    /* The upcall's answer does not matter here: if the guest ends, TEARDOWN wakes this vCPU. */
    if ((mp == MP_HALTED_MASKED || mp == MP_WAIT_FOR_SIPI) && all_halted(v->vm))
        (void)!vcpu_upcall(v, ABI_UPCALL_HALTED);

    sleep(v);
}

/* Enters the guest, and handles its exit. Returns at once if a request came meanwhile. The steps are in
 * docs/architecture.md, the way of a guest exit. Interrupts are off. */
static void enter_guest(struct vcpu *v)
{
    if (!vcpu_events_stand(v))
        (void)vcpu_prepare_events(v, WHERE_ROOT);

    if (!fpu_is_loaded(v)) {
        fpu_load(v);
        schedule_entered();
    }
    if (v->msr_steal_time && v->thread->waited_ticks != v->stolen)
        pvclock_write_steal(v);

    if (!word_enter(&v->word, this_cpu()->index))
        return;

    /* No vCPU enters the guest with an acceleration that the mask does not allow: kernel/vm/inhibit.c. */
    ASSERT(v->accelerated == !atomic_load_explicit(&v->vm->inhibits.mask, memory_order_relaxed));
    /* all_halted() of other vCPUs reads this. Entries after quick exits are not counted. */
    __atomic_store_n(&v->entries, v->entries + 1, __ATOMIC_RELAXED);

    backend->run(v);

    /* The last vCPU that a broadcast waits for wakes the thread that waits. */
    if (word_leave(&v->word) && atomic_fetch_sub(&v->vm->acks, 1) == 1) {
        struct thread *waiter = atomic_load(&v->vm->waiter);
        if (waiter)
            thread_wake(waiter);
    }

    v->exits[v->exit.kind]++;
    vcpu_exit(v);
}

/* Serves requests, and sleeps while the vCPU is not RUNNABLE. True: nothing is in the way of an entry. False: TEARDOWN,
 * the thread has to end. */
static __attribute__((noinline)) bool make_ready(struct vcpu *v)
{
    while (vcpu_serve(v)) {
        enum mp_state mp = word_mp(atomic_load(&v->word));

        if ((mp == MP_HALTED || mp == MP_HALTED_MASKED) && vcpu_has_wakeup(v)) {
            word_set_mp(&v->word, MP_RUNNABLE);
            mp = MP_RUNNABLE;
        }

        if (mp == MP_RUNNABLE)
            return true;
        vcpu_park(v, mp);
    }
    return false;
}

void vcpu_main(void *arg)
{
    struct vcpu *v = arg;

    sleep(v);
    while (word_ready(&v->word) || make_ready(v)) {
        if (thread_should_yield())
            thread_preempt_point();
        else
            enter_guest(v);
    }
    timer_cancel(&v->timer);
}

/* A value of CR4 or EFER that the guest itself could not write, its device world may not set either. */
static bool boot_registers_valid(const struct abi_regs *regs)
{
    const struct control_registers reset = {0};

    return cr4_write_valid(&reset, regs->cr4, guest_cr4_bits()) &&
           efer_write_valid(&reset, regs->efer, guest_efer_bits());
}

int vm_boot(struct vm *vm, const struct abi_regs *shared)
{
    uint32_t loading = ABI_VM_LOADING;
    const struct abi_regs regs = *shared; /* a copy: the world can change *shared while it is checked */

    if (!boot_registers_valid(&regs))
        return E_INVAL;
    if (!atomic_compare_exchange_strong(&vm->state, &loading, ABI_VM_RUNNING))
        return E_BUSY;

    /* The BSP's thread has not run yet, and only TEARDOWN can wake it. So this thread may write the BSP's state. */
    struct vcpu *v = vm->vcpus[0];
    vcpu_reset(v, false);
    backend->set_regs(v, &regs);
    if (vcpu_has_lapic(v))
        lapic_virtual_wire(v->lapic);
    backend->release(v);

    vm->booted_tsc = tsc_now();
    if (word_start(&v->word))
        thread_wake(v->thread);
    control_wake();
    return OK;
}
