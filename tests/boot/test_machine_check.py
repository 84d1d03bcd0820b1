"""Machine checks of the CPUs, which QEMU's monitor makes. (QEMU delivers one that comes in a guest to the guest, whatever is
intercepted: what an exit for one leads to is shown on the host only, tests/unit/test_machine_check*.c.)"""

import socket

from harness import HYPERVISOR_LINES, Failure, boot_test
from test_own import own
from test_security import SPIN_AC, patched

# MCi_STATUS
VALID, UNCORRECTED, ENABLED, MISC, ADDRESS, CORRUPT, SIGNALED, REQUIRED = (1 << bit for bit in (63, 61, 60, 59, 58, 57, 56, 55))
OPTIONAL_ERROR = ENABLED | VALID | UNCORRECTED | ADDRESS | MISC | SIGNALED | 0xc0  # SRAO, by the patrol scrubber
REQUIRED_ERROR = ENABLED | VALID | UNCORRECTED | ADDRESS | MISC | SIGNALED | REQUIRED | 0x134  # SRAR, of a load
CORRUPT_ERROR = ENABLED | VALID | UNCORRECTED | ADDRESS | MISC | CORRUPT | 0x134
RIPV, EIPV, MCIP = 1, 2, 4
PAGE_OF_MEMORY = 0x8c  # MCi_MISC: a physical address, but for its low 12 bits


def monitor(path, line):
    """Give QEMU's monitor a line; what it says."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(path)
        for text in (b"", line.encode() + b"\n"):
            connection.sendall(text)
            said = b""
            while not said.endswith(b"(qemu) "):
                got = connection.recv(4096)
                if not got:
                    raise Failure("QEMU's monitor is gone")
                said += got
    return said.decode()


class Machine:
    """A session with a monitor."""

    def __init__(self, session, config, **how):
        self._session, self._path = session, session.path("monitor")
        session.boot(config, extra=("-monitor", f"unix:{self._path},server=on,wait=off"), **how)

    def inject(self, cpu, bank, status, mcg_status, address):
        monitor(self._path, f"mce {cpu} {bank} {status:#x} {mcg_status:#x} {address:#x} {PAGE_OF_MEMORY:#x}")

    def inject_in_ring_3(self, cpu, *error):
        """In root, where an interrupt may have led that CPU just now, the same error would end all."""
        registers = ""
        for _ in range(100):
            monitor(self._path, "stop")
            monitor(self._path, f"cpu {cpu}")
            registers = monitor(self._path, "info registers")
            in_ring_3 = " CPL=3 " in registers
            if in_ring_3:
                self.inject(cpu, *error)
            monitor(self._path, "cont")
            if in_ring_3:
                return
            self._session.sleep(0.05)
        raise Failure(f"CPU {cpu} is never in ring 3: {registers}")

    def expect_bank(self, cpu, number, mcg_status, bank, status, address):
        self._session.expect(HYPERVISOR_LINES, rf"CPU {cpu}: machine check number {number}: MCG_STATUS {mcg_status}, bank {bank}: "
                                               rf"status {status:x}, address {address:x}, misc 8c")


def spin(name, cpu):
    return own("spin", section=name, keys=f"cpus = {cpu}")


@boot_test(limit=60)
def machine_check(session):
    """Errors that nobody has used: root logs them and goes on. One that has spoilt the CPU's state: root stops, and says why."""
    machine = Machine(session, spin("g", 1))
    session.expect("g", r"spin: 1 CPUs spin")

    # The second one shows that MCIP and the bank are clear again: else QEMU resets, or says OVER. Nobody else wakes control.
    for number in (1, 2):
        machine.inject(0, 3, OPTIONAL_ERROR, RIPV | MCIP, 0x1234000)
        machine.expect_bank(0, number, 5, 3, OPTIONAL_ERROR, 0x1234000)
        session.sleep(1)
    session.command("guests", r"g +running")

    session.fatal = None
    machine.inject(0, 4, CORRUPT_ERROR, RIPV | MCIP, 0x5678000)
    session.expect(HYPERVISOR_LINES, r"machine check in (root|ring 3), CPU 0: MCG_STATUS 5, bank 4 of 10 decides, at ")
    session.expect(HYPERVISOR_LINES, rf"bank 4: status {CORRUPT_ERROR:x}, address 5678000, misc 8c")


@boot_test(limit=60)
def machine_check_in_memory(session):
    """An error that nobody has used, in the memory of a guest: that guest ends, with a line, and no other."""
    # Of the 512 MiB, all that is large and in one piece is big's.
    machine = Machine(session, own("spin", section="big", memory="400M", keys="cpus = 1") + spin("g", 1))
    session.expect("big", r"spin: 1 CPUs spin")
    session.expect("g", r"spin: 1 CPUs spin")
    machine.inject(0, 3, OPTIONAL_ERROR, RIPV | MCIP, 0x10000abc)
    machine.expect_bank(0, 1, 5, 3, OPTIONAL_ERROR, 0x10000abc)
    session.expect(HYPERVISOR_LINES, r"guest big: its memory has an uncorrected error at host address 0x10000000: it ends")
    session.expect(HYPERVISOR_LINES, r"big: internal error")
    session.command("guests", r"g +running")


@boot_test(limit=60)
def machine_check_in_a_world(session):
    """A device world has used what is wrong: its guest ends, with a line, others go on. Its flag AC is nothing to root."""
    machine = Machine(session, own("registers", 1, f"probe={SPIN_AC}", section="bad", keys="cpus = 1") + spin("g", 0),
                      image=patched(session))
    session.expect("g", r"spin: 1 CPUs spin")
    session.sleep(2)
    machine.inject_in_ring_3(1, 3, REQUIRED_ERROR, RIPV | EIPV | MCIP, 0x1234000)
    session.expect(HYPERVISOR_LINES, r"guest bad: its device world crashed: exception 18 .*: a machine check: what it did is lost")
    machine.expect_bank(1, 1, 7, 3, REQUIRED_ERROR, 0x1234000)
    session.command("guests", r"g +running")
    session.command("guests", r"bad +.*crash")
