"""tools/mend-qemu, on a small program in QEMU's place, and what tools/setup made of the emulator."""
import importlib.machinery
import importlib.util
import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(ROOT, "tools", "mend-qemu")
EMULATOR = os.path.join(ROOT, "build", "emu", "root", "usr", "bin", "qemu-system-x86_64")
PROGRAM = """
#include <stdio.h>
int flags = 0xff;
void %s(void) { flags &= ~0x80; }
int main(void) { %s(); printf("%%x\\n", flags); return 0; }
"""


def load():
    loader = importlib.machinery.SourceFileLoader("mend_qemu", TOOL)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mend_qemu", loader))
    loader.exec_module(module)
    return module


class MendTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.program = os.path.join(folder.name, "program")

    def build(self, function, *flags):
        source = PROGRAM.replace("%s", function).replace("%%", "%")
        subprocess.run(["gcc", "-x", "c", "-O0", "-rdynamic", *flags, "-o", self.program, "-"], input=source.encode(), check=True)

    def run_program(self):
        return subprocess.run([self.program], stdout=subprocess.PIPE, check=True).stdout

    def mend(self):
        return subprocess.run([TOOL, self.program], stderr=subprocess.PIPE, text=True, check=False)

    def test_the_function_does_nothing_any_more(self):
        for protection in ("none", "branch"):
            with self.subTest(protection):
                self.build("cpu_clear_ignne", f"-fcf-protection={protection}")
                self.assertEqual(self.run_program(), b"7f\n")
                self.assertEqual(self.mend().returncode, 0)
                self.assertEqual(self.run_program(), b"ff\n")
                self.assertEqual(self.mend().returncode, 0)
                self.assertEqual(self.run_program(), b"ff\n")

    def test_another_program_stays_as_it_is(self):
        self.build("another_function")
        with open(self.program, "rb") as file:
            before = file.read()
        result = self.mend()
        self.assertEqual(result.returncode, 1)
        self.assertIn("exports no cpu_clear_ignne()", result.stderr)
        with open(self.program, "rb") as file:
            self.assertEqual(file.read(), before)

    def test_what_is_no_program_is_refused_by_a_line(self):
        for content in (b"", b"\x7fELF\x02", b"#!/bin/sh\n", b"\x7fELF\x02" + b"\xff" * 100):
            with self.subTest(content[:8]):
                with open(self.program, "wb") as file:
                    file.write(content)
                result = self.mend()
                self.assertEqual(result.returncode, 1)
                self.assertEqual(result.stderr.count("\n"), 1)

    def test_the_emulator_is_mended(self):
        with open(EMULATOR, "rb") as file:
            self.assertTrue(load().is_mended(file.read()), "run tools/setup")


if __name__ == "__main__":
    unittest.main()
