/* Control, and the device worlds' own threads. */
#include "kernel/base/asm.h"
#include "kernel/base/time.h"
#include "tests/core/core.h"

_Atomic bool control_done;
_Atomic uint64_t control_turns;
struct thread *control_thread;

/* ---- A device world's worker: boots the guest, and then is its devices */

void device_world(struct vm *vm)
{
    static const uint32_t modes[] = {0x000, 0x000, 0x100, 0x400, 0x400, 0x000, 0x700, 0x8000};
    struct abi_regs regs = {.rflags = 2};
    if (one_in(8)) /* slow: it is paused, or stopped, before it has booted */
        (void)thread_park_until(tsc_now() + core_random() % 4000);
    if (one_in(4)) { /* a taken-over one tries what its guest may not */
        struct abi_regs bad = regs;

        *(one_in(2) ? &bad.cr4 : &bad.efer) = CORE_HIDDEN;
        if (vm_boot(vm, &bad) != E_INVAL)
            core_fail("a device world gives its guest bits of CR4 or EFER that are not offered");
    }
    (void)!vm_boot(vm, &regs);
    bool aps = !one_in(4);
    while (!atomic_load(&vm->ending)) {
        uint64_t random = core_random();
        /* As the BSP starts its APs. Else most of them would wait most of the time. */
        for (uint32_t i = 1; aps && vm->config.lapic && i < vm->config.vcpus; i++) {
            vcpu_ask(vm->vcpus[i], REQ_INIT, 0);
            vcpu_ask(vm->vcpus[i], REQ_SIPI, 8);
        }
        aps = one_in(16);
        if (!vm->config.lapic) {
            if (!atomic_exchange(&vm->extint, 1))
                vcpu_ask(vm->vcpus[0], REQ_EVENT, 0);
        } else if (random % 4 == 0) {
            lapic_extint(&vm->domain, random & 16);
        } else {
            uint64_t to = random >> 8 & 1 ? 0xff : core_random() % vm->config.vcpus;
            uint32_t data = (one_in(32) ? 0x500 : modes[random >> 16 & 7]) | (0x70 + (uint32_t)(random >> 20 & 3));
            (void)!lapic_message(&vm->domain, 0xfee00000 | to << 12, data);
        }
        if (one_in(400))
            vm_end(vm, ABI_END_POWEROFF, 0);
        thread_preempt_point();
        if (one_in(3))
            (void)thread_park_until(one_in(20) ? core_random() % 2 : tsc_now() + 1 + core_random() % 6000);
    }
}

int64_t user_enter(uint64_t rip, uint64_t rsp, uint64_t slot)
{
    struct thread *t = current_thread();
    (void)rip, (void)rsp;
    if (slot == ABI_SLOT_WORKER)
        device_world(t->world->vm);
    else
        guest_upcall(t->vcpu);
    return atomic_load(&t->world->vm->ending) ? E_INTR : OK;
}

void user_leave(int64_t result)
{
    core_fail("user_leave(%ld) outside of ring 3", (long)result);
}

void user_zero(uint64_t address, uint64_t size)
{
    (void)address, (void)size;
}

/* ---- Control */

static struct vm *make_vm(void)
{
    struct abi_vm_config c = {.memory = ABI_MIN_MEMORY, .weight = 100, .image = -1, .initrd = -1};
    c.cpu_limit = one_in(4) ? 20 + (uint32_t)(core_random() % 200) : ABI_NO_CPU_LIMIT;
    c.vcpus = 1 + (uint32_t)(core_random() % CORE_VCPUS);
    c.lapic = c.vcpus > 1 || !one_in(4);
    c.acceleration = !one_in(4);
    if (one_in(4))
        c.cpus[0] = 1 + core_random() % (BIT(plan.cpus) - 1);
    int id = vm_create(&c);
    if (id < 0)
        core_fail("vm_create says %d", id);
    return vm_find((uint64_t)id);
}

static void change(struct vm **slot)
{
    struct vm *vm = *slot;
    if (!vm) {
        *slot = make_vm();
        return;
    }
    switch (core_random() % 16) {
    case 0:
    case 1:
        vm_destroy(vm);
        *slot = NULL;
        break;
    case 2:
        vm_end(vm, ABI_END_STOPPED, 0);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
        vm_pause(vm);
        ghost_paused(vm, true);
        break;
    case 8:
    case 9:
        vcpu_ask(vm->vcpus[core_random() % vm->config.vcpus], REQ_CLOCK, 0);
        break;
    case 10: /* as a console key does */
        thread_wake(vm->world->worker);
        break;
    default:
        ghost_paused(vm, false);
        vm_resume(vm);
    }
}

void control_main(void *arg)
{
    struct vm *vms[CORE_VMS] = {NULL};
    (void)arg;
    while (core_steps() < plan.steps) {
        change(&vms[core_random() % CORE_VMS]);
        control_turns++;
        thread_preempt_point();
        if (one_in(2))
            (void)thread_park_until(one_in(20) ? core_random() % 2 : tsc_now() + 1 + core_random() % 10000);
    }
    for (unsigned i = 0; i < CORE_VMS; i++)
        if (vms[i])
            vm_destroy(vms[i]);
    if (vm_count())
        core_fail("%u VMs are left", vm_count());
    control_done = true;
}
