"""QEMU's debugger, by GDB's remote serial protocol (GDB manual, appendix E)."""

import re
import socket
import time

from debugger import Debugger
from harness import Failure

REGISTERS = {"rsi": 4, "rip": 16, "rflags": 17}  # their numbers in org.gnu.gdb.i386.core for amd64


class Gdb(Debugger):
    """Attached to an emulator that was started with `-gdb unix:PATH,server=on,wait=off`."""

    def __init__(self, path, limit=30):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(limit)
        end = time.monotonic() + limit
        while True:
            try:
                self._socket.connect(path)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        self._buffer = b""
        self._ask("qSupported:swbreak+;hwbreak+")
        self._ask("?")  # the machine has stopped with the connection

    def close(self):
        self._send("D")
        self._socket.close()

    def _send(self, text):
        data = text.encode()
        self._socket.sendall(b"$%s#%02x" % (data, sum(data) & 255))

    def _receive(self):
        while True:
            found = re.search(rb"\$([^#]*)#..", self._buffer, re.DOTALL)
            if found:
                self._buffer = self._buffer[found.end():]
                self._socket.sendall(b"+")
                return found[1].decode()
            data = self._socket.recv(65536)
            if not data:
                raise Failure("the debugger's connection ended")
            self._buffer += data

    def _ask(self, text):
        self._send(text)
        return self._receive()

    def stop_at(self, address, code, tries=200):
        for _ in range(tries):
            self._ask(f"Z1,{address:x},1")
            self._send("vCont;c")
            reply = self._receive()
            self._ask(f"z1,{address:x},1")
            thread = re.search(r"thread:([^;]+);", reply)
            if not thread:
                raise Failure(f"the debugger did not stop: {reply}")
            self._ask(f"Hg{thread[1]}")
            if self._ask(f"m{address:x},{len(code):x}") == code.hex():
                return
            self._send(f"vCont;s:{thread[1]}")
            self._receive()
        raise Failure(f"no CPU came to 0x{address:x}")

    def go(self):
        self._send("vCont;c")

    def halt(self):
        self._socket.sendall(b"\x03")
        self._receive()

    def _physical(self, request):
        if self._ask("Qqemu.PhyMemMode:1") != "OK":
            raise Failure("this emulator's debugger knows no physical memory")
        reply = self._ask(request)
        self._ask("Qqemu.PhyMemMode:0")
        return reply

    def read(self, address, size):
        data = b""
        while len(data) < size:
            reply = self._physical(f"m{address + len(data):x},{min(size - len(data), 1024):x}")
            if not re.fullmatch("(?:[0-9a-f]{2})+", reply):
                raise Failure(f"physical memory at 0x{address:x} cannot be read: {reply}")
            data += bytes.fromhex(reply)
        return data

    def write(self, address, data):
        if self._physical(f"M{address:x},{len(data):x}:{data.hex()}") != "OK":
            raise Failure(f"physical memory at 0x{address:x} cannot be written")

    def rflags(self):
        return int.from_bytes(bytes.fromhex(self._ask(f"p{REGISTERS['rflags']:x}")), "little")

    def set_register(self, name, value):
        if self._ask(f"P{REGISTERS[name]:x}={value.to_bytes(8, 'little').hex()}") != "OK":
            raise Failure(f"register {name} cannot be set")
