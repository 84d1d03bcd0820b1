"""Bochs' own debugger, at its prompt."""

import os
import re
import select
import time

from debugger import Debugger
from harness import Failure

PROMPT = re.compile(r"<bochs:\d+> ")
LINE_TAKEN = re.compile(r"\n")
ESCAPES = re.compile(r"\x1b\[[?0-9;]*[a-z]")


class Bochs(Debugger):
    """Attached to a Bochs that runs with `-debugger`: terminal is its descriptor, interrupt() sends it a SIGINT."""

    def __init__(self, terminal, interrupt, limit=30):
        self._terminal = terminal
        self._interrupt = interrupt
        self._limit = limit
        # What came when it started, its first prompt among it.
        while select.select([terminal], [], [], 0)[0]:
            os.read(terminal, 65536)
        self.halt()

    def close(self):
        self.go()

    def _receive(self, pattern, limit):
        """What comes before a match, which ends what comes: Bochs asks for one command at a time. None: it does not come."""
        text, end = "", time.monotonic() + limit
        while True:
            found = pattern.search(text)
            if found:
                return text[:found.start()]
            if not select.select([self._terminal], [], [], max(end - time.monotonic(), 0))[0]:
                return None
            text = ESCAPES.sub("", text + os.read(self._terminal, 65536).decode(errors="replace"))

    def _ask(self, line, until=PROMPT):
        os.write(self._terminal, line.encode() + b"\n")
        reply = self._receive(until, self._limit)
        if reply is None:
            raise Failure(f"Bochs' debugger does not answer to {line!r}")
        return reply

    def go(self):
        # A SIGINT before the line was taken would only throw it away.
        self._ask("c", LINE_TAKEN)

    def halt(self):
        # One that comes when Bochs is just about to go on is lost.
        for _ in range(self._limit):
            self._interrupt()
            if self._receive(PROMPT, 1) is not None:
                return
        raise Failure("Bochs does not stop")

    def stop_at(self, address, code, tries=200):
        for _ in range(tries):
            number = self._break_point(address)
            stopped = self._ask("c")
            self._ask(f"d {number}")
            cpu = re.search(r"\((\d+)\) Breakpoint", stopped)
            if not cpu:
                raise Failure(f"the debugger did not stop: {stopped}")
            self._ask(f"set $cpu = {cpu[1]}")
            if self._bytes("x", address, len(code)) == code:
                return
            self._ask("s")
        raise Failure(f"no CPU came to 0x{address:x}")

    def _break_point(self, address):
        self._ask(f"lb 0x{address:x}")
        numbers = re.findall(r"^ *(\d+) +lbreakpoint", self._ask("info b"), re.MULTILINE)
        if not numbers:
            raise Failure(f"there can be no break point at 0x{address:x}")
        return numbers[-1]

    def _bytes(self, command, address, size):
        values = re.findall(r"\t0x([0-9a-f]{2})(?=\s)", self._ask(f"{command} /{size}bx 0x{address:x}") + "\n")
        return bytes(int(value, 16) for value in values)

    def read(self, address, size):
        data = b""
        while len(data) < size:
            piece = self._bytes("xp", address + len(data), min(size - len(data), 1024))
            if not piece:
                raise Failure(f"physical memory at 0x{address:x} cannot be read")
            data += piece
        return data

    def write(self, address, data):
        size = 4 if len(data) % 4 == 0 else 1
        for i in range(0, len(data), size):
            self._ask(f"setpmem 0x{address + i:x} {size} 0x{int.from_bytes(data[i:i + size], 'little'):x}")
        if self.read(address, len(data)) != data:
            raise Failure(f"physical memory at 0x{address:x} cannot be written")

    def rflags(self):
        return int(re.search(r"eflags:? 0x([0-9a-f]+)", self._ask("r"))[1], 16)

    def set_register(self, name, value):
        self._ask(f"set {name} = 0x{value:x}")
