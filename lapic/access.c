/* Register access: the xAPIC page, the x2APIC MSRs, IA32_APIC_BASE and IA32_TSC_DEADLINE. */
#include "lapic/internal.h"

/* Who may do what (SDM Vol. 3, tables 11-1 and 11-6). A register with no right at all does not exist. */
#define R    1u /* xAPIC */
#define W    2u
#define RW   (R | W)
#define XR   4u /* x2APIC */
#define XW   8u
#define ALL  (RW | XR | XW)
#define READ (R | XR)

/* Read-only, but counted as writable here: software that writes back what it read must not get #GP. */
#define STATUS APIC_DELIVERY_STATUS
#define LVT    (APIC_VECTOR | STATUS | LVT_MASKED)
#define LINT   (LVT | APIC_DELIVERY_MODE | 0x2000u | LVT_REMOTE_IRR | APIC_TRIGGER_LEVEL)

/* Indexed by offset / 16. A write to bits that are not in writable takes #GP in x2APIC mode; in xAPIC mode these bits
 * are dropped. */
static const struct {
    uint32_t writable;
    uint8_t rights;
} registers[0x40] = {
    [APIC_ID >> 4] = {0, READ},
    [APIC_VERSION >> 4] = {0, READ},
    [APIC_TPR >> 4] = {0xff, ALL},
    [APIC_APR >> 4] = {0, R},
    [APIC_PPR >> 4] = {0, READ},
    [APIC_EOI >> 4] = {0, W | XW},
    [APIC_RRD >> 4] = {0, R},
    [APIC_LDR >> 4] = {0xff000000, RW | XR},
    [APIC_DFR >> 4] = {0xf0000000, RW},
    [APIC_SVR >> 4] = {0x3ff, ALL},
    [APIC_ISR >> 4 ...(APIC_IRR >> 4) + 7] = {0, READ},
    [APIC_ESR >> 4] = {0, ALL},
    [APIC_ICR_LO >> 4] = {ICR_WRITABLE, ALL},
    [APIC_ICR_HI >> 4] = {0xff000000, RW},
    [APIC_LVT_TIMER >> 4] = {LVT | LVT_TIMER_MODE, ALL},
    [(APIC_LVT_TIMER >> 4) + LAPIC_LVT_THERMAL] = {LVT | APIC_DELIVERY_MODE, ALL},
    [(APIC_LVT_TIMER >> 4) + LAPIC_LVT_PERF] = {LVT | APIC_DELIVERY_MODE, ALL},
    [(APIC_LVT_TIMER >> 4) + LAPIC_LVT_LINT0] = {LINT, ALL},
    [(APIC_LVT_TIMER >> 4) + LAPIC_LVT_LINT1] = {LINT, ALL},
    [(APIC_LVT_TIMER >> 4) + LAPIC_LVT_ERROR] = {LVT, ALL},
    [APIC_INITIAL >> 4] = {0xffffffff, ALL},
    [APIC_CURRENT >> 4] = {0, READ},
    [APIC_DCR >> 4] = {0xb, ALL},
    [APIC_SELF_IPI >> 4] = {0xff, XW},
};

static uint8_t rights(uint32_t offset)
{
    return offset >> 4 < ARRAY_SIZE(registers) ? registers[offset >> 4].rights : 0;
}

static uint32_t read_lvt(struct lapic *l, uint32_t offset)
{
    uint32_t value = l->lvt[(offset - APIC_LVT_TIMER) >> 4];

    if (offset != APIC_LVT_LINT0)
        return value;

    lapic_drain(l);
    return value | (lapic_lint0_in_service(l) ? LVT_REMOTE_IRR : 0);
}

static uint32_t read_map(struct lapic *l, uint32_t offset)
{
    uint32_t i = offset >> 4 & 7;

    lapic_drain(l);
    const uint64_t *map = offset < APIC_TMR ? l->isr.word : offset < APIC_IRR ? l->tmr : l->irr.word;
    return (uint32_t)(map[i / 2] >> i % 2 * 32);
}

