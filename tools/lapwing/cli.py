"""The ./lapwing command."""

import argparse
import contextlib
import os
import signal
import subprocess
import tempfile
import time

from . import config, iso, machine, terminal
from .base import (BUILD, CHECKER, EXIT_GUEST, EXIT_MACHINE, EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE, HYPERVISOR, TOP,
                   LapwingError, count, parse_size, version)
from .emulator import Emulator
from .output import OutputGone, open_closed, reason, say, show, tell
from .results import Results

DESCRIPTION = """\
Lapwing, a microhypervisor: check a config file, run it in an emulator, or make a boot image of it.

  ./lapwing check my.conf             what is wrong with my file, line and column
  ./lapwing run   my.conf             boot it here, in an emulator; the terminal is the machine's serial port
  ./lapwing iso   my.conf -o my.iso   a boot image for a PC: for a CD, or copied to a USB stick (dd if=my.iso of=/dev/...)
"""

RUN_HELP = """\
The terminal is the machine's serial port. Ctrl-] is Lapwing's key (the config's `escape` changes it): then n or 1-9 gives
the keyboard to another guest, c to Lapwing's own prompt, where `help` lists what it knows and `poweroff` ends the run.
If nothing answers any more, type Enter ~ . to leave.

Exit status: 0 every guest ended well, 1 one did not, 2 the command line or the config file is wrong, 3 the emulator or
the hypervisor failed, the run was cut off, or its output or log could not be written.
"""


MAX_CPUS = 256  # ABI_MAX_CPUS


def _size(text):
    try:
        return parse_size(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no size such as 512M or 2G") from None


def _positive(text):
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 on")
    return int(text)


def _cpus(text):
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_CPUS):
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 to {MAX_CPUS}")
    return int(text)


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise LapwingError(f"{message}; see {self.prog} --help", EXIT_USAGE)

    def _print_message(self, message, file=None):
        show(message.encode())


def parser():
    top = _Parser(prog="./lapwing", description=DESCRIPTION, allow_abbrev=False,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="version", version=f"Lapwing {version()}")
    commands = top.add_subparsers(dest="command", metavar="check|run|iso", required=True)
    check = commands.add_parser("check", help="what is wrong with a config file", allow_abbrev=False)
    run = commands.add_parser("run", help="boot a config in an emulator", allow_abbrev=False, epilog=RUN_HELP,
                              usage="./lapwing run [options] FILE [-- emulator arguments]",
                              formatter_class=argparse.RawDescriptionHelpFormatter)
    image = commands.add_parser("iso", help="make a boot image for a PC", allow_abbrev=False)
    for command in (check, run, image):
        command.add_argument("file", metavar="FILE", help="the config file")
    for command in (check, run):
        command.add_argument("--cpus", type=_cpus, metavar="N", help="CPUs of the machine"
                             + (" (default: 2; vmx: 1)" if command is run else ""))
        command.add_argument("--memory", type=_size, metavar="SIZE", help="memory of the machine, such as 2G"
                             + (" (default: enough for the guests)" if command is run else ""))
    run.add_argument("--machine", choices=machine.KINDS, default="auto", metavar="KIND",
                     help="svm (QEMU emulates AMD), vmx (Bochs emulates Intel), kvm (QEMU/KVM with nested virtualization), "
                          "svm72 (the system's own QEMU), or auto: kvm where it works, else svm (default)")
    run.add_argument("--timeout", type=_positive, metavar="S", help="give up after that many seconds")
    run.add_argument("--log", metavar="FILE", help="copy what the serial port prints to FILE")
    image.add_argument("-o", "--output", required=True, metavar="ISO", help="the image to write")
    return top


