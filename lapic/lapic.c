/* State of the local APIC: reset, and the way of an interrupt: posted, IRR, ISR, EOI. */
#include "lapic/internal.h"

/* The highest vector; -1: there is none. */
static int highest(const struct lapic_vectors *s)
{
    if (!s->words)
        return -1;

    unsigned int w = 31u ^ (unsigned int)__builtin_clz(s->words);
    return (int)(w * 64 + (63u ^ (unsigned int)__builtin_clzll(s->word[w])));
}

static void add(struct lapic_vectors *s, unsigned int w, uint64_t bits)
{
    s->word[w] |= bits;
    s->words |= 1u << w;
}

static void take(struct lapic_vectors *s, unsigned int vector)
{
    s->word[vector / 64] &= ~BIT(vector % 64);
    if (!s->word[vector / 64])
        s->words &= ~(1u << vector / 64);
}

/* 11.8.3.1: the TPR, unless the class of the highest vector in service is higher. */
static inline __attribute__((always_inline)) void update_ppr(struct lapic *l)
{
    int isrv = highest(&l->isr);
    uint32_t ppr = isrv >= 0 && (uint32_t)isrv >> 4 > l->tpr >> 4 ? isrv & 0xf0u : l->tpr;
    atomic_store_explicit(&l->ppr, ppr, memory_order_relaxed);
}

void lapic_set_tpr(struct lapic *l, uint32_t tpr)
{
    l->tpr = tpr;
    l->tpr_written = true;
    update_ppr(l);
}

void lapic_reset(struct lapic *l)
{
    /* ON is cleared before pir, as in lapic_take_posted(). In the other order, a post in between would set pir and find
     * ON set: its bit would stay in pir, and no signal would ever announce it. */
    l->on = false;
    l->irr = l->isr = (struct lapic_vectors){.words = 0};
    for (int w = 0; w < 4; w++) {
        l->tmr[w] = 0;
        l->pir[w] = 0;
    }
    l->extint = false;

    l->svr = 0xff;
    l->ldr = lapic_mode(l) == LAPIC_X2APIC ? X2APIC_LDR(l->id) : 0;
    l->dfr = 0xf0000000;
    lapic_set_tpr(l, 0);
    l->icr = 0;

    for (int i = 0; i < LAPIC_LVTS; i++)
        l->lvt[i] = LVT_MASKED;
    l->esr = l->esr_new = 0;
    l->error_sent = false;

    l->timer_initial = 0;
    l->timer_dcr = 0;
    l->timer_armed = false;
}

bool lapic_in_place(const struct lapic *l)
{
    return lapic_mode(l) == LAPIC_X2APIC || lapic_mmio_base(l) == APIC_BASE_DEFAULT;
}

void lapic_set_special(struct lapic *l)
{
    uint32_t end = atomic_load(&l->domain->special);

    while (end <= l->index && !atomic_compare_exchange_weak(&l->domain->special, &end, l->index + 1))
        ;
}

void lapic_init(struct lapic *l, struct lapic_domain *d, uint32_t index, uint32_t apic_id, bool bsp)
{
    l->domain = d;
    l->index = index;
    l->id = apic_id;
    if (apic_id != index)
        lapic_set_special(l);

    l->base = APIC_BASE_DEFAULT | APIC_BASE_EN | (bsp ? APIC_BASE_BSP : 0);
    for (int w = 0; w < 4; w++)
        l->pir_level[w] = 0;
    lapic_reset(l);
}

void lapic_virtual_wire(struct lapic *l)
{
    lapic_set_special(l);
    l->svr |= SVR_ENABLE;
    l->lvt[LAPIC_LVT_LINT0] = DELIVERY_EXTINT;
    l->lvt[LAPIC_LVT_LINT1] = DELIVERY_NMI;
}

void lapic_init_signal(struct lapic *l)
{
    uint64_t before = lapic_timer_deadline(l);

    lapic_reset(l);
    timer_notify(l, before);
}

static inline __attribute__((always_inline)) void take_word(struct lapic *l, unsigned int w)
{
    if (!atomic_load_explicit(&l->pir[w], memory_order_relaxed))
        return;

    uint64_t bits = atomic_exchange_explicit(&l->pir[w], 0, memory_order_acq_rel);
    if (w == 0 && bits & 0xffff) { /* vectors 0-15 never reach the IRR (11.5.3) */
        bits &= ~0xffffull;
        lapic_error(l, ESR_RECEIVE_ILLEGAL_VECTOR);
    }
    if (bits)
        add(&l->irr, w, bits);
    l->tmr[w] = (l->tmr[w] & ~bits) | (atomic_load_explicit(&l->pir_level[w], memory_order_relaxed) & bits);
}

void lapic_request(struct lapic *l, uint8_t vector, bool level)
{
    uint64_t bit = BIT(vector % 64);

    if (vector < 16) {
        lapic_error(l, ESR_RECEIVE_ILLEGAL_VECTOR);
        return;
    }

    add(&l->irr, vector / 64, bit);
    l->tmr[vector / 64] = (l->tmr[vector / 64] & ~bit) | (level ? bit : 0);
}

