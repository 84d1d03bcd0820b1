#!/usr/bin/env python3
"""Can the test of the vCPU core fail? Breaks root's code in one place at a time, builds build/core/core with it, and
expects a run that fails.

    tests/core/breaks.py [--few] [NAME ...]     --few: those of a usual test run

Each break names a file, a text that stands in it exactly once, and what it becomes. `make core-breaks` runs all.
"""

import os
import re
import shlex
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(TOP, "build/core/breaks")
RUNS, STEPS = 200000, 2000

# (name, is it one of the few, file, text, what it becomes)
BREAKS = [
    ("enter without looking", False, "kernel/vm/word.h",
     "uint64_t old = word_make(WHERE_ROOT, MP_RUNNABLE);",
     "uint64_t old = atomic_load(w);"),
    ("park without looking at requests", True, "kernel/vm/word.c",
     "        if (!(old & WORD_REQUESTS) || !(old & word_wakes(mp)))\n            new = set_where(new, WHERE_PARKED);",
     "        new = set_where(new, WHERE_PARKED);"),
    ("park looks once", False, "kernel/vm/word.c",
     "memory_order_relaxed), new;\n    do {\n        new = set_mp(old, mp);\n        if (!(old & WORD_REQUESTS) ||"
     " !(old & word_wakes(mp)))",
     "memory_order_relaxed), new, first = old;\n    do {\n        new = set_mp(old, mp);\n"
     "        if (!(first & word_wakes(mp)))"),
    ("set_mp is a store", True, "kernel/vm/word.c",
     "    while (!atomic_compare_exchange_weak(w, &old, set_mp(old, mp)))\n        ;",
     "    atomic_store(w, set_mp(old, mp));"),
    ("take is a store", False, "kernel/vm/word.c",
     "        if (atomic_compare_exchange_weak(w, &old, without_request(old, first))) {",
     "        *(volatile uint64_t *)w = without_request(old, first);\n        {"),
    ("leaving loses the acknowledgement", True, "kernel/vm/word.h", "    return old & WORD_ACK;", "    return false;"),
    ("asking does not ask for an acknowledgement", False, "kernel/vm/word.c",
     "if (ack && where == WHERE_GUEST)", "if (ack && where == WHERE_PARKED)"),
    ("waking is decided before the exchange", False, "kernel/vm/word.c",
     "wakes_in[r] >> word_mp(old) & 1) {",
     "({ static _Thread_local uint64_t first; first = first ? first : old;\n"
     "word_where(first) == WHERE_PARKED && wakes_in[r] >> word_mp(first) & 1; })) {"),
    ("INIT does not take the SIPI back", False, "kernel/vm/word.c",
     "return (w & ~(BIT(REQ_SIPI) | BIT(REQ_NMI) | WORD_NMI_AGAIN | SIPI_MASK)) | BIT(REQ_INIT);",
     "return w | BIT(REQ_INIT);"),
    ("INIT's state comes after it is taken", True, "kernel/vm/word.c",
     "    if (r == REQ_INIT)\n        return set_mp(w, MP_WAIT_FOR_SIPI);\n", ""),
    ("a second PAUSE counts", False, "kernel/vm/word.c",
     "    if (r == REQ_PAUSE && word_mp(w) == MP_PAUSED)\n        return w & ~BIT(REQ_RESUME);\n", ""),
    ("a paused vCPU serves everything", False, "kernel/vm/word.c",
     "old & (word_mp(old) == MP_PAUSED ? while_paused : WORD_REQUESTS)",
     "old & (word_mp(old) == MP_PAUSED ? while_paused | BIT(REQ_NMI) : WORD_REQUESTS)"),
    ("a kick is sent to whoever asks first only if its bit was new anywhere", False, "kernel/vm/word.c",
     "                asked = ASKED_KICK;",
     "                asked = !(old & WORD_REQUESTS) && r != REQ_EVENT ? ASKED_KICK : ASKED_NOTHING;"),
    ("every ask kicks", False, "kernel/vm/word.c",
     "            if (where == WHERE_GUEST) {", "            if (where != WHERE_PARKED) {"),
    ("start is a store", False, "kernel/vm/word.c",
     "    } while (!atomic_compare_exchange_weak(w, &old, set_mp(set_where(old, WHERE_ROOT), MP_RUNNABLE)));",
     "    } while (atomic_exchange(w, set_mp(set_where(old, WHERE_ROOT), MP_RUNNABLE)) == 1);"),
    ("an NMI wakes nobody", False, "kernel/vm/requests.h",
     "X(NMI, IN(HALTED) | IN(HALTED_MASKED), UNWAITED)", "X(NMI, IN(HALTED), UNWAITED)"),
    ("the second NMI stays behind the first that is taken", False, "kernel/vm/word.c",
     "        return w & ~WORD_NMI_AGAIN;", "        return w;"),
    ("INIT leaves the second NMI", False, "kernel/vm/word.c",
     "BIT(REQ_NMI) | WORD_NMI_AGAIN | SIPI_MASK", "BIT(REQ_NMI) | SIPI_MASK"),
    ("an EVENT wakes HLT without IF", False, "kernel/vm/requests.h",
     "X(EVENT, IN(HALTED), UNWAITED)", "X(EVENT, IN(HALTED) | IN(HALTED_MASKED), UNWAITED)"),
    ("the mask is written first", True, "kernel/vm/inhibit.c",
     "    if (!mask != !before)\n        vm_broadcast(vm, REQ_APIC);\n    atomic_store(&i->mask, mask);",
     "    atomic_store(&i->mask, mask);\n    if (!mask != !before)\n        vm_broadcast(vm, REQ_APIC);"),
    ("the mask is applied without the lock", True, "kernel/vm/inhibit.c",
     "    mutex_lock(&v->vm->broadcast);\n    v->accelerated = !atomic_load(&v->vm->inhibits.mask);\n"
     "    mutex_unlock(&v->vm->broadcast);",
     "    v->accelerated = !atomic_load(&v->vm->inhibits.mask);"),
    ("nobody is asked when the mask changes", False, "kernel/vm/inhibit.c",
     "    if (!mask != !before)\n", "    if (!mask != !before && by < 0)\n"),
    ("a mode counts twice", False, "kernel/vm/inhibit.c", "    v->odd_mode = odd;\n", ""),
    ("the mutex is handed over without a wake", True, "kernel/threads/mutex.c",
     "    if (next)\n        thread_wake(next);\n", ""),
    ("the mutex forgets who waits", False, "kernel/threads/mutex.c",
     "    if (next)\n        m->first = next->mutex_next;", "    m->first = NULL;"),
    ("the mutex is taken after one look", False, "kernel/threads/mutex.c",
     "    while (atomic_load(&m->owner) != t)\n        thread_park();",
     "    if (atomic_load(&m->owner) != t)\n        thread_park();"),
    ("the mutex has no inner lock", False, "kernel/threads/mutex.c",
     "    spin_lock(&m->lock);\n    if (!atomic_load(&m->owner)) {",
     "    m->lock.next++;\n    if (!atomic_load(&m->owner)) {"),
    ("the broadcast does not wait", False, "kernel/vm/vm.c",
     "    while (atomic_load(&vm->acks))\n        thread_park();\n    atomic_store(&vm->waiter, NULL);",
     "    atomic_store(&vm->acks, 0);\n    atomic_store(&vm->waiter, NULL);"),
    ("the broadcast waits for one look only", False, "kernel/vm/vm.c",
     "    while (atomic_load(&vm->acks))\n        thread_park();\n    atomic_store(&vm->waiter, NULL);",
     "    if (atomic_load(&vm->acks))\n        thread_park();\n    atomic_store(&vm->waiter, NULL);"),
    ("the broadcast counts those that are outside", False, "kernel/vm/vm.c",
     "        if (!must_wait)\n            atomic_fetch_sub(&vm->acks, 1);\n", ""),
    ("pause without the lock", False, "kernel/vm/vm.c",
     "    mutex_lock(&vm->broadcast);\n    vm_broadcast(vm, REQ_PAUSE);\n    mutex_unlock(&vm->broadcast);",
     "    vm_broadcast(vm, REQ_PAUSE);"),
    ("the VM is freed before its threads are gone", True, "kernel/vm/vm.c",
     "    while (atomic_load(&vm->world->alive))\n        thread_park();\n", ""),
    ("the last acknowledgement wakes nobody", True, "kernel/vm/vcpu.c",
     "        if (waiter)\n            thread_wake(waiter);", "        (void)waiter;"),
    ("a wake is not delivered", False, "kernel/vm/vcpu.c",
     "        thread_wake(v->thread);\n    }\n}", "    }\n}"),
    ("a kick goes to the CPU that sends it", False, "kernel/vm/vcpu.c",
     "apic_ipi(told.cpu, VECTOR_KICK);", "apic_ipi(this_cpu()->index, VECTOR_KICK);"),
    ("park is left after any wake", False, "kernel/vm/vcpu.c",
     "    while (word_where(atomic_load(&v->word)) == WHERE_PARKED)\n        thread_park();",
     "    if (word_where(atomic_load(&v->word)) == WHERE_PARKED)\n        thread_park();"),
    ("park blocks without looking for a permit", True, "kernel/threads/thread.c",
     "    if (atomic_compare_exchange_strong(&t->state, &running, THREAD_BLOCKED))\n        schedule(false);\n    else\n"
     "        atomic_store(&t->state, THREAD_RUNNING);",
     "    if (atomic_load(&t->state) == running)\n        atomic_store(&t->state, THREAD_BLOCKED), schedule(false);\n"
     "    else\n        atomic_store(&t->state, THREAD_RUNNING);"),
    ("waking forgets the permit", False, "kernel/threads/thread.c",
     "        new = old == THREAD_BLOCKED ? THREAD_RUNNING : THREAD_PERMIT;", "        new = THREAD_RUNNING;"),
    ("waking does not exchange", False, "kernel/threads/thread.c",
     "    } while (!atomic_compare_exchange_weak(&t->state, &old, new));\n    if (old == THREAD_BLOCKED)",
     "        atomic_store(&t->state, new);\n    } while (false);\n    if (old == THREAD_BLOCKED)"),
    ("a woken thread is queued while its stack is in use", True, "kernel/threads/schedule.c",
     "    uint32_t cpu = atomic_load(&t->on_cpu) ? t->cpu : sched_wake_cpu(&t->se, t->cpu, loads, online);",
     "    uint32_t cpu = sched_wake_cpu(&t->se, t->cpu, loads, online);"),
    ("on_cpu ends before the switch", False, "kernel/threads/schedule.c",
     "    atomic_store_explicit(&next->cpu, cpu->index, memory_order_relaxed);\n",
     "    atomic_store(&before->on_cpu, false);\n    atomic_store_explicit(&next->cpu, cpu->index, memory_order_relaxed);\n"),
    ("who waits and is woken does not look", False, "kernel/threads/schedule.c",
     "    take_woken(s, now);\n    return true;\n", "    return true;\n"),
    ("who waits does not look whether others are runnable", True, "kernel/threads/schedule.c",
     "    if (!schedule_alone())\n        return false;\n", ""),
    ("who waits is charged for it", False, "sched/sched.h", "    rq->charged += now - rq->stopped;\n", "    (void)now;\n"),
    ("who waits counts as busy", False, "kernel/threads/schedule.c",
     "    __atomic_store_n(&loads[this_cpu()->index], 0, __ATOMIC_RELAXED);", "    "),
    ("who has waited counts as idle", False, "kernel/threads/schedule.c",
     "    sched_go_on(&s->rq, now);\n    publish(s);\n", "    sched_go_on(&s->rq, now);\n"),
    ("a tick that came while it waited does not come back", False, "kernel/vm/exit.c",
     "    if (this_cpu()->unwatched)\n        schedule_watch();\n", ""),
    ("who waits is ticked again and again", False, "kernel/threads/schedule.c",
     "    if (end == NEVER && s->rq.current && !sched_stopped(&s->rq))\n", "    if (end == NEVER && s->rq.current)\n"),
    ("waiting does not look at requests", True, "kernel/vm/word.h",
     "    return !(old & (WORD_REQUESTS | WORD_ACK)) &&\n", "    return\n"),
    ("waiting is a store", False, "kernel/vm/word.h",
     "           atomic_compare_exchange_strong(w, &old, old | WORD_PARKED | (uint64_t)MP_HALTED << WORD_MP_SHIFT);",
     "           (atomic_exchange(w, old | WORD_PARKED | (uint64_t)MP_HALTED << WORD_MP_SHIFT), true);"),
    ("it goes on and is in HLT still", True, "kernel/vm/word.h",
     "    return !(atomic_fetch_and(w, ~(WORD_PARKED | 7ull << WORD_MP_SHIFT)) & WORD_PARKED);",
     "    return !(atomic_fetch_and(w, ~WORD_PARKED) & WORD_PARKED);"),
    ("it goes on and forgets what was asked", False, "kernel/vm/word.h",
     "    return !(atomic_fetch_and(w, ~(WORD_PARKED | 7ull << WORD_MP_SHIFT)) & WORD_PARKED);",
     "    return !(atomic_fetch_and(w, ~(WORD_PARKED | BIT(REQ_PAUSE) | 7ull << WORD_MP_SHIFT)) & WORD_PARKED);"),
    ("who wakes one that waits leaves it waiting", False, "kernel/vm/word.c",
     "                new &= ~WORD_PARKED; /* to ROOT, or to GUEST */",
     "                new = where == WHERE_PARKED ? set_where(new, WHERE_ROOT) : new;"),
    ("who wakes one that waits takes it to ROOT", False, "kernel/vm/word.c",
     "                new &= ~WORD_PARKED; /* to ROOT, or to GUEST */",
     "                new = set_where(new, WHERE_ROOT);"),
    ("who wakes one that waits does not kick", True, "kernel/vm/word.c",
     "asked = where == WHERE_PARKED ? ASKED_WAKE : ASKED_KICK;",
     "asked = where == WHERE_PARKED ? ASKED_WAKE : ASKED_NOTHING;"),
    ("who wakes one that waits wakes its thread", False, "kernel/vm/word.c",
     "asked = where == WHERE_PARKED ? ASKED_WAKE : ASKED_KICK;", "asked = ASKED_WAKE;"),
    ("any request ends waiting", False, "kernel/vm/word.c",
     "            } else if (where != WHERE_ROOT && wakes_in[r] >> word_mp(old) & 1) {",
     "            } else if (where == WHERE_WAITING || (where != WHERE_ROOT && wakes_in[r] >> word_mp(old) & 1)) {"),
    ("one that waits is waited for", False, "kernel/vm/word.c",
     "if (ack && where == WHERE_GUEST)", "if (ack && (where == WHERE_GUEST || where == WHERE_WAITING))"),
    ("HLT is left with nothing", True, "kernel/vm/exit.c",
     "    return vcpu_serve_events(v) == QUICK_AGAIN && v->event.valid ? QUICK_AGAIN : QUICK_SKIP;",
     "    return vcpu_serve_events(v) == QUICK_AGAIN ? QUICK_AGAIN : QUICK_SKIP;"),
    ("HLT waits with interrupts off", False, "kernel/vm/exit.c",
     "    if (!(backend->get_rflags(v) & RFLAGS_IF) || !vcpu_events_stand(v)", "    if (!vcpu_events_stand(v)"),
    ("HLT waits whatever is on its way", False, "kernel/vm/exit.c",
     "|| !vcpu_events_stand(v) || !schedule_alone()", "|| !schedule_alone()"),
    ("HLT sleeps between two entries", False, "kernel/vm/exit.c",
     "    while (word_where(atomic_load(&v->word)) == WHERE_WAITING && schedule_wait())\n        ;\n",
     "    while (word_where(atomic_load(&v->word)) == WHERE_WAITING)\n        if (!schedule_wait())\n"
     "            thread_preempt_point();\n"),
    ("what is in the IRR counts as nothing", False, "lapic/lapic.h",
     "lapic_posted(l) || l->irr.words || ", "lapic_posted(l) || "),
    ("handing over rings only sometimes", False, "kernel/threads/schedule.c",
     "    if (!head || head == WAITING)\n", "    if (!head)\n"),
    ("handing over is a store", False, "kernel/threads/schedule.c",
     "    while (!atomic_compare_exchange_weak(&s->woken, &head, t));", "    while (false);\n    atomic_store(&s->woken, t);"),
    ("a CPU that becomes idle asks for no thread", True, "kernel/threads/schedule.c",
     "    if (atomic_load(&offered))\n        ask();\n    irq_wait();\n}", "    irq_wait();\n}"),
    ("a vCPU that waits in place asks for no thread", False, "kernel/threads/schedule.c",
     "    if (atomic_load(&offered))\n        ask();\n    irq_wait();\n    uint64_t", "    irq_wait();\n    uint64_t"),
    ("who offers does not look for idle CPUs", False, "kernel/threads/schedule.c",
     "        if (sched_any_idle(loads, online))\n            give(s, now, 0);",
     "        if (sched_any_idle(loads, online) && now == NEVER)\n            give(s, now, 0);"),
    ("who offers looks for idle CPUs first", False, "kernel/threads/schedule.c",
     "        make_offer(self);\n        if (sched_any_idle(loads, online))\n            give(s, now, 0);",
     "        bool idle = sched_any_idle(loads, online);\n        make_offer(self);\n        if (idle)\n"
     "            give(s, now, 0);"),
    ("who is asked offers no more", True, "kernel/threads/schedule.c",
     "    give(s, now, s->price);\n    follow_queue(s, now);", "    give(s, now, s->price);"),
    ("a thread is billed behind its move", False, "kernel/threads/schedule.c",
     "    atomic_fetch_add_explicit(&se->group->bill, price, memory_order_relaxed);\n    move(s, now, t, target);",
     "    move(s, now, t, target);\n    atomic_fetch_add_explicit(&se->group->bill, price, memory_order_relaxed);"),
    ("an idle CPU does not look for whoever is held", True, "kernel/threads/schedule.c",
     "        if (sched_holds(&s->rq))\n", "        if (sched_stopped(&s->rq))\n"),
    ("a deadline of 0 is none", True, "kernel/threads/timer.c",
     "    next = MIN(next, t->slice);\n", "    next = next ? MIN(next, t->slice) : NEVER;\n"),
    ("a timer may fire while it is cancelled", False, "kernel/threads/timer.c",
     "        take_out(timer);\n    while (atomic_load_explicit(&timer->busy, memory_order_acquire))\n        cpu_pause();",
     "        take_out(timer);"),
    ("a timer is busy only once it is out", False, "kernel/threads/timer.c",
     "        spin_unlock(&t->lock);\n        served(timer->fired(timer), begin);",
     "        timer->busy--;\n        spin_unlock(&t->lock);\n        timer->busy++;\n        served(timer->fired(timer), begin);"),
    ("posted bits are looked at before ON is cleared", True, "lapic/lapic.c",
     "    atomic_exchange_explicit(&l->on, false, memory_order_acq_rel);\n    take_word(l, 0);\n    take_word(l, 1);\n"
     "    take_word(l, 2);\n    take_word(l, 3);\n",
     "    take_word(l, 0);\n    take_word(l, 1);\n    take_word(l, 2);\n    take_word(l, 3);\n    l->on = false;\n"),
    ("a reset clears ON last", False, "lapic/lapic.c",
     "    l->extint = false;\n    l->svr = 0xff;", "    l->extint = false;\n    l->on = false;\n    l->svr = 0xff;"),
    ("ON is set before the bit", False, "lapic/ipi.c",
     "    atomic_fetch_or_explicit(&l->pir[w], bit, memory_order_release);\n"
     "    if (!atomic_exchange_explicit(&l->on, true, memory_order_acq_rel))\n"
     "        l->domain->signal(l->domain->ctx, l->index, LAPIC_SIGNAL_EVENT, 0);",
     "    if (!atomic_exchange_explicit(&l->on, true, memory_order_acq_rel))\n"
     "        l->domain->signal(l->domain->ctx, l->index, LAPIC_SIGNAL_EVENT, 0);\n"
     "    atomic_fetch_or_explicit(&l->pir[w], bit, memory_order_release);"),
    ("a post signals only the vCPU that sleeps", False, "lapic/ipi.c",
     "    if (!atomic_exchange_explicit(&l->on, true, memory_order_acq_rel))\n        l->domain->signal",
     "    if (atomic_exchange_explicit(&l->on, true, memory_order_acq_rel))\n        l->domain->signal"),
    ("INTR does not rise for a LAPIC that is disabled", False, "lapic/ipi.c",
     "        if (lapic_mode(l) == LAPIC_DISABLED)\n            d->signal(d->ctx, i, LAPIC_SIGNAL_EVENT, 0);\n"
     "        else\n            lapic_lvt_raise(l, LAPIC_LVT_LINT0, false);",
     "        if (lapic_mode(l) != LAPIC_DISABLED)\n            lapic_lvt_raise(l, LAPIC_LVT_LINT0, false);"),
    ("serving an EVENT leaves ON set", False, "kernel/vm/serve.c",
     "        lapic_drain(v->lapic);",
     "        (void)lapic_posted(v->lapic);"),
    ("a quick exit does not look at the word", True, "kernel/vm/exit.c",
     "    bool nothing = word_quiet(&v->word) && vcpu_events_stand(v)", "    bool nothing = vcpu_events_stand(v)"),
    ("a quick exit does not look at what is on its way", False, "kernel/vm/exit.c",
     "word_quiet(&v->word) && vcpu_events_stand(v) &&", "word_quiet(&v->word) &&"),
    ("a quick exit prepares nothing", False, "kernel/vm/serve.c",
     "    return vcpu_prepare_events(v, WHERE_GUEST);", "    return QUICK_AGAIN;"),
    ("another thread runs between two entries", False, "kernel/vm/exit.c",
     "    bool nothing = word_quiet(&v->word)", "    thread_preempt_point();\n    bool nothing = word_quiet(&v->word)"),
    ("INIT is taken between two entries", False, "kernel/vm/serve.c",
     "#define EVENTS (BIT(REQ_TIMER) |", "#define EVENTS (BIT(REQ_INIT) | BIT(REQ_TIMER) |"),
    ("NMI is taken between two entries", False, "kernel/vm/serve.c",
     "#define EVENTS (BIT(REQ_TIMER) |", "#define EVENTS (BIT(REQ_NMI) | BIT(REQ_TIMER) |"),
    ("what is no event does not end a series", False, "kernel/vm/serve.c",
     "    if ((asked & ~EVENTS) || thread_should_yield() || v->eoi_vector >= 0)",
     "    asked &= EVENTS;\n    if (thread_should_yield() || v->eoi_vector >= 0)"),
    ("an event takes all of them", False, "kernel/vm/word.c",
     "{\n    atomic_fetch_and(w, ~BIT(r));\n}",
     "{\n    atomic_fetch_and(w, ~(BIT(r) | BIT(REQ_TIMER) | BIT(REQ_EVENT) | BIT(REQ_CLOCK)));\n}"),
    ("taking an event is a store", False, "kernel/vm/word.c",
     "{\n    atomic_fetch_and(w, ~BIT(r));\n}", "{\n    atomic_store(w, atomic_load(w) & ~BIT(r));\n}"),
    ("between two entries is as good as root: no kick", False, "kernel/vm/vcpu.c",
     "    if (told.asked == ASKED_KICK && told.cpu != this_cpu()->index)",
     "    if (told.asked == ASKED_KICK && told.cpu != this_cpu()->index && v->exit.kind != ABI_EXIT_WRMSR)"),
    ("the own CPU is kicked too", False, "kernel/vm/vcpu.c",
     "    if (told.asked == ASKED_KICK && told.cpu != this_cpu()->index)", "    if (told.asked == ASKED_KICK)"),
    ("an upcall between two entries", False, "kernel/vm/inject.c",
     "    if (pending == LAPIC_EXTINT && where == WHERE_GUEST) /* no upcall between two entries */\n        return QUICK_DONE;\n",
     "    (void)where;\n"),
]


