/*
 * The vCPU state word. One 64-bit atomic holds everything that other CPUs may ask of a vCPU, and all that they must
 * know to deliver it. docs/vcpu.md
 *
 *   bits
 *   0-29   requests, one bit for each row of REQUEST_TABLE
 *   30     a second NMI
 *   31     acknowledge
 *   32-39  SIPI vector
 *   40-41  where
 *   42-53  CPU
 *   54-56  mp_state
 *   57-59  mp_state behind PAUSED
 *
 * Who changes what:
 * - mp_state: only the vCPU's own thread.
 * - where: the vCPU's own thread, but for PARKED to ROOT and WAITING to GUEST. The asker whose request wakes makes
 *   these two changes, in the same compare-and-swap that sets the request. So each park and each wait has exactly one
 *   waker.
 * - word_start() is the exception to both: the vCPU's thread has not run yet.
 *
 * PAUSE, RESUME and INIT change mp_state in the same compare-and-swap that takes the request. What an asker may do
 * depends on the pending requests and on mp_state. In two steps there would be a moment when neither shows the request,
 * and a SIPI that comes in that moment would be lost.
 */
#ifndef KERNEL_VM_WORD_H
#define KERNEL_VM_WORD_H

#include <stdatomic.h>

#include "abi/types.h"
#include "kernel/vm/requests.h"

typedef _Atomic uint64_t vcpu_word;

/* A WAITING vCPU is parked, but its thread has not left its CPU. The word has the number of that CPU. The waker makes
 * the vCPU GUEST and kicks that CPU. mp_state stays HALTED until the vCPU's own thread goes on. Meanwhile the vCPU is
 * GUEST, and no asker looks whether a GUEST vCPU is HALTED. */
enum where { WHERE_ROOT, WHERE_GUEST, WHERE_PARKED, WHERE_WAITING };
enum asked { ASKED_NOTHING, ASKED_KICK, ASKED_WAKE };
struct told {
    enum asked asked;
    /* ASKED_KICK: the CPU to be kicked. It runs the guest, or the vCPU was WAITING on it. */
    uint32_t cpu;
};

#define WORD_REQUESTS     (BIT(REQUESTS) - 1)
#define WORD_NMI_AGAIN    BIT(30) /* an NMI is pending, and behind it another one */
#define WORD_ACK          BIT(31) /* somebody waits until this vCPU has left the guest */
#define WORD_SIPI_SHIFT   32
#define WORD_WHERE_SHIFT  40
#define WORD_PARKED       BIT(41) /* a bit of `where`: set in PARKED and in WAITING */
#define WORD_CPU_SHIFT    42
#define WORD_MP_SHIFT     54
#define WORD_BEHIND_SHIFT 57 /* MP_RUNNABLE unless mp_state is PAUSED */

static inline enum where word_where(uint64_t w) { return (enum where)(w >> WORD_WHERE_SHIFT & 3); }
static inline uint32_t word_cpu(uint64_t w) { return w >> WORD_CPU_SHIFT & 0xfff; }
static inline enum mp_state word_mp(uint64_t w) { return (enum mp_state)(w >> WORD_MP_SHIFT & 7); }

/* mp_state, but if that is PAUSED, what mp_state becomes with RESUME. */
static inline enum mp_state word_mp_behind(uint64_t w)
{
    return word_mp(w) == MP_PAUSED ? (enum mp_state)(w >> WORD_BEHIND_SHIFT & 7) : word_mp(w);
}

static inline uint8_t word_sipi_vector(uint64_t w) { return (uint8_t)(w >> WORD_SIPI_SHIFT); }

static inline uint64_t word_make(enum where where, enum mp_state mp)
{
    return (uint64_t)where << WORD_WHERE_SHIFT | (uint64_t)mp << WORD_MP_SHIFT;
}

/* The requests that wake a vCPU that is parked in the state mp: bit n is request n. */
uint64_t word_wakes(enum mp_state mp);

/*
 * Asks the vCPU for r. Any CPU may call this. The answer says what the asker must do now: nothing, kick a CPU, or wake
 * the vCPU's thread. vector: the start page of a SIPI; other requests ignore it.
 *
 * - INIT drops a pending SIPI and all pending NMIs, even if an INIT is pending already.
 * - SIPI counts only if the vCPU waits for one, or has an INIT pending. Only the first SIPI counts.
 * - RESUME takes back a PAUSE that has not been served, and PAUSE takes back such a RESUME. Neither counts twice.
 * - NMI: one is kept behind a first one that has not been taken. A third one is lost.
 */
