"""Build and run the models of tests/model/: constants from the C code, spin, gcc, pan; parse what pan says."""

import os
import re
import shutil
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CC = os.environ.get("HOST_CC", "gcc")
MEMORY_MB = 3500
DEPTH = 3000000

R = ["TEARDOWN", "PAUSE", "RESUME", "INIT", "SIPI", "APIC", "TIMER", "NMI", "EVENT", "CLOCK", "PERMIT"]


def mask(names):
    """Of a model's requests; PERMIT is a thread_wake that has nothing to do with the word."""
    return sum(1 << R.index(n) for n in names.split())


class Instance:
    """A model with its parameters. small: the parameters that the mutants are run with."""

    def __init__(self, name, model, defines=None, small=None, liveness=False):
        self.name, self.model, self.liveness = name, model, liveness
        self.defines = defines or {}
        self.small = {**self.defines, **(small or {})}


class Result:
    def __init__(self):
        self.errors, self.states, self.transitions, self.depth = -1, 0, 0, 0
        self.seconds = 0.0
        self.problem = ""
        self.reached, self.unreached = set(), set()


def constants(directory):
    """constants.h for the models, as the C code has them."""
    program = os.path.join(directory, "constants")
    subprocess.run([CC, "-std=gnu11", "-Wall", "-Werror", "-I", ROOT, "-o", program,
                    os.path.join(HERE, "constants.c")], check=True)
    text = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    os.remove(program)
    return text


def sources():
    return {n: open(os.path.join(HERE, n), encoding="utf-8").read()
            for n in sorted(os.listdir(HERE)) if n.endswith((".pml", ".inc"))}


def build(directory, instance, files, defines, optimize):
    """Writes files (name: text) and makes pan from them; what went wrong, or "" """
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    for name, text in files.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
            f.write(text)
    flags = [f"-D{k}={v}" for k, v in defines.items()]
    spin = subprocess.run(["spin", "-o3", "-a", *flags, instance.model], cwd=directory, capture_output=True, text=True)
    if spin.returncode or "Error" in spin.stdout or not os.path.exists(os.path.join(directory, "pan.c")):
        return "spin: " + (spin.stdout + spin.stderr).strip()[:300]
    kind = ["-DNFAIR=3"] if instance.liveness else ["-DSAFETY"]
    gcc = subprocess.run([CC, optimize, "-w", f"-DMEMLIM={MEMORY_MB}", *kind, "-o", "pan", "pan.c"], cwd=directory,
                         capture_output=True, text=True)
    return "gcc: " + gcc.stderr[:300] if gcc.returncode else ""


def same(text):
    """The text of a statement of word.inc, whichever vCPU and thread it is for."""
    return re.sub(r"\b(w|thread)\[\w+\]", r"\1[]", text)


def coverage(directory, instance, out, result):
    """Which statements were reached, by line and text: an inline's count once, wherever it was put."""
    missed = set()
    proc = ""
    for line in out.splitlines():
        m = re.match(r"unreached in (?:proctype )?(\S+)", line)
        if m:
            proc = m.group(1)
        m = re.match(r'\t(\S+):(\d+), state (\d+), "(.*)"', line)
        if m and proc:
            missed.add((proc, m.group(3)))
            if instance.model == "word.pml" or not m.group(1).endswith(".inc"): # the others use a part of word.inc
                result.unreached.add((m.group(2), same(m.group(4))))
    table = subprocess.run(["./pan", "-d"], cwd=directory, capture_output=True, text=True).stdout
    for line in table.splitlines():
        m = re.match(r"(?:proctype|init|claim|never) *(\S*)", line)
        if m:
            proc = m.group(1).lstrip(":").rstrip(":") or "init"
        m = re.match(r"\tstate +(\d+) -\(tr.*\] \S+:(\d+) => (.*)$", line)
        if m:
            key = (m.group(2), same(m.group(3)))
            if (proc, m.group(1)) not in missed:
                result.reached.add(key)


def run(directory, instance, seconds, full):
    """Runs pan; full: prints are to be parsed for coverage as well."""
    result = Result()
    begin = time.monotonic()
    command = ["./pan", f"-m{DEPTH if full else 300000}", "-w24" if full else "-w20"]
    if instance.liveness:
        command += ["-a", "-f"]
    try:
        pan = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        result.problem = f"not finished after {seconds} s"
        return result
    result.seconds = time.monotonic() - begin
    out = pan.stdout
    number = lambda pattern: int(float((re.search(pattern, out) or [0, "-1"])[1]))
    result.errors = number(r"errors: (\d+)")
    result.states = number(r"([\d.e+]+) states, stored")
    result.transitions = number(r"([\d.e+]+) transitions")
    result.depth = number(r"depth reached (\d+)")
    first = re.search(r"pan:\d+:? ?(.*)", out)
    if result.errors:
        result.problem = first[1] if first else out[:200] + pan.stderr[:200]
    for bad in ("max search depth too small", "Search not completed", "out of memory", "reached -DMEMLIM", "VECTORSZ"):
        if bad in out + pan.stderr and not result.problem:
            result.problem = bad
    if full and not result.problem:
        coverage(directory, instance, out, result)
    return result