def run(words, **more):
    return subprocess.run(words, capture_output=True, text=True, cwd=TOP, check=False, **more)


def commands():
    """What make would do for each object, and for the program: {source: words}, words."""
    text = run(["make", "-n", "-B", "--no-print-directory", "build/core/core"]).stdout
    compiles, link = {}, None
    for line in text.splitlines():
        words = shlex.split(line) if re.match(r"\s*@?\S*(gcc|clang|cc)\S* ", line) else []
        if "-c" in words:
            compiles[words[words.index("-c") + 1]] = words
        elif words and "build/core/core" in words:
            link = words
    return compiles, link


def places(source, text):
    """Where the text is, whatever blank lines are between its lines."""
    return list(re.finditer(re.escape(text).replace("\\\n", r"\n(?:[ \t]*\n)*"), source))


def broken(number, file, text, becomes, compiles, link):
    """Builds the program with this break: its path, or a line that says what is wrong with the break."""
    with open(os.path.join(TOP, file)) as f:
        source = f.read()
    found = places(source, text)
    if len(found) != 1:
        return None, f"its text is {len(found)} times in {file}"
    out = os.path.join(OUT, str(number))
    patched = os.path.join(out, file)
    os.makedirs(os.path.dirname(patched), exist_ok=True)
    with open(patched, "w") as f:
        f.write(source[:found[0].start()] + becomes + source[found[0].end():])
    link = list(link)
    for name, words in compiles.items():
        if name != file and not file.endswith(".h"):
            continue
        words, object_file = list(words), os.path.join(out, name.replace("/", "_") + ".o")
        link[link.index(words[words.index("-o") + 1])] = object_file
        words[words.index("-o") + 1] = object_file
        if name == file:
            words[words.index("-c") + 1] = patched
        words.insert(words.index("-Itests/core/shadow") + 1, "-I" + out)
        made = run([w for w in words if w not in ("-MMD", "-MP")])
        if made.returncode:
            return None, "does not build: " + made.stderr.strip()[:300]
    program = os.path.join(out, "core")
    link[link.index("-o") + 1] = program
    made = run(link)
    return (program, None) if made.returncode == 0 else (None, "does not link: " + made.stderr.strip()[:300])


def last_line(text):
    lines = [line for line in text.splitlines() if line.startswith("core: ")]
    return re.sub(r"^core: ", "", lines[-1]) if lines else text.strip()[-200:]


def main():
    few, names = "--few" in sys.argv, [a for a in sys.argv[1:] if not a.startswith("--")]
    compiles, link = commands()
    passed = failed = 0
    for number, (name, usual, file, text, becomes) in enumerate(BREAKS):
        if (few and not usual) or (names and name not in names):
            continue
        program, bad = broken(number, file, text, becomes, compiles, link)
        if program:
            try:
                done = run([program, "--runs", str(RUNS), "--steps", str(STEPS)], timeout=240)
                bad = None if done.returncode else f"{RUNS} runs do not notice it"
                seen = last_line(done.stdout) if done.returncode == 1 else f"crashes ({done.returncode})"
            except subprocess.TimeoutExpired:
                seen = "it does not come to an end"
        passed, failed = passed + (not bad), failed + bool(bad)
        print(f"{'FAIL' if bad else '  ok'} {file}: {name}: {bad or seen}", flush=True)
    print(f"core-breaks: {passed} found, {failed} not")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
