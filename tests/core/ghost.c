/*
 * What must hold. The state word is checked at each of its changes, whoever makes it, against the rules of
 * kernel/vm/word.h written down here a second time; kicks and wakes against what the change of the word calls for.
 */
#include <string.h>

#include "kernel/base/spinlock.h"
#include "lapic/internal.h"
#include "tests/core/core.h"

#define REQUESTS_AND_ACK (WORD_REQUESTS | WORD_NMI_AGAIN | WORD_ACK)
#define GHOSTS           512

struct ghost {
    struct vcpu *v;           /* NULL: free */
    _Atomic uint32_t asked;   /* requests that have been asked since they were last taken */
    _Atomic bool paused;      /* vm_pause() has returned, vm_resume() has not been called */
    _Atomic bool runs;        /* its guest does: not between two entries */
    _Atomic uint64_t entries; /* ROOT to GUEST */
    bool start;               /* a SIPI has been taken where it counts; own thread */
};
static struct ghost ghosts[GHOSTS];
static struct spinlock lock; /* of who is in this table */

/* When a parked vCPU is woken: SDM Vol. 3, 9.4 and 11.4.7.3; Vol. 2, HLT; and what control asks. */
static uint32_t wakes_in(enum mp_state mp)
{
    switch (mp) {
    case MP_UNINITIALIZED:
        return BIT(REQ_TEARDOWN) | BIT(REQ_INIT);
    case MP_WAIT_FOR_SIPI:
        return BIT(REQ_TEARDOWN) | BIT(REQ_INIT) | BIT(REQ_SIPI);
    case MP_HALTED:
        return BIT(REQ_TEARDOWN) | BIT(REQ_INIT) | BIT(REQ_NMI) | BIT(REQ_TIMER) | BIT(REQ_EVENT);
    case MP_HALTED_MASKED:
        return BIT(REQ_TEARDOWN) | BIT(REQ_INIT) | BIT(REQ_NMI);
    case MP_PAUSED:
        return BIT(REQ_TEARDOWN) | BIT(REQ_RESUME);
    default:
        return BIT(REQ_TEARDOWN);
    }
}

static struct ghost *ghost_at(const volatile void *address)
{
    if ((uint64_t)address % PAGE_SIZE)
        return NULL;
    for (uint32_t i = 0; i < GHOSTS; i++)
        if (__atomic_load_n(&ghosts[i].v, __ATOMIC_ACQUIRE) == address)
            return &ghosts[i];
    return NULL;
}

/* GUEST or WAITING: only there the word names a CPU, and its thread does not leave it. */
static bool on_its_cpu(uint64_t w)
{
    return word_where(w) == WHERE_GUEST || word_where(w) == WHERE_WAITING;
}

/* PARKED or WAITING */
static bool sleeps(uint64_t w)
{
    return word_where(w) == WHERE_PARKED || word_where(w) == WHERE_WAITING;
}

bool ghost_is_word(const volatile void *address)
{
    return ghost_at(address);
}

void ghost_each(void (*look)(struct vcpu *v, uint32_t asked))
{
    for (uint32_t i = 0; i < GHOSTS; i++)
        if (ghosts[i].v)
            look(ghosts[i].v, atomic_load(&ghosts[i].asked));
}

void ghost_init(void)
{
    memset(ghosts, 0, sizeof ghosts);
    ghost_threads_init();
}

void ghost_vcpu_made(struct vcpu *v)
{
    spin_lock(&lock);
    struct ghost *g = ghosts;
    while (g < ghosts + GHOSTS - 1 && g->v)
        g++;
    g->asked = 0;
    g->paused = g->runs = false;
    __atomic_store_n(&g->v, v, __ATOMIC_RELEASE);
    spin_unlock(&lock);
}

void ghost_vcpu_gone(struct vcpu *v)
{
    struct ghost *g = ghost_at(v);
    if (on_its_cpu(atomic_load(&v->word)))
        core_fail("vCPU %u is destroyed in its guest", v->index);
    __atomic_store_n(&g->v, NULL, __ATOMIC_RELEASE);
}

/* ---- Each change of a word */

static bool only(uint64_t bits)
{
    return bits && !(bits & (bits - 1));
}

