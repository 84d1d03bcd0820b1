/* Interrupt messages: which LAPICs a message means (SDM Vol. 3, 11.6.2, 11.12.10), and how it gets there. */
#include "lapic/internal.h"

#define BROADCAST 0xffffffffu

struct message {
    uint32_t dest; /* the 0xff of a sender with 8-bit destinations is widened to BROADCAST */
    bool logical;
    bool level;
    uint32_t mode; /* DELIVERY_* */
    uint8_t vector;
};

/*
 * Trigger mode: the level bit is written before the pir bit. lapic_take_posted() reads them in the opposite order; it
 * reads pir by an exchange that synchronizes with every fetch_or that it sees. So a drained vector has the trigger mode
 * of a post that set it.
 *
 * Signal: the post that turns ON from 0 to 1 sends the signal. A post that finds ON set needs none. lapic_take_posted()
 * clears ON before it looks at pir; so the clearing that ends this ON comes after our pir bit was set, and drains it.
 * The signal that belongs to this ON has been sent or is about to be.
 */
void lapic_post(struct lapic *l, uint8_t vector, bool level)
{
    unsigned int w = vector / 64;
    uint64_t bit = BIT(vector % 64);

    if (level)
        atomic_fetch_or_explicit(&l->pir_level[w], bit, memory_order_relaxed);
    else if (atomic_load_explicit(&l->pir_level[w], memory_order_relaxed) & bit)
        atomic_fetch_and_explicit(&l->pir_level[w], ~bit, memory_order_relaxed);

    atomic_fetch_or_explicit(&l->pir[w], bit, memory_order_release);
    if (!atomic_exchange_explicit(&l->on, true, memory_order_acq_rel))
        l->domain->signal(l->domain->ctx, l->index, LAPIC_SIGNAL_EVENT, 0);
}

static struct lapic *lapic_at(const struct lapic_domain *d, uint32_t index)
{
    return __atomic_load_n(&d->lapics[index], __ATOMIC_ACQUIRE);
}

/* Give the message to this LAPIC. True: the LAPIC took it. Vectors 0-15 are posted like others, so that the target logs
 * the error, but they count as not taken. */
static bool deliver(struct lapic *l, const struct message *m)
{
    enum lapic_signal what;

    switch (m->mode) {
    case DELIVERY_FIXED:
    case DELIVERY_LOWEST:
        /* 11.4.7.2: a software-disabled LAPIC still takes the other delivery modes. */
        if (!(l->svr & SVR_ENABLE))
            return false;
        lapic_post(l, m->vector, m->level);
        return m->vector >= 16;
    case DELIVERY_EXTINT:
        if (!atomic_exchange(&l->extint, true))
            l->domain->signal(l->domain->ctx, l->index, LAPIC_SIGNAL_EVENT, 0);
        return true;
    case DELIVERY_SMI:
        what = LAPIC_SIGNAL_SMI;
        break;
    case DELIVERY_NMI:
        what = LAPIC_SIGNAL_NMI;
        break;
    case DELIVERY_INIT:
        what = LAPIC_SIGNAL_INIT;
        break;
    case DELIVERY_SIPI:
        what = LAPIC_SIGNAL_SIPI;
        break;
    default:
        return false;
    }

    l->domain->signal(l->domain->ctx, l->index, what, m->vector);
    return true;
}

/* Is this LAPIC one of the message's destinations? */
static bool matches(const struct lapic *l, const struct message *m)
{
    uint32_t ldr = l->ldr;

    switch (lapic_mode(l)) {
    case LAPIC_X2APIC:
        if (m->dest == BROADCAST)
            return true;
        if (!m->logical)
            return m->dest == l->id;
        return ldr >> 16 == m->dest >> 16 && (ldr & m->dest & 0xffff);
    case LAPIC_XAPIC:
        if (m->dest == BROADCAST)
            return true;
        if (!m->logical)
            return m->dest == (l->id & 0xff);
        ldr >>= 24;
        if (m->dest > 0xff)
            return false;
        switch (l->dfr >> 28) {
        case 0xf: /* flat */
            return ldr & m->dest;
        case 0: /* cluster */
            return ldr >> 4 == m->dest >> 4 && (ldr & m->dest & 0xf);
        default:
            return false;
        }
    default:
        return false;
    }
}

