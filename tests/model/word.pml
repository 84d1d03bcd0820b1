/*
 * One vCPU thread (vcpu_main(), vcpu_park(), enter_guest() of kernel/vm/vcpu.c, vcpu_serve() and, between an exit and the next
 * entry, vcpu_serve_events() of kernel/vm/serve.c, hlt_quickly() of kernel/vm/exit.c) between two CPUs; what it asks of itself by
 * an exit or its own timer; control, which pauses, resumes, starts and ends it; and its peers: another vCPU's INIT, SIPI, NMI
 * and interrupts, its device world, its timer. Each asks for anything of its own, in any order, at any time, BUDGET times
 * together.
 *
 * Beside it runs an ideal CPU (i_*) that obeys at once. When nothing moves any more, both are in the same state, nothing
 * that was asked is forgotten, and nobody sleeps who has cause to run; then it is resumed, looked at again, and ended. No
 * guest is behind a HLT that nothing has ended.
 *
 * Instances: BSP 0 an application processor, 1 the one that vm_boot() starts; CONTROL, PEER: what the two may ask.
 */
#include "constants.h"
#define VCPUS 1
#define THREADS 1
#define NEVER 7

/* Written down once more, apart from the table: SDM Vol. 3, 9.4, and HLT in Vol. 2. */
#define MAY_WAKE(mp) ( \
    (mp) == UNINITIALIZED  -> (B(R_TEARDOWN) | B(R_INIT)) : ( \
    (mp) == WAIT_FOR_SIPI  -> (B(R_TEARDOWN) | B(R_INIT) | B(R_SIPI)) : ( \
    (mp) == HALTED         -> (B(R_TEARDOWN) | B(R_INIT) | B(R_NMI) | B(R_EVENT) | B(R_TIMER)) : ( \
    (mp) == HALTED_MASKED  -> (B(R_TEARDOWN) | B(R_INIT) | B(R_NMI)) : ( \
    (mp) == PAUSED         -> (B(R_TEARDOWN) | B(R_RESUME)) : 0)))))

short fresh;      /* asked for, not served */
short kicked;     /* pending, and somebody has sent an IPI for it */
short silent;     /* pending, and it was in GUEST, but asked itself, without an IPI */
bool unwoken = 1; /* a park, or a wait, that nobody has ended */
byte runs_on = NEVER; /* in the guest, or waiting */
byte i_mp = UNINITIALIZED; /* or WAIT_FOR_SIPI, RUNNABLE */
byte i_start;
byte i_nmis; /* since the last INIT; 2: or more */
bool i_stop;

#define ON_ASK(v, r, start_page, asked) \
    assert(asked == NOTHING || h_where == GUEST || (unwoken && (MAY_WAKE(w[v].mp) & B(r)))); \
    assert(asked != KICK || (runs_on == w[v].cpu && !((kicked | silent) & B(r)))); \
    assert(w[v].where != WAITING || !(w[v].req & MAY_WAKE(w[v].mp))); \
    unwoken = unwoken && (asked == NOTHING || h_where == GUEST); \
    kicked = (asked == KICK && !ITSELF -> kicked | B(r) : kicked) & w[v].req; \
    silent = (asked == KICK && ITSELF -> silent | B(r) : silent) & w[v].req; \
    if \
    :: (r) == R_INIT -> \
        i_mp = (BSP -> RUNNABLE : WAIT_FOR_SIPI); i_start = 0; i_nmis = 0; fresh = (fresh | B(r)) & ~B(R_NMI) \
    :: (r) == R_SIPI -> \
        if :: i_mp == WAIT_FOR_SIPI -> i_mp = RUNNABLE; i_start = start_page :: else fi \
    :: (r) == R_PAUSE || (r) == R_RESUME -> i_stop = (r) == R_PAUSE \
    :: else -> fresh = fresh | B(r); i_nmis = ((r) == R_NMI && i_nmis < 2 -> i_nmis + 1 : i_nmis) \
    fi
#define ON_START(v, woken) \
    assert(!woken || unwoken); unwoken = unwoken && !woken; \
    if :: woken -> i_mp = RUNNABLE :: else fi
/* Who may not sleep has something to serve, which the next word_take() gives it: it does not spin. */
#define ON_PARK(v, parked) \
    assert(!unwoken && state != RUNNABLE); \
    assert(parked || (w[v].req & MAY_WAKE(state))); \
    unwoken = parked
