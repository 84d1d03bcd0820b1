/*
 * The vCPU state word, one step after the other. What wakes is written down here once more, as a picture (SDM Vol. 3,
 * 9.4 and "HLT" in Vol. 2: an interrupt wakes from HLT only if it is not masked, an NMI or INIT always does; a CPU that
 * waits for a SIPI takes nothing else but INIT).
 */
// links: kernel/vm/word.c
#include "kernel/vm/word.h"

#include "tests/unit/test.h"

#define CPU 0xabcu

static const char *const wakes_picture[REQUESTS] = {
    /*                 RUNNABLE, UNINITIALIZED, WAIT_FOR_SIPI, HALTED, HALTED_MASKED, PAUSED */
    [REQ_TEARDOWN] = "xxxxxx", [REQ_PAUSE] = "......", [REQ_RESUME] = ".....x", [REQ_INIT] = ".xxxx.",
    [REQ_SIPI] = "..x...",     [REQ_TIMER] = "...x..", [REQ_NMI] = "...xx.",    [REQ_EVENT] = "...x..",
    [REQ_CLOCK] = "......",    [REQ_APIC] = "......",
};

static bool wakes(enum request r, unsigned mp)
{
    return wakes_picture[r][mp] == 'x';
}

/* Does it count at all for a vCPU in that state, with nothing pending? */
static bool counts(enum request r, unsigned mp)
{
    if (r == REQ_SIPI)
        return mp == MP_WAIT_FOR_SIPI;
    if (r == REQ_RESUME)
        return mp == MP_PAUSED;
    return r != REQ_PAUSE || mp != MP_PAUSED;
}

static uint64_t make(unsigned where, unsigned mp)
{
    return word_make((enum where)where, (enum mp_state)mp) | (uint64_t)CPU << WORD_CPU_SHIFT;
}

static enum asked ask(vcpu_word *w, enum request r)
{
    struct told told = word_ask(w, r, 0x9a);

    CHECK(told.asked != ASKED_KICK || told.cpu == CPU);
    return told.asked;
}

static enum request take(vcpu_word *w)
{
    uint8_t vector = 0;

    return word_take(w, &vector);
}

TEST(every_request_in_every_state_and_place)
{
    for (unsigned r = 0; r < REQUESTS; r++)
        for (unsigned mp = 0; mp < MP_STATES; mp++)
            for (unsigned where = 0; where <= WHERE_PARKED; where++) {
                vcpu_word w = make(where, mp);
                bool set = counts((enum request)r, mp), wake = where == WHERE_PARKED && wakes((enum request)r, mp);
                uint64_t expected = make(wake ? WHERE_ROOT : where, mp) | (set ? BIT(r) : 0);
                enum asked asked = wake ? ASKED_WAKE : where == WHERE_GUEST && set ? ASKED_KICK : ASKED_NOTHING;

                if (set && r == REQ_SIPI)
                    expected |= 0x9aull << WORD_SIPI_SHIFT;
                CHECK_EQ(ask(&w, (enum request)r), asked);
                CHECK_EQ(w, expected);
                CHECK(!wake || set);
                CHECK_EQ(ask(&w, (enum request)r), ASKED_NOTHING); /* latched once, but for an NMI */
                CHECK_EQ(w, expected | (r == REQ_NMI ? WORD_NMI_AGAIN : 0));
            }
}

TEST(the_mask_of_what_wakes)
{
    for (unsigned mp = 0; mp < MP_STATES; mp++) {
        uint64_t mask = 0;

        for (unsigned r = 0; r < REQUESTS; r++)
            mask |= wakes((enum request)r, mp) ? BIT(r) : 0;
        CHECK_EQ(word_wakes((enum mp_state)mp), mask);
    }
}

/* Two NMIs before the first is taken are two, three are no more; INIT drops them all. */
TEST(second_nmi)
{
    for (unsigned nmis = 1; nmis <= 3; nmis++) {
        vcpu_word w = make(WHERE_ROOT, MP_RUNNABLE);
        uint8_t again = 0xee;

        for (unsigned i = 0; i < nmis; i++)
            CHECK_EQ(ask(&w, REQ_NMI), ASKED_NOTHING);
        CHECK_EQ(word_take(&w, &again), REQ_NMI);
        CHECK_EQ(again, nmis > 1);
        CHECK_EQ(w, make(WHERE_ROOT, MP_RUNNABLE));

        for (unsigned i = 0; i < nmis; i++)
            CHECK_EQ(ask(&w, REQ_NMI), ASKED_NOTHING);
        CHECK_EQ(ask(&w, REQ_INIT), ASKED_NOTHING);
        CHECK_EQ(w, make(WHERE_ROOT, MP_RUNNABLE) | BIT(REQ_INIT));
    }
}