/* Deliver the message to all LAPICs that match, but not to `except`. Returns how many took it. A lowest-priority
 * message goes to one of them: the one with the lowest PPR that can take it. Equals take turns (11.6.2.4). */
static int route(struct lapic_domain *d, const struct message *m, const struct lapic *except)
{
    bool lowest = m->mode == DELIVERY_LOWEST;
    struct lapic *best = NULL;
    int taken = 0;

    if (!m->logical && m->dest < d->count) { /* the usual case: APIC ID n is vCPU n */
        struct lapic *l = lapic_at(d, m->dest);
        if (l && matches(l, m))
            return deliver(l, m);
    }

    /* After the special LAPICs only x2APICs can match a logical destination, and only the 16 of its cluster can. */
    uint32_t end = d->count, special = end, cluster = end;
    if (m->dest != BROADCAST) {
        special = MIN(special, atomic_load(&d->special));
        cluster = m->logical ? MIN(cluster, m->dest >> 12 & ~0xfu) : cluster;
        end = m->logical ? MIN(end, MAX(special, cluster + 16)) : special;
    }

    uint32_t start = lowest ? atomic_load_explicit(&d->next, memory_order_relaxed) : 0;
    if (start >= end)
        start = 0;

    for (uint32_t n = 0; n < end; n++) {
        uint32_t i = start + n < end ? start + n : start + n - end;
        if (i >= special && i < cluster) {
            n += cluster - i - 1;
            continue;
        }

        struct lapic *l = lapic_at(d, i);
        if (!l || l == except || !matches(l, m))
            continue;
        if (!lowest)
            taken += deliver(l, m);
        else if (l->svr & SVR_ENABLE && (!best || lapic_ppr(l) < lapic_ppr(best)))
            best = l;
    }

    if (best) {
        atomic_store_explicit(&d->next, best->index + 1, memory_order_relaxed);
        taken = deliver(best, m);
    }
    return taken;
}

/* The x2APIC that a physical destination means, if its index is its ID; else NULL: a search is needed. */
static struct lapic *by_index(const struct lapic_domain *d, uint32_t dest)
{
    struct lapic *l = dest < d->count ? lapic_at(d, dest) : NULL;
    return l && l->id == dest && lapic_mode(l) == LAPIC_X2APIC ? l : NULL;
}

/*
 * IPIs are edge-triggered, whatever the ICR says. INIT level de-assert does nothing (11.6.1, since the Pentium 4).
 * Table 11-3 calls some combinations with a shorthand invalid: these are sent as they are written.
 */
static __attribute__((noinline)) void send_message(struct lapic *l, uint64_t icr)
{
    struct message m = {
        .dest = ICR_DESTINATION(icr),
        .logical = icr & ICR_LOGICAL,
        .mode = icr & APIC_DELIVERY_MODE,
        .vector = icr & APIC_VECTOR,
    };

    if (lapic_mode(l) == LAPIC_XAPIC) {
        m.dest >>= 24;
        m.dest = m.dest == 0xff ? BROADCAST : m.dest;
    }
    if (m.mode == DELIVERY_EXTINT ||
        (m.mode == DELIVERY_INIT && (icr & (APIC_TRIGGER_LEVEL | ICR_ASSERT)) == APIC_TRIGGER_LEVEL))
        return;

    if (m.vector < 16 && (m.mode == DELIVERY_FIXED || m.mode == DELIVERY_LOWEST))
        lapic_error(l, ESR_SEND_ILLEGAL_VECTOR);

    if (icr & ICR_ALL) { /* this bit is set in ICR_ALL and in ICR_ALL_BUT_SELF */
        m.dest = BROADCAST;
        m.logical = false;
    }
    if ((icr & ICR_SHORTHAND) == ICR_SELF)
        deliver(l, &m);
    else
        route(l->domain, &m, (icr & ICR_SHORTHAND) == ICR_ALL_BUT_SELF ? l : NULL);
}

