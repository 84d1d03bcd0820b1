#!/usr/bin/env python3
"""What a whole guest costs in instructions: stock Linux to its shell, beside the bare emulated machine.

    tests/bench/macro.py [--guests N] [--twice]

rows() is for other scripts: {row: number}; root's size is root_size() of run.py. All are executed instructions, of all CPUs,
unless the row says otherwise, from the guest's first instruction to the marker before it says that it is up
(tools/initramfs/init); of several guests from the first one's to the last one's, so that the creation of most is in it. Bare
is from the kernel's first instruction: Lapwing enters a kernel in 64-bit mode, QEMU's -kernel in 32-bit mode, which is less
than a thousand instructions before. The guest and the bare machine have the same kernel, initramfs, command line, memory and
number of CPUs. Waiting in HLT is no instruction; spinning, as in calibrating a timer by another one, is as many as the clock
takes. Two runs are alike to the instruction: --twice says which rows are not.
"""

import argparse
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "boot"))

import counting  # noqa: E402 (the path has to be set first)
import harness  # noqa: E402
import root  # noqa: E402
from test_own import own  # noqa: E402
from test_parked import memory_of  # noqa: E402

KERNEL, INITRAMFS = (os.path.join(harness.IMAGES, name) for name in ("vmlinuz-cloud", "initramfs.cpio.gz"))
CMDLINE = "console=ttyS0 quiet nokaslr lapwing.run=poweroff lapwing.name="
MEMORY = "256M"
ROW_UP = 0xf001  # the marker of tools/initramfs/init
CPUS = 2
LIMIT = 900


class Machine:
    """One session, closed in every case."""

    def __init__(self, name):
        os.makedirs(harness.LOGS, exist_ok=True)
        self.session = harness.Session(harness.Test(rows, f"bench_macro_{name}", "svm", LIMIT, False))
        self.out = self.session.path("count.json")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()


def linux(name, vcpus):
    return (f"[guest {name}]\nimage = vmlinuz-cloud\ninitrd = initramfs.cpio.gz\nmemory = {MEMORY}\nvcpus = {vcpus}\n"
            f"cmdline = {CMDLINE}{name}\n")


def to_marker(found, guests=1):
    """{owner: instructions} from the first guest's first instruction to the last guest's marker."""
    up = found["rows"].get(ROW_UP)
    if not up or up["begun"] != guests or not found["guest_began"]:
        raise harness.Failure(f"{up['begun'] if up else 0} of {guests} guests came to their marker")
    return counting.difference(up["last"], found["guest_first"])


def exit_names():
    """What root calls the reasons, in order: EXIT_TABLE of abi/abi.h."""
    with open(os.path.join(TOP, "abi", "abi.h"), encoding="utf-8") as file:
        table = re.search(r"#define EXIT_TABLE\(X\)(.*?)\n\n", file.read(), re.DOTALL)[1]
    return re.findall(r'X\(\w+, "([^"]+)"\)', table)


def exits_at_end(session):
    """{reason: exits} of all vCPUs of the only guest, when it ends: root's own counters, read from outside."""
    debugger = session.debugger(LIMIT)
    outside = root.Root(debugger)
    outside.stop_at("vm_end")
    try:
        return outside.exits(exit_names())
    finally:
        debugger.close()


def one_guest(vcpus):
    """(what the plugin counted, {reason: exits}) of a Linux guest with as many CPUs of the host's."""
    with Machine(f"guest{vcpus}") as machine:
        counting.boot(machine.session, linux("g", vcpus), machine.out, cpus=vcpus, debugger=True)
        exits = exits_at_end(machine.session)
        machine.session.ended(g=("POWEROFF", 0))
        return counting.result(machine.out), exits


def bare(cpus):
    """What the plugin counted of Linux on the bare machine."""
    with Machine(f"bare{cpus}") as machine:
        counting.boot_bare_linux(machine.session, KERNEL, INITRAMFS, CMDLINE + "g", machine.out, cpus=cpus, memory=MEMORY)
        machine.session.wait_off(LIMIT)
        return counting.result(machine.out)


