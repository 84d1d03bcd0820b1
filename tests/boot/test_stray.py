"""Interrupts that nobody can have sent reach root, which says so and goes on (kernel/cpu/stray.c)."""

from harness import BOTH, boot_test
from root import Root
from test_own import own

VECTOR_SERIAL = 0x30

# Without a handler, and of exceptions with and without an error code, of which some have stacks of their own. (A real LAPIC
# sends none below 16; QEMU's does.)
VECTORS = (0x44, 3, 8, 13, 17, 18, 31)


@boot_test(limit=60, machines=BOTH)
def stray_interrupt(session):
    """A vector that lost its handler: one line, and the guest ends as it would have."""
    session.boot(own("fpu", 2, "ms=2000"), debugger=True, cpus=1)
    session.expect("lapwing", r"keyboard: fpu")
    debugger = session.debugger()
    debugger.go()
    Root(debugger).replace("irq_handlers", VECTOR_SERIAL, 0, 8)
    session.send("x")
    session.expect("lapwing", r"CPU 0: interrupt with vector 0x30, which nobody sends \(by its LAPIC\): ignored, number 1 of")
    session.ended(fpu=("EXIT", 0))


@boot_test(limit=120)
def stray_exceptions(session):
    """IPIs between root's CPUs that have vectors of exceptions: one line each, whether or not there would be an error code."""
    session.boot(own("smp", 4, "cpus=4", keys="on-exit = restart"), debugger=True)
    session.expect("smp", r"smp: ok")
    debugger = session.debugger()
    root = Root(debugger)
    for vector in VECTORS:
        root.stop_at("apic_ipi")
        debugger.set_register("rsi", vector)
        debugger.go()
        session.expect("lapwing", rf"CPU \d: interrupt with vector 0x{vector:x}, which nobody sends \(by its LAPIC\): ignored")
        debugger.halt()
    debugger.close()
    session.expect("smp", r"smp: ok")
    session.command("poweroff")
    session.wait_off()
