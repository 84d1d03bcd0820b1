#!/usr/bin/env python3
"""Run boot tests, at most two at a time, and count them.

    tests/boot/run.py [-j N] [--list] [--slow | NAME...]     NAME: only the tests whose name contains it

Each test's serial output is in build/test-logs/NAME.log. The last line is `boot: N passed, N failed`.
"""

import argparse
import concurrent.futures
import importlib
import os
import sys
import threading
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import harness  # noqa: E402 (the path has to be set first)

TAIL = 30

printing = threading.Lock()


def load():
    for file in sorted(os.listdir(HERE)):
        if file.startswith("test_") and file.endswith(".py"):
            importlib.import_module(file[:-3])


def run(test):
    """None, or what is wrong."""
    session = harness.Session(test)
    try:
        test.function(session)
        return None
    except (harness.Failure, harness.LapwingError) as why:
        return str(why)
    except Exception:  # a mistake in the test itself: it failed, the others go on
        return traceback.format_exc().rstrip()
    finally:
        session.close()


def tail(name):
    with open(os.path.join(harness.LOGS, name + ".log"), encoding="utf-8", errors="replace") as file:
        text = harness.ESCAPES.sub("", file.read())
    return ["    | " + line for line in text.splitlines()[-TAIL:]]


def report(test):
    begin = time.monotonic()
    problem = run(test)
    seconds = f"{time.monotonic() - begin:6.1f} s"
    with printing:
        if problem is None:
            print(f"ok    {seconds}  {test.name}", flush=True)
        else:
            print(f"FAIL  {seconds}  {test.name}: {problem}")
            print("\n".join(tail(test.name)), flush=True)
    return problem is None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-j", "--jobs", type=int, default=2, help="how many at a time (default: 2)")
    parser.add_argument("--slow", action="store_true", help="the tests that take too long for each run, and only those")
    parser.add_argument("--list", action="store_true", help="only say which tests there are")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    load()
    chosen = [test for test in harness.tests
              if (any(name in test.name for name in arguments.names) if arguments.names
                  else arguments.list or test.slow == arguments.slow)]
    if arguments.list:
        for test in chosen:
            print(f"{test.name:32} {test.limit:4} s  {'slow ' if test.slow else '     '}{test.what}")
        return 0
    os.makedirs(harness.LOGS, exist_ok=True)
    # The longest first, so that none of them runs alone at the end.
    chosen.sort(key=lambda test: -test.limit)
    with concurrent.futures.ThreadPoolExecutor(max(1, min(arguments.jobs, 2))) as pool:
        passed = sum(pool.map(report, chosen))
    print(f"boot: {passed} passed, {len(chosen) - passed} failed")
    return 0 if chosen and passed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
