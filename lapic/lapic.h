/*
 * The virtual local APIC, xAPIC and x2APIC (SDM Vol. 3, chapter 11; APM Vol. 2, chapter 16), as pure logic.
 *
 * What it is: version 0x14, six LVT entries (timer, thermal, performance, LINT0, LINT1, error), no CMCI, no
 * EOI-broadcast suppression, APIC ID read-only. All times are guest TSC ticks; the APIC timer's input clock, before the
 * divider, is the TSC itself. LINT0 is the 8259s' INTR, nothing is wired to LINT1.
 *
 * Who may call: a struct lapic belongs to its own vCPU's thread, and every function that takes one is that thread's
 * alone, except lapic_apic_id(). Functions that take a struct lapic_domain may be called from any CPU at any time; what
 * they touch in a LAPIC is atomic. Nothing blocks, nothing fails on what a guest does, and the longest path,
 * that of a broadcast, is linear in the number of vCPUs.
 *
 * When to call lapic_pending(): after LAPIC_SIGNAL_EVENT, and after any register, MSR or CR8 write, lapic_take() and
 * lapic_timer_expire(); or simply before every entry, which is cheap.
 */
#ifndef LAPIC_LAPIC_H
#define LAPIC_LAPIC_H

#include <stdatomic.h>

#include "abi/err.h"
#include "abi/types.h"
#include "lapic/regs.h"

enum lapic_signal {
    LAPIC_SIGNAL_EVENT, /* lapic_pending() may answer something new */
    LAPIC_SIGNAL_NMI,
    LAPIC_SIGNAL_SIPI, /* with the start-up vector */
    LAPIC_SIGNAL_INIT,
    LAPIC_SIGNAL_SMI, /* may be ignored: a guest without SMM handler does not notice an SMI */
};

struct lapic;

/* The LAPICs of one VM: what the APIC bus is to the hardware. Zero it, then set the first part before any LAPIC is in
 * it. */
struct lapic_domain {
    uint32_t count; /* fixed at creation: the number of vCPUs */
    /* By vCPU index. An entry becomes non-NULL by a release store after lapic_init(), NULL again when withdrawn; its
     * memory must outlive the calls on the domain that began before. */
    struct lapic **lapics;
    /* Tell that vCPU. Called from whatever CPU found the cause; must not block. A vector that a LAPIC's own thread
     * raises in it, by a register or the timer, is not told. */
    void (*signal)(void *ctx, uint32_t index, enum lapic_signal what, uint8_t vector);
    /* The EOI broadcast of a level-triggered vector; on that vCPU's thread, inside the EOI register's write. */
    void (*eoi)(void *ctx, uint32_t index, uint8_t vector);
    /* After lapic_message() answered 0: this LAPIC may take messages now that it did not; on that vCPU's thread, inside
     * the write of a register that makes it so. Once, and then again only after lapic_message() answered 0 again. */
    void (*takes_more)(void *ctx, uint32_t index);
    /* lapic_timer_deadline() has changed; on that vCPU's thread, inside the call that changed it. */
    void (*timer_changed)(void *ctx, uint32_t index);
    void *ctx;
    uint32_t maxphyaddr; /* the guest's, 36..52: IA32_APIC_BASE must not go beyond; 0 means 52 */

    atomic_bool intr;      /* level of the 8259s' INTR */
    atomic_bool missed;    /* takes_more() is due: a message was taken by nobody */
    _Atomic uint32_t next; /* vCPU index where the next arbitration of equals starts */
    /* Only grows: from this index on all have their index as APIC ID, and never had an LDR that is not 0 in xAPIC mode,
     * an unmasked LINT0, or a disabled LAPIC. So parked APs are not looked at for messages to others. */
    _Atomic uint32_t special;
};

enum lapic_lvt {
    LAPIC_LVT_TIMER,
    LAPIC_LVT_THERMAL,
    LAPIC_LVT_PERF,
    LAPIC_LVT_LINT0,
    LAPIC_LVT_LINT1,
    LAPIC_LVT_ERROR
};
#define LAPIC_LVTS 6

/* Vector v is bit v % 64 of word v / 64; bit w of words: word w is not 0. */
struct lapic_vectors {
    uint64_t word[4];
    uint32_t words;
};

/*
 * Fields marked (shared) are read by other CPUs for destination matching, arbitration and LINT0, and written by the own
 * thread. The posted part is written by everybody: see lapic_post() in ipi.c.
 */
