"""Guests whose CPUs do to each other all that they can, on fewer CPUs, while the prompt pauses and resets them."""

import random

from harness import Failure, boot_test
from test_own import own

SEED = 1
COMMANDS = 30
MS = {"svm": 15000, "vmx": 8000}


def storm(session, name, vcpus, keys=""):
    return own("storm", vcpus, f"ms={MS[session.machine]} seed={vcpus}", section=name, keys=keys)


@boot_test(limit=240, machines=("svm", "vmx"), slow=("vmx",))
def storms(session):
    """Two guests of 8 and 4 vCPUs on 4 CPUs (Bochs: 4 and 2 on 1): paused, resumed and reset, both get on and finish."""
    few = session.machine == "vmx"
    sizes = {"big": 4 if few else 8, "small": 2 if few else 4}
    session.boot("".join(storm(session, name, n, "lapic-acceleration = off\n" if name == "small" else "")
                         for name, n in sizes.items()), cpus=1 if few else 4)
    for name, n in sizes.items():
        session.expect(name, rf"storm: {n} CPUs", 60)
    chosen = random.Random(SEED)
    for _ in range(COMMANDS):
        name = chosen.choice(sorted(sizes))
        what = chosen.choice(["pause", "pause", "resume", "resume", "reset"] if chosen.random() < 0.5 else
                             ["pause", "resume"])
        session.command(f"{what} {name}")
        session.sleep(chosen.random())
    for name in sizes:
        session.command(f"resume {name}")
    session.ended(**{name: ("EXIT", 0) for name in sizes})
    for name in sizes:
        found = session.transcript.text(name)
        if "LAPICs off and on" not in found:
            raise Failure(f"{name} did not finish")
