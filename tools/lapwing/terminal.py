"""The user's terminal while a machine runs: a progress line until it prints, then keys and output passed through."""

import os
import re
import signal
import sys
import termios
import time
import tty

from . import output

START_MARK = b"lapwing|"  # the hypervisor's first words; what firmware and GRUB print before is kept back
KEPT_BACK = 65536


def boot_loader_errors(text):
    """What GRUB complained of, in lines of its own: a file that it could not load is one that the hypervisor does not find."""
    lines = re.split(rb"[\r\n]+", re.sub(rb"\x1b\[[0-?]*[ -/]*[@-~]", b"\n", text))
    return b"".join(b"GRUB: " + line.strip() + b"\r\n" for line in lines if line.lstrip().startswith(b"error:"))


class Interrupted(Exception):
    """A signal asked us to end."""


class Progress:
    """One line on the terminal that says what is being done, for how long. Silent where stderr is no terminal."""

    def __init__(self):
        self._shown = os.isatty(2)
        self._text = ""
        self._since = 0.0

    def start(self, text):
        self._text = text
        self._since = time.monotonic()
        self.tick()

    def tick(self):
        if self._shown and self._text:
            output.tell(f"\r\x1b[Klapwing: {self._text} ... {time.monotonic() - self._since:.0f} s")

    def done(self):
        if self._shown and self._text:
            output.tell("\r\x1b[K")
        self._text = ""


class Keys:
    """Standard input, raw where it is a terminal; a context manager that puts everything back.

    At the start of a line, "~." leaves and "~~" is one "~", as in ssh: the way out if the hypervisor does not answer.
    """

    def __init__(self):
        self.file = sys.stdin.fileno() if sys.stdin and not sys.stdin.closed else None
        self._terminal = self.file is not None and os.isatty(self.file)
        self._saved = None
        self._handlers = {}
        self._line_start = True
        self._tilde = False

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._handlers[number] = signal.signal(number, interrupt)
        if self._terminal:
            try:
                self._saved = termios.tcgetattr(self.file)
                tty.setraw(self.file)
                # Output keeps its newline translation: ours and the guests' lines end alike.
                mode = termios.tcgetattr(self.file)
                mode[1] |= termios.OPOST | termios.ONLCR
                termios.tcsetattr(self.file, termios.TCSANOW, mode)
            except termios.error:
                self._saved = None
        return self

    def __exit__(self, *_):
        if self._saved is not None:
            # Not drained: a terminal that went away must not hold us.
            termios.tcsetattr(self.file, termios.TCSANOW, self._saved)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def read(self):
        """Bytes typed, without our own sequences; None: there will be no more. Raises Interrupted for "~."."""
        data = os.read(self.file, 4096)
        if not data:
            self.file = None
            return None
        if not self._terminal:
            return data
        return b"".join(self._filter(byte) for byte in data)

    def _filter(self, byte):
        key = bytes((byte,))
        if self._tilde:
            self._tilde = False
            if key == b".":
                raise Interrupted("you typed ~.")
            self._line_start = key in b"\r\n"
            return key if key == b"~" else b"~" + key
        if self._line_start and key == b"~":
            self._tilde = True
            return b""
        self._line_start = key in b"\r\n"
        return key


def interrupt(number, _frame):
    """A signal's handler."""
    raise Interrupted(f"got {signal.Signals(number).name}")


class Passage:
    """What went between the terminal and the machine."""

    def __init__(self, emulator, results, progress):
        self.started = False  # the hypervisor has said something
        self.before = b""  # what came before that, as far as it is kept
        self._emulator = emulator
        self._results = results
        self._progress = progress
        self._last = b"\n"

    def run(self, deadline):
        """Until the machine ends: True; or until deadline (of time.monotonic(), None: never): False."""
        typed = b""
        try:
            with Keys() as keys:
                while deadline is None or time.monotonic() < deadline:
                    # What is piped in stays in the pipe until the machine takes it.
                    room = self._emulator.unsent() + len(typed) < 4096
                    data, ready = self._emulator.receive(0.2, [keys.file] if keys.file is not None and room else [])
                    if data is None:
                        return True
                    self._take(data)
                    if ready:
                        typed += keys.read() or b""
                    if self.started and typed:
                        self._emulator.send(typed)
                        typed = b""
            return False
        finally:
            self._progress.done()
            if self._last != b"\n":
                self._show(b"\n")

    def _take(self, data):
        self._results.feed(data)
        if self.started:
            self._show(data)
            return
        self.before = (self.before + data)[-KEPT_BACK:]
        self._progress.tick()
        at = self.before.find(START_MARK)
        if at >= 0:
            self._progress.done()
            self.started = True
            self._show(boot_loader_errors(self.before[:at]) + self.before[at:])

    def _show(self, data):
        last, self._last = data[-1:] or self._last, b"\n"  # of what cannot be written, no line is to be ended
        output.show(data)
        self._last = last