TEST(one_waker_of_one_park)
{
    vcpu_word w = make(WHERE_PARKED, MP_HALTED);

    CHECK_EQ(ask(&w, REQ_CLOCK), ASKED_NOTHING);
    CHECK_EQ(ask(&w, REQ_EVENT), ASKED_WAKE);
    CHECK_EQ(ask(&w, REQ_NMI), ASKED_NOTHING);
    CHECK_EQ(ask(&w, REQ_TEARDOWN), ASKED_NOTHING);
    CHECK_EQ(word_where(w), WHERE_ROOT);
}

/* Parking with any set of requests pending: refused exactly if one of them would have woken. */
TEST(parking)
{
    for (unsigned mp = 0; mp < MP_STATES; mp++)
        for (uint64_t pending = 0; pending < BIT(REQUESTS); pending++) {
            vcpu_word w = word_make(WHERE_ROOT, MP_RUNNABLE) | pending;
            bool stays = pending & word_wakes((enum mp_state)mp);

            CHECK_EQ(word_park(&w, (enum mp_state)mp), !stays);
            CHECK_EQ(w, word_make(stays ? WHERE_ROOT : WHERE_PARKED, (enum mp_state)mp) | pending);
        }
}

TEST(entering)
{
    for (unsigned mp = 0; mp < MP_STATES; mp++)
        for (unsigned where = 0; where <= WHERE_PARKED; where++)
            for (uint64_t pending = 0; pending < BIT(REQUESTS); pending++) {
                uint64_t before = word_make((enum where)where, (enum mp_state)mp) | pending;
                vcpu_word w = before;
                bool enters = where == WHERE_ROOT && mp == MP_RUNNABLE && !pending;

                CHECK_EQ(word_enter(&w, CPU), enters);
                CHECK_EQ(w, enters ? make(WHERE_GUEST, MP_RUNNABLE) : before);
            }
}

/* HLT between two entries: from the guest, unless somebody has asked for anything or waits until it has left. */
TEST(beginning_to_wait)
{
    for (uint64_t pending = 0; pending < BIT(REQUESTS); pending++)
        for (unsigned ack = 0; ack < 2; ack++) {
            uint64_t before = make(WHERE_GUEST, MP_RUNNABLE) | pending | (ack ? WORD_ACK : 0);
            vcpu_word w = before;
            bool waits = !pending && !ack;

            CHECK_EQ(word_wait(&w), waits);
            CHECK_EQ(w, waits ? make(WHERE_WAITING, MP_HALTED) : before);
        }
}

/* Each request, asked either way of one that waits: what wakes from HLT makes it GUEST, in HLT still, and the CPU it
 * waits on is kicked; the rest leaves its bit, and nobody waits for anything. What follows is a matter of the guest's.
 */
TEST(asking_one_that_waits)
{
    for (unsigned r = 0; r < REQUESTS; r++)
        for (unsigned waited = 0; waited < 2; waited++) {
            vcpu_word w = make(WHERE_WAITING, MP_HALTED);
            bool wake = wakes((enum request)r, MP_HALTED), set = counts((enum request)r, MP_HALTED), must_wait = true;
            uint64_t expected = make(wake ? WHERE_GUEST : WHERE_WAITING, MP_HALTED) | (set ? BIT(r) : 0);
            struct told told =
                waited ? word_ask_wait(&w, (enum request)r, &must_wait) : word_ask(&w, (enum request)r, 0x9a);

            CHECK_EQ(told.asked, wake ? ASKED_KICK : ASKED_NOTHING);
            CHECK(!wake || told.cpu == CPU);
            CHECK(!waited || !must_wait);
            CHECK_EQ(w, expected);
            CHECK_EQ(ask(&w, (enum request)r), ASKED_NOTHING); /* latched once */
            uint64_t again = r == REQ_NMI ? WORD_NMI_AGAIN : 0;
            CHECK_EQ(w, expected | again);
            CHECK(!word_start(&w));
            CHECK(!word_enter(&w, CPU));

            CHECK_EQ(word_go_on(&w), wake);
            CHECK_EQ(w, make(WHERE_GUEST, MP_RUNNABLE) | (set ? BIT(r) : 0) | again);
        }
}

