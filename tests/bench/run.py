#!/usr/bin/env python3
"""What `make bench` prints: the size of root, and how long a stock Linux guest takes to its shell.

    tests/bench/run.py [--runs N]

The time to the shell is of the same kernel, initramfs and number of CPUs, from the moment the kernel is started, once as
Lapwing's only guest and once on the bare emulated machine. Seconds on a shared machine are noise, so both are measured
alternately and the fastest of each counts; the ratio is for people to look at, nothing fails because of it.
"""

import argparse
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "boot"))

import harness  # noqa: E402 (the path has to be set first)

KERNEL, INITRAMFS = (os.path.join(harness.IMAGES, name) for name in ("vmlinuz-cloud", "initramfs.cpio.gz"))
CMDLINE = "console=ttyS0 quiet lapwing.name=g"
LIMIT = 120


def root_size():
    """[(what, number)] of root: lines of its source, bytes of its sections."""
    image = os.path.join(harness.BUILD, "lapwing.elf")
    listing = subprocess.run(["size", "-A", "-d", image], capture_output=True, text=True, check=True).stdout
    sections = {name: int(size) for name, size in re.findall(r"^\.(\w+) +(\d+)", listing, re.MULTILINE)}
    worlds = sum(os.path.getsize(os.path.join(harness.BUILD, "user", name)) for name in ("device.bin", "control.bin"))
    lines = subprocess.run([os.path.join(TOP, "tools", "root-lines")], capture_output=True, text=True, check=True)
    code, raw = lines.stdout.split()
    return [("lines of code", int(code)), ("lines with comments and blanks", int(raw)), ("bytes of text", sections["text"]),
            ("bytes of constants, without the worlds it carries", sections["rodata"] - worlds),
            ("bytes of data, zero at the start or not", sections["data"] + sections["bss"])]


def seconds_between(session, source, first, last):
    session.expect(*first)
    begin = time.monotonic()
    session.expect(source, last)
    return time.monotonic() - begin


def bare(session):
    session.boot_bare([f"linux /vmlinuz {CMDLINE}", "initrd /initramfs", "echo the-kernel-starts"],
                      {"/vmlinuz": KERNEL, "/initramfs": INITRAMFS})
    return seconds_between(session, "", ("", r"the-kernel-starts"), r"guest g up: 2 CPUs")


def lapwing(session):
    session.boot("[guest g]\nimage = vmlinuz-cloud\ninitrd = initramfs.cpio.gz\nmemory = 256M\nvcpus = 2\n"
                 f"cmdline = {CMDLINE}\n")
    return seconds_between(session, "g", ("lapwing", r"keyboard: g"), r"guest g up: 2 CPUs")


def fastest(runs):
    """{name: seconds}"""
    best = {}
    for _ in range(runs):
        for what in (bare, lapwing):
            session = harness.Session(harness.Test(what, f"bench_{what.__name__}", "svm", LIMIT, False))
            try:
                seconds = what(session)
            finally:
                session.close()
            best[what.__name__] = min(seconds, best.get(what.__name__, seconds))
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs

    print("root")
    for what, number in root_size():
        print(f"  {number:8}  {what}")
    try:
        best = fastest(runs)
    except (harness.Failure, harness.LapwingError) as why:
        print(f"bench: {why}", file=sys.stderr)
        return 1
    print(f"time to the shell of Debian's cloud kernel, 2 CPUs, fastest of {runs}")
    print(f"  {best['bare']:8.2f}  seconds on the bare emulated machine")
    print(f"  {best['lapwing']:8.2f}  seconds as a guest")
    print(f"  {best['lapwing'] / best['bare']:8.2f}  times as long")
    return 0


if __name__ == "__main__":
    sys.exit(main())
