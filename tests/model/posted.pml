/*
 * Posted interrupts under x86-TSO: lapic_post() and lapic_drain() (lapic/ipi.c, lapic/lapic.c) are two locations, PIR and
 * ON, beside the state word. Each process has a store buffer; a locked instruction waits until it is empty, a plain load
 * sees the process's own stores. Two posters, POSTS posts each; the vCPU enters on alternating CPUs, halts, waits, parks,
 * and may be reset once (RESET).
 *
 * PI 0: the code as it is. PI 1: posted-interrupt processing by the CPU (SDM Vol. 3, 30.6): a vCPU seen in the guest gets
 * the notification vector, which is only an interrupt to ignore where it comes to root. So who waits looks at ON, too: the
 * poster may have seen it in the guest.
 *
 * Whatever is posted reaches the guest, and nobody signals twice for one ON.
 */
#include "constants.h"
#define VCPUS   1
#define THREADS 1
#define ON_ASK(v, r, start_page, asked) skip
#define ON_START(v, woken) skip
#define ON_PARK(v, parked) skip
#define ON_WAIT(v, waits) skip
#define ON_GO_ON(v, woken) skip
#define ON_SET_MP(v) skip
#define ON_TAKE(v, r) skip
#define ON_TAKE_EVENT(v, r) skip

#include "word.inc"

#define PIR 0
#define ON  1
#define VCPU 2 /* whose store buffer; 0 and 1 are the posters' */

byte memory[2];
chan buffer[3] = [2] of { byte, byte };
#define LOCKED(p)         empty(buffer[p])
#define LOAD_ON(p)        (buffer[p]??[ON, 1] -> 1 : (buffer[p]??[ON, 0] -> 0 : memory[ON]))
#define PLAIN(p, at, val) buffer[p]!at, val

bool kick[2], notify[2];
byte due;       /* posted, not seen by the vCPU */
byte irr;
bool signalled; /* for the ON that is set */

proctype store_buffer(byte p)
{
    byte at, val;
end:
    do
    :: atomic { buffer[p]?at, val -> memory[at] = val; at = 0; val = 0 }
    od
}

proctype poster(byte p)
{
    byte asked, to, left = POSTS, r = R_EVENT, vec = p + 1;
    bool must, was;

    do
    :: left > 0 -> left--;
        atomic { LOCKED(p) -> memory[PIR] = memory[PIR] | vec; due = due | vec };
        atomic { LOCKED(p) -> was = memory[ON]; memory[ON] = 1; assert(was || !signalled); signalled = 1 };
        if
        :: was -> was = 0
        :: atomic { PI && !was && w[0].where == GUEST -> to = w[0].cpu }; notify[to] = 1
        :: !was && (!PI || w[0].where != GUEST) -> /* vcpu_ask() */
            LOCKED(p);
            word_ask(0, r, 0, false, asked, must, to);
            if
            :: asked == KICK -> kick[to] = 1
            :: asked == WAKE -> thread_wake(0)
            :: else
            fi
        fi;
        atomic { asked = 0; to = 0 }
    :: else -> break
    od
}

/* lapic_drain() */
inline drain() {
    if
    :: LOAD_ON(VCPU) ->
        atomic { LOCKED(VCPU) -> memory[ON] = 0; signalled = 0 };
        atomic { LOCKED(VCPU) -> irr = irr | memory[PIR]; due = due & ~memory[PIR]; memory[PIR] = 0 }
    :: else
    fi
}

proctype vcpu()
{
    bool flag, resets = RESET;
    byte r, start, mp, cpu;

serve:
    word_take(0, r, start);
    if
    :: r == R_EVENT -> drain(); goto serve
    :: r == R_TEARDOWN -> goto out
    :: r == REQUESTS
    fi;
    atomic { r = 0; mp = w[0].mp };
    if
    :: mp == HALTED ->
        drain();
        if
        :: irr -> word_set_mp(0, RUNNABLE)
        :: else -> word_park(0, HALTED, flag);
            if
            :: flag -> do :: w[0].where == PARKED -> thread_park(0) :: else -> break od
            :: else
            fi;
            atomic { flag = 0; mp = 0; goto serve }
        fi;
        mp = RUNNABLE
    :: else
    fi;
    if
    :: resets -> resets = 0; /* lapic_reset() */
        irr = 0;
        atomic { LOCKED(VCPU) -> memory[ON] = 0; signalled = 0 };
        atomic { LOCKED(VCPU) -> due = due & ~memory[PIR]; memory[PIR] = 0; goto serve }
    :: true
    fi;
    drain(); /* vcpu_prepare_events() */
    LOCKED(VCPU);
    atomic { word_enter(0, cpu, flag);
        if
        :: flag -> flag = 0; irr = 0 /* injected */
        :: else -> goto serve
        fi
    };
guest:
    if
    :: true ->
        if
        :: PI && notify[cpu] -> notify[cpu] = 0; /* the CPU does this */
            atomic { memory[ON] = 0; signalled = 0 };
            atomic { due = due & ~memory[PIR]; memory[PIR] = 0; goto guest }
        :: kick[cpu]
        fi
    :: true -> mp = HALTED
    :: atomic { !LOAD_ON(VCPU) -> mp = HALTED }; /* hlt_quickly() */
        atomic { LOCKED(VCPU);
            word_wait(0, flag);
            if
            :: flag -> flag = 0; goto wait
            :: else
            fi }
    :: true /* any exit */
    fi;
leave:
    LOCKED(VCPU);
    word_leave(0, flag);
    if
    :: mp == HALTED -> drain();
        if
        :: irr -> mp = RUNNABLE
        :: else -> atomic { mp = RUNNABLE; LOCKED(VCPU); word_set_mp(0, HALTED) }
        fi
    :: else
    fi;
    atomic { kick[cpu] = 0; notify[cpu] = 0; cpu = 1 - cpu; kick[cpu] = 0; notify[cpu] = 0 }; /* irq_window(), moved */
    goto serve;
wait:
    if
    :: w[0].where == WAITING && !(PI && LOAD_ON(VCPU)) ->
        atomic { kick[cpu] || notify[cpu] -> kick[cpu] = 0; notify[cpu] = 0; goto wait }
    :: else
    fi;
    atomic { LOCKED(VCPU); word_go_on(0, flag) };
    if
    :: flag && w[0].req == B(R_EVENT) -> /* vcpu_serve_events() */
        atomic { flag = 0; LOCKED(VCPU); r = R_EVENT; word_take_event(0, r); r = 0 };
        drain();
        if
        :: atomic { irr -> irr = 0; mp = RUNNABLE; goto guest }
        :: else -> goto leave
        fi
    :: !flag || w[0].req != B(R_EVENT) -> flag = 0; goto leave
    fi;
out:
    thread[0] = DEAD
}

proctype monitor()
{
    byte asked, to, r = R_TEARDOWN;
    bool must;
    timeout;
    assert(!due && !irr);
    assert(w[0].where == GUEST || (w[0].mp == HALTED && (w[0].where == WAITING || (w[0].where == PARKED && thread[0] == BLOCKED))));
    word_ask(0, r, 0, false, asked, must, to);
    if
    :: asked == KICK -> kick[to] = 1
    :: asked == WAKE -> thread_wake(0)
    fi;
    timeout;
    assert(thread[0] == DEAD)
}

init {
    atomic {
        run store_buffer(0);
        run store_buffer(1);
        run store_buffer(2);
        run poster(0);
        run poster(1);
        run vcpu();
        run monitor()
    }
}
