#!/usr/bin/env python3
"""Are the models able to fail? Each mutant takes out or changes one rule of the protocol; some model has to find it.

    tests/model/mutants.py [NAME]     only the mutants whose name contains it

First every cell of the table in kernel/vm/requests.h (request and state: does it wake?) and every `waited`, then what
mutant_list.py holds. A mutant that survives fails, unless that list says why nothing can tell it from the original; one
that is listed so and is caught fails as well. The last line is `mutants: N passed, N failed`.
"""

import concurrent.futures
import os
import re
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import model  # noqa: E402
from instances import INSTANCES  # noqa: E402
from mutant_list import CELLS_ALIKE, MUTANTS  # noqa: E402

BUILD = os.path.join(model.ROOT, "build", "mutants")
SECONDS = 120
STATES = ["RUNNABLE", "UNINITIALIZED", "WAIT_FOR_SIPI", "HALTED", "HALTED_MASKED", "PAUSED"]
# Smaller ones yet, and those that there are for mutants only.
OF = {"word-2": "word-bsp", "broadcast-2": "broadcast", "teardown-both": "teardown-park"}
SMALLER = {"word-2": {"BUDGET": 2}, "teardown-both": {"START": 0}, "broadcast-2": {"OTHERS": 1, "ROUNDS": 0}, "word-ap": {"BUDGET": 3}, "sipi": {"BUDGET": 4}}
BY_NAME = {i.name: i for i in INSTANCES}


class Mutant:
    def __init__(self, name, instances, files, alike):
        self.name, self.instances, self.files, self.alike = name, instances.split(), files, alike


def cell_mutants(files):
    """Each flips one bit of one request's line."""
    table = files["constants.h"]
    number = {s: int(re.search(rf"#define {s} (\d+)", table)[1]) for s in STATES}
    for request, bits in re.findall(r"#define WAKES_(\w+) (\d+)", table):
        for state in STATES:
            text = table.replace(f"#define WAKES_{request} {bits}\n",
                                 f"#define WAKES_{request} {int(bits) ^ 1 << number[state]}\n")
            alike = next((why for requests, states, why in CELLS_ALIKE
                          if request in requests.split() and state in states.split()), None)
            yield Mutant(f"wakes: {request} in {state}", "word-2" if alike else "word-2 word-ap", {**files, "constants.h": text}, alike)
    for request, waited in re.findall(r"#define WAITED_(\w+) (\d)\n", table):
        if waited == "1":
            text = table.replace(f"#define WAITED_{request} 1", f"#define WAITED_{request} 0")
            yield Mutant(f"waited: {request}", "broadcast-2 broadcast", {**files, "constants.h": text}, None)


def listed_mutants(files):
    for name, instances, changes, alike in MUTANTS:
        changed = dict(files)
        for file, old, new in changes:
            if changed[file].count(old) != 1:
                sys.exit(f"mutants: {name}: {changed[file].count(old)} times in {file}: {old}")
            changed[file] = changed[file].replace(old, new)
        yield Mutant(name, instances, changed, alike)


def attempt(number, mutant):
    """Which instance finds it, and by what; or (None, "")."""
    for name in mutant.instances:
        instance = BY_NAME[OF.get(name, name)]
        defines = {**instance.small, **SMALLER.get(name, {})}
        directory = os.path.join(BUILD, str(number))
        problem = model.build(directory, instance, mutant.files, defines, "-O0")
        if problem:
            return "", problem
        problem = model.run(directory, instance, SECONDS, False).problem
        if problem.startswith("not finished") or "too small" in problem:
            return "", f"{name}: {problem}"
        if problem:
            return name, re.sub(r"\(at depth \d+\)", "", problem)[:90]
    return None, ""


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    os.makedirs(BUILD, exist_ok=True)
    files = model.sources()
    files["constants.h"] = model.constants(BUILD)
    mutants = [m for m in [*cell_mutants(files), *listed_mutants(files)] if wanted in m.name]
    begin, caught, alike, failed = time.monotonic(), 0, 0, 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        for mutant, (name, how) in zip(mutants, pool.map(attempt, range(len(mutants)), mutants)):
            if name:
                verdict = f"caught by {name}: {how}"
            elif name is None:
                verdict = f"survives: {mutant.alike}" if mutant.alike else "SURVIVES"
            else:
                verdict = f"BROKEN: {how}"
            if name and mutant.alike:
                verdict = "CAUGHT, but listed as alike, " + verdict
            good = bool(name) != bool(mutant.alike) and name != ""
            caught += good and bool(name)
            alike += good and not name
            failed += not good
            print(f"  {mutant.name}: {verdict}", flush=True)
    print(f"  {len(mutants)} mutants, {caught} caught, {alike} alike, {time.monotonic() - begin:.0f} s")
    print(f"mutants: {caught + alike} passed, {failed} failed")
    return 0 if failed == 0 and mutants else 1


if __name__ == "__main__":
    sys.exit(main())