struct lapic {
    struct lapic_domain *domain;
    uint32_t index;
    uint32_t id;           /* constant */
    _Atomic uint64_t base; /* IA32_APIC_BASE (shared) */
    _Atomic uint32_t svr;  /* (shared) */
    _Atomic uint32_t ldr;  /* (shared) */
    _Atomic uint32_t dfr;  /* (shared) */
    _Atomic uint32_t ppr;  /* (shared) */
    uint32_t tpr;
    uint64_t icr;                     /* destination in bits 63:32, laid out as the mode has it */
    _Atomic uint32_t lvt[LAPIC_LVTS]; /* (shared: LINT0) */
    uint32_t esr;                     /* as software reads it */
    uint32_t esr_new;                 /* errors since the last write to ESR */
    bool error_sent;                  /* the error interrupt has been raised since then */
    bool tpr_written;                 /* lapic_take_tpr() has not told of it yet */
    struct lapic_vectors irr, isr;
    uint64_t tmr[4];        /* as words of struct lapic_vectors */
    uint32_t timer_initial; /* initial count */
    uint32_t timer_dcr;     /* divide configuration */
    bool timer_armed;
    uint64_t timer_next; /* when it expires next, if armed; in TSC-deadline mode that MSR */
    uint64_t timer_from; /* TSC-deadline mode: the TSC when it was armed or, later, when the TSC was set */

    _Alignas(64) _Atomic uint64_t pir[4]; /* posted vectors */
    _Atomic uint64_t pir_level[4];        /* the last post of this vector was level-triggered */
    atomic_bool on;                       /* something is posted and signalled, and not drained yet */
    atomic_bool extint;                   /* an ExtINT message came */
};

enum lapic_mode { LAPIC_DISABLED, LAPIC_INVALID, LAPIC_XAPIC, LAPIC_X2APIC }; /* IA32_APIC_BASE.EN, EXTD */

/* Any CPU. */
static inline enum lapic_mode lapic_mode(const struct lapic *l) { return (enum lapic_mode)(l->base >> 10 & 3); }

/* Power-up state: xAPIC mode at 0xfee00000, software-disabled (11.4.7.1). In xAPIC mode only the low 8 bits of apic_id
 * count, and 255 is not an ID. */
void lapic_init(struct lapic *l, struct lapic_domain *d, uint32_t index, uint32_t apic_id, bool bsp);

/* Power-up state becomes what a PC's firmware leaves on the BSP: virtual wire mode (MultiProcessor Specification 1.4,
 * 3.6.2.2). It is enabled, LINT0 is ExtINT and LINT1 is NMI. Before the vCPU runs. */
void lapic_virtual_wire(struct lapic *l);

/* What INIT does to the LAPIC: everything but the APIC ID and IA32_APIC_BASE is reset (11.4.7.3, 11.12.5.1). */
void lapic_init_signal(struct lapic *l);

static inline uint32_t lapic_apic_id(const struct lapic *l) { return l->id; }

/* ---- Registers (access.c) ------------------------------------------------------------------------------------- */

/* A 32-bit access to the xAPIC page. E_INVAL: not in xAPIC mode, or offset >= 4096. Whatever else is wrong with it is
 * between the guest and its ESR: reserved registers read 0 and log an error, bytes beside a register read 0. */
int lapic_mmio_read(struct lapic *l, uint32_t offset, uint64_t now, uint32_t *value);
int lapic_mmio_write(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now);

/* Guest-physical address of the xAPIC page; ~0 unless in xAPIC mode. */
static inline uint64_t lapic_mmio_base(const struct lapic *l)
{
    return lapic_mode(l) == LAPIC_XAPIC ? l->base & ~0xfffull : ~0ull;
}

/* Is it in x2APIC mode, or in xAPIC mode at its default address? */
bool lapic_in_place(const struct lapic *l);

void lapic_eoi(struct lapic *l);
void lapic_send_ipi(struct lapic *l, uint64_t icr);
/* value: no bits but ICR_WRITABLE in the low half. */
static inline void lapic_write_icr(struct lapic *l, uint64_t value)
{
    l->icr = value & ~(uint64_t)APIC_DELIVERY_STATUS; /* sending is over before anybody can look */
    lapic_send_ipi(l, l->icr);
}
/* The two writes that there are most of in x2APIC mode, EOI and ICR, a shorter way; false, and nothing is done: it is
 * another one, or wrong, and lapic_msr_write()'s affair. */
static inline bool lapic_write_usual(struct lapic *l, uint32_t msr, uint64_t value)
{
    if (lapic_mode(l) != LAPIC_X2APIC)
        return false;
    if (msr == MSR_X2APIC_EOI && !value)
        lapic_eoi(l);
    else if (msr == MSR_X2APIC_ICR && !((uint32_t)value & ~ICR_WRITABLE))
        lapic_write_icr(l, value);
    else
        return false;
    return true;
}
/* IA32_APIC_BASE (0x1b), IA32_TSC_DEADLINE (0x6e0) and 0x800-0x8ff. Negative: the instruction takes #GP(0). */
int lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t now, uint64_t *value);
int lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value, uint64_t now);

