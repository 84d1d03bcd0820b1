"""The plugin that counts instructions (tests/bench/count.c), and the table of phases that profile.py has."""

import importlib.util
import os
import re
import sys

from harness import TOP, Failure, boot_test
from test_own import own

BENCH = os.path.join(TOP, "tests", "bench")

AROUND = 16  # instructions at most between a marker and the RDTSC next to it
OPERATIONS = 100

# How many instructions of the guest's an operation has that are intercepted, of rows that the guest measured by the TSC: they
# execute, but QEMU's TSC goes on with those only that come to their end.
INTERCEPTED = {"nothing": 0, "CPUID": 1, "RDMSR": 1, "EOI": 1, "port-in-root": 1, "port-in-world": 1, "self-IPI": 2, "IPI": 4}


def from_bench(name):
    """A module of tests/bench, whose names are not all its own: the standard library has a profile, too."""
    if BENCH not in sys.path:
        sys.path.append(BENCH)
    spec = importlib.util.spec_from_file_location("bench_" + name, os.path.join(BENCH, name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def marked(session, counting):
    """({row: what the plugin counted}, {row: ticks}) of tests/guests/marked.c."""
    out = session.path("count.json")
    counting.boot(session, own("marked", 2, "cpus=2"), out, pcs=True, cpus=2)
    session.ended(marked=("EXIT", 0))
    ticks = re.findall(r"^marked: row (\d+): (\d+)", session.transcript.text("marked"), re.MULTILINE)
    return counting.result(out)["rows"], {int(row): int(count) for row, count in ticks}


@boot_test(limit=120)
def instructions_counted(session):
    """Each row has as many instructions by the plugin as by the TSC of -icount, twice the same, and each is in a phase."""
    profile = from_bench("profile")
    rows, ticks = marked(session, profile.counting)
    if sorted(rows) != sorted(profile.ROWS.values()):
        raise Failure(f"rows {sorted(rows)} were counted")
    intercepted = {profile.ROWS[name]: OPERATIONS * count for name, count in INTERCEPTED.items()}
    if sorted(ticks) != sorted(intercepted):
        raise Failure(f"rows {sorted(ticks)} were measured by the TSC")
    phases = profile.Phases()
    for number, row in rows.items():
        total = row["sum"]["root"] + row["sum"]["world"]
        if number in ticks and not 0 < total + row["sum"]["guest"] - intercepted[number] - ticks[number] <= AROUND:
            raise Failure(f"row {number}: {row['sum']} are not {ticks[number]} ticks and {intercepted[number]} exits")
        by_phase, _ = profile.breakdown(row, 1, phases)
        if sum(by_phase.values()) != total or by_phase[profile.WORLD] != row["sum"]["world"]:
            raise Failure(f"row {number}: {by_phase} are not the instructions that were counted, {row['sum']}")
    again, _ = marked(session, profile.counting)
    different = [number for number in rows if again.get(number) != rows[number]]
    if different:
        raise Failure(f"rows {different} are others in a second run")