/* With whatever is pending, woken or not: nothing of it is lost, nor an acknowledgement. */
TEST(going_on)
{
    for (uint64_t pending = 0; pending < BIT(REQUESTS); pending++)
        for (unsigned ack = 0; ack < 2; ack++)
            for (unsigned woken = ack; woken < 2; woken++) {
                uint64_t more = pending | (ack ? WORD_ACK : 0);
                vcpu_word w = make(woken ? WHERE_GUEST : WHERE_WAITING, MP_HALTED) | more;

                CHECK_EQ(word_go_on(&w), woken);
                CHECK_EQ(w, make(WHERE_GUEST, MP_RUNNABLE) | more);
                CHECK_EQ(word_leave(&w), ack);
                CHECK_EQ(w, word_make(WHERE_ROOT, MP_RUNNABLE) | pending);
            }
}

/* One that waits is paused without a word; once it is woken, the pause is still there, and a second one is waited for
 * as in the guest. What is taken back wakes nobody. */
TEST(pausing_one_that_waits)
{
    vcpu_word w = make(WHERE_WAITING, MP_HALTED);
    bool must_wait = true;

    CHECK_EQ(word_ask_wait(&w, REQ_PAUSE, &must_wait).asked, ASKED_NOTHING);
    CHECK(!must_wait);
    CHECK_EQ(ask(&w, REQ_RESUME), ASKED_NOTHING);
    CHECK_EQ(w, make(WHERE_WAITING, MP_HALTED));
    CHECK_EQ(word_ask_wait(&w, REQ_PAUSE, &must_wait).asked, ASKED_NOTHING);
    CHECK_EQ(ask(&w, REQ_TIMER), ASKED_KICK);
    CHECK_EQ(w, make(WHERE_GUEST, MP_HALTED) | BIT(REQ_PAUSE) | BIT(REQ_TIMER));
    CHECK_EQ(word_ask_wait(&w, REQ_APIC, &must_wait).asked, ASKED_KICK);
    CHECK(must_wait);
    CHECK(word_go_on(&w));
    CHECK(!word_wait(&w));
    CHECK(word_leave(&w));
    CHECK_EQ(take(&w), REQ_PAUSE);
    CHECK_EQ(word_mp_behind(w), MP_RUNNABLE);
}

TEST(leaving)
{
    vcpu_word w = word_make(WHERE_ROOT, MP_RUNNABLE);

    for (unsigned round = 0; round < 2; round++) {
        CHECK(word_enter(&w, CPU));
        CHECK_EQ(word_cpu(w), CPU);
        CHECK_EQ(ask(&w, REQ_EVENT), ASKED_KICK);
        CHECK_EQ(ask(&w, REQ_NMI), ASKED_KICK);
        CHECK_EQ(ask(&w, REQ_EVENT), ASKED_NOTHING); /* the first kick is on its way */
        CHECK(!word_leave(&w));
        CHECK_EQ(w, word_make(WHERE_ROOT, MP_RUNNABLE) | BIT(REQ_EVENT) | BIT(REQ_NMI));
        CHECK(!word_enter(&w, CPU));
        CHECK_EQ(take(&w), REQ_NMI);
        CHECK_EQ(take(&w), REQ_EVENT);
        CHECK_EQ(take(&w), REQUESTS);
    }
}

/* Serving order is the table's, for every set. PAUSE holds back what comes behind it. */
TEST(taking_in_order)
{
    for (uint64_t pending = 0; pending < BIT(REQUESTS); pending++) {
        vcpu_word w = word_make(WHERE_ROOT, MP_WAIT_FOR_SIPI) | pending;

        if (pending & BIT(REQ_RESUME)) /* only for a paused one */
            continue;
        if (pending & BIT(REQ_SIPI))
            w |= 0x9aull << WORD_SIPI_SHIFT;
        for (unsigned r = 0; r < REQUESTS; r++) {
            uint8_t vector = 0;

            if (!(pending & BIT(r)))
                continue;
            CHECK_EQ(word_take(&w, &vector), r);
            CHECK(r != REQ_SIPI || vector == 0x9a);
            if (r == REQ_PAUSE) {
                CHECK_EQ(word_mp(w), MP_PAUSED);
                CHECK_EQ(word_mp_behind(w), MP_WAIT_FOR_SIPI);
                CHECK_EQ(take(&w), REQUESTS);
                CHECK_EQ(ask(&w, REQ_RESUME), ASKED_NOTHING);
                CHECK_EQ(take(&w), REQ_RESUME);
            }
            CHECK_EQ(word_mp(w), MP_WAIT_FOR_SIPI);
        }
        CHECK_EQ(take(&w), REQUESTS);
        CHECK_EQ(w, word_make(WHERE_ROOT, MP_WAIT_FOR_SIPI));
    }
}

