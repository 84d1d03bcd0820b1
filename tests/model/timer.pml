/*
 * A timer that moves between CPUs with its owner: timer_set(), timer_cancel() and the interrupt of kernel/threads/timer.c. The
 * owner sets it, goes to another CPU, sets it again, SETS times, then cancels and frees it. Queues are lists with a lock;
 * taking a node out of one is two steps, of which nobody may see the middle.
 *
 * fired() never runs after timer_cancel() has returned, and the node is in one queue at a time.
 */
#define CPUS 2

byte lock[CPUS] = 0;      /* 1 + who holds it */
bool linked[CPUS];        /* the node is in that CPU's queue */
bool queued;              /* node.queued */
byte at;                  /* timer.cpu */
byte busy;                /* fired() is running so many times */
bool freed;
bool irq_off[CPUS];       /* the owner is in root there */
bool over;

inline spin_lock(c, me) { atomic { lock[c] == 0 -> lock[c] = me } }

/* timerq_remove() */
inline remove(c) {
    if
    :: queued -> assert(linked[c]); linked[c] = 0; queued = 0
    :: else
    fi
}

proctype interrupt(byte c)
{
    bool popped;
end:
    do
    :: atomic { linked[c] && !irq_off[c] && lock[c] == 0 -> lock[c] = 3 + c; irq_off[c] = 1 }; /* pop() */
        if
        :: linked[c] -> remove(c); popped = 1
        :: else
        fi;
        if
        :: popped -> busy++
        :: else
        fi;
        lock[c] = 0;
        if
        :: popped ->
            assert(!freed); /* fired() */
            assert(!freed);
            busy--
        :: else
        fi;
        atomic { popped = 0; irq_off[c] = 0 }
    :: over -> break
    od
}

inline take_out(me) {
    from = at;
    spin_lock(from, me);
    remove(from);
    lock[from] = 0
}

proctype owner()
{
    byte left = SETS, c, from;

    do
    :: left > 0 -> left--;
        atomic { !irq_off[c] -> irq_off[c] = 1 };
        if /* timer_set() */
        :: at != c -> take_out(1)
        :: else
        fi;
        spin_lock(c, 1);
        at = c;
        remove(c);
        assert(!linked[1 - c]);
        queued = 1;
        linked[c] = 1;
        lock[c] = 0;
        irq_off[c] = 0;
        if
        :: true -> c = 1 - c
        :: true
        fi
    :: else -> break
    od;
    atomic { !irq_off[c] -> irq_off[c] = 1 };
    take_out(1); /* timer_cancel() */
    busy == 0;
    freed = 1;
    irq_off[c] = 0;
    over = 1;
    assert(!linked[0] && !linked[1] && !queued)
}

init {
    atomic {
        run interrupt(0);
        run interrupt(1);
        run owner()
    }
}