/* The other side of lapic_post(); the comment there explains the order. */
void lapic_take_posted(struct lapic *l)
{
    atomic_exchange_explicit(&l->on, false, memory_order_acq_rel);
    take_word(l, 0);
    take_word(l, 1);
    take_word(l, 2);
    take_word(l, 3);
}

/* Does INTR reach the CPU: past this LAPIC (it is disabled), or through it (LINT0 is ExtINT)? */
static bool passes_intr(const struct lapic *l)
{
    return lapic_mode(l) == LAPIC_DISABLED ||
           (l->lvt[LAPIC_LVT_LINT0] & (LVT_MASKED | APIC_DELIVERY_MODE)) == DELIVERY_EXTINT;
}

static inline __attribute__((always_inline)) bool due_8259(const struct lapic *l)
{
    return l->extint || (l->domain->intr && passes_intr(l));
}

/* The TPR does not hold back interrupts of the 8259s, and they do not wait for the LAPIC's vectors. */
static inline __attribute__((always_inline)) int offered(struct lapic *l)
{
    lapic_drain(l);
    if (due_8259(l))
        return LAPIC_EXTINT;

    int vector = highest(&l->irr);
    return vector >> 4 > lapic_ppr(l) >> 4 && lapic_mode(l) != LAPIC_DISABLED ? vector : LAPIC_NONE;
}

int lapic_pending(struct lapic *l)
{
    return offered(l);
}

bool lapic_lint0_wakes(const struct lapic *l)
{
    uint32_t mode = l->lvt[LAPIC_LVT_LINT0] & (LVT_MASKED | APIC_DELIVERY_MODE);

    return mode == DELIVERY_NMI || mode == DELIVERY_INIT;
}

uint8_t lapic_waiting_class(struct lapic *l)
{
    lapic_drain(l);
    if (due_8259(l))
        return LAPIC_EXTINT_CLASS;
    if (!l->irr.words || lapic_mode(l) == LAPIC_DISABLED)
        return 0;

    int vector = highest(&l->irr), in_service = highest(&l->isr);
    return vector >> 4 > in_service >> 4 ? (uint8_t)(vector >> 4) : 0;
}

int lapic_take(struct lapic *l)
{
    int vector = offered(l);

    if (vector == LAPIC_NONE || vector == LAPIC_EXTINT)
        return vector;

    take(&l->irr, (unsigned int)vector);
    add(&l->isr, (unsigned int)vector / 64, BIT(vector % 64));
    /* The vector's class is above the TPR's and above that of each vector in service, so it is the PPR now. */
    atomic_store_explicit(&l->ppr, (uint32_t)vector & 0xf0, memory_order_relaxed);
    return vector;
}

void lapic_eoi(struct lapic *l)
{
    if (!l->isr.words)
        return;

    unsigned int vector = (unsigned int)highest(&l->isr);
    take(&l->isr, vector);
    update_ppr(l);
    if (l->tmr[vector / 64] & BIT(vector % 64))
        l->domain->eoi(l->domain->ctx, l->index, (uint8_t)vector);
    lapic_lint0_sample(l);
}

/* A write to the ESR arms the interrupt again (11.5.3). error_sent is set first: if the error LVT's own vector is
 * illegal, raising it calls this function again, and that call ends here. */
__attribute__((noinline)) void lapic_error(struct lapic *l, uint32_t error)
{
    l->esr_new |= error;
    if (l->error_sent || l->lvt[LAPIC_LVT_ERROR] & LVT_MASKED)
        return;

    l->error_sent = true;
    lapic_lvt_raise(l, LAPIC_LVT_ERROR, true);
}

bool lapic_lint0_in_service(const struct lapic *l)
{
    uint32_t lvt = l->lvt[LAPIC_LVT_LINT0];
    unsigned int w = (lvt & APIC_VECTOR) / 64;

    return (lvt & (APIC_DELIVERY_MODE | APIC_TRIGGER_LEVEL)) == (DELIVERY_FIXED | APIC_TRIGGER_LEVEL) &&
           (l->irr.word[w] | l->isr.word[w]) & BIT(lvt % 64);
}

void lapic_lint0_sample(struct lapic *l)
{
    uint32_t lvt = l->lvt[LAPIC_LVT_LINT0];

    if ((lvt & (APIC_DELIVERY_MODE | APIC_TRIGGER_LEVEL)) != (DELIVERY_FIXED | APIC_TRIGGER_LEVEL) || !l->domain->intr)
        return;

    lapic_drain(l);
    if (!lapic_lint0_in_service(l))
        lapic_lvt_raise(l, LAPIC_LVT_LINT0, true);
}

void lapic_set_cr8(struct lapic *l, uint8_t v)
{
    lapic_set_tpr(l, (v & 0xfu) << 4);
}
