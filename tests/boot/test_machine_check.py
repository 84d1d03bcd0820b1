"""Machine checks of the CPUs, which QEMU's monitor makes. (QEMU delivers one that comes in a guest to the guest, whatever is
intercepted: those of the guests are shown on the host only, tests/unit/test_machine_check.c.)"""

import socket

from harness import HYPERVISOR_LINES, Failure, boot_test

# MCi_STATUS
VALID, UNCORRECTED, ENABLED, MISC, ADDRESS, CORRUPT, SIGNALED = (1 << bit for bit in (63, 61, 60, 59, 58, 57, 56))
RIPV, MCIP = 1, 4


def monitor(path, line):
    """Give QEMU's monitor a line."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(path)
        said = b""
        for text in (b"", line.encode() + b"\n"):
            connection.sendall(text)
            said = b""
            while not said.endswith(b"(qemu) "):
                got = connection.recv(4096)
                if not got:
                    raise Failure("QEMU's monitor is gone")
                said += got
    return said.decode(errors="replace")


def inject(path, bank, status, mcg_status, address):
    """On CPU 0."""
    monitor(path, f"mce 0 {bank} {status:#x} {mcg_status:#x} {address:#x} 0x8c")


@boot_test(limit=40)
def machine_check(session):
    """Errors that nobody has used: root logs them and goes on. One that has spoilt the CPU's state: root stops, and says why."""
    path = session.path("monitor")
    session.boot("[lapwing]\non-end = stay\n[guest g]\nimage = hello.elf\nmemory = 16M\n",
                 extra=("-monitor", f"unix:{path},server=on,wait=off"))
    session.wait_results()

    # Action optional (SRAO). The second one shows that MCIP and the bank are clear again: else QEMU resets, or says OVER.
    optional = ENABLED | VALID | UNCORRECTED | ADDRESS | MISC | SIGNALED | 0xc0
    for number in (1, 2):
        inject(path, 3, optional, RIPV | MCIP, 0x1234000)
        session.expect(HYPERVISOR_LINES, rf"CPU 0: machine check number {number}: MCG_STATUS 5, bank 3: status "
                                         rf"{optional:x}, address 1234000, misc 8c")
    session.command("guests", r"g +")

    session.fatal = None
    corrupt = ENABLED | VALID | UNCORRECTED | ADDRESS | MISC | CORRUPT | 0x134
    inject(path, 4, corrupt, RIPV | MCIP, 0x5678000)
    session.expect(HYPERVISOR_LINES, rf"machine check in (root|ring 3), CPU 0: MCG_STATUS 5, bank 4 of 10: status "
                                     rf"{corrupt:x}, address 5678000, misc 8c")
