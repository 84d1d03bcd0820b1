#!/usr/bin/env python3
"""Check every model of tests/model/ exhaustively.

    tests/model/run.py [NAME]     only the instances whose name contains it

Fails for an error, a search that was not finished, and statements of a model that no instance reaches.
The last line is `model: N passed, N failed`.
"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import model  # noqa: E402
from instances import INSTANCES, UNREACHED  # noqa: E402

BUILD = os.path.join(model.ROOT, "build", "model")
SECONDS = 280


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [i for i in INSTANCES if wanted in i.name]
    os.makedirs(BUILD, exist_ok=True)
    files = model.sources()
    files["constants.h"] = model.constants(BUILD)
    failed = 0
    reached, unreached = {}, {}
    print(f"  {'model':<14}{'states':>11}{'transitions':>13}{'depth':>8}{'errors':>8}{'seconds':>9}")
    for instance in chosen:
        directory = os.path.join(BUILD, instance.name)
        problem = model.build(directory, instance, files, instance.defines, "-O2")
        result = model.run(directory, instance, SECONDS, True) if not problem else model.Result()
        result.problem = problem or result.problem
        print(f"  {instance.name:<14}{result.states:>11}{result.transitions:>13}{result.depth:>8}{result.errors:>8}"
              f"{result.seconds:>9.1f}{'  FAILED: ' + result.problem if result.problem else ''}", flush=True)
        if result.problem and os.path.exists(os.path.join(directory, instance.model + ".trail")):
            print(f"    replay: cd {os.path.relpath(directory)} && ./pan -r -n")
        failed += bool(result.problem)
        reached.setdefault(instance.model, set()).update(result.reached)
        unreached.setdefault(instance.model, set()).update(result.unreached)
    checks = len(chosen)
    if not wanted and not failed:
        shared = reached["word.pml"]
        for name in sorted(unreached):
            expected = UNREACHED.get(name, {})
            left = {text for line, text in unreached[name] - reached[name] - shared}
            bad = [f"nothing reaches: {t}" for t in sorted(left - set(expected))]
            bad += [f"reached, and listed as not: {t}" for t in sorted(set(expected) - left)]
            for text in bad:
                print(f"  {name}: {text}")
            failed += bool(bad)
            checks += 1
    print(f"model: {checks - failed} passed, {failed} failed")
    return 0 if failed == 0 and chosen else 1


if __name__ == "__main__":
    sys.exit(main())
