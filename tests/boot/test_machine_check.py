"""Machine checks of the CPUs, which QEMU's monitor makes. (QEMU delivers one that comes in a guest to the guest, whatever is
intercepted: what an exit for one leads to is shown on the host only, tests/unit/test_machine_check*.c.)"""

import re
import socket
import subprocess

import elf
from harness import HYPERVISOR_LINES, Failure, boot_test
from root import IMAGE, Root
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
        self._session, self.path = session, session.path("monitor")
        session.boot(config, extra=("-monitor", f"unix:{self.path},server=on,wait=off"), **how)

    def inject(self, cpu, bank, status, mcg_status, address):
        monitor(self.path, f"mce {cpu} {bank} {status:#x} {mcg_status:#x} {address:#x} {PAGE_OF_MEMORY:#x}")

    def inject_in_ring_3(self, cpu, *error):
        """In root, where an interrupt may have led that CPU just now, the same error would end all."""
        registers = ""
        for _ in range(100):
            monitor(self.path, "stop")
            monitor(self.path, f"cpu {cpu}")
            registers = monitor(self.path, "info registers")
            in_ring_3 = " CPL=3 " in registers
            if in_ring_3:
                self.inject(cpu, *error)
            monitor(self.path, "cont")
            if in_ring_3:
                return
            self._session.sleep(0.05)
        raise Failure(f"CPU {cpu} is never in ring 3: {registers}")

    def expect_bank(self, cpu, number, mcg_status, bank, status, address):
        self._session.expect(HYPERVISOR_LINES, rf"CPU {cpu}: machine check number {number}: MCG_STATUS {mcg_status}, bank {bank}: "
                                               rf"status {status:x}, address {address:x}, misc 8c")


def idle(session):
    """A machine of one CPU with nothing to do, standing still; what it is, and its debugger."""
    machine = Machine(session, "[lapwing]\non-end = stay\n" + own("hello"), cpus=1, debugger=True)
    session.expect(HYPERVISOR_LINES, r"hello: exit device")
    session.sleep(1)
    return machine, session.debugger()


def hlt_of(function):
    """The address of the HLT of a function of root's, and the code there."""
    listing = subprocess.run(["objdump", "-d", f"--disassemble={function}", IMAGE], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.findall(r"sti\s*\n\s*([0-9a-f]+):\s+f4\s+hlt\s*\n\s*[0-9a-f]+:\s+((?:[0-9a-f]{2} )+)", listing)
    if len(found) != 1:
        raise Failure(f"{function} has STI and HLT {len(found)} times")
    return int(found[0][0], 16), b"\xf4" + bytes.fromhex(found[0][1])


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


@boot_test(limit=60)
def machine_check_in_another(session):
    """A second one comes while the first is still being handled: both are told of, and the CPU goes on."""
    machine, debugger = idle(session)
    machine.inject(0, 3, OPTIONAL_ERROR, RIPV | MCIP, 0x1234000)
    # It sends itself an interrupt when it has cleared MCIP.
    Root(debugger).stop_at("apic_ipi_self")
    machine.inject(0, 4, OPTIONAL_ERROR, RIPV | MCIP, 0x5678000)
    debugger.close()
    machine.expect_bank(0, 1, 5, 3, OPTIONAL_ERROR, 0x1234000)
    machine.expect_bank(0, 2, 5, 4, OPTIONAL_ERROR, 0x5678000)
    session.command("guests", r"hello +exit")


@boot_test(limit=60)
def machine_check_before_hlt(session):
    """One that comes between STI and HLT ends STI's shadow; what it asks for is not slept through."""
    machine, debugger = idle(session)
    session.send("\r")  # else it is behind its HLT already
    session.flush()
    debugger.stop_at(*hlt_of("schedule_start"))
    machine.inject(0, 3, OPTIONAL_ERROR, RIPV | MCIP, 0x1234000)
    debugger.close()
    for _ in range(100):
        session.sleep(0.02)
        sleeps = "HLT=1" in monitor(machine.path, "info registers")
        session.sleep(0.3 if sleeps else 0)
        if "machine check number 1" in session.transcript.text(HYPERVISOR_LINES):
            return
        if sleeps:
            raise Failure("the CPU halts, and has not said anything of the error")
    raise Failure("the CPU neither halts nor says anything of the error")
