"""The ways to start Lapwing itself, and what it says when something is wrong."""

import re

from harness import BOTH, HYPERVISOR, HYPERVISOR_LINES, Failure, boot_test
from test_linux import guest


def one_guest(session, **kind):
    session.boot(guest("g", words="lapwing.run=poweroff"), **kind)
    session.expect("g", r"guest g up: 2 CPUs")
    session.ended(g=("POWEROFF", 0))


@boot_test(limit=120)
def boot_uefi(session):
    """From GRUB on UEFI, boot services exited."""
    one_guest(session, firmware="uefi", memory="768M")


@boot_test(limit=90)
def boot_usb(session):
    """The same image as a USB stick."""
    one_guest(session, boot="usb")


@boot_test(limit=120)
def boot_usb_uefi(session):
    """As a USB stick on UEFI."""
    one_guest(session, boot="usb", firmware="uefi", memory="768M")


@boot_test(limit=90)
def boot_qemu72(session):
    """On the system's QEMU, which has other SVM bugs."""
    one_guest(session, kind="svm72")


@boot_test(limit=120)
def boot_one_cpu(session):
    """Two vCPUs on a machine of one CPU."""
    one_guest(session, cpus=1)


@boot_test(limit=180, machines=BOTH, slow=("vmx",))
def boot_eight_cpus(session):
    """On a machine of eight CPUs."""
    one_guest(session, cpus=8, memory="768M")


@boot_test(limit=60)
def boot_pvh(session):
    """Without a boot loader, by PVH: the config is the only module."""
    path = session.path("empty.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write("[lapwing]\non-end = stay\n")
    session.boot_kernel(HYPERVISOR, [path])
    session.expect(HYPERVISOR_LINES, r".")
    session.expect("", r"lapwing> |no guest")
    session.command("help", r"poweroff .*switch the machine off")
    session.command("poweroff")
    session.wait_off()


@boot_test(limit=60, machines=BOTH)
def write_xor_execute(session):
    """Root walks its own page tables and each world's, and says that no page is writable and executable."""
    session.boot("[lapwing]\non-end = stay\nlog = debug\n[guest g]\nimage = spin.elf\n")
    for whose in ("root", "control", "g"):
        session.expect(HYPERVISOR_LINES, rf"^W\^X: {whose}: [1-9]\d+ pages checked, 0 violations$", 30)
    session.command("poweroff")
    session.wait_off()


@boot_test(limit=120, machines=BOTH)
def bad_config(session):
    """Each problem is one line with its place, and the good guest starts."""
    text = "\n".join(["[lapwing]", "on-end = poweroff", "colour = red",
                      "[guest vast]", "image = vmlinuz-cloud", "memory = 64G",
                      "[guest lost]", "image = nowhere.bin",
                      "[guest many]", "image = vmlinuz-cloud", "vcpus = 4000",
                      "[colour]", "x = y", ""]) + guest("good", words="lapwing.run=poweroff")
    session.boot(text, problems=True)
    session.check_memory()
    for place in (r"3:1: ", r"6:10: ", r"8:9: .*nowhere\.bin", r"11:9: .*1 to 255", r"12:2: "):
        session.expect("", rf"^lapwing\| lapwing\.conf:{place}")
        session.transcript.rewind("")
    session.expect("good", r"guest good up: 2 CPUs")
    session.ended(good=("POWEROFF", 0), vast="BAD_CONFIG", lost="BAD_CONFIG", many="BAD_CONFIG")
    if (session.results.well, session.results.badly) != (1, 3):
        raise Failure(f"{session.results.well} well, {session.results.badly} badly, not 1 and 3")


@boot_test(limit=60, machines=BOTH)
def prompt_help(session):
    """The prompt lists its commands, and answers each with something."""
    session.boot(guest("g"), memory="512M")
    session.expect("g", r"guest g up")
    text = session.command("help", r"help[\s\S]*poweroff")[0]
    for word in ("guests", "vcpus", "stop", "start", "reset", "pause", "resume", "memory", "log", "poweroff"):
        if not re.search(rf"^{word}\b", text, re.MULTILINE):
            raise Failure(f"help does not list {word}")
    session.command("guests", r"g +running +2 +256M")
    session.command("vcpus g", r"g/1: .*CPU \d.* rip 0x[0-9a-f]+$")
    session.command("pause g", r"g: paused")
    session.command("guests", r"g +paused")
    session.command("resume g", r"g: resumed")
    session.command("memory", r"hypervisor +\d+ KiB")
    session.command("log", r"^Lapwing \S+ starts\n(.*\n)*W\^X: ")
    session.refuse("lapwing", r"lines of the log are gone")
    session.command("nonsense", r"no command \"nonsense\"")
    session.focus(1)
    session.send("echo $((6 * 7))\r")
    session.expect("g", r"^42")
    session.command("poweroff")
    session.ended(g="STOPPED")
