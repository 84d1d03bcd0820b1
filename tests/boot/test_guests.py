"""The life of guests: stopped, started again, and what they may print."""

import os

from elf import function, illegal_instruction
from harness import BOTH, BUILD, EVERYTHING, Failure, boot_test
from test_linux import guest


def free_memory(session):
    """(KiB free for guests, KiB free of the hypervisor's)."""
    guests = session.command("memory", r"all together +\d+ KiB, +(\d+) KiB free")
    root = session.expect("lapwing", r"hypervisor +\d+ KiB, +(\d+) KiB free")
    return int(guests[1]), int(root[1])


@boot_test(limit=120, machines=BOTH, slow=("vmx",))
def restart_50(session):
    """A guest that spins on both CPUs is stopped and started 50 times; then all memory is back."""
    session.boot("[lapwing]\non-end = stay\n[guest spin]\nimage = spin.elf\nmemory = 128M\nvcpus = 2\n")
    session.expect("spin", r"spin: 2 CPUs spin")
    session.command("stop spin", r"spin: stopped")
    before = free_memory(session)
    for n in range(50):
        session.command("start spin", r"spin: started")
        if n % 2:
            session.expect("spin", r"spin: 2 CPUs spin")
        session.command("stop spin", r"spin: stopped")
    after = free_memory(session)
    if after != before:
        raise Failure(f"KiB free (guests, hypervisor) were {before}, and are {after}")
    session.command("poweroff")
    session.wait_off()


@boot_test(limit=120, machines=BOTH, slow=("vmx",))
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
    session.command("start g", r"g: started")
    session.expect("g", r"guest g up")
    running = free_memory(session)
    taken = session.expect("lapwing", r"^g +(\d+) KiB, +(\d+) KiB of the hypervisor's")
    if (before[0] - running[0], before[1] - running[1]) != (int(taken[1]), int(taken[2])):
        raise Failure(f"KiB free were {before}, and are {running} with {taken[0]!r}")
    session.command("poweroff")
    session.ended(g="STOPPED", other="STOPPED")


def crash(session, elf, name, rip):
    """Send the next CPU that comes to a function somewhere else; where it went wrong is Lapwing's to find out."""
    debugger = session.debugger()
    debugger.stop_at(*function(os.path.join(BUILD, elf), name))
    debugger.set_register("rip", rip)
    debugger.close()


def vcpus_of(session):
    """Bochs takes minutes to start Linux under its debugger."""
    return 1 if session.machine == "vmx" else 2


def world_crash(session, rip, exception):
    vcpus = vcpus_of(session)
    session.boot(guest("a", vcpus=vcpus) + guest("b", vcpus=vcpus), memory="1G", debugger=True)
    session.expect("a", r"guest a up")
    session.expect("b", r"guest b up")
    crash(session, "user/device.elf", "upcall_serve", rip)
    found = session.expect("lapwing", rf"guest ([ab]): its device world crashed: exception {exception} .* at {rip:x},")
    victim, other = found[1], "b" if found[1] == "a" else "a"
    session.expect("lapwing", rf"{victim}: device world crashed")
    session.focus(1 if other == "a" else 2)
    session.send("echo alive-$((40 + 2))\r")
    session.expect(other, r"^alive-42")
    session.send("poweroff -f\r")
    session.ended(**{victim: "WORLD_CRASH", other: ("POWEROFF", 0)})


@boot_test(limit=120, machines=BOTH, slow=("vmx",))
def world_crash_pointer(session):
    """A device world that follows a bad pointer takes its own guest along, with a message, and no other."""
    world_crash(session, 0x10, 14)


@boot_test(limit=120, machines=BOTH)
def world_crash_instruction(session):
    """The same with an illegal instruction."""
    world_crash(session, illegal_instruction(os.path.join(BUILD, "user/device.elf")), 6)


@boot_test(limit=120, machines=BOTH)
def root_crash(session):
    """When root itself goes wrong, it says where, with the names of the functions that led there."""
    session.boot(guest("a", vcpus=vcpus_of(session)), memory="1G", debugger=True)
    session.expect("a", r"guest a up")
    session.fatal = None
    crash(session, "lapwing.elf", "vcpu_exit", 0x10)
    session.expect("lapwing", r"#PF \(error code 10\) in root, CPU \d, at 0+10 ")
    session.expect("lapwing", r"^rax [0-9a-f]{16} rbx ")
    session.expect("lapwing", r"^cr2 0{14}10 cr3 [0-9a-f]{16} rflags [0-9a-f]{8} cs 0008$")
    session.expect("lapwing", r"[0-9a-f]{16} trap_dispatch\+0x[0-9a-f]+")
    session.expect("lapwing", r"[0-9a-f]{16} thread_start_stub\+0x[0-9a-f]+")


@boot_test(limit=60, machines=BOTH)
def isolation_of_text(session):
    """No guest can print a line that looks like the hypervisor's."""
    forged = "lapwing| all guests ended: 9 well, 0 badly"
    session.boot(guest("g"), memory="512M")
    session.expect("g", r"g# ")
    for trick in (r"\r", r"\033[2K\r", r"\010\010\010", r"\033[1G", r"\033[A\r", r"\033c", r"\v", r"\f"):
        session.send(f"printf '{trick}{forged}\\n'\r")
        session.expect("g", r"9 well, 0 badly$")
    # As long as it takes for the rest to begin a row of an 80-column terminal.
    for columns in (77, 78, 79, 80, 155, 160):
        session.send(f"printf '%0{columns - len('g| ')}d{forged}\\n' 0\r")
        session.expect("g", r"^0+lapwing\| all guests ended: 9 well, 0 badly$")
    session.send("echo done-$((40 + 2))\r")
    session.expect("g", r"^done-42")
    long = [row for row in session.transcript.text(EVERYTHING).partition("g| ")[2].split("\n") if len(row) > 79]
    if long:
        raise Failure(f"a row that the terminal breaks: {long[0]}")
    if session.results.complete():
        raise Failure("the guest's line was taken for the hypervisor's")
    session.send("poweroff -f\r")
    session.ended(g=("POWEROFF", 0))


@boot_test(limit=90, machines=BOTH)
def nmi_relay(session):
    """CPUs that wake each other by NMI out of HLT with interrupts off are not taken for halted for good."""
    names = ("a", "b")
    session.boot("".join(f"[guest {name}]\nimage = relay.elf\nmemory = 16M\nvcpus = 2\nexit-device = on\n"
                         for name in names), cpus=4)
    session.ended(**{name: ("EXIT", 0) for name in names})