static uint32_t read_register(struct lapic *l, uint32_t offset, uint64_t now)
{
    switch (offset) {
    case APIC_ID:
        return lapic_mode(l) == LAPIC_X2APIC ? l->id : l->id << 24;
    case APIC_VERSION:
        return APIC_VERSION_VALUE;
    case APIC_TPR:
        return l->tpr;
    case APIC_PPR:
        return lapic_ppr(l);
    case APIC_LDR:
        return l->ldr;
    case APIC_DFR:
        return l->dfr | 0x0fffffff;
    case APIC_SVR:
        return l->svr;
    case APIC_ISR ... APIC_IRR + 0x70:
        return read_map(l, offset);
    case APIC_ESR:
        return l->esr;
    case APIC_ICR_LO:
        return (uint32_t)l->icr;
    case APIC_ICR_HI:
        return ICR_DESTINATION(l->icr);
    case APIC_LVT_TIMER ... APIC_LVT_ERROR:
        return read_lvt(l, offset);
    case APIC_INITIAL:
        return l->timer_initial;
    case APIC_CURRENT:
        return timer_current(l, now);
    case APIC_DCR:
        return l->timer_dcr;
    default: /* APR and RRD, which have had no function since the Pentium 4 */
        return 0;
    }
}

/* A software-disabled LAPIC keeps its LVT masked (11.4.7.2). */
static __attribute__((noinline)) void write_lvt(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now)
{
    value &= ~(STATUS | (offset >= APIC_LVT_LINT0 ? LVT_REMOTE_IRR : 0));
    if (!(l->svr & SVR_ENABLE))
        value |= LVT_MASKED;

    if (offset == APIC_LVT_LINT0 && !(value & LVT_MASKED))
        lapic_set_special(l);
    if (offset == APIC_LVT_TIMER)
        timer_write_lvt(l, value, now);
    else
        l->lvt[(offset - APIC_LVT_TIMER) >> 4] = value;
    if (offset == APIC_LVT_LINT0)
        lapic_lint0_sample(l);
}

static __attribute__((noinline)) void write_svr(struct lapic *l, uint32_t value, uint64_t now)
{
    bool enabled = value & ~l->svr & SVR_ENABLE;

    l->svr = value;
    if (enabled)
        lapic_takes_more(l);

    if (!(value & SVR_ENABLE))
        for (uint32_t i = 0; i < LAPIC_LVTS; i++)
            write_lvt(l, APIC_LVT_TIMER + (i << 4), l->lvt[i], now);
}

/* value: only writable bits are set. */
static void write_register(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now)
{
    switch (offset >> 4) {
    case APIC_TPR >> 4:
        lapic_set_tpr(l, value);
        break;
    case APIC_EOI >> 4:
        lapic_eoi(l);
        break;
    case APIC_LDR >> 4:
        if (value)
            lapic_set_special(l);
        l->ldr = value;
        lapic_takes_more(l);
        break;
    case APIC_DFR >> 4:
        l->dfr = value;
        lapic_takes_more(l);
        break;
    case APIC_SVR >> 4:
        write_svr(l, value, now);
        break;
    case APIC_ESR >> 4: /* 11.5.3: the collected errors become readable, and collecting starts anew */
        lapic_drain(l);
        l->esr = l->esr_new;
        l->esr_new = 0;
        l->error_sent = false;
        break;
    case APIC_ICR_LO >> 4:
        lapic_write_icr(l, (l->icr & ~0xffffffffull) | value);
        break;
    case APIC_ICR_HI >> 4:
        l->icr = (uint64_t)value << 32 | (uint32_t)l->icr;
        break;
    case APIC_LVT_TIMER >> 4 ... APIC_LVT_ERROR >> 4:
        write_lvt(l, offset, value, now);
        break;
    case APIC_INITIAL >> 4:
        timer_write_initial(l, value, now);
        break;
    case APIC_DCR >> 4:
        timer_write_dcr(l, value, now);
        break;
    case APIC_SELF_IPI >> 4:
        lapic_send_ipi(l, ICR_SELF | value);
        break;
    default:
        break;
    }
}

int lapic_mmio_read(struct lapic *l, uint32_t offset, uint64_t now, uint32_t *value)
{
    if (lapic_mode(l) != LAPIC_XAPIC || offset >= PAGE_SIZE)
        return E_INVAL;

    *value = 0;
    if (!(rights(offset) & RW))
        lapic_error(l, ESR_ILLEGAL_REGISTER);
    else if (rights(offset) & R && offset % 16 == 0)
        *value = read_register(l, offset, now);
    return OK;
}

