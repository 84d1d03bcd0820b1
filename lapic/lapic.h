/*
 * The virtual local APIC, xAPIC and x2APIC (SDM Vol. 3, chapter 11; APM Vol. 2, chapter 16), as pure logic.
 *
 * What the guest sees: version 0x14, six LVT entries (timer, thermal, performance, LINT0, LINT1, error), no CMCI, no
 * EOI-broadcast suppression, APIC ID read-only. All times are guest TSC ticks; the APIC timer's input clock, before the
 * divider, is the TSC itself. LINT0 is the 8259s' INTR, nothing is wired to LINT1.
 *
 * Who may call: a struct lapic belongs to its own vCPU's thread. Only that thread may call a function that takes a
 * struct lapic, except lapic_apic_id() and lapic_mode(). Functions that take a struct lapic_domain may be called from
 * any CPU at any time; all that they touch in a LAPIC is atomic. No function blocks, and none fails because of what a
 * guest does. The longest path, that of a broadcast, is linear in the number of vCPUs.
 *
 * When to call lapic_pending(): after LAPIC_SIGNAL_EVENT; after any write to a register, an MSR or CR8; after
 * lapic_take() and lapic_timer_expire(). Or simply before every entry, which is cheap.
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

/* The LAPICs of one VM; on hardware, the APIC bus connects them. Zero the struct, then set the first part, up to
 * maxphyaddr, before any LAPIC is in it. */
struct lapic_domain {
    uint32_t count; /* fixed at creation: the number of vCPUs */
    /* By vCPU index. An entry becomes non-NULL by a release store after lapic_init(), and NULL again when it is
     * withdrawn. Its memory must outlive all calls on the domain that began before. */
    struct lapic **lapics;
    /* Tell that vCPU. Called on the CPU that found the cause, whichever it is; must not block. It is not called for a
     * vector that a LAPIC's own thread raises in its LAPIC, by a register or the timer. */
    void (*signal)(void *ctx, uint32_t index, enum lapic_signal what, uint8_t vector);
    /* The EOI broadcast of a level-triggered vector. Called on that vCPU's thread, inside the write to the EOI
     * register. */
    void (*eoi)(void *ctx, uint32_t index, uint8_t vector);
    /* lapic_message() has answered 0, and now this LAPIC may take messages that it did not take before. Called on that
     * vCPU's thread, inside the write to the register that changed this. Called once; again only after lapic_message()
     * has answered 0 again. */
    void (*takes_more)(void *ctx, uint32_t index);
    /* lapic_timer_deadline() has changed. Called on that vCPU's thread, inside the call that changed it. */
    void (*timer_changed)(void *ctx, uint32_t index);
    void *ctx;
    uint32_t maxphyaddr; /* of the guest, 36..52; 0 means 52. IA32_APIC_BASE takes no address bits above it */

    atomic_bool intr;      /* level of the 8259s' INTR */
    atomic_bool missed;    /* no LAPIC took a message: takes_more() is due */
    _Atomic uint32_t next; /* vCPU index where the next arbitration of equals starts */
    /*
     * From this index on, all LAPICs are plain: their APIC ID is their index, and they never had
     *   - in xAPIC mode an LDR that is not 0,
     *   - an unmasked LINT0,
     *   - the disabled state.
     * So a message to another LAPIC need not look at parked APs. The number only grows.
     */
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

/* A set of vectors. Vector v is bit v % 64 of word[v / 64]. Bit w of words is set if word[w] is not 0. */
struct lapic_vectors {
    uint64_t word[4];
    uint32_t words;
};

/*
 * Fields marked (shared) are written by the LAPIC's own thread, and read by other CPUs for destination matching,
 * arbitration and LINT0. The posted part is written by all CPUs: see lapic_post() in ipi.c.
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
    uint64_t icr;                     /* destination in bits 63:32, in the layout of the mode */
    _Atomic uint32_t lvt[LAPIC_LVTS]; /* (shared: LINT0) */
    uint32_t esr;                     /* as software reads it */
    uint32_t esr_new;                 /* errors since the last write to ESR */
    bool error_sent;                  /* the error interrupt has been raised since then */
    bool tpr_written;                 /* since the last lapic_take_tpr() */
    struct lapic_vectors irr, isr;
    uint64_t tmr[4];        /* as words of struct lapic_vectors */
    uint32_t timer_initial; /* initial count */
    uint32_t timer_dcr;     /* divide configuration */
    bool timer_armed;
    uint64_t timer_next; /* if armed, when it expires next; in TSC-deadline mode IA32_TSC_DEADLINE */
    uint64_t timer_from; /* TSC-deadline mode: the TSC when the timer was last armed or the TSC was last set */

    _Alignas(64) _Atomic uint64_t pir[4]; /* posted vectors */
    _Atomic uint64_t pir_level[4];        /* bit of a vector: its last post was level-triggered */
    atomic_bool on;                       /* something is posted and signalled, and not drained yet */
    atomic_bool extint;                   /* an ExtINT message came */
};

enum lapic_mode { LAPIC_DISABLED, LAPIC_INVALID, LAPIC_XAPIC, LAPIC_X2APIC }; /* IA32_APIC_BASE.EN, EXTD */

/* Any CPU. */
static inline enum lapic_mode lapic_mode(const struct lapic *l) { return (enum lapic_mode)(l->base >> 10 & 3); }

/* Power-up state: xAPIC mode at 0xfee00000, software-disabled (11.4.7.1). In xAPIC mode only the low 8 bits of apic_id
 * count, and 255 is not an ID. */
void lapic_init(struct lapic *l, struct lapic_domain *d, uint32_t index, uint32_t apic_id, bool bsp);

