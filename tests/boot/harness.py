"""Boot tests: a machine, what it prints, and what a test says about that.

A test is a function with the decorator @boot_test, which takes a Session:

    @boot_test(limit=60, machines=("svm", "vmx"))
    def greets(session):
        session.boot("[guest web]\\nimage = vmlinuz-cloud\\ncmdline = console=ttyS0\\n")
        session.expect("web", r"login: ")       # of that guest's output, behind what was matched before
        session.send("root\\r")
        session.ended(web="POWEROFF")           # all guests ended, each so

It is registered once for each of its machines: as greets, and as greets_vmx. The machine is started, and the config
checked, by the code of ./lapwing. Files in a config are names of build/images or build/guests. Every serial log is kept
in build/test-logs.
"""

import os
import re
import signal
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))

from lapwing import config, iso, machine  # noqa: E402 (the path has to be set first)
from lapwing.base import BUILD, HYPERVISOR, LapwingError, parse_size  # noqa: E402
from lapwing.emulator import Emulator  # noqa: E402
from lapwing.results import ERASED, ESCAPES, Results  # noqa: E402

LOGS = os.path.join(BUILD, "test-logs")
IMAGES = os.path.join(BUILD, "images")
GUESTS = os.path.join(BUILD, "guests")

ESCAPE_KEY = "\x1d"  # Ctrl-]
HYPERVISOR_LINES = "lapwing"  # the hypervisor's own source
EVERYTHING = ""  # the source that is all output as it comes

# What no run may print, unless the test says so.
FATAL = r"^lapwing\| (?!world of ).*(\bpanic\b|assertion .*failed|double fault|backtrace|\) in root, CPU )"

# Behind ">" a line of that source goes on.
SOURCE = re.compile(r"^([A-Za-z][\w.-]*)\|([ >])")
LONGEST_SOURCE = 34

tests = []


class Failure(Exception):
    """What a test found wrong, in one line."""


class Test:
    def __init__(self, function, name, machine, limit, slow):
        self.function = function
        self.name = name
        self.machine = machine
        self.limit = limit
        self.slow = slow  # not part of each run: `make test-slow`
        self.what = (function.__doc__ or "").strip().partition("\n")[0]


# Bochs executes fewer instructions in a second than QEMU.
SLOWNESS = {"vmx": 3}

BOTH = ("svm", "vmx")


def boot_test(limit=60, name=None, machines=("svm",), slow=()):
    """Register a test that may take limit seconds in all on QEMU. slow: the machines where it takes too long for CI."""

    def register(function):
        for machine in machines:
            test_name = (name or function.__name__) + ("" if machine == "svm" else "_" + machine)
            if any(other.name == test_name for other in tests):
                raise ValueError(f"two tests are called {test_name}")
            tests.append(Test(function, test_name, machine, limit * SLOWNESS.get(machine, 1), machine in slow))
        return function

    return register


class Transcript:
    """The serial output, taken apart by source: what stands behind `name| ` and `name|>`, lines that the console has broken
    in one again; and all of it as it comes under EVERYTHING."""

    def __init__(self):
        self._text = {}
        self._position = {}
        self._line = ""  # of the line that is not complete: what was not given to its source yet
        self._source = None  # of that line; None: not known yet
        self._bytes = b""
        self._looked = 0

    def feed(self, data):
        # What may be the beginning of an escape sequence or of a line's end waits for the rest.
        self._bytes += data
        cut = len(self._bytes)
        escape = self._bytes.rfind(b"\x1b", -16)
        if escape >= 0 and not ESCAPES.match(self._bytes[escape:].decode(errors="replace")):
            cut = escape
        if self._bytes[:cut].endswith(b"\r"):
            cut -= 1
        text, self._bytes = self._bytes[:cut].decode(errors="replace"), self._bytes[cut:]
        for part in re.split(r"(\n)", ESCAPES.sub("", text.replace(ERASED, "\n"))):
            self._part(part)

    def _part(self, part):
        self._append(EVERYTHING, part)
        self._line += part
        if self._source is None:
            found = SOURCE.match(self._line)
            if found:
                self._source = found[1]
                self._line = self._line[found.end():]
                if found[2] == ">":
                    self._text[self._source] = self.text(self._source).removesuffix("\n")
            elif part == "\n" or len(self._line) > LONGEST_SOURCE:
                self._source = "-"
        if self._source is not None:
            self._append(self._source, self._line)
            self._line = ""
        if part == "\n":
            self._source, self._line = None, ""

    def _append(self, source, text):
        self._text[source] = self._text.get(source, "") + text

    def text(self, source=EVERYTHING):
        return self._text.get(source, "")

    def take(self, source, pattern):
        """The match of a pattern behind the last match of that source, or None."""
        found = re.compile(pattern, re.MULTILINE).search(self.text(source), self._position.get(source, 0))
        if found:
            self._position[source] = found.end()
        return found

    def look(self, pattern):
        """The match of a pattern in the lines, as they come, that came since the last look, or None."""
        text = self.text()
        start = self._looked
        self._looked = text.rfind("\n") + 1
        return re.compile(pattern, re.MULTILINE).search(text, start)

    def skip(self, source):
        """Later matches begin behind what is there now."""
        self._position[source] = len(self.text(source))

    def rewind(self, source):
        """Later matches begin at the start again."""
        self._position[source] = 0


