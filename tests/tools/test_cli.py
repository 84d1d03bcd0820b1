"""./lapwing where nothing can be written, and what of GRUB's messages is shown."""

import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from lapwing import cli, config, iso, machine, terminal
from lapwing.base import CHECKER, LapwingError, TOP, version


class ReadOnly(unittest.TestCase):
    """A checkout on a file system that is read-only."""

    def build(self, up_to_date):
        run = mock.Mock(return_value=mock.Mock(returncode=0 if up_to_date else 1, stdout=b""))
        with mock.patch("os.access", return_value=False), mock.patch("subprocess.run", run):
            cli.build((CHECKER,))
        return run.call_args[0][0]

    def test_nothing_is_built(self):
        self.assertIn("-q", self.build(True))

    def test_what_has_to_be_built_is_said(self):
        for there, what in ((False, "first"), (True, "again, for sources are newer")):
            with mock.patch("os.path.exists", return_value=there):
                with self.assertRaisesRegex(LapwingError, f"^/.* cannot be written, and build/host/lapwing-check there must be built {what}: run make as who may$"):
                    self.build(False)


class CommandLine(unittest.TestCase):
    """What of it is refused, in one line; and what the checker gets."""

    def said(self, *argv, status=2):
        with mock.patch("lapwing.cli.tell") as tell, mock.patch("lapwing.cli.build"):
            self.assertEqual(cli.main(list(argv)), status)
        return "".join(call.args[0] for call in tell.call_args_list)

    def test_cpus(self):
        for number in ("0", "257", "-1", "x", "9" * 30):
            self.assertEqual(self.said("check", f"--cpus={number}", "a.conf"),
                             f"lapwing: argument --cpus: {number} is no number from 1 to 256; see ./lapwing check --help\n")

    def test_standard_input(self):
        self.assertEqual(self.said("check", "-"), "lapwing: standard input is not read: give the name of a config file\n")

    def test_a_name_like_an_option(self):
        done = mock.Mock(returncode=0, stderr=b"", stdout=b"")
        with mock.patch("subprocess.run", return_value=done) as run, mock.patch("lapwing.cli.say"):
            self.assertEqual(self.said("check", "--cpus", "256", "--", "-h.conf", status=0), "")
        self.assertEqual(run.call_args[0][0], [CHECKER, "--list", "--cpus", "256", "--", "-h.conf"])

    def test_emulator_arguments(self):
        run = mock.Mock(return_value=0)
        with mock.patch.dict(cli.COMMANDS, run=run):
            self.said("run", "a.conf", "--", "-s", "--", "x", status=0)
        self.assertEqual(run.call_args[0][0].emulator, ["-s", "--", "x"])

    def test_interrupted(self):
        for why, said in ((KeyboardInterrupt(), "interrupted"), (terminal.Interrupted("got SIGTERM"), "got SIGTERM")):
            with mock.patch.dict(cli.COMMANDS, check=mock.Mock(side_effect=why)):
                self.assertEqual(self.said("check", "a.conf", status=3), f"lapwing: ended: {said}\n")

    def test_a_signal_leaves_nothing_behind(self):
        """While the boot image is made, too."""
        script = "\n".join(("import os, signal, sys", "from lapwing import cli, iso", "def ended(*_): os.kill(os.getpid(), signal.SIGTERM)",
                            "iso._mkrescue = ended", "cli.COMMANDS['check'] = lambda *_: iso.make('x.iso', [], {})",
                            "sys.exit(cli.main(['check', 'a.conf']))"))
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, "-B", "-c", script], cwd=folder, stderr=subprocess.PIPE, check=False, timeout=60,
                                  env={**os.environ, "TMPDIR": folder, "PYTHONPATH": os.path.join(TOP, "tools")})
            self.assertEqual(os.listdir(folder), [])
        self.assertEqual((done.returncode, done.stderr), (3, b"lapwing: ended: got SIGTERM\n"))

    def test_one_of_them(self):
        for number, words in ((1, "1 CPU,"), (2, "2 CPUs,")):
            self.assertIn(words, machine.Machine("svm", cpus=number).describe())


class DefaultMemory(unittest.TestCase):
    def test_root_takes_its_part(self):
        """24 MiB and a 32nd of the machine's (lib/pool_size.h): what is left has to do for the guests and their files."""
        for gibibytes in (1, 8, 60):
            found = mock.Mock(files=[])
            found.memory.return_value = gibibytes << 30
            memory = cli.default_memory(found)
            self.assertGreaterEqual(memory - (24 << 20) - memory // 32, (gibibytes << 30) + (64 << 20))


class Warnings(unittest.TestCase):
    def test_they_are_no_problems(self):
        said = b"a.conf:3:9: warning: the quotes\na.conf:4:1: wrong\n"
        with mock.patch("subprocess.run", return_value=mock.Mock(returncode=1, stderr=said, stdout=b"")):
            found = config.check("a.conf")
        self.assertEqual((found.warnings, found.problems), ("a.conf:3:9: warning: the quotes\n", "a.conf:4:1: wrong\n"))


class Grub(unittest.TestCase):
    def test_errors_are_shown(self):
        before = b"\x1b[2J\x1b[1;1HGRUB loading.\r\n\x1b[0merror: file `/boot/web.gz' not found.\r\nBooting\r\n"
        self.assertEqual(terminal.boot_loader_errors(before), b"GRUB: error: file `/boot/web.gz' not found.\r\n")

    def test_silence_otherwise(self):
        self.assertEqual(terminal.boot_loader_errors(b"Booting `Lapwing'\r\n"), b"")


class Version(unittest.TestCase):
    def test_all_say_the_same(self):
        said = subprocess.run([os.path.join(TOP, "lapwing"), "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
        self.assertEqual(said, f"Lapwing {version()}\n")
        self.assertRegex(iso.volume_name(), r"^LAPWING_[A-Z0-9_]{1,24}$")
        with open(os.path.join(TOP, "build", "lapwing.elf"), "rb") as file:
            self.assertIn(f"Lapwing {version()} starts".encode(), file.read())


if __name__ == "__main__":
    unittest.main()
