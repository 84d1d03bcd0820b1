"""An emulator and who started it; the emulator is a program that sleeps."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest

from lapwing.base import LapwingError
from lapwing.emulator import Emulator

TOOLS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "tools")
STARTER = """
import time, types
from lapwing.emulator import Emulator
machine = types.SimpleNamespace(kind="svm", debugger=False, qemu=lambda *_: ["sleep", "600"])
print(Emulator(machine, "image").process.pid, flush=True)
time.sleep(600)
"""


def runs(pid):
    """It does, and is no zombie that somebody else has to wait for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def name(pid):
    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
        return file.read().strip()


def comes(condition):
    """True as soon as it holds; False: not within 10 s."""
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


class EndTest(unittest.TestCase):
    def test_an_emulator_ends_with_who_started_it(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        with subprocess.Popen([sys.executable, "-B", "-c", STARTER], stdout=subprocess.PIPE, cwd=TOOLS,
                              env={**os.environ, "TMPDIR": folder.name}) as starter:
            pid = int(starter.stdout.readline())
            self.assertTrue(comes(lambda: name(pid) == "sleep"))
            starter.send_signal(signal.SIGKILL)
        still = not comes(lambda: not runs(pid))
        if still:
            os.kill(pid, signal.SIGKILL)
        self.assertFalse(still)

    def test_one_that_is_not_there(self):
        machine = types.SimpleNamespace(kind="svm", debugger=False, qemu=lambda *_: ["/nowhere/qemu"])
        with self.assertRaisesRegex(LapwingError, "^/nowhere/qemu is not there; run tools/setup$"):
            Emulator(machine, "image")


if __name__ == "__main__":
    unittest.main()