/* Most IPIs are fixed, and to one vCPU: these take a short way. Only fixed ones with a legal vector do. */
void lapic_send_ipi(struct lapic *l, uint64_t icr)
{
    uint32_t how = icr & (APIC_DELIVERY_MODE | ICR_LOGICAL | ICR_SHORTHAND);
    bool legal = icr & APIC_VECTOR & ~0xfull;
    bool x2apic = legal && how == DELIVERY_FIXED && lapic_mode(l) == LAPIC_X2APIC;
    struct lapic *to = x2apic ? by_index(l->domain, ICR_DESTINATION(icr)) : NULL;

    if (to ? to == l : legal && how == (DELIVERY_FIXED | ICR_SELF)) {
        if (l->svr & SVR_ENABLE) /* 11.4.7.2 */
            lapic_request(l, icr & APIC_VECTOR, false);
    } else if (!to) {
        send_message(l, icr);
    } else if (to->svr & SVR_ENABLE) {
        lapic_post(to, icr & APIC_VECTOR, false);
    }
}

/* 11.11. Address: bits 19:12 destination, bit 3 redirection hint (asks for lowest priority), bit 2 logical. Data: as
 * the ICR's low half. */
int lapic_message(struct lapic_domain *d, uint64_t address, uint32_t data)
{
    struct message m = {
        .dest = address >> 12 & 0xff,
        .logical = address & 4,
        .level = data & APIC_TRIGGER_LEVEL,
        .mode = data & APIC_DELIVERY_MODE,
        .vector = data & APIC_VECTOR,
    };

    if (address >> 20 != 0xfee)
        return E_INVAL;

    m.dest = m.dest == 0xff ? BROADCAST : m.dest;
    if (m.mode == DELIVERY_FIXED && address & 8)
        m.mode = DELIVERY_LOWEST;
    if (m.mode == DELIVERY_SIPI || m.mode == DELIVERY_RESERVED) /* reserved in messages */
        return 0;

    int taken = route(d, &m, NULL);
    if (taken || ((m.mode == DELIVERY_FIXED || m.mode == DELIVERY_LOWEST) && m.vector < 16))
        return taken;
    atomic_store(&d->missed, true);
    return route(d, &m, NULL);
}

/*
 * The other side is lapic_message(). Here the LAPIC has written its register, and then reads `missed`. There the sender
 * has found no LAPIC, sets `missed`, and then reads the registers once more. All of these accesses are sequentially
 * consistent, so one of the two sides sees the other.
 */
void lapic_takes_more(struct lapic *l)
{
    struct lapic_domain *d = l->domain;

    if (atomic_load(&d->missed) && atomic_exchange(&d->missed, false))
        d->takes_more(d->ctx, l->index);
}

/* An edge-triggered source raises once; a level-triggered one, whenever lapic_lint0_sample() finds it high. */
void lapic_lvt_raise(struct lapic *l, enum lapic_lvt i, bool own)
{
    uint32_t lvt = l->lvt[i];
    struct message m = {
        .level = lvt & APIC_TRIGGER_LEVEL, .mode = lvt & APIC_DELIVERY_MODE, .vector = lvt & APIC_VECTOR};

    if (lvt & LVT_MASKED)
        return;

    /* Whether the LAPIC is enabled is not asked: in a disabled LAPIC each LVT entry is masked (11.4.7.2). For ExtINT
     * there is nothing to remember: lapic_pending() looks at the line. */
    if (own && m.mode == DELIVERY_FIXED)
        lapic_request(l, m.vector, m.level);
    else if (m.mode == DELIVERY_EXTINT)
        l->domain->signal(l->domain->ctx, l->index, LAPIC_SIGNAL_EVENT, 0);
    else if (m.mode != DELIVERY_LOWEST && m.mode != DELIVERY_SIPI)
        deliver(l, &m);
}

/*
 * Here INTR is written, and then `special`, LINT0 and the mode are read. The other side is the LAPIC's own thread: it
 * writes `special`, then LINT0 or the mode, and then reads INTR in lapic_pending(). All of these accesses are
 * sequentially consistent, so one of the two sides sees the other.
 */
void lapic_extint(struct lapic_domain *d, bool level)
{
    if (atomic_exchange(&d->intr, level) || !level)
        return;

    for (uint32_t i = 0; i < atomic_load(&d->special); i++) {
        struct lapic *l = lapic_at(d, i);
        if (!l)
            continue;
        if (lapic_mode(l) == LAPIC_DISABLED)
            d->signal(d->ctx, i, LAPIC_SIGNAL_EVENT, 0);
        else
            lapic_lvt_raise(l, LAPIC_LVT_LINT0, false);
    }
}