int lapic_mmio_write(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now)
{
    if (lapic_mode(l) != LAPIC_XAPIC || offset >= PAGE_SIZE)
        return E_INVAL;

    if (!(rights(offset) & RW))
        lapic_error(l, ESR_ILLEGAL_REGISTER);
    else if (rights(offset) & W && offset % 16 == 0)
        write_register(l, offset, value & registers[offset >> 4].writable, now);
    return OK;
}

/*
 * A write to IA32_APIC_BASE (11.12.5). x2APIC mode is entered from xAPIC mode only, and left to the disabled state
 * only. A change to or from the disabled state resets everything but the ID. Entering x2APIC mode keeps the registers,
 * except two: the LDR, which is then derived from the ID, and the ICR's high half, whose layout is different. The bit
 * BSP is read-only.
 *
 * The new mode is stored before the reset. So only posts that were under way already can come after the reset. If one
 * does, the next change of the mode drops it, and until then lapic_pending() does not look.
 */
static __attribute__((noinline)) int write_base(struct lapic *l, uint64_t value)
{
    uint64_t reserved = ~0ull << (l->domain->maxphyaddr ? l->domain->maxphyaddr : 52) | 0x2ff;
    enum lapic_mode old = lapic_mode(l), new = (enum lapic_mode)(value >> 10 & 3);
    uint64_t before = lapic_timer_deadline(l);

    if (value & reserved || new == LAPIC_INVALID || (old == LAPIC_X2APIC && new == LAPIC_XAPIC) ||
        (old == LAPIC_DISABLED && new == LAPIC_X2APIC))
        return E_INVAL;

    if (new == LAPIC_DISABLED)
        lapic_set_special(l);
    l->base = (value & ~APIC_BASE_BSP) | (l->base & APIC_BASE_BSP);
    if ((old == LAPIC_DISABLED) != (new == LAPIC_DISABLED)) {
        lapic_reset(l);
        timer_notify(l, before);
    } else if (old != new) {
        l->ldr = X2APIC_LDR(l->id);
        l->icr = (uint32_t)l->icr;
    }

    if (old != new &&new != LAPIC_DISABLED)
        lapic_takes_more(l);
    return OK;
}

/* May the x2APIC MSR of that number (MSR - 0x800) be accessed with that right now? */
static bool in_x2apic(const struct lapic *l, uint32_t reg, uint8_t right)
{
    return reg < ARRAY_SIZE(registers) && registers[reg].rights & right && lapic_mode(l) == LAPIC_X2APIC;
}

int lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t now, uint64_t *value)
{
    if (msr == MSR_IA32_APIC_BASE) {
        *value = l->base;
        return OK;
    }
    if (msr == MSR_IA32_TSC_DEADLINE) {
        *value = timer_read_deadline(l, now);
        return OK;
    }

    uint32_t reg = msr - MSR_X2APIC;
    if (!in_x2apic(l, reg, XR))
        return E_INVAL;
    *value = msr == MSR_X2APIC_ICR ? l->icr : read_register(l, reg << 4, now);
    return OK;
}

int lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value, uint64_t now)
{
    uint32_t reg = msr - MSR_X2APIC;

    if (msr == MSR_IA32_TSC_DEADLINE) { /* first, since it is written most often */
        timer_write_deadline(l, value, now);
        return OK;
    }

    if (in_x2apic(l, reg, XW)) {
        uint64_t wrong = value & ~(uint64_t)registers[reg].writable;

        if (msr == MSR_X2APIC_ICR && !(uint32_t)wrong)
            lapic_write_icr(l, value);
        else if (wrong || (reg << 4 == APIC_LVT_TIMER && (value & LVT_TIMER_MODE) == LVT_TIMER_MODE))
            return E_INVAL;
        else
            write_register(l, reg << 4, (uint32_t)value, now);
        return OK;
    }

    return msr == MSR_IA32_APIC_BASE ? write_base(l, value) : E_INVAL;
}
