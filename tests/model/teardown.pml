/*
 * A guest's two threads on two CPUs, and their end: kernel/threads/schedule.c, kernel/threads/thread.c, vm_end(), vm_destroy(), under
 * x86-TSO as far as on_cpu is concerned. Thread VCPU enters the guest, halts, waits and parks; thread WORKER asks for it, sleeps,
 * is in ring 3, and once asks (DOES 0), sleeps (1) or ends the guest itself (2); with DOES 3 it is the timer that asks.
 * VCPU begins on CPU 0, WORKER on CPU START: from the same one, one of them is pushed away. Control, on a CPU of its own,
 * ends and frees the guest.
 *
 * No thread runs on two stacks or stands in two queues, no wake-up is lost between CPUs, every thread comes to its end
 * once the guest is ending (from ring 3 too), and nobody touches what has been freed.
 */
#include "constants.h"
#define VCPUS   1
#define THREADS 3
#define VCPU    0
#define WORKER  1
#define CONTROL 2
#define CPUS    2
#define NONE    7
#define ON_ASK(v, r, start_page, asked) assert(!freed && (asked != KICK || (in_guest && cpu[VCPU] == w[v].cpu)))
#define ON_START(v, woken) skip
#define ON_PARK(v, parked) skip
#define ON_WAIT(v, waits) skip
#define ON_GO_ON(v, woken) skip
#define ON_SET_MP(v) skip
#define ON_TAKE(v, r) skip
#define ON_TAKE_EVENT(v, r) skip

bool freed, in_guest;
byte cpu[2]; /* thread.cpu */

#include "word.inc"

bool on_cpu[2];            /* thread.on_cpu */
bool stack[2];             /* somebody is on the thread's stack */
bool queued[2];            /* it stands in a queue */
byte current[CPUS] = NONE; /* whose code runs there; NONE: the scheduler's */
byte leaving[CPUS] = NONE; /* it has called schedule() there */
bool runnable[CPUS];       /* and with what */
chan rq[CPUS] = [2] of { byte };
chan woken[CPUS] = [2] of { byte };
chan buffer[CPUS] = [2] of { byte, bit }; /* stores to on_cpu on their way */
bool reschedule[CPUS], kick[CPUS];
byte alive = 2;
bool ending, stopped, fired_busy;
bool armed = 1;

#define LOCKED(c)   empty(buffer[c])
#define ON_CPU(t)   on_cpu[t]
#define MINE(t)     (current[cpu[t]] == t)

proctype store_buffer(byte c)
{
    byte t;
    bit on;
end:
    do
    :: atomic { buffer[c]?t, on -> on_cpu[t] = on; t = 0; on = 0 }
    od
}

/* thread_wake() on CPU self (NONE: one that has no part in this), then schedule_wake() */
inline wake(t, self, choice) {
    assert(!freed);
    atomic { choice = (thread[t] == BLOCKED); thread_wake(t) };
    if
    :: choice ->
        if
        :: ON_CPU(t) -> choice = cpu[t]
        :: else ->
            if
            :: choice = 0
            :: choice = 1
            fi
        fi;
        atomic {
            assert(!queued[t]);
            queued[t] = 1;
            if
            :: choice == self -> rq[choice]!t
            :: choice != self -> reschedule[choice] = reschedule[choice] || empty(woken[choice]); woken[choice]!t /* hand_over() */
            fi
        };
        choice = 0
    :: else
    fi
}

inline take_woken(c, t) {
    atomic {
        LOCKED(c);
        do
        :: nempty(woken[c]) -> woken[c]?t; cpu[t] = c; rq[c]!t
        :: empty(woken[c]) -> t = 0; break
        od
    }
}

/* Interrupts are on for a moment. By one that an idle CPU has sent, or the timer's, it is given a thread: give(). */
inline irq_window(c, t) {
    atomic { kick[c] = 0; reschedule[c] = 0 };
    take_woken(c, t);
    if
    :: nempty(rq[c]) ->
        atomic {
            rq[c]?t;
            assert(!ON_CPU(t));
            reschedule[1 - c] = reschedule[1 - c] || empty(woken[1 - c]);
            woken[1 - c]!t;
            t = 0
        }
    :: true
    fi
}

