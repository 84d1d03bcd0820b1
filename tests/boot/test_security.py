"""What a guest, or a device world that was taken over, can see of other guests: docs/security.md."""

import os

from harness import BOTH, BUILD, Failure, boot_test
from patched import hypervisor
from root import Root
from test_own import own

PROBE = os.path.join(BUILD, "guests", "world_probe.bin")
DB, UD, NM, GP, DE = 1, 6, 7, 13, 0

# Of world_probe.asm: what it is, its number, the exception that ends it. Those of FEW are enough where guests are slow to come
# up.
PROBES = [
    ("xmm", 1, NM), ("x87", 3, NM), ("fxsave", 4, NM), ("xsave", 5, NM), ("mxcsr", 6, NM), ("ymm", 7, NM),
    ("rdfsbase", 9, UD), ("wrgsbase", 10, UD), ("rdpkru", 11, UD), ("rdpmc", 12, GP), ("dr", 13, GP), ("rdtscp", 18, DE),
]
FEW = ("xmm", "xsave", "dr")


def patched(session):
    """A hypervisor whose device world has the probes."""
    with open(PROBE, "rb") as file:
        code = file.read()
    return hypervisor(session.path("patched.elf"), code, place="emul_task_switch", entry="post_write")


@boot_test(limit=60, machines=BOTH)
def registers_of_guests(session):
    """A guest fills all registers, and others on the same CPU see none of it."""
    session.boot(own("registers", 2, "fill=1 ms=1000", section="full") +
                 "".join(own("registers", 2, "ms=700", section=name) for name in ("a", "b")), cpus=1)
    session.ended(**{name: ("EXIT", 0) for name in ("full", "a", "b")})


@boot_test(limit=60, machines=BOTH)
def registers_of_worlds(session):
    """A device world that was taken over reads no register of another guest; its own guest ends, with a line."""
    probes = [probe for probe in PROBES if session.machine == "svm" or probe[0] in FEW]
    session.boot(own("registers", 1, "fill=1 ms=2000", section="full") +
                 "".join(own("registers", 1, f"probe={number}", section=name) for name, number, _ in probes),
                 image=patched(session), cpus=1, memory="768M")
    session.wait_results()
    for name, _, exception in probes:
        found = session.expect("lapwing", rf"guest {name}: its device world crashed: exception (\d+) \(.*$")
        session.transcript.rewind("lapwing")
        if (name, session.machine) == ("xsave", "svm"):
            exception = DE  # QEMU's XSAVE does not look at CR0.TS: it finds registers that were cleared
        if int(found[1]) != exception:
            raise Failure(f"{name}: exception {found[1]}, not {exception}")
        if exception == NM and "no world may use them" not in found[0]:
            raise Failure(f"{name}: no reason is given: {found[0]}")
    session.ended(full=("EXIT", 0), **{name: "WORLD_CRASH" for name, _, _ in probes})


# RFLAGS (SDM Vol. 1, 3.4.3) that ring 3 can set, or try to, and root must not run with: TF, DF, IOPL, NT, RF, AC.
FLAGS = 1 << 8 | 1 << 10 | 3 << 12 | 1 << 14 | 1 << 16 | 1 << 18
SPIN_AC, FAULT_WITH_AC, END_IN_OTHERS_NAMES = 19, 20, 21


def refuse_flags(root, debugger, name):
    root.stop_at(name)
    # At a function's first instruction, where a debugger of QEMU's may have set RF itself.
    found = debugger.rflags() & FLAGS & ~(1 << 16)
    if found:
        raise Failure(f"{name} runs with RFLAGS 0x{found:x}, which ring 3 chose")


@boot_test(limit=30)
def ends_in_others_names(session):
    """A device world may not say that the operator stopped its guest, that root found a fault, or give a reason that is none."""
    session.boot(own("registers", 1, f"probe={END_IN_OTHERS_NAMES}"), image=patched(session))
    session.ended(registers=("EXIT", 42))


@boot_test(limit=60, machines=BOTH)
def flags_of_worlds(session):
    """Root's handlers run with AC, DF and NT clear, whatever ring 3 made of them: SMAP holds."""
    image = patched(session)
    session.boot("".join(own("registers", 1, f"probe={SPIN_AC}", section=name) for name in ("a", "b")), image=image, cpus=1,
                 debugger=True)
    session.expect("lapwing", r"keyboard: a")
    session.sleep(6 if session.machine == "vmx" else 2)
    debugger = session.debugger()
    root = Root(debugger)
    for _ in range(20):
        refuse_flags(root, debugger, "irq_dispatch")
    debugger.close()
    session.boot(own("registers", 1, f"probe={FAULT_WITH_AC}", section="a"), image=image, cpus=1, debugger=True)
    session.expect("lapwing", r"keyboard: a")
    debugger = session.debugger()
    refuse_flags(Root(debugger), debugger, "vm_world_crashed")
    debugger.close()
    session.ended(a="WORLD_CRASH")
