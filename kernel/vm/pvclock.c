#include "kernel/vm/pvclock.h"

#include "kernel/base/time.h"
#include "kernel/memory/paging.h"
#include "kernel/vm/vcpu.h"
#include "lib/clock_scale.h"
#include "lib/string.h"

/* struct pvclock_vcpu_time_info, pvclock_wall_clock and kvm_steal_time of Linux' interface. */
struct time_info {
    uint32_t version, pad0;
    uint64_t tsc_timestamp, system_time;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags, pad[2];
};
static_assert(sizeof(struct time_info) == 32, "layout");
struct wall_clock {
    uint32_t version, seconds, nanoseconds;
};
struct steal_time {
    uint64_t steal;
    uint32_t version, flags;
    uint8_t preempted, pad[47];
};
static_assert(sizeof(struct steal_time) == 64, "layout");

enum { ENABLED = 1, FLAG_TSC_STABLE = 1, FLAG_GUEST_STOPPED = 2 };

/* Maps size bytes at the guest-physical address, until window_unmap(). NULL: they cross a page, or there is no RAM. */
static void *guest_window(const struct vcpu *v, uint64_t address, uint64_t size)
{
    paddr_t page;

    if (address % PAGE_SIZE + size > PAGE_SIZE || !vm_translate(v->vm, ALIGN_DOWN(address, PAGE_SIZE), &page))
        return NULL;
    return (uint8_t *)window_map(page, true) + address % PAGE_SIZE;
}

static uint64_t to_ns(uint64_t ticks)
{
    return mul_div(ticks, NS_PER_SECOND, tsc_hz());
}

/* Have all vCPUs the same TSC? A vCPU that changes its own asks all vCPUs after that to write their pages again. */
static bool tsc_is_stable(const struct vm *vm)
{
    uint64_t first = __atomic_load_n(&vm->vcpus[0]->tsc_offset, __ATOMIC_RELAXED);

    for (uint32_t i = 1; i < vm->config.vcpus; i++)
        if (__atomic_load_n(&vm->vcpus[i]->tsc_offset, __ATOMIC_RELAXED) != first)
            return false;
    return true;
}

/*
 * A VM's clock was 0 at the VM's creation, and its scale is that of the host's TSC. Each vCPU's page says the same, in
 * the vCPU's own TSC, and so does a page that is written again. So the clocks of two vCPUs never differ, however long
 * they run, and no clock jumps.
 *
 * keep_flags: GUEST_STOPPED stays set until the guest clears it.
 */
static void write_page(struct vcpu *v, bool keep_flags, uint8_t flags)
{
    struct clock_scale scale = clock_scale_of(tsc_hz());
    struct time_info *t = guest_window(v, v->msr_system_time & ~1ull, sizeof *t);
    if (!t)
        return;

    v->clock_version += 2;
    volatile uint32_t *version = &t->version;
    *version = v->clock_version - 1; /* odd: being written */
    __asm__ volatile("" ::: "memory");

    t->tsc_timestamp = v->vm->created_tsc + v->tsc_offset;
    t->system_time = 0;
    t->tsc_to_system_mul = scale.mul;
    t->tsc_shift = scale.shift;
    t->flags = (uint8_t)((tsc_is_stable(v->vm) ? FLAG_TSC_STABLE : 0) | flags |
                         (keep_flags ? t->flags & FLAG_GUEST_STOPPED : 0));

    __asm__ volatile("" ::: "memory");
    *version = v->clock_version;
    window_unmap();
}

/* The guest clears GUEST_STOPPED when it has seen that flag. */
void pvclock_write(struct vcpu *v)
{
    uint8_t flags = atomic_exchange(&v->was_paused, false) ? FLAG_GUEST_STOPPED : 0;

    if (v->msr_system_time & ENABLED)
        write_page(v, true, flags);
}

static void write_wall_clock(struct vcpu *v)
{
    struct wall_clock *w = guest_window(v, v->msr_wall_clock, sizeof *w);
    if (!w)
        return;

    /* From boot_wall_seconds() to the moment at which the guest's clock was 0. */
    uint64_t ns = to_ns(0 - v->vm->tsc_offset - boot_wall_tsc());

    volatile uint32_t *version = &w->version;
    uint32_t even = (w->version | 1) + 1;
    *version = even - 1;
    __asm__ volatile("" ::: "memory");

    w->seconds = (uint32_t)(boot_wall_seconds() + ns / 1000000000);
    w->nanoseconds = (uint32_t)(ns % 1000000000);

    __asm__ volatile("" ::: "memory");
    *version = even;
    window_unmap();
}

int pvclock_msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_WALL_CLOCK_OLD:
        v->msr_wall_clock = value;
        write_wall_clock(v);
        return OK;
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_OLD:
        v->msr_system_time = value;
        if (value & ENABLED)
            write_page(v, false, 0);
        return OK;
    default:
        if (value & 0x3e) /* reserved bits: the structure is aligned to 64 bytes */
            return E_INVAL;
        v->msr_steal_time = value;
        v->stolen = UINT64_MAX;
        return OK;
    }
}

void pvclock_write_steal(struct vcpu *v)
{
    uint64_t stolen = v->thread->waited_ticks;

    v->stolen = stolen;
    if (!(v->msr_steal_time & ENABLED))
        return;

    struct steal_time *s = guest_window(v, v->msr_steal_time & ~0x3full, sizeof *s);
    if (!s)
        return;

    volatile uint32_t *version = &s->version;
    *version |= 1;
    __asm__ volatile("" ::: "memory");
    s->steal = to_ns(stolen);
    __asm__ volatile("" ::: "memory");
    *version += 1;
    window_unmap();
}
