#!/usr/bin/env python3
"""What parked vCPUs cost: ticks of the BSP's work alone and beside APs in each parked state, and memory.

    tests/bench/parked.py [--machine svm|vmx] [--vcpus N]

A tick is an instruction: QEMU counts them (-icount), Bochs does anyway. Each row is the sum of a batch of operations, the least of
five such sums.
"""

import argparse
import os
import sys

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "boot"))

import harness  # noqa: E402 (the path has to be set first)
import test_parked  # noqa: E402

LIMIT = 600


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", choices=("svm", "vmx"), default="svm")
    parser.add_argument("--vcpus", type=int, default=254)
    arguments = parser.parse_args()
    os.makedirs(harness.LOGS, exist_ok=True)
    session = harness.Session(harness.Test(main, f"bench_parked_{arguments.machine}", arguments.machine, LIMIT, False))
    try:
        one, _ = test_parked.costs(session, 1)
        many, began = test_parked.costs(session, arguments.vcpus)
        few_kib, many_kib = test_parked.memory_of(session, 2, arguments.vcpus)
    except (harness.Failure, harness.LapwingError) as why:
        print(f"bench: {why}", file=sys.stderr)
        return 1
    finally:
        session.close()
    print(f"{arguments.machine}, ticks of a batch of the BSP's, beside {arguments.vcpus - 1} APs in each state")
    print("\n".join(test_parked.table(one, many)))
    print(f"{began} ticks from the SIPI for all to the last AP's first instruction")
    print(f"{(many_kib - few_kib) / (arguments.vcpus - 2):.1f} KiB of the hypervisor's for a vCPU, {few_kib} for a guest with 2")
    return 0


if __name__ == "__main__":
    sys.exit(main())
