"""vCPUs that are parked: what wakes them, and that they cost the others nothing."""

import re
import typing

from harness import BOTH, EVERYTHING, HYPERVISOR_LINES, Failure, boot_test
from test_own import own

# One clock tick for each instruction, and two runs are the same (docs/vcpu.md, "What a waiting vCPU costs"). QEMU 10 ends with "Bad icount
# read" at a WRMSR to the x2APIC's timer, so the host has to use its LAPIC in xAPIC mode.
COUNTING = ["-cpu", "max,-x2apic", "-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01T00:00:00,clock=vm", "-seed", "42"]

STATES = ["uninitialized", "wait-for-SIPI", "halted-masked", "halted"]


def costs(session, vcpus):
    """({row: {state: ticks}}, ticks from the SIPI to the last AP's first instruction or None) of a guest."""
    session.boot(own("bench", vcpus, f"parked={vcpus}"), cpus=1, extra=COUNTING if session.machine == "svm" else [])
    session.expect("bench", r"^bench: (ok|FAILED.*)$")
    session.ended(bench=("EXIT", 0))
    text = session.transcript.text("bench")
    rows = {}
    for state, row, ticks in re.findall(r"^bench: parked (\S+) (\S+) (\d+)\s*$", text, re.MULTILINE):
        rows.setdefault(row, {})[state] = int(ticks)
    began = re.search(r"first instruction: (\d+)", text)
    return rows, int(began[1]) if began else None


# By how many ticks a batch of 200 may differ. Logical ids: of its own cluster, 15 others are looked at. The deadline of a sleep is
# rounded to the host timer's count.
SPREAD = {"ipi-self-logical": 200 * 15 * 60, "hlt": 200 * 2}
ROWS = 21


def table(one, many):
    """Lines: each row in a guest of one vCPU and, for each state of the others, in one of many."""
    lines = [f"{'':26} {'1 vCPU':>12}" + "".join(f" {state:>14}" for state in STATES)]
    for row, ticks in one.items():
        lines.append(f"{row:26} {ticks[STATES[0]]:12}" + "".join(f" {many[row][state]:14}" for state in STATES))
    return lines


def memory_of(session, few, many):
    """KiB of the hypervisor's for a guest with that many vCPUs, and with that many."""
    session.boot("".join(own("park", vcpus, f"cpus={vcpus}", section=f"g{vcpus}") for vcpus in (few, many)), cpus=1)
    for vcpus in (few, many):
        session.expect(f"g{vcpus}", "step created")
    session.command("memory")
    return [int(session.expect(HYPERVISOR_LINES, rf"^g{vcpus} .* (\d+) KiB of the hypervisor's for it")[1])
            for vcpus in (few, many)]


@boot_test(limit=150, machines=BOTH)
def parked_cost(session):
    """The BSP's work costs the same, to the tick, beside 253 APs that are parked as without them."""
    one, _ = costs(session, 1)
    many, _ = costs(session, 254)
    if len(one) != ROWS:
        raise Failure(f"{len(one)} rows were measured")
    for row, ticks in one.items():
        alone = ticks[STATES[0]]
        for state in STATES:
            if abs(many[row][state] - alone) > SPREAD.get(row, 0):
                raise Failure(f"{row}: {alone} ticks alone, {many[row][state]} beside 253 APs that are {state}")


@boot_test(limit=60)
def once_counting(session):
    """Each interrupt is taken once, also while QEMU counts: it then returns to its main loop at each deadline of the host's timer."""
    session.boot(own("once"), cpus=1, extra=COUNTING)
    session.expect("once", r"^once: (ok|FAILED.*)$")
    session.ended(once=("EXIT", 0))


@boot_test(limit=60, machines=BOTH)
def parked_limit(session):
    """A guest has 255 vCPUs at most, so that no APIC id is 255; one with more is refused by a line, and no other with it."""
    session.boot(own("hello", 256, section="more") + own("hello", 255, section="most"), problems=True)
    session.expect(HYPERVISOR_LINES, r'bad value for "vcpus": it is a number from 1 to 255')
    session.ended(more="BAD_CONFIG", most=("EXIT", 0))


class Vcpu(typing.NamedTuple):
    """What the hypervisor counted of a vCPU."""
    state: str
    place: str
    ran: float  # milliseconds of CPU time
    entries: int
    parks: int
    wakes: int
    exits: str


FEW = 8
RUNS = 100000  # entries of an AP that works: how many is up to the host's interrupts

NEW = Vcpu("uninitialized", "parked", 0.0, 0, 0, 0, "none")

VCPU = re.compile(r"^park/\d+: (\S+), in (\S+), CPU \d+, APIC id \d+, ran ([\d.]+) ms, (\d+) entries, (\d+) parks, (\d+) wakes, .*\n"
                  r"(?:.*\n)*?park/\d+: exits: (.*?)\s*$", re.MULTILINE)


def aps(session, vcpus):
    """The APs of the guest, by its prompt's command."""
    begin = len(session.transcript.text(HYPERVISOR_LINES))
    session.transcript.skip(EVERYTHING)
    session.command("vcpus park")
    # The last line may go on in the next row: it is whole when the prompt comes behind it.
    session.expect(EVERYTHING, rf"^lapwing\| park/{vcpus - 1}: exits: (?:.*\n)+?lapwing> ", limit=60)
    found = [Vcpu(state, place, float(ran), *map(int, numbers), exits) for state, place, ran, *numbers, exits
             in VCPU.findall(session.transcript.text(HYPERVISOR_LINES)[begin:])]
    if len(found) != vcpus:
        raise Failure(f"{len(found)} vCPUs are listed, not {vcpus}")
    return found[1:]