def many_guests(count):
    """(what the plugin counted, exits of all) of that many Linux guests with 1 and 2 vCPUs by turns, on CPUS CPUs."""
    with Machine(f"guests{count}") as machine:
        text = "".join(linux(f"g{n}", 1 + n % 2) for n in range(count))
        counting.boot(machine.session, text, machine.out, cpus=CPUS, memory="3G")
        machine.session.ended(**{f"g{n}": ("POWEROFF", 0) for n in range(count)})
        log = machine.session.transcript.text(harness.HYPERVISOR_LINES)
        exits = sum(map(int, re.findall(r"^g\d+: powered off, .* and (\d+) exits", log, re.MULTILINE)))
        return counting.result(machine.out), exits


def start(cpus):
    """Instructions from root's first to the first one of a guest with 16 MiB."""
    with Machine(f"start{cpus}") as machine:
        counting.boot(machine.session, own("hello"), machine.out, cpus=cpus)
        machine.session.ended(hello=("EXIT", 0))
        return counting.result(machine.out)["start"]["sum"]


def memory():
    """[(row, KiB)] of root's for a guest with one vCPU, and for each further one."""
    with Machine("memory") as machine:
        few, many = memory_of(machine.session, 2, 18)
    one = (many - few) / 16
    return [("memory: KiB of root's for a guest with 1 vCPU", few - one), ("memory: KiB of root's for each further vCPU", one)]


def put_totals(table, name, totals, alone):
    """totals beside what the bare machines executed, alone."""
    for owner, what in (("root", "root"), ("world", "device worlds"), ("guest", "guest")):
        table[f"{name}: {what}"] = totals[owner]
    table[f"{name}: bare"] = alone
    table[f"{name}: ratio to bare"] = round(sum(totals.values()) / alone, 4)


def rows(guests=8, say=lambda text: None):
    """{row: number} of everything; guests: how many in the last measurement with Linux. say is told what begins."""
    table, alone = {}, {}
    for cpus in (1, 2):
        name = f"Linux, {cpus} vCPU{'s' if cpus > 1 else ''}"
        say(name)
        alone[cpus] = to_marker(bare(cpus))["guest"]
        found, exits = one_guest(cpus)
        put_totals(table, name, to_marker(found), alone[cpus])
        table[f"{name}: exits to its end"] = sum(exits.values())
        table.update({f"{name}: exits to its end, {reason}": count for reason, count in exits.items() if count})
    name = f"Linux, {guests} guests on {CPUS} CPUs"
    say(name)
    found, exits = many_guests(guests)
    put_totals(table, name, to_marker(found, guests), sum(alone[1 + n % 2] for n in range(guests)))
    table[f"{name}: exits to their ends"] = exits
    for cpus in (1, 2):
        say(f"start on {cpus}")
        totals = start(cpus)
        name = f"start, {cpus} CPU{'s' if cpus > 1 else ''}: root's first instruction to a guest's"
        table[name] = totals["root"] + totals["world"]
    say("memory")
    table.update(memory())
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guests", type=int, default=8)
    parser.add_argument("--twice", action="store_true", help="measure again, and fail if a row differs")
    arguments = parser.parse_args()
    subprocess.run(["make", "-s", "-j1", "build/lapwing.elf", "build/host/lapwing-check", "bench-tools", "guests", "images"],
                   cwd=TOP, check=True)
    try:
        table = rows(arguments.guests, lambda text: print(f"# {text}", file=sys.stderr, flush=True))
        again = rows(arguments.guests) if arguments.twice else table
    except (harness.Failure, harness.LapwingError) as why:
        print(f"macro: {why}", file=sys.stderr)
        return 1
    for row, number in table.items():
        print(f"{number:16,}  {row}" + ("" if again.get(row) == number else f"; then {again.get(row):,}"))
    return 0 if again == table else 1


if __name__ == "__main__":
    sys.exit(main())
