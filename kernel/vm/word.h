/*
 * The vCPU state word: everything other CPUs may ask of a vCPU, and all they must know to deliver it, in one atomic.
 *
 *   bits 0-29 requests | 30 a second NMI | 31 acknowledge | 32-39 SIPI vector | 40-41 where | 42-53 CPU | 54-56
 * mp_state 57-59 mp_state behind PAUSED
 *
 * Only the vCPU's own thread changes mp_state, and `where` except PARKED to ROOT and WAITING to GUEST: that is done by
 * the asker whose request wakes, in the same compare-and-swap that sets the request. So one park, one wait, has exactly
 * one waker. (word_start is the exception to both: the thread has not run yet.)
 *
 * PAUSE, RESUME and INIT change mp_state in the same compare-and-swap that takes them: what an asker may do depends on
 * the pending ones and on mp_state, and there must be no moment when neither shows them. A SIPI would be lost in it.
 */
#ifndef KERNEL_VM_WORD_H
#define KERNEL_VM_WORD_H

#include <stdatomic.h>

#include "abi/types.h"
#include "kernel/vm/requests.h"

typedef _Atomic uint64_t vcpu_word;

/* WAITING is PARKED on a CPU that its thread has not left, and which is in the word: who wakes it makes it GUEST, and
 * kicks that CPU. It is HALTED until its own thread goes on; of who is GUEST no asker looks at that. */
enum where { WHERE_ROOT, WHERE_GUEST, WHERE_PARKED, WHERE_WAITING };
enum asked { ASKED_NOTHING, ASKED_KICK, ASKED_WAKE };
struct told {
    enum asked asked;
    uint32_t cpu; /* that runs the guest, or would if it did not wait */
};

#define WORD_REQUESTS     (BIT(REQUESTS) - 1)
#define WORD_NMI_AGAIN    BIT(30) /* an NMI is pending, and behind it another one */
#define WORD_ACK          BIT(31) /* somebody waits until this vCPU has left the guest */
#define WORD_SIPI_SHIFT   32
#define WORD_WHERE_SHIFT  40
#define WORD_PARKED       BIT(41) /* of where: parked, or waiting */
#define WORD_CPU_SHIFT    42
#define WORD_MP_SHIFT     54
#define WORD_BEHIND_SHIFT 57 /* MP_RUNNABLE unless mp_state is PAUSED */

static inline enum where word_where(uint64_t w) { return (enum where)(w >> WORD_WHERE_SHIFT & 3); }
static inline uint32_t word_cpu(uint64_t w) { return w >> WORD_CPU_SHIFT & 0xfff; }
static inline enum mp_state word_mp(uint64_t w) { return (enum mp_state)(w >> WORD_MP_SHIFT & 7); }
/* What mp_state is, or will be when it is not PAUSED any more. */
static inline enum mp_state word_mp_behind(uint64_t w)
{
    return word_mp(w) == MP_PAUSED ? (enum mp_state)(w >> WORD_BEHIND_SHIFT & 7) : word_mp(w);
}
static inline uint8_t word_sipi_vector(uint64_t w) { return (uint8_t)(w >> WORD_SIPI_SHIFT); }
static inline uint64_t word_make(enum where where, enum mp_state mp)
{
    return (uint64_t)where << WORD_WHERE_SHIFT | (uint64_t)mp << WORD_MP_SHIFT;
}

/* The requests that wake a vCPU parked in mp, as a mask. */
uint64_t word_wakes(enum mp_state mp);

/* Ask, from any CPU. What the asker must do then: nothing, kick the CPU (which runs the guest now), or wake the thread.
 * INIT drops a pending SIPI and NMI, even if an INIT is pending already; a SIPI (vector: its start page) counts only
 * for a vCPU that waits for one or has an INIT pending, and only the first does; RESUME takes back a PAUSE that has not
 * been served, and PAUSE a RESUME; neither counts twice. A second NMI is
 * kept behind a first that has not been taken; a third is not. */
struct told word_ask(vcpu_word *w, enum request r, uint8_t vector) MUST_CHECK;

/* Like word_ask(), for a request that may be waited for; *must_wait: the vCPU was in the guest, and word_leave() will
 * report the acknowledgement. One asker of such a request at a time: it is reported once. */
struct told word_ask_wait(vcpu_word *w, enum request r, bool *must_wait) MUST_CHECK;

/* PARKED, UNINITIALIZED to ROOT, RUNNABLE, with what is pending; for the BSP, before its thread has run. True: wake the
 * thread; false: teardown did. */
bool word_start(vcpu_word *w) MUST_CHECK;

/* The vCPU's own thread, interrupts off: */
/* Has nobody asked for anything? */
static inline bool word_quiet(const vcpu_word *w)
{
    return !(atomic_load_explicit(w, memory_order_relaxed) & WORD_REQUESTS);
}
/* Runnable, and nobody has asked for anything? */
static inline bool word_ready(const vcpu_word *w)
{
    return !(atomic_load_explicit(w, memory_order_relaxed) & (WORD_REQUESTS | 7ull << WORD_MP_SHIFT));
}
/* ROOT, runnable, without any request, to GUEST on cpu; false: there is something to serve. */
static inline bool word_enter(vcpu_word *w, uint32_t cpu)
{
    uint64_t old = word_make(WHERE_ROOT, MP_RUNNABLE);
    uint64_t new = word_make(WHERE_GUEST, MP_RUNNABLE) | (uint64_t)cpu << WORD_CPU_SHIFT;
    return atomic_compare_exchange_strong(w, &old, new);
}
/* GUEST to ROOT. True: somebody waits for that. */
static inline bool word_leave(vcpu_word *w)
{
    const uint64_t guest = 3ull << WORD_WHERE_SHIFT | 0xfffull << WORD_CPU_SHIFT | WORD_ACK;
    uint64_t old = atomic_load_explicit(w, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(w, &old, old & ~guest))
        ;
    return old & WORD_ACK;
}
static_assert(WHERE_ROOT == 0, "leaving clears bits");
/* GUEST to WAITING, HALTED; false: somebody has asked for something. */
static inline bool word_wait(vcpu_word *w)
{
    uint64_t old = atomic_load_explicit(w, memory_order_relaxed);
    return !(old & (WORD_REQUESTS | WORD_ACK)) &&
           atomic_compare_exchange_strong(w, &old, old | WORD_PARKED | (uint64_t)MP_HALTED << WORD_MP_SHIFT);
}
/* WAITING, or GUEST since it was woken, to GUEST, RUNNABLE; false: nobody has woken it. */
static inline bool word_go_on(vcpu_word *w)
{
    return !(atomic_fetch_and(w, ~(WORD_PARKED | 7ull << WORD_MP_SHIFT)) & WORD_PARKED);
}
/* ROOT to PARKED in the state mp; false, and nothing changed but the state: a request that wakes in it is pending. */
bool word_park(vcpu_word *w, enum mp_state mp);
/* Changes the mp_state. */
void word_set_mp(vcpu_word *w, enum mp_state mp);
/* GUEST, between an exit and the next entry: takes r, which is pending: TIMER, EVENT or CLOCK. */
void word_take_event(vcpu_word *w, enum request r);
/* The first pending request in serving order, taken out of the word (*vector: of a SIPI; of an NMI, 1: there were
 * two); REQUESTS: none. PAUSE makes
 * the mp_state PAUSED, RESUME what it was before, INIT WAIT_FOR_SIPI. A paused vCPU serves nothing but TEARDOWN and
 * RESUME. */
enum request word_take(vcpu_word *w, uint8_t *vector);

#endif