TEST(acknowledgement)
{
    vcpu_word w = word_make(WHERE_ROOT, MP_RUNNABLE);
    bool must_wait = false;

    CHECK(word_enter(&w, CPU));
    struct told told = word_ask_wait(&w, REQ_PAUSE, &must_wait);
    CHECK_EQ(told.asked, ASKED_KICK);
    CHECK(must_wait);
    CHECK_EQ(told.cpu, CPU);
    CHECK_EQ(ask(&w, REQ_RESUME), ASKED_NOTHING); /* taken back, but somebody waits still */
    CHECK_EQ(w & (WORD_REQUESTS | WORD_ACK), WORD_ACK);
    CHECK(word_leave(&w));
    CHECK_EQ(w, word_make(WHERE_ROOT, MP_RUNNABLE));

    CHECK(word_enter(&w, CPU));
    CHECK_EQ(ask(&w, REQ_PAUSE), ASKED_KICK);
    CHECK_EQ(word_ask_wait(&w, REQ_PAUSE, &must_wait).asked, ASKED_NOTHING); /* kicked, but not left yet */
    CHECK(must_wait);
    CHECK(word_leave(&w));
    CHECK_EQ(take(&w), REQ_PAUSE);
    CHECK_EQ(take(&w), REQUESTS); /* the acknowledgement is no request */

    for (unsigned mp = 0; mp < MP_STATES; mp++)
        for (unsigned where = 0; where <= WHERE_PARKED; where += WHERE_PARKED) {
            w = make(where, mp);
            must_wait = true;
            CHECK_EQ(word_ask_wait(&w, REQ_PAUSE, &must_wait).asked, ASKED_NOTHING);
            CHECK(!must_wait);
            CHECK_EQ(w, make(where, mp) | (mp == MP_PAUSED ? 0 : BIT(REQ_PAUSE)));
        }
}

/* Only the requests that the table says so of are acknowledged. */
TEST(who_is_waited_for)
{
    for (unsigned r = 0; r < REQUESTS; r++) {
        vcpu_word w = word_make(WHERE_ROOT, MP_RUNNABLE);
        bool must_wait = true, waited = r == REQ_PAUSE || r == REQ_APIC;

        CHECK(word_enter(&w, CPU));
        enum asked asked = word_ask_wait(&w, (enum request)r, &must_wait).asked;
        CHECK_EQ(asked, r == REQ_RESUME || r == REQ_SIPI ? ASKED_NOTHING : ASKED_KICK);
        CHECK_EQ(must_wait, waited);
        CHECK_EQ(word_leave(&w), waited);
    }
}

TEST(pausing_and_resuming)
{
    for (unsigned mp = 0; mp < MP_PAUSED; mp++) {
        vcpu_word w = word_make(WHERE_ROOT, (enum mp_state)mp);

        CHECK_EQ(ask(&w, REQ_PAUSE), ASKED_NOTHING);
        CHECK_EQ(take(&w), REQ_PAUSE);
        CHECK(word_park(&w, word_mp(w)));
        CHECK_EQ(ask(&w, REQ_PAUSE), ASKED_NOTHING); /* once more is no more */
        CHECK_EQ(ask(&w, REQ_EVENT), ASKED_NOTHING);
        CHECK_EQ(ask(&w, REQ_RESUME), ASKED_WAKE);
        CHECK_EQ(ask(&w, REQ_PAUSE), ASKED_NOTHING); /* takes it back */
        CHECK_EQ(take(&w), REQUESTS);
        CHECK(word_park(&w, word_mp(w)));
        CHECK_EQ(ask(&w, REQ_RESUME), ASKED_WAKE);
        CHECK_EQ(take(&w), REQ_RESUME);
        CHECK_EQ(take(&w), REQ_EVENT);
        CHECK_EQ(w, word_make(WHERE_ROOT, (enum mp_state)mp));
    }
}

/* The BSP's start keeps what was asked before. */
TEST(starting)
{
    for (unsigned mp = 0; mp < MP_STATES; mp++)
        for (unsigned where = 0; where <= WHERE_PARKED; where++) {
            vcpu_word w = word_make((enum where)where, (enum mp_state)mp) | BIT(REQ_PAUSE) | BIT(REQ_CLOCK);
            uint64_t before = w;
            bool starts = where == WHERE_PARKED && mp == MP_UNINITIALIZED;

            CHECK_EQ(word_start(&w), starts);
            CHECK_EQ(w, starts ? word_make(WHERE_ROOT, MP_RUNNABLE) | BIT(REQ_PAUSE) | BIT(REQ_CLOCK) : before);
        }
}

