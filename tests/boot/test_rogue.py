"""What a device world that was taken over can do to others."""

import time

import rogue
from harness import BOTH, SLOWNESS, Failure, boot_test

GUESTS = "".join(f"[guest {name}]\nimage = spin.elf\nmemory = 16M\n" for name in ("a", "b"))


@boot_test(limit=60, machines=BOTH)
def log_flood(session):
    """A worker that logs for ever: the prompt answers, others' lines stay, what it loses is counted, it can be stopped."""
    session.boot("[lapwing]\non-end = stay\n" + GUESTS, debugger=True)
    session.expect("a", r"spin: 1 CPUs spin")
    session.expect("b", r"spin: 1 CPUs spin")
    rogue.take_over(session, "a", "guest_load", rogue.log_for_ever(b"nuisance"))
    session.expect("lapwing", r"a: nuisance$")
    session.expect("lapwing", r"^guest a: its device world logs too much: lines are dropped$")

    begin = time.monotonic()
    for _ in range(3):
        session.command("memory", r"^hypervisor +\d+ KiB")
    taken = time.monotonic() - begin
    if taken > 6 * SLOWNESS.get(session.machine, 1):
        raise Failure(f"three commands took {taken:.1f} s")

    session.command("log", r"^Lapwing \S+ starts$")
    session.command("stop a", r"^guest a: \d{3,} lines of its device world dropped$")
    session.expect("lapwing", r"^a: stopped")
    session.command("poweroff")
    session.ended(a="STOPPED", b="STOPPED")


@boot_test(limit=60)  # ten seconds of a busy CPU are minutes in Bochs
def worker_hang(session):
    """A worker that never sleeps ends its guest, and no other."""
    session.boot("[lapwing]\non-end = stay\n" + GUESTS, debugger=True)
    session.expect("b", r"spin: 1 CPUs spin")
    session.expect("a", r"spin: 1 CPUs spin")
    rogue.take_over(session, "a", "machine_work", rogue.SPIN)
    session.expect("lapwing", r"^guest a: its device world's own thread has not slept for 10 s of CPU time: the guest ends$")
    session.expect("lapwing", r"^a: device world did not answer")
    session.command("poweroff")
    session.ended(a="WORLD_HANG", b="STOPPED")
