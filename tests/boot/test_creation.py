"""Creating a guest: every allocation of root's fails in turn, and nothing is left behind (R0)."""

import os
import re
import struct
import subprocess

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


NOP5 = bytes.fromhex("0f1f440000")


def key_sites():
    """Physical addresses of root's code that a static key patches (kernel/key.h), and their targets."""
    elf = os.path.join(BUILD, "lapwing.elf")
    start, end = symbol(elf, "keys_start"), symbol(elf, "keys_end")
    dump = subprocess.run(["objdump", "-s", f"--start-address={start}", f"--stop-address={end}", elf],
                          capture_output=True, text=True, check=True).stdout
    table = bytes.fromhex("".join(re.findall(r"^ [0-9a-f]+ ((?:[0-9a-f]+ ){1,4})", dump, re.MULTILINE)).replace(" ", ""))
    return [(at - KERNEL_BASE, target - KERNEL_BASE) for at, target, _ in struct.iter_unpack("<QQQ", table)]


def key_is(debugger, on):
    debugger.halt()
    for at, target in key_sites():
        expected = b"\xe9" + (target - at - 5).to_bytes(4, "little", signed=True) if on else NOP5
        code = debugger.read(at, 5)
        if code != expected:
            raise Failure(f"the code at 0x{at:x} is {code.hex()}, and not {expected.hex()}")
    debugger.go()


@boot_test(limit=120)
def static_key(session):
    """The key of guests without LAPICs: on with the first one, off after the last, while another guest runs."""
    session.boot("[lapwing]\non-end = stay\nlog = debug\n[guest busy]\nimage = spin.elf\nmemory = 16M\nvcpus = 2\n" +
                 "".join(f"[guest {name}]\nimage = spin.elf\nmemory = 16M\nlapic = off\n" for name in ("a", "b")),
                 extra=["-gdb", f"unix:{session.path('gdb')},server=on,wait=off"])
    debugger = Debugger(session.path("gdb"))
    debugger.go()
    session.expect("lapwing", r"key lapic_absent is on on 2 CPUs")
    session.expect("lapwing", r"keyboard: busy")
    for _ in range(5):
        key_is(debugger, True)
        session.command("stop a", r"a: stopped")
        key_is(debugger, True)
        session.command("stop b", r"key lapic_absent is off on 2 CPUs")
        session.expect("lapwing", r"b: stopped")
        key_is(debugger, False)
        session.command("start b", r"b: started")
        session.expect("b", r"spin: 1 CPUs spin")
        session.command("start a", r"a: started")
        session.expect("a", r"spin: 1 CPUs spin")
    debugger.halt()
    debugger.close()
    session.command("poweroff")
    session.ended(busy="STOPPED", a="STOPPED", b="STOPPED")