struct told word_ask(vcpu_word *w, enum request r, uint8_t vector) MUST_CHECK;

/* As word_ask(), for a request that the asker may wait for. *must_wait: the vCPU was in the guest, and word_leave()
 * will report when it has left. word_leave() reports that once, so only one asker of such requests at a time. */
struct told word_ask_wait(vcpu_word *w, enum request r, bool *must_wait) MUST_CHECK;

/* For the BSP, before its thread has run: from PARKED, UNINITIALIZED to ROOT, RUNNABLE. Pending requests stay pending.
 * True: the caller must wake the thread. False: a TEARDOWN has woken it. */
bool word_start(vcpu_word *w) MUST_CHECK;

/* ---- From here on: only the vCPU's own thread, interrupts off */

/* Is no request pending? */
static inline bool word_quiet(const vcpu_word *w)
{
    return !(atomic_load_explicit(w, memory_order_relaxed) & WORD_REQUESTS);
}

/* Is the vCPU RUNNABLE, and no request pending? */
static inline bool word_ready(const vcpu_word *w)
{
    return !(atomic_load_explicit(w, memory_order_relaxed) & (WORD_REQUESTS | 7ull << WORD_MP_SHIFT));
}

/* From ROOT, RUNNABLE, no request pending, to GUEST on cpu. False: nothing has changed, a request is pending. */
static inline bool word_enter(vcpu_word *w, uint32_t cpu)
{
    uint64_t old = word_make(WHERE_ROOT, MP_RUNNABLE);
    uint64_t new = word_make(WHERE_GUEST, MP_RUNNABLE) | (uint64_t)cpu << WORD_CPU_SHIFT;

    return atomic_compare_exchange_strong(w, &old, new);
}

/* From GUEST to ROOT. True: an asker waits until the vCPU has left the guest. */
static inline bool word_leave(vcpu_word *w)
{
    const uint64_t guest = 3ull << WORD_WHERE_SHIFT | 0xfffull << WORD_CPU_SHIFT | WORD_ACK;
    uint64_t old = atomic_load_explicit(w, memory_order_relaxed);

    while (!atomic_compare_exchange_weak(w, &old, old & ~guest))
        ;
    return old & WORD_ACK;
}
static_assert(WHERE_ROOT == 0, "leaving clears bits");

/* From GUEST, RUNNABLE to WAITING, HALTED. False: nothing has changed, somebody has asked for something. */
static inline bool word_wait(vcpu_word *w)
{
    uint64_t old = atomic_load_explicit(w, memory_order_relaxed);

    return !(old & (WORD_REQUESTS | WORD_ACK)) &&
           atomic_compare_exchange_strong(w, &old, old | WORD_PARKED | (uint64_t)MP_HALTED << WORD_MP_SHIFT);
}

/* From WAITING to GUEST, RUNNABLE. True: a waker had made the vCPU GUEST already. False: nobody has woken it. */
static inline bool word_go_on(vcpu_word *w)
{
    return !(atomic_fetch_and(w, ~(WORD_PARKED | 7ull << WORD_MP_SHIFT)) & WORD_PARKED);
}

/* From ROOT to PARKED, and mp_state becomes mp. False: a request is pending that wakes in mp. mp_state has become mp
 * then, too, but the vCPU stays in ROOT. */
bool word_park(vcpu_word *w, enum mp_state mp);

/* mp_state becomes mp. */
void word_set_mp(vcpu_word *w, enum mp_state mp);

/* In GUEST, between an exit and the next entry: takes r out of the word. r is TIMER, EVENT or CLOCK, and pending. */
void word_take_event(vcpu_word *w, enum request r);

/*
 * Takes the first pending request, in serving order, out of the word. REQUESTS: none is pending.
 *
 * - *vector: of a SIPI, its start page; of an NMI, 1 if two were pending, else 0.
 * - Taking PAUSE makes mp_state PAUSED. RESUME makes it what it was before PAUSE. INIT makes it WAIT_FOR_SIPI.
 * - While mp_state is PAUSED, only TEARDOWN and RESUME are taken.
 */
enum request word_take(vcpu_word *w, uint8_t *vector);

#endif
