"""What a boot test can do to the machine from outside, whatever emulates it.

A boot test breaks with it what cannot break by itself: it stops a CPU at a function of root or of a world, and changes
its registers; or makes root's allocations fail. Session.boot(..., debugger=True) starts a machine that has one, and
Session.debugger() attaches to it. The names of an ELF file's symbols are resolved by tests/boot/elf.py.
"""


class Debugger:
    """Attached on creation, which stops the machine. Only a machine that stands still can be looked into."""

    def close(self):
        """Let the machine go on alone; it stands still before."""
        raise NotImplementedError

    def go(self):
        """Let the machine run, until halt()."""
        raise NotImplementedError

    def halt(self):
        raise NotImplementedError

    def stop_at(self, address, code, tries=200):
        """Run until a CPU is at this virtual address with this code there; that CPU is chosen."""
        raise NotImplementedError

    def read(self, address, size):
        """Bytes of physical memory."""
        raise NotImplementedError

    def write(self, address, data):
        """Bytes to physical memory."""
        raise NotImplementedError

    def rflags(self):
        """Bits 31:0 of RFLAGS of the chosen CPU."""
        raise NotImplementedError

    def set_register(self, name, value):
        """Of the chosen CPU: name is "rip" or "rsi"."""
        raise NotImplementedError