class Parked:
    """The guest `park`, step by step."""

    def __init__(self, session, vcpus):
        self.session = session
        self.vcpus = vcpus
        self.before = []

    def step(self, name):
        """Wait for that step; the APs then."""
        found = self.session.expect("park", r"^park: (?:step (\S+)|FAILED.*)\r?\n")
        if found[1] != name:
            raise Failure(f"step {name}: {found[0]}")
        return aps(self.session, self.vcpus)

    def go(self):
        self.session.focus(1)
        self.session.send("\r")

    def expect(self, name, state, wakes, entries=0):
        """At that step each AP is parked in that state; since the last step it was woken so often (least, most), and parked again
        each time, and the guest entered at most so often."""
        now = self.step(name)
        for _ in range(10):  # until who was woken is parked again, on a busy host
            if all(ap.place == "parked" for ap in now):
                break
            now = aps(self.session, self.vcpus)
        for number, ap in enumerate(now, 1):
            was = self.before[number - 1]
            if (ap.state, ap.place) != (state, "parked"):
                raise Failure(f"step {name}: vCPU {number} is {ap.state} in {ap.place}")
            woken, entered, parked = ap.wakes - was.wakes, ap.entries - was.entries, ap.parks - was.parks
            if not wakes[0] <= woken <= wakes[1] or parked != woken:
                raise Failure(f"step {name}: vCPU {number} was woken {woken} times and parked {parked} times, not {wakes}")
            if entered > entries or (not entries and ap.exits != was.exits):
                raise Failure(f"step {name}: vCPU {number} entered the guest {entered} times: {ap.exits}")
            if wakes[1] == 0 and ap != was:
                raise Failure(f"step {name}: vCPU {number} was {was} and is {ap}")
        self.before = now

    def outside(self):
        """What the prompt can do to a guest reaches no parked AP."""
        if self.vcpus > FEW:
            return  # each look at hundreds of vCPUs is seconds of serial output
        for _ in range(3):
            self.session.command("pause park", r"^park: paused")
            self.session.command("guests", r"\bpark +paused")
            self.session.command("resume park", r"^park: resumed")
        self.session.command("memory", r"of the hypervisor's for it")
        self.same()

    def same(self):
        now = aps(self.session, self.vcpus)
        for number, (was, ap) in enumerate(zip(self.before, now), 1):
            if ap != was:
                raise Failure(f"vCPU {number} was {was} and is {ap}")

    def sends(self):
        """From the guest's creation to INIT, and what is sent there."""
        self.before = [NEW] * (self.vcpus - 1)
        self.expect("created", "uninitialized", (0, 0))
        self.go()
        self.expect("created-sent", "uninitialized", (0, 0))
        self.outside()
        self.go()
        self.expect("init", "wait-for-SIPI", (1, 1))
        self.go()
        self.expect("init-sent", "wait-for-SIPI", (0, 0))
        self.outside()

    def starts(self):
        """INITs among NMIs, SIPIs, and a life of APs."""
        self.go()
        self.expect("inits", "wait-for-SIPI", (1, 4))  # those that come before the last one was served are one with it
        self.go()
        self.expect("real-mode", "halted", (1, 2), RUNS)
        self.go()
        self.expect("real-mode-sent", "halted", (0, 0))
        self.outside()
        self.go()
        self.expect("halted", "halted", (1, 1000), RUNS)
        self.outside()
        self.go()
        self.expect("woken", "halted", (1, 1), RUNS)
        self.go()
        self.expect("masked", "halted", (1, 1), RUNS)
        self.go()
        self.expect("masked-sent", "halted", (0, 0))
        self.outside()
        self.go()
        self.expect("unmasked", "halted", (1, 2), RUNS)
        self.go()


def park(session, vcpus, cmdline, **machine):
    session.boot(own("park", vcpus, f"cpus={vcpus} {cmdline}"), **machine)
    return Parked(session, vcpus)


@boot_test(limit=90, machines=BOTH)
def parked_requests(session):
    """Whatever is sent to a parked AP: nothing but what the table says wakes it, and behind an INIT it works as new."""
    parked = park(session, 5, "", cpus=2)
    parked.sends()
    session.command("reset park", r"^park: stopped")
    parked.sends()
    parked.starts()
    session.ended(park=("EXIT", 0))


def many(session, vcpus, cmdline):
    parked = park(session, vcpus, f"few=1 {cmdline}", cpus=2 if session.machine == "svm" else 1)
    parked.sends()
    parked.starts()
    session.ended(park=("EXIT", 0))


@boot_test(limit=120, machines=BOTH, slow=("vmx",))
def parked_254_x2apic(session):
    """The same to 253 parked APs, the BSP in x2APIC mode; then one broadcast starts all of them."""
    many(session, 254, "x2apic=1")


@boot_test(limit=120, machines=BOTH, slow=("vmx",))
def parked_255_xapic(session):
    """The same in xAPIC mode, with every APIC id that there is: 255 is the broadcast's."""
    many(session, 255, "")


@boot_test(limit=100, machines=("vmx",))
def parked_64(session):
    """What the tests with 254 are for QEMU, in a number that Bochs has the time for."""
    many(session, 64, "x2apic=1")
