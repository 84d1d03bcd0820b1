"""A debugger for the emulated machine, by GDB's remote serial protocol (GDB manual, appendix E), and ELF symbols.

A boot test breaks with it what cannot break by itself: it stops a CPU at a function of root or of a world, and changes
its registers.
"""

import re
import socket
import subprocess
import time

from harness import Failure

RIP = 16  # number of the register in org.gnu.gdb.i386.core for amd64


def symbol(elf, name):
    """The address of a function or variable."""
    listing = subprocess.run(["nm", elf], capture_output=True, text=True, check=True).stdout
    found = re.search(rf"^([0-9a-f]+) [a-zA-Z] {name}$", listing, re.MULTILINE)
    if not found:
        raise Failure(f"{elf} has no symbol {name}")
    return int(found[1], 16)


def function(elf, name):
    """(address, first 16 bytes in hex) of a function."""
    address = symbol(elf, name)
    dump = subprocess.run(["objdump", "-s", f"--start-address={address}", f"--stop-address={address + 16}", elf],
                          capture_output=True, text=True, check=True).stdout
    return address, "".join(re.findall(r"^ [0-9a-f]+ ((?:[0-9a-f]+ ){1,4})", dump, re.MULTILINE)).replace(" ", "")


def illegal_instruction(elf):
    """The address of a UD2 in the text of an ELF file."""
    listing = subprocess.run(["objdump", "-d", elf], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"^ +([0-9a-f]+):\s+0f 0b +\s*ud2", listing, re.MULTILINE)[1], 16)


class Debugger:
    """Attached to an emulator that was started with `-gdb unix:PATH,server=on,wait=off`; the machine stops at once."""

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
        self.ask("qSupported:swbreak+;hwbreak+")
        self.ask("?")

    def close(self):
        """Let the machine go on alone."""
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
            data = self._socket.recv(4096)
            if not data:
                raise Failure("the debugger's connection ended")
            self._buffer += data

    def ask(self, text):
        self._send(text)
        return self._receive()

    def stop_at(self, address, code, tries=200):
        """Run until a CPU is at this virtual address with this code (in hex) there; that CPU is chosen."""
        for _ in range(tries):
            self.ask(f"Z1,{address:x},1")
            self._send("vCont;c")
            reply = self._receive()
            self.ask(f"z1,{address:x},1")
            thread = re.search(r"thread:([^;]+);", reply)
            if not thread:
                raise Failure(f"the debugger did not stop: {reply}")
            self.ask(f"Hg{thread[1]}")
            if self.ask(f"m{address:x},{len(code) // 2:x}") == code:
                return
            self._send(f"vCont;s:{thread[1]}")
            self._receive()
        raise Failure(f"no CPU came to 0x{address:x}")

    def go(self):
        """Let the machine run, until halt()."""
        self._send("vCont;c")

    def halt(self):
        self._socket.sendall(b"\x03")
        self._receive()

    def read(self, address, size):
        """Bytes of physical memory."""
        if self.ask("Qqemu.PhyMemMode:1") != "OK":
            raise Failure("physical memory cannot be read")
        data = bytes.fromhex(self.ask(f"m{address:x},{size:x}"))
        self.ask("Qqemu.PhyMemMode:0")
        return data

    def write(self, address, data):
        """Bytes to physical memory."""
        if self.ask("Qqemu.PhyMemMode:1") != "OK" or self.ask(f"M{address:x},{len(data):x}:{data.hex()}") != "OK":
            raise Failure(f"physical memory at 0x{address:x} cannot be written")
        self.ask("Qqemu.PhyMemMode:0")

    def set_register(self, number, value):
        if self.ask(f"P{number:x}={value.to_bytes(8, 'little').hex()}") != "OK":
            raise Failure(f"register {number} cannot be set")