/* schedule() and the idle loop of one CPU. A thread's own call ends when its thread is current again. */
proctype scheduler(byte c)
{
    byte t, next, before = NONE;
idle:
    reschedule[c] = 0;
    take_woken(c, t);
    if
    :: nempty(rq[c])
    :: empty(rq[c]) && nempty(woken[c]) -> goto idle
    :: empty(rq[c]) && empty(woken[c]) -> kick[c] = 0;
end:
        reschedule[c] || stopped; /* irq_wait() */
        if
        :: stopped && !reschedule[c] -> goto out
        :: else -> goto idle
        fi
    fi;
pick:
    atomic {
        if
        :: nempty(rq[c]) -> rq[c]?next; queued[next] = 0
        :: empty(rq[c]) -> next = NONE
        fi
    };
    if
    :: next == before && next != NONE -> atomic { current[c] = next; next = 0; before = NONE; goto runs }
    :: next != before && next != NONE ->
        atomic { assert(!stack[next]); stack[next] = 1; cpu[next] = c };
        atomic { LOCKED(c); on_cpu[next] = 1 }
    :: next == NONE
    fi;
    /* thread_switch(), and finish_switch() on the next stack */
    if
    :: before != NONE ->
        stack[before] = 0;
        t = thread[before];
        buffer[c]!before, 0;
        if
        :: t == DEAD -> /* finish_switch(), for who is dead */
            atomic { LOCKED(c); alive--; t = alive };
            if
            :: t == 0 -> thread_wake(CONTROL)
            :: else
            fi
        :: else
        fi;
        t = 0;
        before = NONE
    :: else
    fi;
    if
    :: next == NONE -> next = 0; goto idle
    :: else -> atomic { current[c] = next; next = 0 }
    fi;
runs:
    /* The thread runs. An interrupt from another CPU is taken when it opens its window: in irq_window(). */
    leaving[c] != NONE;
    atomic {
        before = leaving[c];
        leaving[c] = NONE;
        if
        :: runnable[c] -> assert(!queued[before]); queued[before] = 1; rq[c]!before
        :: else
        fi
    };
    take_woken(c, t);
    /* push_surplus() */
    if
    :: nempty(rq[c]) ->
        atomic {
            rq[c]?t;
            if
            :: ON_CPU(t) -> rq[c]!t; t = 0; goto pick
            :: else
            fi
        };
        atomic { reschedule[1 - c] = reschedule[1 - c] || empty(woken[1 - c]); woken[1 - c]!t; t = 0 }
    :: true
    fi;
    goto pick;
out:
    skip
}

inline schedule(t, stays) {
    atomic { runnable[cpu[t]] = stays; leaving[cpu[t]] = t; current[cpu[t]] = NONE };
    MINE(t)
}

inline park(t) {
    atomic {
        LOCKED(cpu[t]);
        if
        :: thread[t] == RUNNING -> thread[t] = BLOCKED; choice = 1
        :: else -> thread[t] = RUNNING; choice = 0
        fi
    };
    if
    :: choice -> choice = 0; schedule(t, 0)
    :: else
    fi
}

inline ask(r, self) {
    word_ask(0, r, 0, false, asked, must, to);
    if
    :: asked == KICK -> kick[to] = 1
    :: asked == WAKE -> wake(VCPU, self, choice)
    :: else
    fi;
    atomic { asked = 0; to = 0 }
}

/* thread_poke() */
inline poke(t, self) {
    wake(t, self, choice);
    assert(!freed);
    if
    :: ON_CPU(t) && cpu[t] != self -> kick[cpu[t]] = 1
    :: else
    fi
}

/* Whether it was the first is in must. */
inline vm_end(self) {
    atomic { must = ending; ending = 1 };
    if
    :: must
    :: else ->
        what = R_TEARDOWN;
        ask(what, self);
        poke(VCPU, self);
        poke(WORKER, self)
    fi;
    atomic { must = 0; what = 0 }
}

inline thread_exit(t) {
    thread[t] = DEAD;
    atomic { runnable[cpu[t]] = 0; leaving[cpu[t]] = t; current[cpu[t]] = NONE }
}

