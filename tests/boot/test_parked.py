"""vCPUs that are parked: what wakes them, and that they cost the others nothing."""

import re

from harness import Failure, boot_test
from test_own import own

# One clock tick for each instruction, and two runs are the same (docs/architecture.md, "Parking"). QEMU 10 ends with "Bad icount
# read" at a WRMSR to the x2APIC's timer, so the host has to use its LAPIC in xAPIC mode.
COUNTING = ["-cpu", "max,-x2apic", "-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01T00:00:00,clock=vm", "-seed", "42"]

STATES = ["uninitialized", "wait-for-SIPI", "halted-masked", "halted"]


def costs(session, vcpus):
    """({row: {state: ticks}}, ticks from the SIPI to the last AP's first instruction or None) of a guest."""
    session.boot(own("cost", vcpus, f"cpus={vcpus}"), cpus=1, extra=COUNTING if session.machine == "svm" else [])
    session.expect("cost", r"^cost: (ok|FAILED.*)$")
    session.ended(cost=("EXIT", 0))
    text = session.transcript.text("cost")
    rows = {}
    for state, row, ticks in re.findall(r"^cost: (\S+) (\S+) (\d+)\s*$", text, re.MULTILINE):
        rows.setdefault(row, {})[state] = int(ticks)
    began = re.search(r"first instruction: (\d+)", text)
    return rows, int(began[1]) if began else None


def table(one, many):
    """Lines: each row in a guest of one vCPU and, for each state of the others, in one of many."""
    lines = [f"{'':26} {'1 vCPU':>12}" + "".join(f" {state:>14}" for state in STATES)]
    for row, ticks in one.items():
        lines.append(f"{row:26} {ticks[STATES[0]]:12}" + "".join(f" {many[row][state]:14}" for state in STATES))
    return lines
