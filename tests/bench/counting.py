"""Counting with tests/bench/count.c: what to give QEMU, where root's and the worlds' code lies, and what came out."""

import bisect
import json
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "boot"))

import elf  # noqa: E402 (the path has to be set first)
from harness import BUILD, HYPERVISOR, Failure, config, locate  # noqa: E402
from test_parked import COUNTING  # noqa: E402

ROOT = os.path.join(BUILD, "lapwing.elf")
WORLDS = {name: os.path.join(BUILD, "user", name + ".elf") for name in ("device", "control")}
PLUGIN = os.path.join(BUILD, "bench", "count.so")
LOADER = os.path.join(BUILD, "bench", "load.elf")

WORLD_IMAGE_BASE = 0x400000  # user/world.ld
LINUX_START = 0x100000  # where QEMU's -kernel enters Linux' protected-mode code: its header's code32_start


def _sections(path):
    """{section: (address, end)}"""
    listing = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    return {name: (int(address, 16), int(address, 16) + int(size, 16)) for name, address, size in
            re.findall(r"\] (\.\S+) +[A-Z]+ +([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)", listing)}


def ranges():
    """[(owner, program, first, end, base)] of all code, by physical address: owner is "root" or "world", program who has the
    symbols, and base what has to be added to have an address of that program's."""
    base = elf.symbol(ROOT, "KERNEL_BASE")
    sections = _sections(ROOT)
    first, end = sections[".text"]
    found = [("root", "boot", *sections[".boot"], 0), ("root", "root", first - base, end - base, base)]
    for name, path in WORLDS.items():
        image = elf.symbol(ROOT, name + "_image") - base
        length = elf.symbol(path, "world_text_end") - WORLD_IMAGE_BASE
        found.append(("world", name, image, image + length, WORLD_IMAGE_BASE - image))
    return found


def arguments(out, pcs=False, bare=False, start=None):
    """QEMU's arguments to count on a machine with Lapwing, or with none (bare), to a file. pcs: each instruction in rows.
    start: the guest begins at that virtual address; for bare Linux LINUX_START."""
    words = [PLUGIN, f"out={out}"]
    if not bare:
        words += [f"{owner}={first:x}-{end:x}" for owner, _, first, end, _ in ranges()]
        words.append(f"base={elf.symbol(ROOT, 'KERNEL_BASE'):x}")
    if pcs:
        words.append("pcs=on")
    if start is not None:
        words.append(f"start={start:x}")
    return [*COUNTING, "-plugin", ",".join(words)]


def _extra(out, **how):
    return arguments(out, **how) if out else COUNTING


def boot(session, text, out=None, pcs=False, debugger=False, **kind):
    """Boot a config as Session.boot() does, but without a disk and GRUB (tests/bench/load.c), so that two runs are alike to the
    instruction. out: count to that file. debugger: the machine waits for Session.debugger(), since two runs that are stopped
    somewhere later are not alike."""
    short = {}

    def shorten(match):
        if match[2] not in short:
            short[match[2]] = session.short_path(match[2])
        return match[1] + short[match[2]]

    # Root's loader, control and the device world read the names of files: their length must not be the tree's.
    path = session.path("lapwing.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(re.sub(r"((?:=|,)\s*)(/[^\s,]+)", shorten, locate(text)))
    found = config.check(path)
    if found.problems:
        raise Failure("the config is wrong: " + found.problems.strip().splitlines()[0])
    modules = [f"{session.short_path(HYPERVISOR)} lapwing", f"{session.short_path(path)} lapwing.conf"]
    names = {name: file for file, name in found.files}
    modules += [f"{file} {name}" for name, file in names.items()]
    session.boot_kernel(session.short_path(LOADER), modules, debugger=debugger,
                        extra=_extra(out, pcs=pcs) + (["-S"] if debugger else []), **kind)


def boot_bare_linux(session, kernel, initramfs, cmdline, out=None, **kind):
    """Boot Linux without Lapwing and without a disk, which would make no two runs alike. out: count to that file, from Linux'
    first instruction."""
    session.boot_kernel(kernel, [initramfs], cmdline, extra=_extra(out, bare=True, start=LINUX_START), **kind)


def result(path):
    """What the plugin wrote; QEMU has to have ended by itself. "start" is a row from root's first instruction to a guest's."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except OSError as error:
        raise Failure(f"nothing was counted: {error}") from error
    found["rows"] = {int(number): row for number, row in found["rows"].items()}
    found["start"] = found["rows"].pop(0, None)
    return found


def difference(later, earlier):
    """{owner: instructions} between two totals."""
    return {owner: later[owner] - earlier[owner] for owner in later}


class Symbols:
    """Functions by physical address."""

    def __init__(self):
        self._ranges = ranges()
        self._functions = {"boot": ([0], [("boot", "")])}
        for program, path in (("root", ROOT), *WORLDS.items()):
            listing = subprocess.run(["nm", "-n", "-l", path], capture_output=True, text=True, check=True).stdout
            found = re.findall(r"^([0-9a-f]+) [tT] (\S+)(?:\t(\S+):\d+)?$", listing, re.MULTILINE)
            self._functions[program] = ([int(address, 16) for address, _, _ in found],
                                        [(name, file and os.path.relpath(file, TOP)) for _, name, file in found])

    def at(self, physical):
        """(program, function, its source file or "" in assembly)"""
        for _, program, first, end, base in self._ranges:
            if first <= physical < end:
                addresses, names = self._functions[program]
                return program, *names[max(bisect.bisect_right(addresses, physical + base) - 1, 0)]
        raise Failure(f"no code lies at {physical:#x}")

    def by_function(self, pcs):
        """{(program, function): instructions} of a row's "pcs"."""
        sums = {}
        for address, count in pcs.items():
            program, function, _ = self.at(int(address, 16))
            sums[program, function] = sums.get((program, function), 0) + count
        return sums
