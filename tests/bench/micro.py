"""The micro rows: what each operation of the guest tests/guests/bench.c costs, on SVM (QEMU) and on VMX (Bochs).

Both emulators count: a tick of the TSC is an executed instruction, whoever's. On QEMU the plugin (counting.py) says also how many
of them were outside the guest, root's and the worlds'.
"""

import concurrent.futures
import os
import re
import typing

import counting
import harness
from harness import Failure
from test_own import own

BATCHES = 5  # tests/guests/bench/bench.h
LIFE_MARKS = range(512, 572)
LIVES = 4  # the first one begins while the machine does
LIMIT = 110  # seconds for all on one machine


class Cost(typing.NamedTuple):
    """Sums of a batch, the least of some."""
    operations: int
    ticks: typing.Optional[int]  # None: the guest cannot know
    outside: typing.Optional[int]  # instructions of root's and the worlds'; None: nobody counted them


def outside(row):
    return row["sum"]["root"] + row["sum"]["world"]


def boot(session, text, cpus):
    """Boot a config; a function that gives the plugin's rows once the machine is off, None where there is no plugin."""
    if session.machine != "svm":
        session.boot(text, cpus=cpus)
        return lambda: None
    path = session.path("counted.json")
    counting.boot(session, text, path, cpus=cpus)
    return lambda: counting.result(path)["rows"]


def of_rows(session, cpus, which):
    """{row: Cost} of one run of the guest."""
    rows = boot(session, own("bench", 2, f"rows={which}", memory="32M"), cpus)
    session.expect("bench", r"^bench: (ok|FAILED.*)$")
    session.ended(bench=("EXIT", 0))
    found = rows()
    costs = {}
    for name, first, operations, ticks in re.findall(r"^bench: row (\S+) (\d+) (\d+) (\d+)\s*$",
                                                     session.transcript.text("bench"), re.MULTILINE):
        batches = found and [outside(found[mark]) for mark in range(int(first), int(first) + BATCHES)]
        costs[name] = Cost(int(operations), int(ticks), min(batches) if batches else None)
    return costs


def of_lives(session):
    """{row: Cost} of creating a guest, from root's first instruction for it to its own first one, and of a guest's end with the
    creation of the one that follows it. On its creation's way the guest executes nothing: all of it is outside."""
    rows = boot(session, own("bench", 1, "life=1", keys="on-exit = restart\n", memory="8M"), 1)
    created = [int(session.expect("bench", r"^bench: life (\d+)\s*\n")[1]) for _ in range(LIVES)]
    session.command("poweroff", None)
    session.wait_off()
    least = min(created[1:])
    costs = {"vm-create": Cost(1, least, least if session.machine == "svm" else None)}
    found = rows()
    if found:
        whole = sorted((row["first"]["root"], outside(row)) for mark, row in found.items()
                       if mark in LIFE_MARKS and row["times"])
        if len(whole) < LIVES - 1:
            raise Failure(f"{len(whole)} lives were counted")
        costs["vm-end-and-create"] = Cost(1, None, min(cost for _, cost in whole[:LIVES - 1]))
    return costs


def of_machine(kind):
    """{row: Cost} of all rows that such a machine can have: Bochs has one CPU (docs/debugging.md)."""
    session = harness.Session(harness.Test(of_machine, f"bench_micro_{kind}", kind, LIMIT, False))
    try:
        costs = of_rows(session, 1, 1)
        if kind == "svm":
            costs.update(of_rows(session, 2, 2))
        costs.update(of_lives(session))
        return costs
    finally:
        session.close()


def measure():
    """{machine: {row: Cost}}"""
    os.makedirs(harness.LOGS, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(len(harness.BOTH)) as pool:
        return dict(zip(harness.BOTH, pool.map(of_machine, harness.BOTH)))


def as_json(costs):
    return {kind: {name: cost._asdict() for name, cost in rows.items()} for kind, rows in costs.items()}
