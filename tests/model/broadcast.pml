/*
 * Broadcasts that wait: vm_broadcast(), vm_pause(), vm_resume(), vm_end() of kernel/vm/vm.c, kernel/vm/inhibit.c and
 * kernel/threads/mutex.c. Two vCPUs, each on its own CPU, run the guest and switch their LAPIC's mode (TOGGLES, OTHERS times), which
 * changes the mask that says whether acceleration is allowed; the second one waits in HLT (WAITS times), which its timer may
 * end; control pauses and resumes ROUNDS times and ends the guest at any moment of that. A kick does not yet make a vCPU
 * leave: it looks at its word and goes on, GUEST all the time, if it came too late.
 *
 * Nobody enters the guest with an acceleration that the mask does not allow, nor while it is paused; who waited for a
 * broadcast finds that each vCPU has been outside of the guest since; and all of it comes to an end.
 */
#include "constants.h"
#define VCPUS   2
#define THREADS 3
#define CONTROL 2
#define NOBODY  3

bool in_since[VCPUS]; /* GUEST since the broadcast asked it */
bool inside[VCPUS];   /* it executes the guest */
#define ON_ASK(v, r, start_page, asked) \
    assert(asked != KICK || h_where == GUEST || r == R_TEARDOWN || r == R_TIMER); \
    in_since[v] = (waits -> h_where == GUEST : in_since[v])
#define ON_START(v, woken) skip
#define ON_PARK(v, parked) skip
#define ON_WAIT(v, waits) skip
#define ON_GO_ON(v, woken) skip
#define ON_SET_MP(v) skip
#define ON_TAKE(v, r) skip
#define ON_TAKE_EVENT(v, r) skip

#include "word.inc"

bool kick[VCPUS];
byte acks, waiter = NOBODY, owner = NOBODY;
chan queue = [2] of { byte }; /* who waits for the mutex */
byte count;                   /* of vCPUs in an odd mode */
bool mask;                    /* inhibits.mask, not 0 */
bool accelerated[VCPUS];
bool paused;                  /* vm_pause() has returned */

inline mutex_lock(t) {
    atomic {
        if
        :: owner == NOBODY -> owner = t
        :: owner != NOBODY -> queue!t
        fi
    };
    do
    :: owner != t -> thread_park(t)
    :: else -> break
    od
}

inline mutex_unlock() {
    atomic {
        if
        :: nempty(queue) -> queue?next
        :: empty(queue) -> next = NOBODY
        fi;
        owner = next
    };
    if
    :: next != NOBODY -> thread_wake(next); next = 0
    :: else -> next = 0
    fi
}

/* word_ask() or word_ask_wait(), and vcpu_deliver() */
inline ask(v, r, waits) {
    word_ask(v, r, 0, waits, asked, must, to);
    if
    :: asked == KICK -> kick[to] = 1
    :: asked == WAKE -> thread_wake(v)
    :: else
    fi
}

inline vm_broadcast(t, r) {
    waiter = t;
    i = 0;
    do
    :: i < VCPUS ->
        acks++;
        ask(i, r, true);
        if
        :: !must -> acks--
        :: else
        fi;
        i++
    :: else -> break
    od;
    do
    :: acks > 0 -> thread_park(t)
    :: else -> break
    od;
    waiter = NOBODY;
    atomic { assert(!in_since[0] && !in_since[1]); i = 0; asked = 0; must = 0; to = 0 }
}

/* by: the vCPU's own reason came or went. */
inline inhibit_change(t, by) {
    mutex_lock(t);
    count = count + by;
    new_mask = count > 0;
    if
    :: new_mask != mask -> vm_broadcast(t, R_APIC)
    :: else
    fi;
    mask = new_mask;
    mutex_unlock()
}

