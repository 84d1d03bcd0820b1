"""./lapwing where what it says cannot be written: a full disk, a reader that has ended, no descriptor at all."""

import errno
import os
import subprocess
import sys
import tempfile
import types
import unittest
from unittest import mock

from lapwing import iso
from lapwing.base import LapwingError, TOP
from lapwing.emulator import Emulator

COMMAND = os.path.join(TOP, "lapwing")

# A run whose machine says one line.
RUN = """
import sys, types
from lapwing import cli, output, terminal
from lapwing.emulator import Emulator
from lapwing.results import Results

def run(arguments, progress):
    machine = types.SimpleNamespace(kind="svm", debugger=False, qemu=lambda *_: ["echo", "lapwing| Lapwing starts"])
    with Emulator(machine, "image") as emulator:
        terminal.Passage(emulator, Results(), progress).run(None)
    return 0

cli.COMMANDS["run"] = run
sys.exit(cli.main(["run", "my.conf"]))
"""
FULL = "lapwing: cannot write to standard output: No space left on device\n"


def reader_has_ended():
    reading, writing = os.pipe()
    os.close(reading)
    return open(writing, "wb", buffering=0)


class StandardOutput(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.config = os.path.join(folder.name, "my.conf")
        image = os.path.join(folder.name, "image")
        with open(image, "wb") as file:  # the shortest multiboot image: its header, loaded where it says
            for word in (0x1badb002, 0x10000, 0x100000000 - 0x1badb002 - 0x10000, 0x100000, 0x100000, 0, 0, 0x100000):
                file.write(word.to_bytes(4, "little"))
        with open(self.config, "w", encoding="ascii") as file:
            file.write("[guest g]\nimage=image\n")

    def ends(self, command, status, said, **streams):
        done = subprocess.run(command, stderr=subprocess.PIPE, cwd=os.path.join(TOP, "tools"), check=False, timeout=120, **streams)
        self.assertEqual((done.returncode, done.stderr.decode()), (status, said))

    def commands(self):
        return [COMMAND, "check", self.config], [COMMAND, "--help"], [sys.executable, "-B", "-c", RUN]

    def test_a_full_disk(self):
        for command in self.commands():
            with self.subTest(command=command), open("/dev/full", "wb") as full:
                self.ends(command, 3, FULL, stdout=full)

    def test_a_reader_that_has_ended(self):
        for command in self.commands():
            with self.subTest(command=command), reader_has_ended() as pipe:
                self.ends(command, 3, "", stdout=pipe)

    def test_none(self):
        for command in self.commands():
            with self.subTest(command=command):
                self.ends(command, 0, "", preexec_fn=lambda: (os.close(0), os.close(1)))

    def test_errors_that_cannot_be_told(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([COMMAND, "check", "/nowhere"], stdout=subprocess.PIPE, stderr=full, check=False, timeout=120)
        self.assertEqual((done.returncode, done.stdout), (2, b""))


class Files(unittest.TestCase):
    def test_log(self):
        machine = types.SimpleNamespace(kind="svm", debugger=False, qemu=lambda *_: ["echo", "a line"])
        with open("/dev/full", "wb", buffering=0) as log, Emulator(machine, "image", log) as emulator:
            with self.assertRaisesRegex(LapwingError, "^cannot write the log /dev/full: No space left on device$"):
                while emulator.receive(1)[0] is not None:
                    pass

    def test_temporary_files(self):
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/boot/vmlinuz")  # of a copy that failed; it names the source
        with mock.patch("shutil.copyfile", side_effect=error), self.assertRaises(LapwingError) as caught:
            iso.make("/dev/null", [], {"/boot/a": "/boot/vmlinuz"})
        self.assertRegex(str(caught.exception), "^cannot make /dev/null in .*/lapwing-iso-[^/:]*: No space left on device$")

    def test_image(self):
        for said, what in (("libburn : SORRY : Cannot write. : No space left\nxorriso : FAILURE : libburn\n.\n", "Cannot write. : No space left"),
                           ("xorriso : FAILURE : Image size 9s exceeds 1s\nerror: invocation failed\n.\n", "Image size 9s exceeds 1s"),
                           ("grub-mkrescue: error: cannot open `a'\n.\n", "cannot open `a'"), (".\n", "it failed")):
            run = mock.Mock(return_value=mock.Mock(returncode=1, stdout=said.encode()))
            with mock.patch("subprocess.run", run), self.assertRaises(LapwingError) as caught:
                iso.make("/dev/null", [], {})
            self.assertEqual(str(caught.exception), "grub-mkrescue could not write /dev/null: " + what)


if __name__ == "__main__":
    unittest.main()
