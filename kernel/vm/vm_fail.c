#include "kernel/vm/vm_fail.h"

#include "kernel/base/log.h"
#include "kernel/base/time.h"
#include "kernel/base/trap_frame.h"
#include "kernel/vm/vm.h"

/* CPU time after which a device world is given up, if it does not answer an upcall or its worker does not park. The
 * worker has LOAD_SECONDS while it loads the guest's image. */
#define HANG_SECONDS 10
#define LOAD_SECONDS 60

void vm_world_crashed(struct thread *t, const struct trap_frame *f, uint64_t address, const char *meaning)
{
    struct vm *vm = t->world->vm;

    log_vm_line(vm->id, LOG_ERROR,
                "guest %s: its device world crashed: exception %lu (error code %lx) at %lx, address %lx%s",
                vm->config.name, f->vector, f->error_code, f->rip, address, meaning);
    vm_end(vm, ABI_END_WORLD_CRASH, 0);
}

void vm_world_watch(struct thread *t)
{
    if (!t->user_rsp0 || t->leave)
        return;

    struct vm *vm = t->world->vm;
    bool loading = !t->vcpu && atomic_load(&vm->state) == ABI_VM_LOADING;
    uint64_t seconds = loading ? LOAD_SECONDS : HANG_SECONDS;
    if (t->se.run_ticks - t->upcall_ticks < seconds * tsc_hz())
        return;

    t->leave = true;
    if (t->vcpu)
        log_vm_line(vm->id, LOG_ERROR,
                    "guest %s: its device world has not answered vCPU %u for %lu s of CPU time: the guest ends",
                    vm->config.name, t->slot - 1, seconds);
    else
        log_vm_line(vm->id, LOG_ERROR,
                    "guest %s: its device world's own thread has not slept for %lu s of CPU time: the guest ends",
                    vm->config.name, seconds);
    vm_end(vm, ABI_END_WORLD_HANG, 0);
}