#define ON_WAIT(v, waits) \
    assert(!unwoken && w[v].cpu == runs_on && !(waits && (w[v].req & MAY_WAKE(HALTED)))); \
    unwoken = waits
#define ON_GO_ON(v, woken) \
    assert(unwoken != woken && w[v].where == GUEST); \
    unwoken = 0
#define ON_SET_MP(v) skip
#define ON_TAKE(v, r) \
    if \
    :: r < REQUESTS -> \
        assert(w[v].mp != PAUSED || r == R_PAUSE || r == R_TEARDOWN); \
        assert(r == R_TEARDOWN || !(w[v].req & B(R_TEARDOWN))); \
        assert(!(w[v].req & B(r))); \
        fresh = fresh & ~B(r); kicked = kicked & w[v].req; silent = silent & w[v].req \
    :: else -> assert(!(w[v].req & (w[v].mp == PAUSED -> MAY_WAKE(PAUSED) : B(REQUESTS) - 1))) \
    fi
/* What an entry brings into the guest, and nothing else. It is served behind that. */
#define EVENTS (B(R_TIMER) | B(R_EVENT) | B(R_CLOCK))
#define ON_TAKE_EVENT(v, r) \
    assert(w[v].where == GUEST && w[v].mp == RUNNABLE && (B(r) & EVENTS)); \
    kicked = kicked & w[v].req; silent = silent & w[v].req
#define ITSELF (_pid == 1)

#include "word.inc"

bool kick[2];  /* VECTOR_KICK is pending on that CPU */
byte left = BUDGET;
bool running;  /* vm->state is past ABI_VM_LOADING */
bool resetting; /* vm_boot() writes the vCPU's registers */
bool nmi, irr; /* nmi_pending; something in the LAPIC's IRR */
bool if_set;   /* the guest's */
byte got_nmis; /* since the last INIT; 2: or more */
bool hlt;      /* the guest stands behind HLT, and nothing has ended that */
bool gone;
byte started; /* the last SIPI's page */

#define CHOOSE_FOR_ITSELF(w) (PEER & B(w)) -> r = w
#define HAS_WAKEUP (nmi || (irr && if_set))
#define WAIT_UNTIL_WOKEN(v) do :: w[v].where == PARKED -> thread_park(v) :: else -> break od

/* By a quick exit or in an interrupt of the host's: where is GUEST, cpu its own, and vcpu_deliver() sends no IPI. */
inline ask_itself() {
    atomic {
        word_ask(0, r, 1, false, asked, must, to);
        assert(asked != WAKE && (asked != KICK || to == cpu));
        asked = 0; to = 0; r = 0
    }
}

/* vcpu_prepare_events(): what the next entry brings into the guest. That is what ends HLT. */
inline prepare_events() {
    hlt = hlt && !HAS_WAKEUP;
    nmi = 0;
    irr = irr && !if_set
}