/* What is wrong with a state, whoever made it; NULL: nothing. */
static const char *bad_state(uint64_t w)
{
    uint64_t r = w & WORD_REQUESTS;
    enum mp_state mp = word_mp(w);
    if (sleeps(w) && (r & wakes_in(mp)))
        return "parked with a request that wakes";
    if ((w & WORD_NMI_AGAIN) && !(w & BIT(REQ_NMI)))
        return "a second NMI without a first";
    if (word_where(w) == WHERE_PARKED && mp == MP_RUNNABLE)
        return "parked although runnable";
    if (word_where(w) == WHERE_WAITING && mp != MP_HALTED)
        return "it waits, and is not in HLT";
    if (word_where(w) == WHERE_GUEST && mp != MP_RUNNABLE && (mp != MP_HALTED || !(r & wakes_in(mp))))
        return "in the guest, not runnable, nor woken";
    if ((word_where(w) != WHERE_GUEST && w & WORD_ACK) || (!on_its_cpu(w) && word_cpu(w)))
        return "somebody waits for a vCPU outside of the guest, or it names a CPU";
    /* In root there may be one: it came while an INIT or a SIPI was being served, and will be dropped. */
    if ((r & BIT(REQ_SIPI)) && sleeps(w) && mp != MP_PAUSED && mp != MP_WAIT_FOR_SIPI)
        return "a SIPI for one that does not wait for it";
    if ((r & BIT(REQ_PAUSE) && mp == MP_PAUSED) || (r & BIT(REQ_RESUME) && mp != MP_PAUSED))
        return "a PAUSE of a paused one, or a RESUME of one that is not";
    if (mp != MP_PAUSED && w >> WORD_BEHIND_SHIFT & 7)
        return "a state behind PAUSED that is not paused";
    return NULL;
}

#define WHERE_BITS (3ull << WORD_WHERE_SHIFT)
#define MP_BITS    (7ull << WORD_MP_SHIFT)
#define CPU_BITS   (0xfffull << WORD_CPU_SHIFT)
#define SIPI_BITS  (0xffull << WORD_SIPI_SHIFT)

static void owe(struct ghost *g, enum asked what, uint32_t cpu)
{
    ghost_settled();
    struct core_cpu *c = me();
    if (what == ASKED_KICK && cpu == c->percpu.index)
        return;
    c->owes = what;
    c->owed = g->v;
    c->owed_cpu = cpu;
}

/* By anybody; NULL: it is right. */
static const char *asking(struct ghost *g, uint64_t old, uint64_t new)
{
    uint64_t added = new & ~old &WORD_REQUESTS, removed = old & ~new &REQUESTS_AND_ACK;
    enum where woken = word_where(old) == WHERE_WAITING ? WHERE_GUEST : WHERE_ROOT;
    bool wakes = sleeps(old) && (added & wakes_in(word_mp(old)));
    uint64_t may_change = REQUESTS_AND_ACK | SIPI_BITS | (wakes ? WHERE_BITS : 0);
    uint64_t may_remove = new &BIT(REQ_INIT) ? BIT(REQ_SIPI) | BIT(REQ_NMI) | WORD_NMI_AGAIN : 0;
    if (!added)
        may_remove |= word_mp(old) == MP_PAUSED ? BIT(REQ_RESUME) : BIT(REQ_PAUSE);
    if (added && !only(added))
        return "two requests at once";
    if ((added & BIT(REQ_INIT)) && (new &(BIT(REQ_SIPI) | BIT(REQ_NMI))))
        return "an INIT leaves a SIPI or an NMI behind";
    if (removed & ~may_remove)
        return "asking takes a request away";
    if ((old ^ new) & ~may_change)
        return "asking changes what is the vCPU's own";
    if ((new & ~old &WORD_ACK) && (word_where(old) != WHERE_GUEST || !(new &(BIT(REQ_PAUSE) | BIT(REQ_APIC)))))
        return "an acknowledgement that will not come";
    if (word_where(new) != (wakes ? woken : word_where(old)))
        return "not woken by what wakes";
    if (wakes && woken == WHERE_ROOT)
        owe(g, ASKED_WAKE, 0);
    else if (wakes || (added && word_where(old) == WHERE_GUEST))
        owe(g, ASKED_KICK, word_cpu(old));
    return NULL;
}