/* After lapic_init(): the state in which a PC's firmware leaves the BSP's LAPIC, virtual wire mode (MultiProcessor
 * Specification 1.4, 3.6.2.2). The LAPIC is enabled, LINT0 is ExtINT, LINT1 is NMI. Call it before the vCPU runs. */
void lapic_virtual_wire(struct lapic *l);

/* What INIT does to the LAPIC: all but the APIC ID and IA32_APIC_BASE is reset (11.4.7.3, 11.12.5.1). */
void lapic_init_signal(struct lapic *l);

static inline uint32_t lapic_apic_id(const struct lapic *l) { return l->id; }

/* ---- Registers (access.c) ------------------------------------------------------------------------------------- */

/* A 32-bit access to the xAPIC page. E_INVAL: the LAPIC is not in xAPIC mode, or offset >= 4096. Other wrong accesses
 * are no error of the call: a reserved register reads as 0 and logs an error in the ESR, bytes beside a register read
 * as 0. */
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

/* value: in the low half only bits of ICR_WRITABLE are set. Delivery status reads as 0, for sending is over before the
 * guest can look. */
static inline void lapic_write_icr(struct lapic *l, uint64_t value)
{
    l->icr = value & ~(uint64_t)APIC_DELIVERY_STATUS;
    lapic_send_ipi(l, l->icr);
}

/* A shorter way for the two most frequent writes in x2APIC mode, EOI and ICR. False: it is another write, or a wrong
 * one; nothing was done, call lapic_msr_write(). */
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

/* CR8 is TPR[7:4] (11.8.6). v: 0..15; the caller injects the #GP that MOV CR8 takes for a greater value. */
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

/*
 * Send a message in MSI format (11.11), from an IOAPIC or a device. Returns how many LAPICs took it. E_INVAL: address
 * is not 0xfeexxxxx. 0: no LAPIC took it; lapic_domain.takes_more() will be called when another try may be worth it. It
 * is not called for vectors 0 to 15 and for reserved delivery modes: no LAPIC ever takes these. An ExtINT message asks
 * its targets for one 8259 cycle, whatever their LINT0 says.
 */
int lapic_message(struct lapic_domain *d, uint64_t address, uint32_t data);

/* Set the level of the 8259s' INTR, which goes to LINT0 of every LAPIC. If LINT0's mode is ExtINT, or the LAPIC is
 * globally disabled, INTR asks for an 8259 cycle as long as it is high. The other delivery modes act on the rising
 * edge. Concurrent calls take effect in some order: the owner of the 8259s must keep its calls in order. */
void lapic_extint(struct lapic_domain *d, bool level);

/* Has anything been posted that lapic_pending() has not seen? One relaxed load, no side effect. */
static inline bool lapic_posted(const struct lapic *l) { return atomic_load_explicit(&l->on, memory_order_relaxed); }

/* Move what was posted into the IRR. The next post signals again. */
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

/* Neither that, nor anything for lapic_take_tpr()? */
static inline bool lapic_quiet(const struct lapic *l) { return !l->tpr_written && !lapic_waits(l); }

/* ---- Interrupts out (lapic.c) --------------------------------------------------------------------------------- */

#define LAPIC_NONE         (-1)
#define LAPIC_EXTINT       256
#define LAPIC_EXTINT_CLASS 16

/*
 * What the CPU may be given now:
 *   16..255        a vector above PPR
 *   LAPIC_EXTINT   an 8259 cycle is due
 *   LAPIC_NONE     nothing
 * Whether the CPU can take it (IF, shadows) is not asked. Only draining happens: asking twice is harmless.
 */
int lapic_pending(struct lapic *l);

/* Does LINT0 turn INTR of the 8259s into an NMI or INIT? */
bool lapic_lint0_wakes(const struct lapic *l);

/* The priority class (1..15) of the highest pending vector, if nothing but the TPR may hold it back.
 * LAPIC_EXTINT_CLASS: an 8259 cycle is due. 0: there is nothing. Drains, as lapic_pending() does. */
uint8_t lapic_waiting_class(struct lapic *l);

/* As lapic_pending(), and if it is a vector, the CPU takes it: it moves from the IRR to the ISR. */
int lapic_take(struct lapic *l);

/* The 8259 cycle that LAPIC_EXTINT asked for begins: call this before the cycle. It ends the request of an ExtINT
 * message. */
static inline void lapic_accept_extint(struct lapic *l) { l->extint = false; }

static inline uint8_t lapic_ppr(const struct lapic *l)
{
    return (uint8_t)atomic_load_explicit(&l->ppr, memory_order_relaxed);
}

/* ---- Timer (timer.c) ------------------------------------------------------------------------------------------ */

/* If a read of the current count or of IA32_TSC_DEADLINE finds that the time is over, the timer expires in that read:
 * the interrupt is posted and signalled. */

/* When lapic_timer_expire() must be called: absolute, in guest TSC ticks. The time may be beyond the TSC's end, and is
 * then a small number again. NEVER: the timer is not armed, or masked. */
uint64_t lapic_timer_deadline(const struct lapic *l);

/* Raise the interrupt if it is due at now; harmless if it is not. Missed periods become one interrupt. The next expiry
 * is a whole number of periods after the first one, and if a period is shorter than LAPIC_TIMER_MIN_GAP, at least that
 * gap away. */
void lapic_timer_expire(struct lapic *l, uint64_t now);

/* The guest's TSC has been set forward by so many ticks, to now. Before that, the caller has expired what was due. */
void lapic_tsc_moved(struct lapic *l, uint64_t ticks, uint64_t now);

/* A guest that asks for a shorter period than this, in ticks, loses interrupts and not the CPU. */
#define LAPIC_TIMER_MIN_GAP 20000

#endif
