"""Our own guests of tests/guests, each of which tries one thing."""

from harness import BOTH, Failure, boot_test
from test_linux import guest

# Name, vCPUs, command line, how it ends. With exit status 0 a guest says that all it checked was right.
OWN = [
    ("control", 1, "", ("EXIT", 0)),
    ("badstate", 1, {"svm": "quirks=1", "vmx": ""}, ("EXIT", 0)),  # what QEMU gets wrong is left out there
    ("cpuidmsr", 1, "step=3", ("EXIT", 0)),
    ("fpu", 3, "ms=3000", ("EXIT", 0)),
    ("halt", 2, "nmi=1", ("EXIT", 0)),
    ("hammer", 1, "step=5", ("EXIT", 0)),
    ("lapic", 4, "", ("EXIT", 0)),
    ("real", 1, "", ("EXIT", 0)),
    ("mmio", 1, "", ("EXIT", 0)),
    ("modes", 4, "", ("EXIT", 0)),
    ("once", 1, "", ("EXIT", 0)),
    ("smp", 4, "cpus=4", ("EXIT", 0)),
    ("task", 1, "quirks=1", ("EXIT", 0)),
    ("timer", 2, "", ("EXIT", 0)),
]


def own(name, vcpus=1, cmdline="", keys="", memory="16M", section=None, image=None):
    """A section of one of our guests."""
    return (f"[guest {section or name}]\nimage = {image or name}.elf\nmemory = {memory}\nvcpus = {vcpus}\n"
            f"exit-device = on\n" + (f"cmdline = {cmdline}\n" if cmdline else "") + f"{keys}\n")


def bystander(session):
    """(Section, how it ends) of a guest that must not notice what the other one does: Linux, where that is not slow."""
    if session.machine == "svm":
        return guest("bystander", words="lapwing.run=poweroff"), ("POWEROFF", 0)
    return own("fpu", 2, "ms=1000", section="bystander"), ("EXIT", 0)


for _name, _vcpus, _cmdline, _how in OWN:

    def _test(session, name=_name, vcpus=_vcpus, cmdline=_cmdline, how=_how):
        """One of our own guests, beside another one that must not notice."""
        section, end = bystander(session)
        # One CPU where guests fault: with more, Bochs takes a fault's RIP back now and then (docs/debugging.md).
        session.boot(own(name, vcpus, cmdline if isinstance(cmdline, str) else cmdline[session.machine]) + section,
                     cpus=2 if session.machine == "svm" else 1)
        session.expect(name, rf"^{name}: (ok|FAILED.*)$")
        session.ended(**{name: how, "bystander": end})

    boot_test(limit=150, name=f"own_{_name}", machines=BOTH)(_test)


@boot_test(limit=60, machines=BOTH)
def own_cpustate(session):
    """CPUID and MSRs follow the CPU's state, the TSC can be set, two NMIs are two. On one CPU, so that one vCPU waits."""
    session.boot(own("cpustate", 2), cpus=1)
    session.expect("cpustate", r"^cpustate: (ok|FAILED.*)$")
    session.ended(cpustate=("EXIT", 0))


@boot_test(limit=60, machines=BOTH)
def own_debug(session):
    """Single steps, breakpoints on ports and on instructions that exit."""
    session.boot(own("debug"), cpus=1)
    session.expect("debug", r"^debug: (ok|FAILED.*)$")
    session.ended(debug=("EXIT", 0))


@boot_test(limit=60, machines=BOTH)
def own_rights(session):
    """Faults of MMIO by the rights of pages and across their borders; control registers in 32-bit mode."""
    quirks = "quirks=1" if session.machine == "svm" else ""
    session.boot(own("rights") + own("mode32", cmdline=quirks), cpus=1)
    for name in ("rights", "mode32"):
        session.expect(name, rf"^{name}: (ok|FAILED.*)$")
    session.ended(rights=("EXIT", 0), mode32=("EXIT", 0))


@boot_test(limit=60, machines=BOTH)
def own_hello(session):
    """Each way to load an ELF file; the command line is the guest's, the exit status reaches the table."""
    # Name: file, exit status.
    guests = {"both": ("hello", 0), "multiboot": ("hello-mb", 3), "pvh": ("hello-pvh", 255),
              "low": ("hello-low", 7)}
    session.boot("".join(own("hello", 1, f"to {name}  exit={status}", section=name, image=image)
                         for name, (image, status) in guests.items()))
    for name in guests:
        found = session.expect(name, r'^hello: command line "(.*)"$')
        if not found[1].endswith(f"to {name}  exit={guests[name][1]}"):
            raise Failure(f"the command line of {name} is {found[1]!r}")
    session.ended(**{name: ("EXIT", status) for name, (_, status) in guests.items()})