proctype vcpu(byte v)
{
    bool flag, must, odd, new_mask;
    byte cpu = v;
    byte r, start, asked, to, i, next, by, woken;
    byte left = (v == 0 -> TOGGLES : OTHERS);
    byte halts = (v == 0 -> 0 : WAITS);

serve:
    atomic {
        word_take(v, r, start);
        if
        :: r == R_TEARDOWN -> goto out
        :: r == R_APIC
        :: r == R_PAUSE || r == R_RESUME || r == R_TIMER -> goto serve
        :: r == REQUESTS -> goto served
        fi
    };
    mutex_lock(v); /* inhibit_apply() */
    accelerated[v] = !mask;
    mutex_unlock();
    goto serve;
served:
    if
    :: w[v].mp == PAUSED ->
        word_park(v, PAUSED, flag);
        if
        :: flag -> kick[v] = 0; /* its CPU idles, with interrupts on */
            do :: w[v].where == PARKED -> thread_park(v) :: else -> break od
        :: else
        fi;
        goto serve
    :: else
    fi;
    atomic { word_enter(v, cpu, flag); inside[v] = flag };
    if
    :: !flag -> goto serve
    :: else
    fi;
guest:
    assert(w[v].where == GUEST && inside[v] && accelerated[v] == !mask); /* the first time, enter_guest() does so too */
    assert(!paused);
    if
    :: true -> atomic { kick[v] -> kick[v] = 0 };
        if
        :: w[v].req == 0 -> goto guest /* serve_quickly(): nothing for it, or nothing any more */
        :: true
        fi
    :: left > 0 -> left--; i = 1
    :: atomic { halts > 0 -> halts--; inside[v] = 0; word_wait(v, flag); /* hlt_quickly() */
        if
        :: flag -> flag = 0; goto wait
        :: else
        fi }
    fi;
leave:
    atomic { word_leave(v, flag); in_since[v] = 0; inside[v] = 0 };
    if
    :: flag -> atomic { acks--; flag = acks == 0 };
        if
        :: flag -> woken = waiter;
            if
            :: woken != NOBODY -> thread_wake(woken)
            :: else
            fi
        :: else
        fi
    :: else
    fi;
    atomic { woken = 0; flag = 0 };
    if
    :: i == 1 -> i = 0;
        odd = !odd; /* inhibit_follow_mode() */
        by = (odd -> 1 : 255);
        inhibit_change(v, by)
    :: else
    fi;
    goto serve;
wait:
    if
    :: w[v].where == WAITING ->
        if
        :: true -> atomic { kick[v] -> kick[v] = 0 }
        :: true -> /* its own timer: no IPI */
            atomic { word_ask(v, R_TIMER, 0, false, asked, must, to); asked = 0; to = 0 }
        fi;
        goto wait
    :: else
    fi;
    word_go_on(v, flag);
    if
    :: flag && !(w[v].req & ~B(R_TIMER)) -> flag = 0; atomic { word_take_event(v, R_TIMER); inside[v] = 1; goto guest }
    :: !flag || (w[v].req & ~B(R_TIMER)) -> goto leave /* do_HLT() looks again: word.pml */
    fi;
out:
    thread[v] = DEAD
}

inline vm_end() {
    i = 0;
    do
    :: i < VCPUS -> ask(i, R_TEARDOWN, false); thread_wake(i); i++
    :: else -> break
    od
}

proctype control()
{
    bool must;
    byte i, asked, to, next;
    byte left = ROUNDS;

    do
    :: left > 0 -> left--;
        mutex_lock(CONTROL); /* vm_pause() */
        vm_broadcast(CONTROL, R_PAUSE);
        mutex_unlock();
        atomic { paused = 1; assert(!inside[0] && !inside[1]) };
        paused = 0; /* vm_resume() */
        i = 0;
        do
        :: i < VCPUS -> ask(i, R_RESUME, false); i++
        :: else -> i = 0; break
        od
    :: break
    od;
    vm_end();
    do
    :: left > 0 -> left--;
        mutex_lock(CONTROL);
        vm_broadcast(CONTROL, R_PAUSE);
        mutex_unlock()
    :: else -> break
    od;
    thread[0] == DEAD && thread[1] == DEAD;
    assert(acks == 0 && owner == NOBODY && waiter == NOBODY && empty(queue) && !w[0].ack && !w[1].ack)
}

init {
    atomic {
        /* No reason counts; every vCPU has to be told. */
        w[0].req = B(R_APIC);
        w[1].req = B(R_APIC);
        run vcpu(0);
        run vcpu(1);
        run control()
    }
}