proctype vcpu()
{
    bool flag, must;
    byte r, start, mp, cpu, asked, to;
    short seen; /* in the word, between two entries */

    thread[0] != BLOCKED;
    WAIT_UNTIL_WOKEN(0);
serve:
    atomic {
        mp = 0;
        word_take(0, r, start);
        if
        :: r == R_TEARDOWN -> goto out
        :: r == R_INIT ->
            assert(!resetting);
            nmi = 0; got_nmis = 0; irr = 0; if_set = 0; started = 0; hlt = 0;
            if
            :: BSP -> goto set_runnable
            :: !BSP -> goto serve
            fi
        :: r == R_SIPI ->
            if
            :: w[0].mp == WAIT_FOR_SIPI -> started = start; goto set_runnable
            :: else -> goto serve
            fi
        :: r == R_NMI -> nmi = 1; got_nmis = (got_nmis + start == 0 -> 1 : 2); goto serve
        :: r == R_EVENT || r == R_TIMER -> irr = 1; goto serve
        :: r == R_PAUSE || r == R_RESUME || r == R_APIC || r == R_CLOCK -> goto serve
        :: r == REQUESTS
        fi;
        mp = w[0].mp
    };
    if
    :: atomic { (mp == HALTED || mp == HALTED_MASKED) && HAS_WAKEUP -> word_set_mp(0, RUNNABLE) }
    :: mp != RUNNABLE && !((mp == HALTED || mp == HALTED_MASKED) && HAS_WAKEUP) -> goto park
    :: mp == RUNNABLE -> atomic { /* preempted, perhaps moved; interrupts are on meanwhile, on both CPUs */
        kick[cpu] = 0;
        cpu = 1 - cpu;
        kick[cpu] = 0;
        goto serve }
    :: mp == RUNNABLE
    fi;
    /* enter_guest() */
    atomic {
        assert(!resetting);
        prepare_events();
        word_enter(0, cpu, flag);
        if
        :: !flag -> goto serve
        :: else -> runs_on = cpu; flag = 0
        fi
    };
guest:
    assert(w[0].mp == RUNNABLE && w[0].where == GUEST && w[0].cpu == cpu && runs_on == cpu && !silent && !hlt);
    if
    :: true -> /* a guest that never leaves by itself */
        atomic { kick[cpu] -> kick[cpu] = 0 }; /* the host's interrupts are let in, among them its own timer's */
        if
        :: atomic { left > 0 && (CONTROL & B(R_TIMER)) -> left--; r = R_TIMER }; ask_itself()
        :: true
        fi;
        goto quick
    :: atomic { left > 0 -> left--; /* WRMSR: an IPI to itself */
        if
        :: CHOOSE_FOR_ITSELF(R_INIT)
        :: CHOOSE_FOR_ITSELF(R_SIPI)
        :: CHOOSE_FOR_ITSELF(R_NMI)
        :: CHOOSE_FOR_ITSELF(R_EVENT)
        fi };
        ask_itself();
        goto quick
    :: true                       /* any other exit */
    :: atomic { mp = HALTED_MASKED; hlt = 1; if_set = 0 } /* HLT */
    :: atomic { mp = HALTED; hlt = 1; if_set = 1 }        /* and another thread is runnable here */
    :: atomic { mp = HALTED; hlt = 1; if_set = 1;         /* hlt_quickly() */
        if
        :: HAS_WAKEUP
        :: !HAS_WAKEUP -> word_wait(0, flag)
        fi;
        if
        :: flag -> flag = 0; goto wait
        :: else
        fi }
    fi;
    goto leave;
wait:
    if
    :: w[0].where == WAITING ->
        if
        :: true -> /* irq_wait(), until a kick comes */
            atomic { kick[cpu] -> kick[cpu] = 0 }
        :: true    /* until any other interrupt of the host's does */
        :: atomic { left > 0 && (CONTROL & B(R_TIMER)) -> left--; r = R_TIMER }; ask_itself()
        :: true -> goto go_on /* it has made another thread runnable here */
        fi;
        goto wait
    :: else
    fi;
go_on:
    word_go_on(0, flag);
    if
    :: !flag -> goto leave
    :: else -> flag = 0
    fi;
quick:
    /* serve_quickly(), vcpu_serve_events(). Exits that ask for nothing do not come here, and change nothing. */
    seen = w[0].req;
    if
    :: true -> seen = 0; goto leave /* QUICK_DONE: for one of the others, or because another thread shall run */
    :: !(seen & ~EVENTS)
    fi;
    do
    :: seen ->
        if
        :: seen & B(R_TIMER) -> r = R_TIMER
        :: seen & B(R_EVENT) -> r = R_EVENT
        :: seen & B(R_CLOCK) -> r = R_CLOCK
        fi;
        word_take_event(0, r);
        atomic {
            fresh = fresh & ~B(r);
            if
            :: r != R_CLOCK -> irr = 1
            :: true /* TPR holds it back, or it is masked */
            fi;
            seen = seen & ~B(r);
            r = 0
        }
    :: !seen -> break
    :: !seen -> goto leave /* QUICK_DONE: for an 8259 cycle */
    od;
    atomic {
        prepare_events();
        if
        :: mp == RUNNABLE || !hlt -> mp = RUNNABLE; goto guest
        :: else /* no event: QUICK_SKIP */
        fi
    };
leave:
    atomic { runs_on = NEVER; word_leave(0, flag); assert(!flag) };
    atomic {
        if_set = mp != HALTED_MASKED;
        if
        :: mp == RUNNABLE || HAS_WAKEUP -> goto serve /* do_HLT(): what is due is chosen for the entry */
        :: else
        fi
    };
park:
    word_park(0, mp, flag);
    if
    :: flag -> flag = 0; WAIT_UNTIL_WOKEN(0)
    :: else
    fi;
    goto serve;
set_runnable:
    word_set_mp(0, RUNNABLE);
    goto serve;
out:
    atomic { gone = 1; thread[0] = DEAD; r = 0; start = 0 }
}

