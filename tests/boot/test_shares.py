"""Who gets how much of the CPUs: weights and limits of guests that are all busy."""

import re
import time

from harness import BOTH, Failure, boot_test
from test_own import own


def busy(name, vcpus, keys, cmdline="busy=1"):
    return own("spin", vcpus, cmdline, keys=keys, section=name)


def ran(session, guests):
    """{guest: ms that its vCPUs have run}."""
    total = {}
    for name, vcpus in guests.items():
        total[name] = 0.0
        for n in range(vcpus):
            found = session.command(f"vcpus {name}", rf"{name}/{n}: .* ran (\d+\.\d+) ms,")
            total[name] += float(found[1])
    return total


def shares(session, guests, seconds):
    """{guest: its part of what all of them together run in that time}."""
    before = ran(session, guests)
    end = time.monotonic() + 60
    while True:
        session.sleep(seconds)
        after = ran(session, guests)
        spent = {name: after[name] - before[name] for name in guests}
        if sum(spent.values()) > 1500 or time.monotonic() > end:
            break
    total = sum(spent.values())
    print("  " + ", ".join(f"{name} {spent[name] / total:.1%}" for name in guests) + f" of {total:.0f} ms")
    return {name: spent[name] / total for name in guests}


@boot_test(limit=120, machines=BOTH)
def shares_of_weights(session):
    """One CPU: a guest with four vCPUs gets no more than one with one vCPU of the same weight; one of twice the weight
    gets twice as much; and one with a limit gets that, and no more."""
    session.boot("[lapwing]\non-end = stay\n" + busy("four", 4, "weight = 100") + busy("one", 1, "weight = 100") +
                 busy("two", 1, "weight = 200") + busy("tenth", 2, "weight = 1000\ncpu-limit = 10"), cpus=1)
    for name in ("four", "one", "two", "tenth"):
        session.expect(name, r"spin: \d CPUs spin")
    got = shares(session, {"four": 4, "one": 1, "two": 1, "tenth": 2}, 3)
    for name, right in (("four", 0.225), ("one", 0.225), ("two", 0.45), ("tenth", 0.1)):
        if not right * 0.93 <= got[name] <= right * 1.07:
            raise Failure(f"{name} got {got[name]:.1%} and not {right:.1%}: {got}")
    session.command("vcpus tenth", r"tenth: weight 1000, cpu-limit 10 %")
    session.command("poweroff")
    session.ended(four="STOPPED", one="STOPPED", two="STOPPED", tenth="STOPPED")
