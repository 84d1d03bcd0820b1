"""Creating a guest: every allocation of root's fails in turn, and nothing is left behind (R0)."""

import os

from gdb import Debugger, symbol
from harness import BUILD, Failure, boot_test
from test_guests import free_memory

KERNEL_BASE = 0xffffffff80000000
ROUNDS = 10
FEWEST = 40  # allocations that a guest with two vCPUs needs at least


def fail_allocation(debugger, n):
    """Root's n-th allocation from now will fail; 0: none will."""
    debugger.halt()
    debugger.write(symbol(os.path.join(BUILD, "lapwing.elf"), "mem_fail_in") - KERNEL_BASE, n.to_bytes(4, "little"))
    debugger.go()


def fail_in_turn(session, debugger, name):
    """Start a guest with its first, second, ... allocation failing, until it starts; how many there were."""
    for n in range(1, 1000):
        fail_allocation(debugger, n)
        if session.command(f"start {name}", rf"{name}: (not )?started")[1] is None:
            fail_allocation(debugger, 0)
            return n - 1
    raise Failure(f"{name} does not start")


def every_allocation(session, keys):
    session.boot(f"[lapwing]\non-end = stay\n[guest g]\nimage = spin.elf\nmemory = 16M\n{keys}\n",
                 extra=["-gdb", f"unix:{session.path('gdb')},server=on,wait=off"])
    session.expect("lapwing", r"keyboard: g")
    debugger = Debugger(session.path("gdb"))
    debugger.go()
    session.command("stop g", r"g: stopped")
    before = free_memory(session)
    for _ in range(ROUNDS):
        count = fail_in_turn(session, debugger, "g")
        session.expect("g", r"spin: \d CPUs spin")
        session.command("stop g", r"g: stopped")
        after = free_memory(session)
        if after != before:
            raise Failure(f"KiB free (guests, hypervisor) were {before}, and are {after}")
        if count < FEWEST:
            raise Failure(f"only {count} allocations failed")
    debugger.halt()
    debugger.close()
    session.command("start g", r"g: started")
    session.command("poweroff")
    session.ended(g="STOPPED")


@boot_test(limit=240)
def creation_fails(session):
    """A guest with two vCPUs."""
    every_allocation(session, "vcpus = 2")


@boot_test(limit=240)
def creation_fails_without_lapic(session):
    """A guest without LAPICs."""
    every_allocation(session, "lapic = off")