inline ask() {
    word_ask(0, what, page, false, asked, must, to);
    if
    :: asked == KICK -> kick[to] = 1
    :: asked == WAKE -> thread_wake(0)
    :: else
    fi;
    atomic { asked = 0; to = 0; what = 0 }
}

#define CHOOSE(set, r) (set) & B(r) -> what = r

proctype control()
{
    byte asked, to, what, page;
    bool must;
    do
    :: atomic {
        left > 0 -> left--;
        if
        :: CHOOSE(CONTROL, R_PAUSE)
        :: CHOOSE(CONTROL, R_RESUME)
        :: CHOOSE(CONTROL, R_APIC)
        :: CHOOSE(CONTROL, R_CLOCK)
        :: CHOOSE(CONTROL, R_TIMER)
        :: CHOOSE(CONTROL, R_TEARDOWN)
        fi };
        ask()
    :: break
    od
}

proctype peer()
{
    byte asked, to, what, page;
    bool must;
    do
    :: atomic {
        left > 0 -> left--;
        if
        :: (PEER & B(R_INIT)) && (!BSP || running) -> what = R_INIT /* signal_vcpu(): none before the guest runs */
        :: CHOOSE(PEER, R_SIPI); page = page % 2 + 1
        :: CHOOSE(PEER, R_NMI)
        :: CHOOSE(PEER, R_EVENT)
        :: CHOOSE(PEER, REQUESTS)
        fi };
        if
        :: what < REQUESTS -> ask()
        :: else -> thread_wake(0); /* SYS_UNPARK, and every other permit that is not meant for the word */
            what = 0
        fi
    :: BSP && !running -> running = 1; resetting = 1; resetting = 0; /* vm_boot() */
        word_start(0, must);
        if
        :: must -> thread_wake(0)
        :: else
        fi
    :: break
    od
}

/* Taken, or in the word. */
#define NMIS_AT_ALL (got_nmis + ((w[0].req & B(R_NMI)) -> 1 + w[0].again : 0))
#define NMIS        (NMIS_AT_ALL > 2 -> 2 : NMIS_AT_ALL)

inline look() {
    assert((thread[0] == BLOCKED) == (w[0].where == PARKED));
    assert(w[0].where != ROOT);
    assert(w[0].where != GUEST || (w[0].mp == RUNNABLE && EMPTY(0)));
    assert(w[0].where != WAITING || (w[0].mp == HALTED && runs_on == w[0].cpu));
    assert(w[0].where == GUEST || (unwoken && !(w[0].req & MAY_WAKE(w[0].mp))));
    assert(!(fresh & ~w[0].req));
    assert(w[0].mp == PAUSED || !(w[0].req & B(R_SIPI))); /* one that does not count is not kept */
    assert((w[0].mp == PAUSED || (w[0].where != GUEST && (w[0].req & B(R_PAUSE)))) == i_stop);
    assert(w[0].mp == PAUSED || started == i_start);
    assert(w[0].mp == PAUSED || NMIS == i_nmis);
    assert(w[0].mp == PAUSED || i_mp == w[0].mp || (i_mp == RUNNABLE && (w[0].mp == HALTED || w[0].mp == HALTED_MASKED)));
    assert((w[0].mp != HALTED && w[0].where != GUEST) || !HAS_WAKEUP);
    assert(w[0].mp != HALTED_MASKED || !nmi)
}

proctype monitor()
{
    byte asked, to, what, page;
    bool must;
    timeout;
    if
    :: gone
    :: else ->
        look();
        what = R_RESUME;
        ask();
        timeout;
        look();
        assert(w[0].mp != PAUSED);
        what = R_TEARDOWN;
        ask();
        timeout
    fi;
    assert(gone && !unwoken)
}

init {
    atomic {
        w[0].where = PARKED;
        w[0].mp = UNINITIALIZED;
        w[0].req = B(R_APIC);
        thread[0] = BLOCKED;
        run vcpu();
        run control();
        run peer();
        run monitor()
    }
}
