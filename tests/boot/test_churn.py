"""Guests that come and go while others run: nothing that root does for one may meet the remains of another."""

import random
import time

from harness import BOTH, HYPERVISOR_LINES, Transcript, boot_test
from root import Root, compare
from test_own import own

SEED = 20
SECONDS = 20
# With IPIs and broadcasts, with accesses of all kinds, with vCPUs that never leave by themselves, with NMIs between halted
# CPUs, and with an early end.
CHURN = {
    "ipis": own("smp", 4, "cpus=4", section="ipis"),
    "accesses": own("hammer", 2, "step=50", section="accesses"),
    "busy": own("spin", 3, section="busy"),
    "nmis": own("relay", 2, section="nmis"),
    "short": own("hello", 1, section="short"),
    "faults": own("triple", 2, section="faults"),
}
# How often, and what the prompt answers: NAME stands for the guest's name.
ENDED = r"NAME: .*, status \d|NAME is not running"
COMMANDS = {
    "start NAME": (6, r"NAME: (not )?started|NAME is running already"),
    "stop NAME": (2, ENDED),
    "reset NAME": (2, ENDED),
    "pause NAME": (2, r"NAME: paused|NAME is not running"),
    "resume NAME": (2, r"NAME: resumed|NAME is not running"),
    "vcpus NAME": (1, r"NAME/0: |NAME: no vCPUs"),
    "guests": (1, r"\d+ busy "),
    "memory": (1, r"hypervisor +\d+ KiB"),
}


def answered(session, command, name):
    session.command(command.replace("NAME", name), COMMANDS[command][1].replace("NAME", name))


def stop_all(session, names):
    for name in names:
        answered(session, "stop NAME", name)


@boot_test(limit=150, machines=BOTH)
def churn(session):
    """Guests with IPIs and NMIs are started, stopped, reset, paused in random order; one more does not notice."""
    session.boot("[lapwing]\non-end = stay\n" + "".join(CHURN.values()) + own("fpu", 3, "ms=3000"), cpus=4, memory="1G",
                 debugger=True)
    session.expect(HYPERVISOR_LINES, r"keyboard: ")
    stop_all(session, [*CHURN, "fpu"])
    debugger = session.debugger()
    debugger.go()
    root = Root(debugger)
    before = root.snapshot()
    chance = random.Random(SEED)
    session.command("start fpu", r"fpu: started")
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        command = chance.choices(list(COMMANDS), [often for often, _ in COMMANDS.values()])[0]
        answered(session, command, chance.choice(list(CHURN)))
    stop_all(session, CHURN)
    session.expect("fpu", r"^fpu: ok$")
    session.transcript.rewind(HYPERVISOR_LINES)  # it may have ended long ago
    session.expect(HYPERVISOR_LINES, r"^fpu: exit device, status 0,")
    compare(before, root.snapshot(), but=("ASIDs",))


LIVES = {"svm": 200, "vmx": 60}  # Bochs needs one or two seconds for each
SHORT = ("a", "b", "c")  # end by themselves


def lives(session, count, progress=lambda done: None):
    """Small guests live their whole lives, count in all; then everything is as it was."""
    session.boot("[lapwing]\non-end = stay\nlog = warning\n" + own("spin", 2, section="s", memory="16M") +
                 "".join(own("hello", 1, section=name, memory="16M") for name in SHORT), debugger=True)
    session.expect(HYPERVISOR_LINES, r"keyboard: ")
    debugger = session.debugger()
    debugger.go()
    root = Root(debugger)
    before = None
    for done in range(0, count, len(SHORT) + 1):
        if before:
            session.command("start s", r"s: started")
        session.expect("s", r"spin: 2 CPUs spin")
        for name in SHORT:
            if before:
                session.command(f"start {name}", rf"{name}: started")
                session.expect(HYPERVISOR_LINES, rf"^{name}: exit device, status 0,")
            else:
                session.command(f"stop {name}", rf"{name} is not running|{name}: .*, status")
        session.command("stop s", r"s: stopped")
        if before is None:
            before = root.snapshot()
        if done % 100 == 0:
            compare(before, root.snapshot(), but=("ASIDs",))
            progress(done)
            session.transcript = Transcript()  # or it would become long
    compare(before, root.snapshot(), but=("ASIDs",))
    session.command("poweroff")
    session.wait_off()


@boot_test(limit=120, machines=BOTH)
def whole_lives(session):
    """Guests are created, run, and end by themselves or are stopped, many times."""
    lives(session, LIVES[session.machine])