def build(files=(HYPERVISOR, CHECKER)):
    """Bring what runs on the target and the checker up to date; where nothing can be written, see whether they are."""
    targets = [os.path.relpath(path, TOP) for path in files]
    writable = os.access(BUILD if os.path.isdir(BUILD) else TOP, os.W_OK)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    try:
        done = subprocess.run(["make", "-C", TOP, "-s", "-j2", *([] if writable else ["-q"]), *targets], stdin=subprocess.DEVNULL, env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except FileNotFoundError as error:
        raise LapwingError("make is not installed; run tools/setup") from error
    if done.returncode == 1 and not writable:  # make -q: not up to date
        missing = [target for target in targets if not os.path.exists(os.path.join(TOP, target))]
        names, when = (missing, "first") if missing else (targets, "again, for sources are newer")
        raise LapwingError(f"{TOP} cannot be written, and {' and '.join(names)} there must be built {when}: run make as who may")
    if done.returncode:
        raise LapwingError("the build failed:\n" + done.stdout.decode(errors="replace").rstrip())


def _checked(path, memory, cpus):
    found = config.check(path, memory, cpus)
    tell(found.warnings)
    if found.problems:
        tell(found.problems)
        raise LapwingError(f"{path}: {count(len(found.problems.splitlines()), 'problem')}, see above", EXIT_USAGE)
    return found


def command_check(arguments, progress):
    progress.start("building")
    build((CHECKER,))
    progress.done()
    found = config.check(arguments.file, arguments.memory, arguments.cpus)
    tell(found.warnings)
    if found.problems:
        tell(found.problems)
        return EXIT_PROBLEMS
    free = f" of {int(found.settings['guest-memory']) >> 20}M for guests" if arguments.memory else ""
    say(f"{arguments.file}: {count(len(found.guests), 'guest')}, {found.memory() >> 20}M{free}: no problem found")
    return EXIT_OK


def command_iso(arguments, progress):
    progress.start("building")
    build()
    found = _checked(arguments.file, None, None)
    progress.start(f"writing {arguments.output}")
    iso.for_config(arguments.output, found)
    progress.done()
    say(f"{arguments.output}: {os.path.getsize(arguments.output) / (1 << 20):.0f} MiB")
    return EXIT_OK


def default_memory(found):
    """For the guests, their files (twice: GRUB's copy and what is made of it), and the hypervisor, which takes a part of all
    (lib/pool_size.h)."""
    files = sum(os.path.getsize(path) for path, _ in found.files)
    need = (found.memory() + 2 * files + (128 << 20)) * 32 // 31
    return max(machine.MIN_MEMORY, -(-need // (256 << 20)) * (256 << 20))


def command_run(arguments, progress):
    progress.start("building")
    build()
    found = _checked(arguments.file, arguments.memory, arguments.cpus or machine.default_cpus(arguments.machine))
    if not found.guests:
        raise LapwingError(f"{arguments.file}: no guests; add a section such as [guest web]", EXIT_USAGE)
    host = machine.Machine(arguments.machine, arguments.cpus or machine.default_cpus(arguments.machine),
                           arguments.memory or default_memory(found), extra=arguments.emulator)
    results = Results()
    with contextlib.ExitStack() as cleanup:
        log = None
        if arguments.log:
            try:
                log = cleanup.enter_context(open(arguments.log, "wb", buffering=0))
            except OSError as error:
                raise LapwingError(f"--log {arguments.log}: {error.strerror}", EXIT_USAGE) from error
        image = os.path.join(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="lapwing-run-")), "run.iso")
        progress.start("making the boot image")
        iso.for_config(image, found)
        progress.start("booting " + host.describe())
        emulator = cleanup.enter_context(Emulator(host, image, log))
        deadline = time.monotonic() + arguments.timeout if arguments.timeout else None
        passage = terminal.Passage(emulator, results, progress)
        ended = passage.run(deadline)
        if results.guests:
            say("\n" + "\n".join(results.table()))
        if not passage.started:
            tell(passage.before.decode(errors="replace").replace("\r", "")[-2000:].strip() + "\n")
        if not ended:
            raise LapwingError(f"not done after {arguments.timeout} s (--timeout)")
        return _conclude(emulator, results, passage.started)


def _conclude(emulator, results, started):
    """What a run comes to whose machine has ended."""
    status = emulator.wait(5)
    if results.complete():
        return EXIT_OK if results.badly == 0 else EXIT_GUEST
    when = "before the guests did" if started else "before Lapwing started"
    why = emulator.errors() or ("it was reset or switched off" if status == 0 else f"exit status {status}")
    raise LapwingError(f"the machine ended {when}: {why}")


COMMANDS = {"check": command_check, "run": command_run, "iso": command_iso}


def main(argv):
    open_closed()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # who has it ignored, with nohup, wants that
            signal.signal(number, terminal.interrupt)
    emulator = []
    if argv[:1] == ["run"] and "--" in argv:
        at = argv.index("--")
        argv, emulator = argv[:at], argv[at + 1:]
    progress = terminal.Progress()
    try:
        arguments = parser().parse_args(argv)
        arguments.emulator = emulator
        if arguments.file == "-":
            raise LapwingError("standard input is not read: give the name of a config file", EXIT_USAGE)
        return COMMANDS[arguments.command](arguments, progress)
    except LapwingError as error:
        progress.done()
        tell(f"lapwing: {error}\n")
        return error.status
    except (terminal.Interrupted, KeyboardInterrupt) as why:
        progress.done()
        tell(f"lapwing: ended: {str(why) or 'interrupted'}\n")
        return EXIT_MACHINE
    except OutputGone:
        return EXIT_MACHINE
    except OSError as error:
        progress.done()
        tell(f"lapwing: {reason(error)}\n")
        return EXIT_MACHINE
