"""A running emulator and its serial port."""

import errno
import os
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import tty

from .base import LapwingError
from .machine import BOCHS_ENVIRONMENT


class Emulator:
    """Started on creation; close() ends it in every case. Also a context manager."""

    def __init__(self, machine, image, log=None, modules=(), kernel_args=""):
        self._folder = tempfile.TemporaryDirectory(prefix="lapwing-run-")
        self._log = log
        self._unsent = b""
        self._closing = []
        self._kind = machine.kind
        self.debugger = None  # path of the socket of QEMU's, descriptor of the terminal of Bochs'; None: there is none
        try:
            if machine.kind == "vmx":
                self._start_bochs(machine, image)
            else:
                self.debugger = self._path("gdb") if machine.debugger else None
                self._start_qemu(machine.qemu(image, "stdio", modules, kernel_args, self.debugger))
        except FileNotFoundError as error:
            self._clean()
            raise LapwingError(f"{error.filename} is not there; run tools/setup") from error
        except BaseException:
            self._clean()
            raise
        os.set_blocking(self.input, False)

    def _start_qemu(self, command):
        self.process = self._spawn(command, subprocess.PIPE, subprocess.PIPE)
        self.input = self.process.stdin.fileno()
        self.output = self.process.stdout.fileno()

    def _start_bochs(self, machine, image):
        ours, theirs = pty.openpty()
        self._closing += [ours, theirs]
        tty.setraw(theirs)
        command = machine.bochs(image, self._folder.name, os.ttyname(theirs))
        terminal = subprocess.DEVNULL
        if machine.debugger:
            self.debugger, terminal = pty.openpty()
            self._closing += [self.debugger, terminal]
            tty.setraw(terminal)
        self.process = self._spawn(command, terminal, terminal, {**os.environ, **BOCHS_ENVIRONMENT})
        if machine.debugger:
            os.write(self.debugger, b"c\n")
        self.input = self.output = ours

    def _spawn(self, command, stdin, stdout, environment=None):
        if not shutil.which(command[0]):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
        # A session of its own: a Ctrl-C in our terminal is ours to handle. And an end with ours, however that comes: an emulator
        # that nobody reads from would spin for ever.
        with open(self._path("errors"), "wb") as errors:
            return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdin=stdin, stdout=stdout, stderr=errors,
                                    env=environment, start_new_session=True)

    def _path(self, name):
        return os.path.join(self._folder.name, name)

    def send(self, data):
        """Put bytes into the serial port, now or as soon as it takes them."""
        self._unsent += data

    def receive(self, timeout, also=()):
        """(bytes from the serial port, those of `also` that can be read). b"" after timeout seconds, None at the end."""
        readable, writable, _ = select.select([self.output, *also], [self.input] if self._unsent else [], [], timeout)
        if writable:
            self._flush()
        others = [file for file in readable if file != self.output]
        if self.output not in readable:
            # The far end of Bochs' terminal stays open, so that its end shows only here.
            return (None if self.process.poll() is not None and not readable else b""), others
        try:
            data = os.read(self.output, 65536)
        except OSError:
            data = b""
        self._copy(data)
        return data or None, others

    def _copy(self, data):
        """To the log, if there is one."""
        try:
            while data and self._log:
                data = data[self._log.write(data):]
                self._log.flush()
        except OSError as error:
            raise LapwingError(f"cannot write the log {self._log.name}: {error.strerror}") from error

    def _flush(self):
        try:
            self._unsent = self._unsent[os.write(self.input, self._unsent[:512]):]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent = b""

    def unsent(self):
        return len(self._unsent)

    def wait(self, timeout):
        """Exit status once it ended, 0 if the machine was switched off; None if it did not within that many seconds."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        # To Bochs that is a panic like others.
        return 0 if self._kind == "vmx" and self.errors().endswith("soft power off") else status

    def errors(self):
        """What the emulator itself complained about: its last line, or ""."""
        for name in ("errors", "bochs.log"):
            try:
                with open(self._path(name), encoding="utf-8", errors="replace") as file:
                    lines = file.read().strip().splitlines()
            except OSError:
                continue
            lines = [line for line in lines if "PANIC" in line or (name == "errors" and self._kind != "vmx")]
            if lines:
                return lines[-1]
        return ""

    def close(self):
        if self.process.poll() is None:
            # Bochs ignores SIGTERM, and there is nothing that either would have to save.
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self._clean()

    def _clean(self):
        process = getattr(self, "process", None)
        for stream in (process.stdin, process.stdout) if process else ():
            if stream:
                try:
                    stream.close()
                except OSError:
                    pass
        for descriptor in self._closing:
            os.close(descriptor)
        self._closing = []
        self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
