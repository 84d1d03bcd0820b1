"""./lapwing where nothing can be written, and what of GRUB's messages is shown."""

import unittest
from unittest import mock

from lapwing import cli, config, terminal
from lapwing.base import CHECKER, LapwingError


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
        with self.assertRaisesRegex(LapwingError, r"^/.* cannot be written, and build/host/lapwing-check there must be built"):
            self.build(False)


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


if __name__ == "__main__":
    unittest.main()
