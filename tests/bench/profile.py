#!/usr/bin/env python3
"""Where an operation's instructions go: by phase of the exit, and by function.

    tests/bench/profile.py [--row NAME]... [--functions]

The rows are those of tests/guests/marked.c, on a machine with as many CPUs as the guest has vCPUs: 2. Numbers are executed
instructions for one operation, of everything but the guest; an operation of two vCPUs has the sum of both CPUs'. The row
"start" is from root's first instruction to the guest's.
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
from test_own import own  # noqa: E402

LIMIT = 120
START = "start"  # what is no row of the guest's
START_FUNCTIONS = 20
OPERATIONS = 100  # of each row: REPEATS in tests/guests/marked.c

ROWS = {"nothing": 1, "CPUID": 2, "RDMSR": 3, "EOI": 4, "port-in-root": 5, "port-in-world": 6, "self-IPI": 7, "IPI": 8,
        "IPI-halted": 9}

EXIT, DISPATCH, HANDLER, CHECKS, ENTRY = "guest to root", "dispatch", "handler", "entry checks", "root to guest"
CROSSING, WORLD = "to the device world and back", "device world"
INTERRUPT, SCHEDULING = "interrupts of the host's", "scheduling, timers"
PHASES = (EXIT, DISPATCH, HANDLER, CROSSING, WORLD, INTERRUPT, SCHEDULING, CHECKS, ENTRY)

# The phase of root's code by source file, and of functions that are not in their file's phase. What is in neither is an error,
# so that this stays true. Functions in assembly are named each.
FILES = {
    "svm/svm.c": ENTRY, "svm/state.c": HANDLER, "svm/exit.c": DISPATCH, "svm/step.c": ENTRY,
    "kernel/vm/vcpu.c": DISPATCH, "kernel/vm/exit.c": DISPATCH, "kernel/vm/cpuid.c": HANDLER, "kernel/vm/msr.c": HANDLER,
    "kernel/vm/topology.c": HANDLER, "kernel/vm/msr_table.c": HANDLER, "kernel/vm/control_registers.c": HANDLER, "kernel/vm/vector.c": CROSSING,
    "kernel/vm/vm.c": HANDLER, "lapic/lapic.c": HANDLER, "lapic/access.c": HANDLER, "lapic/ipi.c": HANDLER, "lapic/timer.c": HANDLER,
    "kernel/vm/inject.c": CHECKS, "kernel/vm/serve.c": CHECKS, "kernel/vm/inhibit.c": CHECKS, "kernel/vm/pvclock.c": CHECKS,
    "kernel/vm/word.c": CHECKS, "kernel/vm/fpu.c": CHECKS,
    "kernel/vm/upcall.c": CROSSING, "kernel/syscalls/syscall.c": CROSSING, "kernel/worlds/world.c": CROSSING, "lib/string.c": CROSSING,
    "kernel/cpu/trap.c": INTERRUPT, "kernel/cpu/apic.c": INTERRUPT,
    "kernel/threads/schedule.c": SCHEDULING, "kernel/vm/bill.c": SCHEDULING, "kernel/threads/thread.c": SCHEDULING, "kernel/memory/kstack.c": SCHEDULING, "kernel/threads/timer.c": SCHEDULING,
    "kernel/base/time.c": SCHEDULING, "kernel/base/percpu.c": SCHEDULING, "kernel/base/spinlock.h": SCHEDULING,
    "sched/fair.c": SCHEDULING, "sched/balance.c": SCHEDULING, "sched/group.c": SCHEDULING, "lib/timerq.c": SCHEDULING, "lib/rbtree.c": SCHEDULING,
}
FUNCTIONS = {
    "svm_step_end": EXIT, "get_rip": HANDLER, "set_rip": HANDLER, "get_rflags": HANDLER, "unblocked": CHECKS,
    "set_cr8": CHECKS, "vcpu_interrupted": CHECKS, "set_windows": CHECKS, "svm_get_regs": CROSSING, "do_WRMSR": HANDLER,
    "lapic_waiting_class": CHECKS, "lapic_pending": CHECKS, "lapic_lint0_sample": CHECKS, "lapic_take": CHECKS,
    "word_ask": HANDLER, "vcpu_ask": HANDLER, "vcpu_deliver": HANDLER, "word_park": SCHEDULING, "word_set_mp": SCHEDULING,
    "vcpu_has_wakeup": SCHEDULING, "vcpu_park": SCHEDULING, "apic_timer_set": SCHEDULING, "svm_exited": DISPATCH,
    "cpuid_quickly": HANDLER, "rdmsr_quickly": HANDLER, "wrmsr_quickly": HANDLER, "write_other": HANDLER,
    "io_quickly": HANDLER, "hypercall_quickly": HANDLER, "hlt_quickly": SCHEDULING, "serve_quickly": CHECKS, "make_ready": SCHEDULING,
    "leave": DISPATCH,
    # kernel/worlds/user.asm, kernel/cpu/trap.asm, kernel/threads/thread.c's switch
    "user_enter": CROSSING, "user_leave": CROSSING, "syscall_entry": CROSSING, "enter": INTERRUPT, "enter_irq": INTERRUPT,
    "kick_in_root": INTERRUPT, "thread_switch": SCHEDULING,
}
PATTERNS = [(re.compile(r"stub_\d+"), INTERRUPT)]  # kernel/cpu/trap.asm

# Who enters the guest and comes back, the symbol and the instruction that does: what lies up to it is the entry, what lies behind
# the exit.
TURNS = {"svm_run": ("svm_run.again", r"\bvmrun\b")}


def turning_points():
    """{function: physical address of the instruction that enters the guest}"""
    base = counting.elf.symbol(counting.ROOT, "KERNEL_BASE")
    found = {}
    for function, (symbol, pattern) in TURNS.items():
        code = subprocess.run(["objdump", "-d", f"--disassemble={symbol}", counting.ROOT], capture_output=True, text=True,
                              check=True).stdout
        addresses = re.findall(rf"^ *([0-9a-f]+):.*{pattern}", code, re.MULTILINE)
        if len(addresses) != 1:
            raise harness.Failure(f"{symbol} enters the guest at {len(addresses)} places, not one")
        found[function] = int(addresses[0], 16) - base
    return found


class Phases:
    """Which phase an instruction is in."""

    def __init__(self):
        self._symbols = counting.Symbols()
        self._turns = turning_points()

    def of(self, physical):
        """(phase, program, function)"""
        program, function, file = self._symbols.at(physical)
        return self._phase(program, function, file, physical), program, function

    def _phase(self, program, function, file, physical):
        if program != "root":
            return WORLD
        whole = function.partition(".")[0]  # NAME.local of the assembler's, NAME.part.0 of the compiler's
        if whole in self._turns:
            return EXIT if physical > self._turns[whole] else ENTRY
        if whole in FUNCTIONS:
            return FUNCTIONS[whole]
        for pattern, phase in PATTERNS:
            if pattern.fullmatch(whole):
                return phase
        if file not in FILES:
            raise harness.Failure(f"{function} of {file or 'assembly'} is in no phase of tests/bench/profile.py")
        return FILES[file]


def breakdown(row, operations, phases=None):
    """({phase: instructions}, {(phase, program, function): instructions}) of one operation, of a row counted with pcs."""
    phases = phases or Phases()
    by_phase, by_function = dict.fromkeys(PHASES, 0.0), {}
    for address, count in row["pcs"].items():
        key = phases.of(int(address, 16))
        by_phase[key[0]] += count / operations
        by_function[key] = by_function.get(key, 0.0) + count / operations
    return by_phase, by_function


def measure(guest="marked", vcpus=2):
    """What the plugin counted, with pcs, of one of our own guests that has markers, beside nothing else."""
    os.makedirs(harness.LOGS, exist_ok=True)
    session = harness.Session(harness.Test(measure, "bench_profile", "svm", LIMIT, False))
    try:
        out = session.path("count.json")
        counting.boot(session, own(guest, vcpus, f"cpus={vcpus}"), out, pcs=True, cpus=vcpus)
        session.ended(**{guest: ("EXIT", 0)})
        return counting.result(out)
    finally:
        session.close()


def report_start(row):
    """From root's first instruction to the guest's: by function."""
    sums = counting.Symbols().by_function(row["pcs"])
    print(f"{START}: {sum(sums.values())} instructions to the guest's first, the most of them in")
    for (program, function), count in sorted(sums.items(), key=lambda item: -item[1])[:START_FUNCTIONS]:
        print(f"  {count:9}  {function}{'' if program == 'root' else ' (' + program + ')'}")


def report(name, row, functions, phases):
    by_phase, by_function = breakdown(row, OPERATIONS, phases)
    print(f"{name}: {sum(by_phase.values()):.2f} instructions, and {row['sum']['guest'] / OPERATIONS:.2f} of the guest's")
    for phase in PHASES:
        if not by_phase[phase]:
            continue
        print(f"  {by_phase[phase]:9.2f}  {phase}")
        inside = [(count, program, function) for (where, program, function), count in by_function.items() if where == phase]
        for count, program, function in sorted(inside, reverse=True) if functions else []:
            print(f"    {count:9.2f}  {function}{'' if program == 'root' else ' (' + program + ')'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", action="append", choices=[*ROWS, START], help="default: CPUID, IPI and IPI-halted")
    parser.add_argument("--functions", action="store_true")
    arguments = parser.parse_args()
    subprocess.run(["make", "-s", "-j1", "build/lapwing.elf", "build/host/lapwing-check", "bench-tools", "guests"],
                   cwd=TOP, check=True)
    try:
        found, phases = measure(), Phases()
        for name in arguments.row or ("CPUID", "IPI", "IPI-halted"):
            if name == START:
                report_start(found["start"])
            else:
                report(name, found["rows"][ROWS[name]], arguments.functions, phases)
    except (harness.Failure, harness.LapwingError) as why:
        print(f"profile: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