proctype vcpu()
{
    bool flag;
    byte r, start, choice, mp, here;

    MINE(VCPU);
serve:
    atomic {
        LOCKED(cpu[VCPU]);
        word_take(0, r, start);
        if
        :: r == R_TEARDOWN -> goto out
        :: r == R_EVENT || r == R_TIMER -> goto serve
        :: r == REQUESTS -> r = 0
        fi;
        mp = w[0].mp
    };
    if
    :: mp == HALTED -> mp = 0;
        atomic { LOCKED(cpu[VCPU]); word_park(0, HALTED, flag) };
        if
        :: flag ->
            do
            :: w[0].where == PARKED -> park(VCPU)
            :: else -> break
            od;
            flag = 0
        :: else
        fi;
        word_set_mp(0, RUNNABLE);
        goto serve
    :: mp == RUNNABLE -> irq_window(cpu[VCPU], choice); schedule(VCPU, 1); goto serve
    :: mp == RUNNABLE -> here = cpu[VCPU]
    fi;
    atomic {
        LOCKED(here);
        word_enter(0, here, flag);
        if
        :: !flag -> here = 0; goto serve
        :: else -> in_guest = 1; flag = 0
        fi
    };
guest:
    if
    :: true -> kick[here] || reschedule[here] || nempty(rq[here]); /* the last: its time slice ends */
        irq_window(here, choice); /* GUEST all the while: a quick exit */
        if
        :: w[0].req == 0 && empty(rq[here]) -> goto guest
        :: true
        fi
    :: true -> mp = HALTED /* hlt_quickly() */
    fi;
    if
    :: mp == HALTED && empty(rq[here]) -> atomic { LOCKED(here); word_wait(0, flag) };
        if
        :: flag -> flag = 0; goto wait
        :: else
        fi
    :: mp != HALTED || nempty(rq[here])
    fi;
leave:
    atomic { LOCKED(here); in_guest = 0; word_leave(0, flag) };
    if
    :: mp == HALTED -> word_set_mp(0, HALTED)
    :: else
    fi;
    here = 0;
    goto serve;
wait:
    assert(thread[VCPU] != BLOCKED && current[here] == VCPU && cpu[VCPU] == here && on_cpu[VCPU]);
    if
    :: w[0].where == WAITING && empty(rq[here]) && empty(woken[here]) -> /* schedule_wait() */
        kick[here] || reschedule[here];
        irq_window(here, choice);
        goto wait
    :: w[0].where != WAITING || nempty(rq[here]) || nempty(woken[here])
    fi;
    atomic { LOCKED(here); word_go_on(0, flag) };
    if
    :: flag && empty(rq[here]) && !(w[0].req & B(R_TEARDOWN)) -> flag = 0; /* vcpu_serve_events() */
        r = (w[0].req & B(R_EVENT) -> R_EVENT : R_TIMER);
        atomic { LOCKED(here); word_take_event(0, r); r = 0; mp = 0; goto guest }
    :: !flag || nempty(rq[here]) || (w[0].req & B(R_TEARDOWN)) -> flag = 0; goto leave
    fi;
out:
    armed = 0; /* timer_cancel() */
    !fired_busy;
    thread_exit(VCPU)
}

proctype worker()
{
    bool must;
    byte asked, to, choice, what;
    byte left = 1;

    MINE(WORKER);
    do
    :: ending -> break /* worker_main(), or user_return() */
    :: !ending ->
        /* In ring 3: until an interrupt, or for a system call. */
        if
        :: kick[cpu[WORKER]] || reschedule[cpu[WORKER]] || nempty(rq[cpu[WORKER]]) ->
            irq_window(cpu[WORKER], choice);
            if
            :: true
            :: true -> schedule(WORKER, 1) /* user_return(): before it looks at ending */
            fi
        :: DOES < 3 && left > 0 -> left--;
            if
            :: DOES == 0 -> what = R_EVENT; ask(what, cpu[WORKER]); what = 0
            :: DOES == 1 -> park(WORKER)
            :: DOES == 2 -> vm_end(cpu[WORKER])
            fi
        fi
    od;
    thread_exit(WORKER)
}

proctype timer()
{
    bool must;
    byte asked, to, choice, what = R_TIMER;
    if
    :: atomic { DOES == 3 && armed -> armed = 0; fired_busy = 1 };
        ask(what, NONE);
        fired_busy = 0
    :: true
    fi
}

/* Nobody is left in a queue, and no request behind who sleeps or runs. */
#define look() assert(ending -> !alive : (!queued[VCPU] && !queued[WORKER] && w[0].where != ROOT && !w[0].req))

proctype control()
{
    bool must;
    byte asked, to, choice, what;

    if
    :: true
    :: true -> timeout; look();
        if
        :: DOES == 1 -> wake(WORKER, NONE, choice); timeout; look()
        :: DOES != 1
        fi
    fi;
    vm_end(NONE);
    do
    :: alive > 0 ->
        thread_park(CONTROL)
    :: else -> break
    od;
    atomic { freed = 1; assert(thread[VCPU] == DEAD && thread[WORKER] == DEAD && !on_cpu[VCPU] && !on_cpu[WORKER] && !stack[VCPU] && !stack[WORKER]) };
    stopped = 1
}

init {
    atomic {
        queued[VCPU] = 1;
        rq[0]!VCPU;
        queued[WORKER] = 1;
        rq[START]!WORKER;
        run store_buffer(0);
        run store_buffer(1);
        run scheduler(0);
        run scheduler(1);
        run vcpu();
        run worker();
        run timer();
        run control()
    }
}
