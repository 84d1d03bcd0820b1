#include "kernel/syscalls/syscall.h"

#include "kernel/base/asm.h"
#include "kernel/base/log.h"
#include "kernel/base/percpu.h"
#include "kernel/base/time.h"
#include "kernel/cpu/trap.h"
#include "kernel/threads/schedule.h"
#include "kernel/vm/bill.h"
#include "kernel/vm/vcpu.h"
#include "kernel/vm/vector.h"
#include "kernel/worlds/control.h"

extern const char syscall_entry[];
int64_t syscall_dispatch(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t number);

static const char who_may[SYS_COUNT] = {
#define X(name, n, who) [n] = (who),
    SYSCALL_TABLE(X)
#undef X
};

void syscall_init_cpu(void)
{
    enum { STAR = 0xc0000081, LSTAR, CSTAR, SFMASK, EFER = 0xc0000080, TSC_AUX = 0xc0000103, HAS_RDTSCP = 1 << 27 };

    /* SYSCALL clears IF, DF, TF, AC, NT and all other flags that a caller could have set. */
    wrmsr(SFMASK, 0x257fd5);
    wrmsr(LSTAR, (uint64_t)syscall_entry);
    wrmsr(STAR, (uint64_t)SEL_KERNEL_CS << 32 | (uint64_t)(SEL_USER_DS - 8) << 48);
    wrmsr(EFER, rdmsr(EFER) | 1);

    /* Ring 3 can read TSC_AUX, and on SVM guests can, too: they must not see the firmware's value. */
    if (cpuid(0x80000001, 0).edx & HAS_RDTSCP)
        wrmsr(TSC_AUX, 0);
}

static bool may(const struct thread *t, char who)
{
    switch (who) {
    case 'a':
        return true;
    case 'c':
        return !t->world->vm;
    case 'd':
        return t->world->vm;
    default:
        return t->vcpu;
    }
}

static int64_t sys_park(struct thread *t, uint64_t deadline)
{
    if (!t->vcpu)
        t->upcall_ticks = t->se.run_ticks;

    if (atomic_exchange(&t->interrupted, false))
        return E_INTR;

    int err = thread_park_until(deadline);
    return atomic_exchange(&t->interrupted, false) ? E_INTR : err;
}

static int64_t sys_unpark(struct world *w, uint64_t slot)
{
    if (slot >= w->slots)
        return E_RANGE;

    struct thread *t = slot == ABI_SLOT_WORKER ? w->worker : w->vm->vcpus[slot - 1]->thread;
    thread_wake(t);
    return OK;
}

static int64_t sys_log(const struct thread *t, const struct abi_page *page, uint64_t length)
{
    if (length > ABI_BUFFER_SIZE)
        return E_RANGE;

    const char *text = (const char *)page->buffer;
    enum log_level level = LOG_INFO;

    if (length >= 3 && text[0] == '<' && text[1] >= '0' && text[1] <= '3' && text[2] == '>') {
        level = (enum log_level)(text[1] - '0');
        text += 3;
        length -= 3;
    }

    struct vm *vm = t->world->vm;
    if (!vm)
        log_line(level, "control: %.*s", (int)length, text);
    else if (log_world_line(vm->id, vm->config.name, &vm->log, level, text, (uint32_t)length)) {
        bill_cause(vm->id);
        control_wake();
    }
    return OK;
}

static int64_t sys_lapic(struct vcpu *v, uint64_t offset, bool write, uint64_t value)
{
    if (!vcpu_has_lapic(v) || offset >= PAGE_SIZE)
        return E_INVAL;

    uint64_t now = tsc_now() + v->tsc_offset;
    if (write)
        return lapic_mmio_write(v->lapic, (uint32_t)offset, (uint32_t)value, now);

    uint32_t result;
    int err = lapic_mmio_read(v->lapic, (uint32_t)offset, now, &result);
    return err ? err : (int64_t)result;
}

static int64_t sys_extint(struct vm *vm, uint64_t level)
{
    if (vm->config.lapic) {
        lapic_extint(&vm->domain, level);
    } else if (atomic_exchange(&vm->extint, level != 0) != (level != 0) && level) {
        vcpu_ask(vm->vcpus[0], REQ_EVENT, 0);
    }
    return OK;
}

/*
 * A world may give only its own reasons for the end. Root alone says that a world hangs, and the operator alone that a
 * guest was stopped.
 */
static int64_t sys_vm_end(struct vm *vm, uint64_t reason, uint32_t status)
{
    static const char who[] = {
#define X(name, n, text, who) [ABI_END_##name] = (who),
        END_TABLE(X)
#undef X
    };

    if (reason >= ARRAY_SIZE(who) || who[reason] != 'd')
        return E_RANGE;
    vm_end(vm, (enum abi_end)reason, status);
    return OK;
}

static int64_t device(struct thread *t, struct abi_page *page, uint64_t a, uint64_t b, uint64_t number)
{
    struct vm *vm = t->world->vm;

    switch (number) {
    case SYS_NOTIFY:
        bill_cause(vm->id);
        control_wake();
        return OK;
    case SYS_APIC_MSG:
        return vm->config.lapic ? lapic_message(&vm->domain, a, (uint32_t)b) : 0;
    case SYS_EXTINT:
        return sys_extint(vm, a);
    case SYS_LAPIC_READ:
        return sys_lapic(t->vcpu, a, false, 0);
    case SYS_LAPIC_WRITE:
        return sys_lapic(t->vcpu, a, true, b);
    case SYS_VECTOR_READ:
        return vector_read(t->vcpu, a, page->buffer);
    case SYS_VECTOR_WRITE:
        return vector_write(t->vcpu, a, page->buffer);
    case SYS_BOOT:
        if (t->slot != ABI_SLOT_WORKER)
            return E_PERM;
        t->upcall_ticks = t->se.run_ticks; /* the worker has used its CPU time until now for loading */
        return vm_boot(vm, (const struct abi_regs *)page->buffer);
    case SYS_VM_END:
        return sys_vm_end(vm, a, (uint32_t)b);
    default:
        return E_NOSYS;
    }
}

int64_t syscall_dispatch(uint64_t a, uint64_t b, uint64_t c, UNUSED uint64_t d, uint64_t number)
{
    static_assert((int)SYS_REPLY == (int)OK, "syscall_entry knows");

    struct thread *t = current_thread();
    struct abi_page *page = t->world->pages[t->slot];
    int64_t result;

    if (number >= SYS_COUNT)
        result = E_NOSYS;
    else if (!may(t, who_may[number]))
        result = E_PERM;
    else if (number == SYS_PARK)
        result = sys_park(t, a);
    else if (number == SYS_UNPARK)
        result = sys_unpark(t->world, a);
    else if (number == SYS_LOG)
        result = sys_log(t, page, a);
    else if (t->world->vm)
        result = device(t, page, a, b, number);
    else
        result = syscall_control(page, a, b, c, number);

    user_return();
    return result;
}
