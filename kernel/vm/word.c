#include "kernel/vm/word.h"

#define WHERE_MASK  (3ull << WORD_WHERE_SHIFT)
#define MP_MASK     (7ull << WORD_MP_SHIFT)
#define SIPI_MASK   (0xffull << WORD_SIPI_SHIFT)
#define BEHIND_MASK (7ull << WORD_BEHIND_SHIFT)

static const uint32_t wakes_in[REQUESTS] = {
#define X(name, states, waited) [REQ_##name] = (states),
    REQUEST_TABLE(X)
#undef X
};
static_assert(REQUESTS <= 30, "bit 30 is the second NMI");

uint64_t word_wakes(enum mp_state mp)
{
    uint64_t mask = 0;
    for (unsigned r = 0; r < REQUESTS; r++)
        mask |= (wakes_in[r] >> mp & 1) ? BIT(r) : 0;
    return mask;
}

static uint64_t set_where(uint64_t w, enum where where)
{
    return (w & ~WHERE_MASK) | (uint64_t)where << WORD_WHERE_SHIFT;
}

static uint64_t set_mp(uint64_t w, enum mp_state mp)
{
    return (w & ~MP_MASK) | (uint64_t)mp << WORD_MP_SHIFT;
}

/* Requests for which asking sets their bit and taking clears it, and nothing else changes. */
#define PLAIN (WORD_REQUESTS & ~(BIT(REQ_PAUSE) | BIT(REQ_RESUME) | BIT(REQ_INIT) | BIT(REQ_SIPI) | BIT(REQ_NMI)))

/* The word as it is after asking for r. It is w itself if this request changes nothing.
 * PAUSE is pending only while mp_state is not PAUSED. RESUME is pending only while mp_state is PAUSED. */
static __attribute__((noinline)) uint64_t with_request(uint64_t w, enum request r, uint8_t vector)
{
    if (r == REQ_INIT)
        return (w & ~(BIT(REQ_SIPI) | BIT(REQ_NMI) | WORD_NMI_AGAIN | SIPI_MASK)) | BIT(REQ_INIT);

    if (w & BIT(r))
        return r == REQ_NMI ? w | WORD_NMI_AGAIN : w;

    if (r == REQ_PAUSE && word_mp(w) == MP_PAUSED)
        return w & ~BIT(REQ_RESUME);
    if (r == REQ_RESUME && word_mp(w) != MP_PAUSED)
        return w & ~BIT(REQ_PAUSE);

    if (r == REQ_SIPI) {
        if (word_mp_behind(w) != MP_WAIT_FOR_SIPI && !(w & BIT(REQ_INIT)))
            return w;
        w |= (uint64_t)vector << WORD_SIPI_SHIFT;
    }

    return w | BIT(r);
}

/* The word as it is after r has been taken. */
static uint64_t without_request(uint64_t w, enum request r)
{
    w &= ~BIT(r);
    if (BIT(r) & PLAIN)
        return w;

    if (r == REQ_PAUSE)
        return set_mp(w | (uint64_t)word_mp(w) << WORD_BEHIND_SHIFT, MP_PAUSED);
    if (r == REQ_RESUME)
        return set_mp(w & ~BEHIND_MASK, word_mp_behind(w));
    if (r == REQ_INIT)
        return set_mp(w, MP_WAIT_FOR_SIPI);
    if (r == REQ_NMI)
        return w & ~WORD_NMI_AGAIN;
    return r == REQ_SIPI ? w & ~SIPI_MASK : w;
}

/* plain: r is one of PLAIN. ack: if the vCPU is in the guest, word_leave() has to report that it has left. */
static inline __attribute__((always_inline)) struct told ask(vcpu_word *w, enum request r, uint8_t vector, bool plain,
                                                             bool ack, bool *must_wait)
{
    uint64_t old = atomic_load_explicit(w, memory_order_relaxed), new;
    enum asked asked;

    do {
        enum where where = word_where(old);

        asked = ASKED_NOTHING;
        new = plain ? old | BIT(r) : with_request(old, r, vector);

        if (new &BIT(r) & ~old) {
            if (where == WHERE_GUEST) {
                asked = ASKED_KICK;
            } else if (where != WHERE_ROOT && wakes_in[r] >> word_mp(old) & 1) {
                asked = where == WHERE_PARKED ? ASKED_WAKE : ASKED_KICK;
                new &= ~WORD_PARKED; /* to ROOT, or to GUEST */
            }
        }

        if (ack && where == WHERE_GUEST)
            new |= WORD_ACK;
        *must_wait = ack && (new &WORD_ACK);

        if (new == old) {
            *must_wait = false;
            return (struct told){.asked = ASKED_NOTHING};
        }

        /* Pairs with word_enter(), word_wait() and word_park(): of two such changes of the word, one comes first, and
         * the other sees it. */
    } while (!atomic_compare_exchange_weak(w, &old, new));
    return (struct told){asked, word_cpu(old)};
}

static __attribute__((noinline)) struct told ask_oddly(vcpu_word *w, enum request r, uint8_t vector)
{
    bool must_wait;
    return ask(w, r, vector, false, false, &must_wait);
}

struct told word_ask(vcpu_word *w, enum request r, uint8_t vector)
{
    bool must_wait;
    return BIT(r) & PLAIN ? ask(w, r, 0, true, false, &must_wait) : ask_oddly(w, r, vector);
}

struct told word_ask_wait(vcpu_word *w, enum request r, bool *must_wait)
{
    static const bool waited[REQUESTS] = {
#define X(name, states, waited) [REQ_##name] = (waited),
        REQUEST_TABLE(X)
#undef X
    };

    return ask(w, r, 0, false, waited[r], must_wait);
}

bool word_start(vcpu_word *w)
{
    uint64_t old = atomic_load_explicit(w, memory_order_relaxed);

    do {
        if (word_where(old) != WHERE_PARKED || word_mp(old) != MP_UNINITIALIZED)
            return false;
    } while (!atomic_compare_exchange_weak(w, &old, set_mp(set_where(old, WHERE_ROOT), MP_RUNNABLE)));
    return true;
}

bool word_park(vcpu_word *w, enum mp_state mp)
{
    uint64_t old = atomic_load_explicit(w, memory_order_relaxed), new;
    do {
        new = set_mp(old, mp);
        if (!(old & WORD_REQUESTS) || !(old & word_wakes(mp)))
            new = set_where(new, WHERE_PARKED);
    } while (!atomic_compare_exchange_weak(w, &old, new));
    return word_where(new) == WHERE_PARKED;
}

void word_set_mp(vcpu_word *w, enum mp_state mp)
{
    uint64_t old = atomic_load_explicit(w, memory_order_relaxed);

    while (!atomic_compare_exchange_weak(w, &old, set_mp(old, mp)))
        ;
}

enum request word_take(vcpu_word *w, uint8_t *vector)
{
    const uint64_t while_paused = BIT(REQ_TEARDOWN) | BIT(REQ_RESUME);
    uint64_t old = atomic_load_explicit(w, memory_order_relaxed);

    for (;;) {
        uint64_t pending = old & (word_mp(old) == MP_PAUSED ? while_paused : WORD_REQUESTS);
        if (!pending)
            return REQUESTS;

        enum request first = (enum request)__builtin_ctzll(pending);
        if (atomic_compare_exchange_weak(w, &old, without_request(old, first))) {
            *vector = first == REQ_NMI ? !!(old & WORD_NMI_AGAIN) : word_sipi_vector(old);
            return first;
        }
    }
}

void word_take_event(vcpu_word *w, enum request r)
{
    atomic_fetch_and(w, ~BIT(r));
}
