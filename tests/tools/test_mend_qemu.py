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
# In place of QEMU's: the second number is what paging is behind update_cr0(), 1 if it was not refused.
PROGRAM = """
#include <stdio.h>
struct env { char other[0x1c8]; unsigned long cr4; int paging; } env;
int flags = 0xff;
void %s(void) { flags &= ~0x80; }
__attribute__((noinline)) void %s(struct env *e) { if (!(e->cr4 & 0x20)) return; e->paging = 1; }
int main(void) { %s(); %s(&env); printf("%%x %%d\\n", flags, env.paging); return 0; }
"""
NAMES = ("cpu_clear_ignne", "cpu_x86_update_cr0")


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

    def build(self, names, *flags):
        source = PROGRAM % (names + names)
        subprocess.run(["gcc", "-x", "c", "-O1", "-rdynamic", *flags, "-o", self.program, "-"], input=source.encode(), check=True)

    def run_program(self):
        return subprocess.run([self.program], stdout=subprocess.PIPE, check=True).stdout

    def mend(self):
        return subprocess.run([TOOL, self.program], stderr=subprocess.PIPE, text=True, check=False)

    def test_both_are_mended_once(self):
        for protection in ("none", "branch"):
            with self.subTest(protection):
                self.build(NAMES, f"-fcf-protection={protection}")
                self.assertEqual(self.run_program(), b"7f 0\n")
                for _ in range(2):
                    self.assertEqual(self.mend().returncode, 0)
                    self.assertEqual(self.run_program(), b"ff 1\n")

    def test_one_is_mended_where_the_other_cannot_be(self):
        for names, said, missing in (((NAMES[0], "other"), b"ff 0\n", NAMES[1]), (("other", NAMES[1]), b"7f 1\n", NAMES[0])):
            with self.subTest(missing):
                self.build(names)
                result = self.mend()
                self.assertEqual(result.returncode, 1)
                self.assertRegex(result.stderr, rf"^mend-qemu: .*: it exports no {missing}\(\); [^\n]*\n$")
                self.assertEqual(self.run_program(), said)

    def test_another_function_of_that_name_stays_as_it_is(self):
        source = "void cpu_clear_ignne(void) {}\nvoid cpu_x86_update_cr0(void) {}\nint main(void) { return 0; }\n"
        subprocess.run(["gcc", "-x", "c", "-O1", "-rdynamic", "-o", self.program, "-"], input=source.encode(), check=True)
        result = self.mend()
        self.assertEqual(result.returncode, 1)
        self.assertIn("looks at CR4.PAE in 0 places", result.stderr)

    def test_another_program_stays_as_it_is(self):
        self.build(("another", "still_another"))
        with open(self.program, "rb") as file:
            before = file.read()
        self.assertEqual(self.mend().returncode, 1)
        with open(self.program, "rb") as file:
            self.assertEqual(file.read(), before)

    def test_what_is_no_program_is_refused_by_a_line_for_each(self):
        for content in (b"", b"\x7fELF\x02", b"#!/bin/sh\n", b"\x7fELF\x02" + b"\xff" * 100):
            with self.subTest(content[:8]):
                with open(self.program, "wb") as file:
                    file.write(content)
                result = self.mend()
                self.assertEqual(result.returncode, 1)
                self.assertEqual(result.stderr.count("\n"), 2)

    def test_the_emulator_is_mended(self):
        with open(EMULATOR, "rb") as file:
            self.assertTrue(load().is_mended(file.read()), "run tools/setup")


if __name__ == "__main__":
    unittest.main()
