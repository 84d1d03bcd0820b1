#include "kernel/msr.h"

#include "kernel/asm.h"
#include "kernel/cpuid.h"
#include "kernel/pvclock.h"
#include "kernel/time.h"
#include "kernel/vcpu.h"
#include "lib/string.h"

enum {
    IA32_TSC = 0x10,
    IA32_APIC_BASE = 0x1b,
    IA32_TSC_ADJUST = 0x3b,
    IA32_BIOS_SIGN_ID = 0x8b,
    IA32_MTRRCAP = 0xfe,
    IA32_MCG_CAP = 0x179,
    IA32_MCG_STATUS = 0x17a,
    IA32_MISC_ENABLE = 0x1a0,
    MTRR_PHYSBASE0 = 0x200,
    MTRR_PHYSMASK7 = 0x20f,
    MTRR_FIX64K = 0x250,
    MTRR_FIX16K_0 = 0x258,
    MTRR_FIX16K_1 = 0x259,
    MTRR_FIX4K_0 = 0x268,
    MTRR_FIX4K_7 = 0x26f,
    MTRR_DEF_TYPE = 0x2ff,
    IA32_TSC_DEADLINE = 0x6e0,
    X2APIC_FIRST = 0x800,
    X2APIC_LAST = 0x8ff,
    EFER = 0xc0000080,
    SYSCFG = 0xc0010010,
    HWCR = 0xc0010015
};
enum { EFER_SCE = 1, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11, EFER_FFXSR = 1 << 14 };
#define CR0_PG BIT(31)

/* Registers that only hold what was written: their effect on memory types is the host's affair with nested paging. */
struct guest_msrs {
    uint64_t variable[16], fixed[11];
    uint64_t mtrr_def_type, misc_enable, syscfg, hwcr;
};
static_assert(sizeof(struct guest_msrs) <= PAGE_SIZE, "a page");

void msr_init(struct vcpu *v)
{
    v->msr_system_time = v->msr_wall_clock = v->msr_steal_time = 0;
    v->xcr0 = 1;
}

void msr_reset(struct vcpu *v)
{
    memset(v->msrs, 0, sizeof *v->msrs);
    v->msrs->mtrr_def_type = 0xc06; /* on, fixed ranges on, write-back: as firmware leaves it */
    for (unsigned i = 0; i < ARRAY_SIZE(v->msrs->fixed); i++)
        v->msrs->fixed[i] = 0x0606060606060606;
    v->msrs->misc_enable = 1; /* fast strings */
    msr_init(v);
}

/* Where a storage MSR lives; NULL: it is none. */
static uint64_t *storage(struct vcpu *v, uint32_t msr)
{
    struct guest_msrs *m = v->msrs;
    if (msr >= MTRR_PHYSBASE0 && msr <= MTRR_PHYSMASK7)
        return &m->variable[msr - MTRR_PHYSBASE0];
    if (msr == MTRR_FIX64K)
        return &m->fixed[0];
    if (msr == MTRR_FIX16K_0 || msr == MTRR_FIX16K_1)
        return &m->fixed[1 + msr - MTRR_FIX16K_0];
    if (msr >= MTRR_FIX4K_0 && msr <= MTRR_FIX4K_7)
        return &m->fixed[3 + msr - MTRR_FIX4K_0];
    switch (msr) {
    case MTRR_DEF_TYPE:
        return &m->mtrr_def_type;
    case IA32_MISC_ENABLE:
        return &m->misc_enable;
    case SYSCFG:
        return &m->syscfg;
    case HWCR:
        return &m->hwcr;
    default:
        return NULL;
    }
}

static bool is_lapic(uint32_t msr)
{
    return msr == IA32_APIC_BASE || msr == IA32_TSC_DEADLINE || (msr >= X2APIC_FIRST && msr <= X2APIC_LAST);
}

static int write_efer(struct vcpu *v, uint64_t value)
{
    uint64_t allowed = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR, old = backend->get_efer(v);
    if ((value & ~allowed) || ((value & EFER_FFXSR) && !guest_has(0x80000001, 3, 25)))
        return E_INVAL;
    if (((value ^ old) & EFER_LME) && (backend->get_cr0(v) & CR0_PG))
        return E_INVAL;
    backend->set_efer(v, (value & ~(uint64_t)EFER_LMA) | (old & EFER_LMA));
    return OK;
}

int msr_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
    const uint64_t *stored = storage(v, msr);
    if (stored) {
        *value = *stored;
        return OK;
    }
    if (is_lapic(msr))
        return vcpu_has_lapic(v) ? lapic_msr_read(v->lapic, msr, tsc_now() + v->vm->tsc_offset, value) : E_INVAL;
    switch (msr) {
    case IA32_TSC:
        *value = tsc_now() + v->vm->tsc_offset;
        return OK;
    case EFER:
        *value = backend->get_efer(v);
        return OK;
    case IA32_MTRRCAP: /* eight variable ranges, fixed ranges, write-combining */
        *value = 0x508;
        return OK;
    case IA32_MCG_CAP:
    case IA32_MCG_STATUS:
    case IA32_BIOS_SIGN_ID:
    case IA32_TSC_ADJUST:
        *value = 0;
        return OK;
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
        return backend->get_msr(v, msr, value);
    }
}

/* Each byte of the PAT is one of the defined types (APM Vol. 2, 7.8.1). */
static bool pat_valid(uint64_t v)
{
    for (unsigned i = 0; i < 8; i++, v >>= 8)
        if ((v & 0xff) > 7 || (v & 0xff) == 2 || (v & 0xff) == 3)
            return false;
    return true;
}

static bool canonical(uint64_t v) { return (uint64_t)((int64_t)(v << 16) >> 16) == v; }

static bool is_address(uint32_t msr)
{
    return msr == MSR_LSTAR || msr == MSR_CSTAR || msr == MSR_FS_BASE || msr == MSR_GS_BASE ||
           msr == MSR_KERNEL_GS_BASE || msr == MSR_SYSENTER_ESP || msr == MSR_SYSENTER_EIP;
}

int msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
    uint64_t *stored = storage(v, msr);
    if (stored) {
        *stored = value;
        return OK;
    }
    if (is_lapic(msr))
        return vcpu_has_lapic(v) ? lapic_msr_write(v->lapic, msr, value, tsc_now() + v->vm->tsc_offset) : E_INVAL;
    switch (msr) {
    case EFER:
        return write_efer(v, value);
    case IA32_BIOS_SIGN_ID: /* software clears it before it reads the microcode's revision */
    case IA32_MCG_STATUS:
        return value ? E_INVAL : OK;
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_OLD:
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_WALL_CLOCK_OLD:
    case MSR_KVM_STEAL_TIME:
        return pvclock_msr_write(v, msr, value);
    default:
        if ((msr == MSR_PAT && !pat_valid(value)) || (is_address(msr) && !canonical(value)))
            return E_INVAL;
        return backend->set_msr(v, msr, value);
    }
}
