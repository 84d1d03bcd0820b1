#!/usr/bin/env python3
"""Many guests live their whole lives, one after the other, and leave nothing behind.

    tests/soak/vms.py [--machine svm|vmx] [COUNT]     COUNT: 10000

The serial log is build/test-logs/soak_vms.log. The last line is `soak: N passed, N failed`.
"""

import argparse
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "boot"))

import harness  # noqa: E402 (the path has to be set first)
import test_churn  # noqa: E402

SECONDS_EACH = 10  # far more than a life takes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", choices=harness.BOTH, default="svm")
    parser.add_argument("count", metavar="COUNT", nargs="?", type=int, default=10000)
    arguments = parser.parse_args()
    os.makedirs(harness.LOGS, exist_ok=True)
    begin = time.monotonic()

    def progress(done):
        seconds = time.monotonic() - begin
        print(f"{done:6} VMs, {seconds:7.1f} s, {1000 * seconds / max(done, 1):6.1f} ms each", flush=True)

    session = harness.Session(harness.Test(test_churn.lives, "soak_vms", arguments.machine,
                                           60 + SECONDS_EACH * arguments.count, False))
    problem = None
    try:
        test_churn.lives(session, arguments.count, progress)
    except (harness.Failure, harness.LapwingError) as why:
        problem = why
    finally:
        session.close()
    if problem:
        print(f"soak: {problem}")
    print(f"soak: {int(not problem)} passed, {int(bool(problem))} failed")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