/* By the vCPU's own thread, the request r. */
static const char *taking(struct ghost *g, uint64_t old, uint64_t new, enum request r)
{
    uint64_t may = BIT(r), mp = MP_BITS | 7ull << WORD_BEHIND_SHIFT;
    uint64_t allowed = word_mp(old) == MP_PAUSED ? BIT(REQ_TEARDOWN) | BIT(REQ_RESUME) : BIT(REQUESTS) - 1;
    enum mp_state after = word_mp(old);
    if (r == REQ_PAUSE || r == REQ_RESUME || r == REQ_INIT)
        may |= mp;
    if (r == REQ_SIPI)
        may |= SIPI_BITS;
    if (r == REQ_NMI)
        may |= WORD_NMI_AGAIN;
    if (r == REQ_SIPI || r == REQ_INIT)
        g->start = r == REQ_SIPI && word_mp(old) == MP_WAIT_FOR_SIPI;
    if (r == REQ_PAUSE)
        after = MP_PAUSED;
    if (r == REQ_RESUME)
        after = word_mp_behind(old);
    if (r == REQ_INIT)
        after = MP_WAIT_FOR_SIPI;
    if (word_where(old) == WHERE_GUEST) /* between two entries: only what is an event for the guest, in any order */
        return r != REQ_TIMER && r != REQ_EVENT && r != REQ_CLOCK ? "taken outside of root"
               : word_mp(old) != MP_RUNNABLE                      ? "taken in HLT, which has not ended"
               : (old ^ new) & ~BIT(r)                            ? "taking changes something else"
                                                                  : NULL;
    if (old & allowed & (BIT(r) - 1))
        return "taken out of turn";
    if (!(allowed & BIT(r)))
        return "taken while paused";
    if ((old ^ new) & ~may || word_mp(new) != after)
        return "taking changes something else";
    if (r == REQ_PAUSE && word_mp_behind(new) != word_mp(old))
        return "the state behind PAUSED is lost";
    return word_where(old) == WHERE_ROOT ? NULL : "taken outside of root";
}

/* In HLT between two entries, by the vCPU's own thread: into it, and out of it, woken or not. */
static const char *waiting(const struct ghost *g, uint64_t old, uint64_t new)
{
    if ((old ^ new) & ~(WHERE_BITS | MP_BITS))
        return "waiting changes something else";
    if (word_cpu(old) != me()->percpu.index)
        return "it waits on another CPU";
    if (word_where(new) == WHERE_GUEST)
        return word_mp(new) == MP_RUNNABLE ? NULL : "it waits no more, and has not ended HLT";
    if (old & REQUESTS_AND_ACK)
        return "it waits with a request";
    return guest_interruptible(g->v) ? NULL : "it waits with interrupts off, or not for HLT";
}

/* By the vCPU's own thread, no request involved. */
static const char *moving(struct ghost *g, uint64_t old, uint64_t new)
{
    enum where from = word_where(old), to = word_where(new);
    if (from == WHERE_ROOT && to == WHERE_GUEST) {
        atomic_fetch_add(&g->entries, 1);
        if (old & REQUESTS_AND_ACK)
            return "it enters with a request";
        return word_cpu(new) == me()->percpu.index ? NULL : "it enters on another CPU";
    }
    if (from == WHERE_GUEST && to == WHERE_ROOT && word_mp(old) != MP_RUNNABLE)
        return "it leaves for root in HLT, which has not ended";
    if (from == WHERE_GUEST && to == WHERE_ROOT)
        return (old ^ new) & ~(WHERE_BITS | CPU_BITS | WORD_ACK) ? "leaving changes something else" : NULL;
    if ((from == WHERE_GUEST && (to == WHERE_WAITING || word_mp(old) == MP_HALTED)) ||
        (from == WHERE_WAITING && to == WHERE_GUEST))
        return waiting(g, old, new);
    if (from != WHERE_ROOT || to == WHERE_GUEST)
        return "it moves in a way that does not exist";
    if (word_mp(old) != word_mp(new) && word_mp(old) == MP_WAIT_FOR_SIPI && !g->start && g->v->index > 0)
        return "it starts without a SIPI";
    if (word_mp(old) != word_mp(new) && (word_mp(old) == MP_UNINITIALIZED || word_mp(old) == MP_PAUSED))
        return "it begins or goes on without being asked to";
    return (old ^ new) & ~(WHERE_BITS | MP_BITS) ? "parking changes something else" : NULL;
}

