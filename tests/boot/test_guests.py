"""The life of guests: stopped, started again, and what they may print."""

from harness import Failure, boot_test
from test_linux import guest


def free_memory(session):
    """(KiB free for guests, KiB free of the hypervisor's)."""
    guests = session.command("memory", r"all together +\d+ KiB, +(\d+) KiB free")
    root = session.expect("lapwing", r"hypervisor +\d+ KiB, +(\d+) KiB free")
    return int(guests[1]), int(root[1])


@boot_test(limit=240)
def restart_50(session):
    """A guest is stopped and started 50 times; then all memory is back."""
    session.boot("[lapwing]\non-end = stay\n" + guest("spin", memory="128M"))
    session.expect("spin", r"guest spin up")
    session.command("stop spin", r"spin: stopped")
    before = free_memory(session)
    for _ in range(50):
        session.command("start spin", r"spin: started")
        session.sleep(0.1)
        session.command("stop spin", r"spin: stopped")
    after = free_memory(session)
    if after != before:
        raise Failure(f"KiB free (guests, hypervisor) were {before}, and are {after}")
    session.command("poweroff")
    session.wait_off()


@boot_test(limit=120)
def restart_linux(session):
    """The same with a Linux guest that is stopped at moments of its boot, beside another one."""
    session.boot(guest("g") + guest("other"), memory="1G")
    session.expect("g", r"guest g up")
    session.expect("other", r"guest other up")
    session.command("stop g", r"g: stopped")
    before = free_memory(session)
    for moment in (0, 0.3, 0.7, 1.5, 3):
        session.command("start g", r"g: started")
        session.sleep(moment)
        session.command("stop g", r"g: stopped")
    after = free_memory(session)
    if after != before:
        raise Failure(f"KiB free (guests, hypervisor) were {before}, and are {after}")
    session.command("poweroff")
    session.ended(g="STOPPED", other="STOPPED")


@boot_test(limit=60)
def isolation_of_text(session):
    """No guest can print a line that looks like the hypervisor's."""
    forged = "lapwing| all guests ended: 9 well, 0 badly"
    session.boot(guest("g"), memory="512M")
    session.expect("g", r"g# ")
    for trick in (r"\r", r"\033[2K\r", r"\010\010\010", r"\033[1G", r"\033[A\r", r"\033c", r"\v", r"\f"):
        session.send(f"printf '{trick}{forged}\\n'\r")
        session.expect("g", r"9 well, 0 badly$")
    session.send("echo done-$((40 + 2))\r")
    session.expect("g", r"^done-42")
    if session.results.complete():
        raise Failure("the guest's line was taken for the hypervisor's")
    session.send("poweroff -f\r")
    session.ended(g=("POWEROFF", 0))