/* CR8 is TPR[7:4] (11.8.6). v is 0..15; that MOV CR8 takes #GP for more is the caller's affair. */
static inline uint8_t lapic_get_cr8(const struct lapic *l) { return (uint8_t)(l->tpr >> 4); }
void lapic_set_cr8(struct lapic *l, uint8_t v);
/* Has the TPR been written since the last call, by whatever means? */
static inline bool lapic_take_tpr(struct lapic *l)
{
    bool written = l->tpr_written;
    l->tpr_written = false;
    return written;
}

/* ---- Interrupts in (ipi.c) ------------------------------------------------------------------------------------ */

/* A message in MSI format (11.11), from an IOAPIC or a device: how many LAPICs took it, or E_INVAL if address is not in
 * 0xfeexxxxx. 0: nobody, and lapic_domain.takes_more() will say when it may be worth another try; but no LAPIC ever
 * takes the vectors 0 to 15 and the reserved delivery modes, of which it says nothing. An ExtINT message asks its
 * targets for one 8259 cycle, whatever their LINT0 says. */
int lapic_message(struct lapic_domain *d, uint64_t address, uint32_t data);

/* The 8259s' INTR, to LINT0 of every LAPIC. In ExtINT mode, and with a LAPIC that is globally disabled, it asks for an
 * 8259 cycle as long as it is high; the other delivery modes act on the rising edge. Concurrent calls take effect in
 * some order: whoever owns the 8259s keeps theirs in order. */
void lapic_extint(struct lapic_domain *d, bool level);

/* Has anything been posted that lapic_pending() has not seen? One relaxed load, no side effect. */
static inline bool lapic_posted(const struct lapic *l) { return atomic_load_explicit(&l->on, memory_order_relaxed); }

/* Takes in what was posted, so that the next post signals again. */
void lapic_take_posted(struct lapic *l);
static inline void lapic_drain(struct lapic *l)
{
    if (lapic_posted(l))
        lapic_take_posted(l);
}

/* May lapic_pending() or lapic_waiting_class() have something to give? */
static inline bool lapic_waits(const struct lapic *l)
{
    return lapic_posted(l) || l->irr.words || atomic_load(&l->extint) || atomic_load(&l->domain->intr);
}
/* Nothing, and nothing for lapic_take_tpr()? */
static inline bool lapic_quiet(const struct lapic *l) { return !l->tpr_written && !lapic_waits(l); }

/* ---- Interrupts out (lapic.c) --------------------------------------------------------------------------------- */

#define LAPIC_NONE         (-1)
#define LAPIC_EXTINT       256
#define LAPIC_EXTINT_CLASS 16

/* What the CPU may be given now: a vector (16..255) above PPR, LAPIC_EXTINT (an 8259 cycle is due) or LAPIC_NONE.
 * Whether the CPU can take it (IF, shadows) is not asked. Nothing but draining happens: asking twice is harmless. */
int lapic_pending(struct lapic *l);

/* Does LINT0 turn what the 8259s have into an NMI or INIT? */
bool lapic_lint0_wakes(const struct lapic *l);
/* The priority class (1..15) of a vector that nothing but the TPR may hold back, LAPIC_EXTINT_CLASS if an 8259 cycle is
 * due; 0: there is nothing. Drains, as lapic_pending(). */
uint8_t lapic_waiting_class(struct lapic *l);

/* The same, and the CPU takes it if it is a vector: IRR to ISR. */
int lapic_take(struct lapic *l);

/* The 8259 cycle that LAPIC_EXTINT asked for begins: call it before the cycle. Ends the request of an ExtINT
 * message. */
static inline void lapic_accept_extint(struct lapic *l) { l->extint = false; }

static inline uint8_t lapic_ppr(const struct lapic *l)
{
    return (uint8_t)atomic_load_explicit(&l->ppr, memory_order_relaxed);
}

/* ---- Timer (timer.c) ------------------------------------------------------------------------------------------ */

/* Who reads, by the current count or IA32_TSC_DEADLINE, that the time is over makes it expire there and then: the
 * interrupt is posted and signalled. */

/* When lapic_timer_expire() must be called, absolute, in guest TSC ticks, which may be beyond the TSC's end and
 * so small again; NEVER, as things stand: not armed, or masked. */
uint64_t lapic_timer_deadline(const struct lapic *l);

/* Raises what is due at now; harmless when nothing is. Periods that were missed become one interrupt, and the next is
 * on the grid of the first, not nearer to the last than LAPIC_TIMER_MIN_GAP. */
void lapic_timer_expire(struct lapic *l, uint64_t now);

/* The guest's TSC has been set forward by so many ticks, to now; what was due before it has expired. */
void lapic_tsc_moved(struct lapic *l, uint64_t ticks, uint64_t now);

/* A guest that asks for a shorter period than this, in ticks, loses interrupts and not the CPU. */
#define LAPIC_TIMER_MIN_GAP 20000

#endif