/*
 * All short sequences of INIT, SIPI, NMI, PAUSE, RESUME and steps of the vCPU, against a CPU that obeys at once. In the
 * end, when everything has been served, both are in the same state: INIT overwrites a pending SIPI and NMI, a SIPI
 * behind a pending INIT is kept, only the first SIPI counts, two NMIs are two, and nothing falls between taking and
 * serving.
 */
enum step { STEP_INIT, STEP_SIPI, STEP_NMI, STEP_PAUSE, STEP_RESUME, STEP_VCPU, STEPS };

struct state {
    enum mp_state mp;
    bool paused;
    unsigned nmis; /* that have come since the last INIT; 2: or more */
    uint8_t start; /* the SIPI's vector */
};

static void ideal_step(struct state *s, enum step step, uint8_t vector)
{
    if (step == STEP_INIT) {
        s->mp = MP_WAIT_FOR_SIPI;
        s->nmis = 0;
        s->start = 0;
    }
    if (step == STEP_SIPI && s->mp == MP_WAIT_FOR_SIPI) {
        s->mp = MP_RUNNABLE;
        s->start = vector;
    }
    if (step == STEP_NMI)
        s->nmis = s->nmis < 2 ? s->nmis + 1 : 2;
    if (step == STEP_PAUSE || step == STEP_RESUME)
        s->paused = step == STEP_PAUSE;
}

/* The vCPU's own thread: taking a request and serving it (as kernel/vm/serve.c does) are two steps. */
struct own {
    struct state s;
    enum request serving;
    uint8_t vector;
};

static bool own_step(vcpu_word *w, struct own *own)
{
    enum request r = own->serving;

    own->serving = REQUESTS;
    if (r == REQUESTS) {
        if (word_where(*w) == WHERE_PARKED)
            return false;
        own->serving = word_take(w, &own->vector);
        return own->serving != REQUESTS || (word_mp(*w) != MP_RUNNABLE && !word_park(w, word_mp(*w)));
    }
    if (r == REQ_INIT) {
        own->s.nmis = 0;
        own->s.start = 0;
    }
    if (r == REQ_NMI)
        own->s.nmis += 1u + own->vector;
    if (r == REQ_SIPI && word_mp(*w) == MP_WAIT_FOR_SIPI) {
        own->s.start = own->vector;
        word_set_mp(w, MP_RUNNABLE);
    }
    return true;
}

static void check_sequence(unsigned sequence, unsigned length, enum mp_state first)
{
    static const enum request request_of[] = {REQ_INIT, REQ_SIPI, REQ_NMI, REQ_PAUSE, REQ_RESUME};
    vcpu_word w = word_make(first == MP_RUNNABLE ? WHERE_ROOT : WHERE_PARKED, first);
    struct own own = {.serving = REQUESTS};
    struct state ideal = {.mp = first};

    for (unsigned i = 0; i < length; i++, sequence /= STEPS) {
        enum step step = (enum step)(sequence % STEPS);
        uint8_t vector = (uint8_t)(0x10 + i);

        ideal_step(&ideal, step, vector);
        if (step == STEP_VCPU)
            own_step(&w, &own);
        else if (word_ask(&w, request_of[step], vector).asked == ASKED_KICK)
            CHECK(!"a kick, outside of the guest");
    }
    while (own_step(&w, &own))
        ;
    CHECK_EQ(word_mp(w) == MP_PAUSED || (w & BIT(REQ_PAUSE)), ideal.paused);
    if (word_ask(&w, REQ_RESUME, 0).asked == ASKED_WAKE)
        CHECK_EQ(word_mp(w), MP_PAUSED);
    while (own_step(&w, &own))
        ;
    CHECK_EQ(word_mp(w), ideal.mp);
    CHECK_EQ(own.s.start, ideal.start);
    own.s.nmis += !!(w & BIT(REQ_NMI)) + !!(w & WORD_NMI_AGAIN); /* what wakes nothing may stay in the word */
    CHECK_EQ(own.s.nmis < 2 ? own.s.nmis : 2, ideal.nmis);
    CHECK_EQ(w & WORD_REQUESTS & ~BIT(REQ_NMI), 0);
}

TEST(all_short_sequences)
{
    unsigned length = 7, count = 1;

    for (unsigned i = 0; i < length; i++)
        count *= STEPS;
    for (unsigned sequence = 0; sequence < count; sequence++)
        for (unsigned mp = MP_RUNNABLE; mp <= MP_WAIT_FOR_SIPI; mp++)
            check_sequence(sequence, length, (enum mp_state)mp);
}
