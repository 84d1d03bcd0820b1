"""Bochs' own debugger, at its prompt."""

import os
import re
import select
import time

from debugger import Debugger
from harness import Failure

PROMPT = re.compile(r"<bochs:\d+> ")
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

    def _reply(self):
        """What comes before the next prompt, which stands at the end: Bochs asks for one command at a time."""
        text, end = "", time.monotonic() + self._limit
        while True:
            found = PROMPT.search(text)
            if found:
                return text[:found.start()]
            if not select.select([self._terminal], [], [], max(end - time.monotonic(), 0))[0]:
                raise Failure(f"Bochs' debugger does not answer: {text[-200:]!r}")
            text = ESCAPES.sub("", text + os.read(self._terminal, 65536).decode(errors="replace"))

    def _send(self, line):
        os.write(self._terminal, line.encode() + b"\n")

    def _ask(self, line):
        self._send(line)
        return self._reply()

    def go(self):
        self._send("c")

    def halt(self):
        self._interrupt()
        self._reply()

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
        for i, byte in enumerate(data):
            self._ask(f"setpmem 0x{address + i:x} 1 0x{byte:x}")
        if self.read(address, len(data)) != data:
            raise Failure(f"physical memory at 0x{address:x} cannot be written")

    def set_register(self, name, value):
        self._ask(f"set {name} = 0x{value:x}")
