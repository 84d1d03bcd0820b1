#include "kernel/vm/msr.h"

#include "kernel/base/asm.h"
#include "kernel/base/time.h"
#include "kernel/vm/control_registers.h"
#include "kernel/vm/cpuid.h"
#include "kernel/vm/msr_table.h"
#include "kernel/vm/pvclock.h"
#include "kernel/vm/vcpu.h"

enum {
    IA32_TSC = 0x10,
    IA32_APIC_BASE = 0x1b,
    IA32_TSC_ADJUST = 0x3b,
    IA32_TSC_DEADLINE = 0x6e0,
    X2APIC_FIRST = 0x800,
    X2APIC_LAST = 0x8ff,
    EFER = 0xc0000080,
};

static struct msr_cpu cpu;

void msr_setup(void)
{
    enum { SVM = 1 << 2 }; /* a bit of CPUID 80000001 ECX that Intel reserves */

    cpu.vendor = cpuid(0x80000001, 0).ecx & SVM ? MSR_AMD : MSR_INTEL;
    cpu.physical_bits = cpuid(0x80000008, 0).eax & 0xff;
}

void msr_init(struct vcpu *v)
{
    v->msr_system_time = v->msr_wall_clock = v->msr_steal_time = 0;
}

void msr_reset(struct vcpu *v)
{
    msr_store_reset(v->msrs, &cpu, v->vm->ram_low, v->vm->ram_high);
    msr_init(v);
}

static bool is_lapic(uint32_t msr)
{
    return msr == IA32_APIC_BASE || msr == IA32_TSC_DEADLINE || (msr >= X2APIC_FIRST && msr <= X2APIC_LAST);
}

static __attribute__((noinline)) int write_efer(struct vcpu *v, uint64_t value)
{
    uint64_t old = backend->get_efer(v);
    const struct control_registers before = {.cr0 = backend->get_cr0(v), .efer = old};

    if (!efer_write_valid(&before, value, guest_efer_bits()))
        return E_INVAL;
    backend->set_efer(v, (value & ~(uint64_t)EFER_LMA) | (old & EFER_LMA));
    return OK;
}

/* Moves the vCPU's TSC by this many ticks, for good. TSC_ADJUST moves by as many (SDM Vol. 3, 18.17.3). Each vCPU's
 * page of the clock says whether all vCPUs have the same TSC, so all pages have to be written again. */
static __attribute__((noinline)) void move_tsc(struct vcpu *v, uint64_t ticks)
{
    uint64_t host = tsc_now();

    if (vcpu_has_lapic(v))
        lapic_timer_expire(v->lapic, host + v->tsc_offset);

    __atomic_store_n(&v->tsc_offset, v->tsc_offset + ticks, __ATOMIC_RELAXED);
    v->tsc_adjust += ticks;
    backend->set_tsc_offset(v);
    if (vcpu_has_lapic(v))
        lapic_tsc_moved(v->lapic, ticks, host + v->tsc_offset);

    for (uint32_t i = 0; i < v->vm->config.vcpus; i++)
        vcpu_ask(v->vm->vcpus[i], REQ_CLOCK, 0);
}

int msr_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
    if (is_lapic(msr))
        return vcpu_has_lapic(v) ? lapic_msr_read(v->lapic, msr, tsc_now() + v->tsc_offset, value) : E_INVAL;

    switch (msr) {
    case IA32_TSC:
        *value = tsc_now() + v->tsc_offset;
        return OK;
    case EFER:
        *value = backend->get_efer(v);
        return OK;
    case IA32_TSC_ADJUST:
        *value = v->tsc_adjust;
        return guest_has_tsc_adjust() ? OK : E_INVAL;
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_OLD:
        *value = v->msr_system_time;
        return OK;
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_WALL_CLOCK_OLD:
        *value = v->msr_wall_clock;
        return OK;
    case MSR_KVM_STEAL_TIME:
        *value = v->msr_steal_time;
        return OK;
    default:
        return msr_store_read(v->msrs, &cpu, msr, value) == OK ? OK : backend->get_msr(v, msr, value);
    }
}

int msr_read_counter(const struct vcpu *v, uint32_t counter, uint64_t *value)
{
    return msr_store_counter(v->msrs, &cpu, counter, value);
}

/* Is each byte of the PAT one of the defined memory types (APM Vol. 2, 7.8.1)? */
static bool pat_valid(uint64_t v)
{
    for (unsigned i = 0; i < 8; i++, v >>= 8)
        if ((v & 0xff) > 7 || (v & 0xff) == 2 || (v & 0xff) == 3)
            return false;
    return true;
}

static bool canonical(uint64_t v)
{
    return (uint64_t)((int64_t)(v << 16) >> 16) == v;
}

static bool is_address(uint32_t msr)
{
    return msr == MSR_LSTAR || msr == MSR_CSTAR || msr == MSR_FS_BASE || msr == MSR_GS_BASE ||
           msr == MSR_KERNEL_GS_BASE || msr == MSR_SYSENTER_ESP || msr == MSR_SYSENTER_EIP;
}

int msr_keep(struct vcpu *v, uint32_t msr, uint64_t value)
{
    return msr_store_write(v->msrs, &cpu, msr, value);
}

int msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
    if (is_lapic(msr))
        return vcpu_has_lapic(v) ? lapic_msr_write(v->lapic, msr, value, tsc_now() + v->tsc_offset) : E_INVAL;

    switch (msr) {
    case EFER:
        return write_efer(v, value);
    case IA32_TSC:
        move_tsc(v, value - (tsc_now() + v->tsc_offset));
        return OK;
    case IA32_TSC_ADJUST:
        if (!guest_has_tsc_adjust())
            return E_INVAL;
        move_tsc(v, value - v->tsc_adjust);
        return OK;
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_OLD:
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_WALL_CLOCK_OLD:
    case MSR_KVM_STEAL_TIME:
        return pvclock_msr_write(v, msr, value);
    default:
        break;
    }

    int err = msr_keep(v, msr, value);
    if (err != E_NOENT)
        return err;

    if ((msr == MSR_PAT && !pat_valid(value)) || (is_address(msr) && !canonical(value)))
        return E_INVAL;
    return backend->set_msr(v, msr, value);
}
