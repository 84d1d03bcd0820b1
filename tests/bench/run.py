#!/usr/bin/env python3
"""What `make bench` and `make test-bench` do: count what everything costs, and compare it with the budgets of docs/costs.md.

    tests/bench/run.py [--micro | --test | --write]

Exits with 1 if a row is over its budget by more than one percent. All numbers are in build/bench/costs.json.
"""

import argparse
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "boot"))

import budget  # noqa: E402 (the path has to be set first)
import harness  # noqa: E402
import macro  # noqa: E402
import micro  # noqa: E402

RESULT = os.path.join(harness.BUILD, "bench", "costs.json")


def root_size():
    """{what: number} of root: statements of its source, bytes of its sections."""
    image = os.path.join(harness.BUILD, "lapwing.elf")
    listing = subprocess.run(["size", "-A", "-d", image], capture_output=True, text=True, check=True).stdout
    sections = {name: int(size) for name, size in re.findall(r"^\.(\w+) +(\d+)", listing, re.MULTILINE)}
    worlds = sum(os.path.getsize(os.path.join(harness.BUILD, "user", name)) for name in ("device.bin", "control.bin"))
    counted = subprocess.run([os.path.join(TOP, "tools", "root-size"), "--total"], capture_output=True, text=True, check=True)
    statements, lines = counted.stdout.split()
    return {"statements": int(statements), "lines with code": int(lines), "bytes of text": sections["text"],
            "bytes of constants, without the worlds it carries": sections["rodata"] - worlds,
            "bytes of data, zero at the start or not": sections["data"] + sections["bss"]}


def per_operation(total, operations):
    """A number with as many digits behind the point as it needs, at most two."""
    if total is None:
        return budget.NONE
    whole, rest = divmod(total, operations)
    return f"{whole:,}" + (f"{rest / operations:.2f}"[1:].rstrip("0").rstrip(".") if rest else "")


def table(rows, measured):
    """Lines: what an operation costs, in ticks and in instructions outside the guest, beside budget, target and KVM."""
    head = ("", "SVM ticks", "outside", "budget", "VMX ticks", "budget", "target", "KVM")
    lines = ["{:22} {:>13} {:>13} {:>11} {:>13} {:>11} {:>8} {:>8}".format(*head)]
    for name in dict.fromkeys([*rows, *measured["svm"], *measured["vmx"]]):
        svm, vmx = (measured[machine].get(name, micro.Cost(1, None, None)) for machine in ("svm", "vmx"))
        cells = rows[name].cells if name in rows else [budget.NONE] * len(budget.HEAD)
        lines.append(f"{name:22} {per_operation(svm.ticks, svm.operations):>13} {per_operation(svm.outside, svm.operations):>13} "
                     f"{cells[2]:>11} {per_operation(vmx.ticks, vmx.operations):>13} {cells[3]:>11} {cells[4]:>8} {cells[5]:>8}")
    return lines


def print_numbers(title, numbers):
    print(title)
    for what, number in numbers.items():
        print(f"  {number:16,}  {what}", flush=True)


def report(findings, tests):
    """Print what there is to say, as a test a finding if asked to; whether all is well."""
    for found in findings:
        if tests and not found.text:
            print(f"ok    {found.machine} {found.name}")
        elif found.text:
            print(f"{'ok   ' if found.good else 'FAIL '} {found.machine} {found.name} {found.text}")
    failed = sum(not found.good for found in findings)
    if tests or failed:
        print(f"bench: {len(findings) - failed} passed, {failed} failed")
    return not failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--micro", action="store_true", help="only what single operations cost")
    kind.add_argument("--test", action="store_true", help="the same, and count each budget as a test")
    kind.add_argument("--write", action="store_true", help="the same, and make what was measured the budgets")
    arguments = parser.parse_args()
    try:
        with open(budget.PAGE, encoding="utf-8") as file:
            page = file.read()
        rows = budget.parse(page)
        measured = micro.measure()
        if arguments.write:
            page = budget.rewrite(page, measured)
            with open(budget.PAGE, "w", encoding="utf-8") as file:
                file.write(page)
            rows = budget.parse(page)
    except (harness.Failure, harness.LapwingError, budget.BadTable) as why:
        print(f"bench: {why}", file=sys.stderr)
        return 1
    print("\n".join(table(rows, measured)), flush=True)
    result = {"root": root_size(), "micro": micro.as_json(measured)}
    if not arguments.test:
        print_numbers("root", result["root"])
    if not (arguments.test or arguments.micro or arguments.write):
        try:
            result["macro"] = macro.rows()
        except (harness.Failure, harness.LapwingError) as why:
            print(f"bench: {why}", file=sys.stderr)
            return 1
        print_numbers("whole guests", result["macro"])
    os.makedirs(os.path.dirname(RESULT), exist_ok=True)
    with open(RESULT, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    return 0 if report(budget.compare(rows, measured), arguments.test) else 1


if __name__ == "__main__":
    sys.exit(main())
