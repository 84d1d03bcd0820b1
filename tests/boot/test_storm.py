"""Guests whose CPUs do to each other all that they can, on fewer CPUs, while the prompt pauses and resets them."""

import random
import time

from harness import Failure, boot_test
from test_own import own

SEED = 3
SECONDS = {"svm": 20, "vmx": 40}  # that the prompt is typed at
MS = {"svm": 20000, "vmx": 10000}  # that a guest takes, of its time since it started last


def storm(session, name, vcpus, keys=""):
    return own("storm", vcpus, f"ms={MS[session.machine]} seed={vcpus}", section=name, keys=keys)


@boot_test(limit=240, machines=("svm", "vmx"), slow=("vmx",))
def storms(session):
    """Two guests of 8 and 4 vCPUs on 4 CPUs (Bochs: 4 and 3 on 1): paused, resumed, reset, both get on."""
    few = session.machine == "vmx"
    sizes = {"big": 4 if few else 8, "small": 3 if few else 4}
    session.boot("".join(storm(session, name, n, "lapic-acceleration = off\n" if name == "small" else "")
                         for name, n in sizes.items()), cpus=1 if few else 4)
    for name, n in sizes.items():
        session.expect(name, rf"storm: {n} CPUs", 60)
    chosen, end = random.Random(SEED), time.monotonic() + SECONDS[session.machine]
    while time.monotonic() < end:
        what = chosen.choices(["pause", "resume", "reset"], [5, 4, 1])[0]
        session.command(f"{what} {chosen.choice(sorted(sizes))}")
        session.sleep(chosen.random())
    for name in sizes:
        session.command(f"resume {name}", rf"{name}")
    session.wait_results()
    session.command("poweroff")  # the machine stays on as long as the prompt has the keyboard
    session.ended(**{name: ("EXIT", 0) for name in sizes})
    for name in sizes:
        found = session.transcript.text(name).replace("\n", "")  # the prompt may have cut its line in two
        if "LAPICs off and on" not in found:
            raise Failure(f"{name} did not finish")