class Session:
    """One test's machine. Starting another one ends the first; its log goes on in the same file."""

    def __init__(self, test):
        self.machine = test.machine
        self.log_path = os.path.join(LOGS, test.name + ".log")
        self.transcript = Transcript()
        self.results = Results()
        self.fatal = FATAL
        self._deadline = time.monotonic() + test.limit
        self._limit = test.limit
        self._folder = tempfile.TemporaryDirectory(prefix="lapwing-test-", dir=BUILD)
        self._links = None
        self._log = open(self.log_path, "wb")
        self._emulator = None
        self._memory = 0
        self._over = False

    # ---- Starting machines -----------------------------------------------------------------------------------

    def boot(self, text, problems=False, kernel_args="", image=HYPERVISOR, **kind):
        """Boot a config from an ISO. problems: the config has some, which the target is to find. image: of the hypervisor.
        kind: of Machine."""
        path = self.path("lapwing.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(locate(text))
        host = self._machine(kind)
        found = config.check(path)
        if found.problems and not problems:
            raise Failure("the test's config is wrong: " + found.problems.strip().splitlines()[0])
        disc = self.path("test.iso")
        iso.for_config(disc, found, kernel_args, image)
        self.start(host, disc)

    def boot_bare(self, commands, files, grub_modules="", **kind):
        """Boot something else from an ISO, without Lapwing: GRUB commands and {path in the ISO: path}."""
        image = self.path("bare.iso")
        iso.make(image, commands, files, grub_modules)
        self.start(self._machine(kind), image)

    def boot_kernel(self, kernel, modules=(), kernel_args="", **kind):
        """Boot an image without a boot loader, as QEMU's -kernel does."""
        self.start(self._machine({**kind, "boot": "kernel"}), kernel, modules, kernel_args)

    def start(self, host, image, modules=(), kernel_args=""):
        self.close_machine()
        self.transcript = Transcript()
        self.results = Results()
        self._over = False
        self._memory = host.memory
        self._emulator = Emulator(host, image, self._log, modules, kernel_args)

    def debugger(self, limit=30):
        """Attach to the machine, which stops; it was started with debugger=True. limit: of QEMU's answers, in seconds."""
        # Here, because they take Failure from this module.
        from bochs import Bochs
        from gdb import Gdb

        where = self._emulator.debugger
        if self.machine == "vmx":
            return Bochs(where, lambda: self._emulator.process.send_signal(signal.SIGINT))
        return Gdb(where, limit)

    def path(self, name):
        """Of a file in this test's own folder."""
        return os.path.join(self._folder.name, name)

    def short_path(self, path):
        """Another path of a file, as long on every machine: for a measurement that the length of a name would change."""
        if not self._links:
            self._links = tempfile.TemporaryDirectory(prefix="lapwing-", dir="/tmp")
        link = os.path.join(self._links.name, f"{len(os.listdir(self._links.name)):03}")
        os.symlink(os.path.abspath(path), link)
        return link

    # ---- Talking to it ---------------------------------------------------------------------------------------

    def send(self, text):
        self._emulator.send(text.encode())

    def flush(self):
        """What was sent is on its way to the machine, even if that stands still."""
        while self._emulator.unsent():
            data, _ = self._emulator.receive(0.1)
            self._take(data or b"")

    def expect(self, source, pattern, limit=None):
        """Wait until a source printed what matches; the match. Fails after limit seconds, or if the machine ends."""
        end = self._end(limit)
        while True:
            found = self.transcript.take(source, pattern)
            if found:
                return found
            self._pump(end, f"{source or 'the machine'} did not print {pattern!r}")

    def check_memory(self):
        """Root has as much memory for guests as ./lapwing check says of such a machine, with the config of boot()."""
        said = int(config.check(self.path("lapwing.conf"), self._memory).settings["guest-memory"]) >> 20
        has = int(self.expect(HYPERVISOR_LINES, r"CPUs?, (\d+) MiB for guests")[1])
        if has != said:
            raise Failure(f"root has {has} MiB for guests, check says {said}")

    def refuse(self, source, pattern):
        """Fail if a source has printed what matches, at any time."""
        found = re.search(pattern, self.transcript.text(source), re.MULTILINE)
        if found:
            raise Failure(f"{source or 'the machine'} printed {found[0]!r}")

    def focus(self, number):
        """Give the keyboard to the guest of that number in the config, from 1 to 9."""
        self.send(f"{ESCAPE_KEY}{number}")

    def command(self, line, pattern=None, limit=20):
        """Type a line at the hypervisor's prompt. With a pattern: wait for it in what follows; the match."""
        self.send(f"{ESCAPE_KEY}c")
        # The prompt is not at the start of a line of its own if another source has one open.
        self.transcript.skip(HYPERVISOR_LINES)
        self.send(line + "\r")
        return self.expect(HYPERVISOR_LINES, pattern, limit) if pattern else None

    def sleep(self, seconds):
        """Go on reading for that long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._pump(None, "the machine ended", end)

    # ---- How it ends -----------------------------------------------------------------------------------------

    def wait_results(self, limit=None):
        end = self._end(limit)
        while not self.results.complete():
            self._pump(end, "the guests did not all end")
        return self.results

    def wait_off(self, limit=20):
        """Wait until the machine is switched off."""
        end = self._end(limit)
        while not self._over:
            self._pump(end, "the machine did not switch off", may_end=True)
        if self._emulator.wait(5) != 0:
            raise Failure(f"the emulator failed: {self._emulator.errors()}")

    def ended(self, limit=None, **expected):
        """All guests ended, each as said: NAME="POWEROFF" or NAME=("EXIT", status); then the machine went off."""
        self.guests_ended(limit, **expected)
        self.wait_off()

    def guests_ended(self, limit=None, **expected):
        """The same, whatever becomes of the machine then."""
        results = self.wait_results(limit)
        for name, how in expected.items():
            result = results.guests.get(name)
            if result is None:
                raise Failure(f"there is no result of {name}")
            reason, status = how if isinstance(how, tuple) else (how, None)
            if result.reason != reason or status not in (None, result.status):
                raise Failure(f"{name} ended with {result.reason} {result.status}, not {how}")
        extra = set(results.guests) - set(expected)
        if extra:
            raise Failure(f"results of guests that were not expected: {', '.join(sorted(extra))}")

    # ---- Inside ----------------------------------------------------------------------------------------------

    def _machine(self, kind):
        kind = {"kind": self.machine, **kind}
        if isinstance(kind.get("memory"), str):
            kind["memory"] = parse_size(kind["memory"])
        return machine.Machine(**kind)

    def _end(self, limit):
        if limit is None:
            return self._deadline
        return min(self._deadline, time.monotonic() + limit * SLOWNESS.get(self.machine, 1))

    def _pump(self, end, what, until=None, may_end=False):
        """Read what comes within a moment. Fails at `end`."""
        now = time.monotonic()
        if now >= self._deadline:
            raise Failure(f"{what} within the test's {self._limit} s")
        if end is not None and now >= end:
            raise Failure(f"{what} in time")
        if self._over and not may_end:
            raise Failure(f"{what} before the machine ended {self._emulator.errors()}".rstrip())
        wait = min(0.5, (until or end or self._deadline) - now)
        data, _ = self._emulator.receive(max(wait, 0))
        if data is None:
            self._over = True
            return
        self._take(data)
        found = self.fatal and self.transcript.look(self.fatal)
        if found:
            self._drain()
            raise Failure(f"the hypervisor failed: {found[0]}")

    def _take(self, data):
        self.transcript.feed(data)
        self.results.feed(data)

    def _drain(self):
        """What follows the first line of a failure belongs into the log, too."""
        end = time.monotonic() + 2
        while time.monotonic() < end:
            data, _ = self._emulator.receive(0.2)
            if data is None:
                return

    def close_machine(self):
        if self._emulator:
            self._emulator.close()
            self._emulator = None

    def close(self):
        self.close_machine()
        self._log.close()
        self._folder.cleanup()
        if self._links:
            self._links.cleanup()


def locate(text):
    """A test's config with the paths of its files: image = NAME, initrd = NAME, modules = NAME."""

    def path(match):
        for folder in (IMAGES, GUESTS):
            if os.path.exists(os.path.join(folder, match[2])):
                return match[1] + os.path.join(folder, match[2])
        return match[0]

    return re.sub(r"^((?:image|initrd|modules)\s*=\s*)([^\s,/]+)", path, text, flags=re.MULTILINE)


__all__ = ["boot_test", "BOTH", "tests", "Session", "Failure", "LapwingError", "HYPERVISOR", "HYPERVISOR_LINES", "EVERYTHING",
           "IMAGES", "GUESTS", "LOGS", "ESCAPE_KEY", "ESCAPES"]