/* Has asking taken away what it may, without adding anything? */
static bool cancels(uint64_t old, uint64_t new, uint64_t removed)
{
    if (word_mp(old) != word_mp(new))
        return false;
    if (removed == BIT(REQ_PAUSE) || removed == BIT(REQ_RESUME))
        return true;
    return (new &BIT(REQ_INIT)) && !(removed & ~(BIT(REQ_SIPI) | BIT(REQ_NMI)));
}

void ghost_word(const volatile void *address, uint64_t old, uint64_t new)
{
    struct ghost *g = ghost_at(address);
    if (!g || old == new)
        return;
    const char *bad;
    uint64_t removed = old & ~new &WORD_REQUESTS, added = new & ~old &REQUESTS_AND_ACK;
    bool own = me()->percpu.current == g->v->thread, waits = old & WORD_ACK;
    if (me()->starts == g->v) {
        bad = removed || added || word_where(old) != WHERE_PARKED || word_mp(old) != MP_UNINITIALIZED ||
                      word_mp(new) != MP_RUNNABLE
                  ? "not what starting is"
                  : NULL;
        owe(g, ASKED_WAKE, 0);
    } else if (added || (removed && cancels(old, new, removed))) {
        bad = asking(g, old, new);
    } else if (!own) {
        bad = "another thread changes it without asking";
    } else if (removed) {
        bad = only(removed) ? taking(g, old, new, (enum request)__builtin_ctzll(removed)) : "two taken at once";
    } else {
        bad = moving(g, old, new);
    }
    if (waits && !(new &WORD_ACK) && word_where(new) != WHERE_ROOT)
        bad = "an acknowledgement is lost";
    bad = bad ? bad : bad_state(new);
    if (bad)
        core_fail("vCPU %u's word 0x%lx became 0x%lx: %s", g->v->index, old, new, bad);
}

void ghost_plain_write(const volatile void *address)
{
    if (ghost_at(address))
        core_fail("the word at %p is stored to, without looking", address);
}

/* ---- What follows from it */

void ghost_settled(void)
{
    struct core_cpu *c = me();
    if (c->owes != ASKED_NOTHING)
        core_fail("vCPU %u has not been %s", c->owed->index, c->owes == ASKED_KICK ? "kicked" : "woken");
}

void ghost_kick(uint32_t cpu)
{
    struct core_cpu *c = me();
    if (c->owes == ASKED_KICK && c->owed_cpu == cpu)
        c->owes = ASKED_NOTHING;
    else if (!c->pokes)
        core_fail("a kick for CPU %u that nobody needs", cpu);
}

void __real_thread_wake(struct thread *t);
void __wrap_thread_wake(struct thread *t);
void __wrap_thread_wake(struct thread *t)
{
    struct core_cpu *c = me();
    if (c->owes == ASKED_WAKE && c->owed->thread == t)
        c->owes = ASKED_NOTHING;
    __real_thread_wake(t);
}

void __real_thread_poke(struct thread *t);
void __wrap_thread_poke(struct thread *t);
void __wrap_thread_poke(struct thread *t)
{
    me()->pokes = true;
    __real_thread_poke(t);
    me()->pokes = false;
}

bool __real_word_start(vcpu_word *w);
bool __wrap_word_start(vcpu_word *w);
bool __wrap_word_start(vcpu_word *w)
{
    me()->starts = CONTAINER_OF(w, struct vcpu, word);
    bool started = __real_word_start(w);
    me()->starts = NULL;
    return started;
}

static void asks(vcpu_word *w, enum request r)
{
    struct ghost *g = ghost_at(w);
    if (!g)
        return;
    if (r == REQ_INIT)
        atomic_fetch_and(&g->asked, ~(uint32_t)BIT(REQ_NMI));
    atomic_fetch_or(&g->asked, (uint32_t)BIT(r));
}

struct told __real_word_ask(vcpu_word *w, enum request r, uint8_t vector);
struct told __wrap_word_ask(vcpu_word *w, enum request r, uint8_t vector);
struct told __wrap_word_ask(vcpu_word *w, enum request r, uint8_t vector)
{
    asks(w, r);
    struct told told = __real_word_ask(w, r, vector);
    if (r == REQ_INIT && ghost_at(w))
        atomic_fetch_and(&ghost_at(w)->asked, ~(uint32_t)BIT(REQ_NMI));
    return told;
}

struct told __real_word_ask_wait(vcpu_word *w, enum request r, bool *must_wait);
struct told __wrap_word_ask_wait(vcpu_word *w, enum request r, bool *must_wait);
struct told __wrap_word_ask_wait(vcpu_word *w, enum request r, bool *must_wait)
{
    asks(w, r);
    return __real_word_ask_wait(w, r, must_wait);
}