@boot_test(limit=90, machines=BOTH)
def own_clock(session):
    """The paravirtual clock never steps back, from CPU to CPU and over pauses, which show on each CPU."""
    session.boot(own("clock", 2, "pauses=2"))
    session.expect("clock", r"clock: runs")
    for number in (1, 2):
        session.command("pause clock", r"clock: paused")
        session.sleep(0.5)
        session.command("resume clock", r"clock: resumed")
        session.expect("clock", rf"clock: pause {number} seen")
    session.expect("lapwing", r"^clock: exit device, status 0,")
    session.command("poweroff")
    session.ended(clock=("EXIT", 0))


@boot_test(limit=60, machines=BOTH)
def refused_images(session):
    """Images that do not fit are refused with what would help, and the others start."""
    session.boot(own("hello", memory="2M", section="small") + own("hello", section="later") +
                 guest("linux", vcpus=1, memory="64M") + guest("larger", vcpus=1, memory="80M", words="lapwing.run=poweroff"),
                 problems=True)
    session.expect("lapwing", r"small: .*hello.elf: needs RAM up to 0x[0-9a-f]+, the guest's ends at 0x200000: give it more "
                              r"memory, \d+ MiB or more")
    session.transcript.rewind("lapwing")
    # Not below its preferred address, although it is relocatable: it would go there by itself.
    session.expect("lapwing", r"linux: .*vmlinuz-cloud: needs RAM up to 0x[0-9a-f]+, .*: give it more memory, (6[5-9]|7\d) MiB")
    session.ended(small="LOAD", linux="LOAD", later=("EXIT", 0), larger=("POWEROFF", 0))


@boot_test(limit=60, machines=BOTH)
def own_triple(session):
    """A triple fault of its BSP or of an AP ends the guest, and no other."""
    session.boot(own("triple") + own("triple", 2, "ap=1", section="ap") + own("hello", section="later"))
    session.expect("triple", r"triple: CPU 0 is going down")
    session.expect("ap", r"triple: CPU 1 is going down")
    session.ended(triple="TRIPLE_FAULT", ap="TRIPLE_FAULT", later=("EXIT", 0))


@boot_test(limit=60, machines=BOTH)
def own_halted(session):
    """A guest all of whose CPUs halt with interrupts off has ended."""
    session.boot(own("halt", 3))
    session.expect("halt", r"halt: 3 CPUs halt")
    session.ended(halt="HALTED")


@boot_test(limit=60, machines=BOTH)
def own_bsp_init(session):
    """An INIT restarts the BSP at the reset vector, where nothing is: the guest ends, and no other."""
    session.boot(own("lapic", 4, "bsp=1") + own("hello", section="later"))
    session.expect("lapic", r"lapic: INIT to the BSP")
    session.expect("lapwing", r"lapic: vcpu 0: .* at rip 0xfff0")
    session.ended(lapic="EMULATION", later=("EXIT", 0))


@boot_test(limit=90, machines=BOTH)
def own_spin(session):
    """A guest that spins with interrupts off on every CPU there is holds up nobody, and can be paused and stopped."""
    session.boot(own("spin", 2) + guest("g", words="lapwing.run=poweroff"))
    session.expect("spin", r"spin: 2 CPUs spin")
    session.expect("lapwing", r"g: powered off")
    session.command("stop spin", r"spin: stopped")
    session.command("poweroff")
    session.ended(spin="STOPPED", g=("POWEROFF", 0))


# What the emulator does not know: the number that the guest takes, and the reason that the hypervisor gives.
UNEMULATED = [(1, "MMX or SSE instruction that does more than to move"), (2, "MMX or SSE instruction that does more than to move"),
              (3, "x87 instruction"), (4, "instruction fetch")]


@boot_test(limit=60, machines=BOTH)
def own_unemulated(session):
    """An access to MMIO by an instruction that is not emulated ends the guest, with a line that says which."""
    session.boot("".join(own("hammer", 1, f"unemulated={number}", section=f"g{number}") for number, _ in UNEMULATED))
    session.wait_results()
    for number, reason in UNEMULATED:
        session.expect("lapwing", rf"g{number}: vcpu 0: cannot emulate an access to 0xfee00\d\d0: {reason} at rip")
        session.transcript.rewind("lapwing")
        session.refuse(f"g{number}", "went through")
    session.ended(**{f"g{number}": "EMULATION" for number, _ in UNEMULATED})


@boot_test(limit=60, machines=BOTH)
def own_invalid(session):
    """A write to a control register that the CPU refuses: #GP, or where that is beyond it, the end of this guest only."""
    names = ["cr3", "cr4"]
    session.boot("".join(own("badstate", 1, f"invalid={n}", section=name) for n, name in enumerate(names, 1)) +
                 own("hello", section="later"))
    results = session.wait_results()
    for name in names:
        session.expect(name, r"badstate: invalid")
        result = results.guests[name]
        if (result.reason, result.status) not in (("INVALID_STATE", 0), ("EXIT", 0)):
            raise Failure(f"{name} ended with {result.reason} {result.status}")
    session.ended(later=("EXIT", 0), **{name: results.guests[name].reason for name in names})