enum request __real_word_take(vcpu_word *w, uint8_t *vector);
enum request __wrap_word_take(vcpu_word *w, uint8_t *vector);
enum request __wrap_word_take(vcpu_word *w, uint8_t *vector)
{
    enum request r = __real_word_take(w, vector);
    if (r != REQUESTS && ghost_at(w))
        atomic_fetch_and(&ghost_at(w)->asked, ~(uint32_t)BIT(r));
    return r;
}

void __real_word_take_event(vcpu_word *w, enum request r);
void __wrap_word_take_event(vcpu_word *w, enum request r);
void __wrap_word_take_event(vcpu_word *w, enum request r)
{
    __real_word_take_event(w, r);
    if (ghost_at(w))
        atomic_fetch_and(&ghost_at(w)->asked, ~(uint32_t)BIT(r));
}

/* GUEST, and not sure to leave before it enters again. One that was asked for r while it waited, and has been woken by
 * another request since, is: it sees r first. */
static bool inside(struct ghost *g, enum request r)
{
    uint64_t w = atomic_load(&g->v->word);
    return word_where(w) == WHERE_GUEST && (!(w & BIT(r)) || (w & WORD_ACK) || atomic_load(&g->runs));
}

/* Who is in the guest when a broadcast begins, has left it when it ends. */
void __real_vm_broadcast(struct vm *vm, enum request r);
void __wrap_vm_broadcast(struct vm *vm, enum request r);
void __wrap_vm_broadcast(struct vm *vm, enum request r)
{
    uint64_t entries[CORE_VCPUS];
    for (uint32_t i = 0; i < vm->config.vcpus; i++) {
        struct ghost *g = ghost_at(vm->vcpus[i]);
        entries[i] = word_where(atomic_load(&g->v->word)) == WHERE_GUEST ? atomic_load(&g->entries) : 0;
    }
    __real_vm_broadcast(vm, r);
    for (uint32_t i = 0; i < vm->config.vcpus; i++) {
        struct ghost *g = ghost_at(vm->vcpus[i]);
        if (core_exact() && inside(g, r) && entries[i] == atomic_load(&g->entries))
            core_fail("a broadcast ends, and vCPU %u has not left its guest", i);
        if (r == REQ_APIC && inside(g, r))
            core_fail("vCPU %u is in its guest before the mask is written", i);
    }
}

void ghost_paused(struct vm *vm, bool paused)
{
    for (uint32_t i = 0; i < vm->config.vcpus; i++) {
        atomic_store(&ghost_at(vm->vcpus[i])->paused, paused);
        if (paused && inside(ghost_at(vm->vcpus[i]), REQ_PAUSE))
            core_fail("vCPU %u is in its guest although the VM is paused", i);
    }
}

void ghost_enters(struct vcpu *v)
{
    uint64_t w = atomic_load(&v->word);
    if (word_where(w) != WHERE_GUEST || word_mp(w) != MP_RUNNABLE || word_cpu(w) != me()->percpu.index)
        core_fail("vCPU %u runs the guest, and its word says 0x%lx", v->index, w);
    atomic_store(&ghost_at(v)->runs, true);
    if (ghost_counts_as_idle(me()->percpu.index))
        core_fail("CPU %u runs the guest of vCPU %u, and counts as idle", me()->percpu.index, v->index);
    ghost_in_guest(v);
}

void ghost_in_guest(struct vcpu *v)
{
    if (atomic_load(&ghost_at(v)->paused))
        core_fail("vCPU %u runs the guest while paused", v->index);
    if (v->accelerated == (atomic_load(&v->vm->inhibits.mask) != 0))
        core_fail("vCPU %u runs the guest against the inhibit mask", v->index);
}

void ghost_leaves(struct vcpu *v)
{
    if (word_where(atomic_load(&v->word)) != WHERE_GUEST)
        core_fail("somebody else has taken vCPU %u out of its guest", v->index);
    atomic_store(&ghost_at(v)->runs, false);
}

void ghost_released(const struct vcpu *v)
{
    if (on_its_cpu(atomic_load(&v->word)))
        core_fail("the thread of vCPU %u is switched away: 0x%lx", v->index, atomic_load(&v->word));
}
