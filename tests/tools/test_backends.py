"""The back ends' tables in build/lapwing.elf: each hook of struct backend is there, once, and nowhere empty without a reason."""

import os
import re
import subprocess
import sys
import unittest

from lapwing.base import BUILD

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "boot"))

import elf  # noqa: E402 (the path has to be set first)

IMAGE = os.path.join(BUILD, "lapwing.elf")
LIFE = ("vcpu_create", "vcpu_destroy")
DATA = ("name", "nested")
# kernel/vm/backend.h: "Of a back end that gives TASK_SWITCH exits"; SVM does not intercept task switches.
MAY_LACK = {"svm": {"switch_task"}, "vmx": {"set_cr4"}}  # whose exits the other back end alone gives to root


def numbers(address, count):
    """64-bit numbers in the image's data."""
    dump = subprocess.run(["objdump", "-s", f"--start-address={address}", f"--stop-address={address + 8 * count}", IMAGE],
                          capture_output=True, text=True, check=True).stdout
    data = bytes.fromhex("".join(re.findall(r"^ [0-9a-f]+ ((?:[0-9a-f]+ ){1,4})", dump, re.MULTILINE)).replace(" ", ""))
    return [int.from_bytes(data[i:i + 8], "little") for i in range(0, 8 * count, 8)]


def functions():
    """{address: name} of the image's functions."""
    listing = subprocess.run(["nm", IMAGE], capture_output=True, text=True, check=True).stdout
    return {int(address, 16): name for address, name in re.findall(r"^([0-9a-f]+) [tT] (\w+)$", listing, re.MULTILINE)}


class Backends(unittest.TestCase):
    def setUp(self):
        self.fields = elf.fields(IMAGE, "backend")
        self.tables = {name: elf.symbol(IMAGE, name) for name in MAY_LACK}

    def table(self, name):
        values = numbers(self.tables[name], len(self.fields))
        return {field: values[at // 8] for field, at in self.fields.items()}

    def test_fields(self):
        """Pointers without gaps: what follows reads all of them. A guest's life has one hook for each of its steps."""
        self.assertEqual(sorted(self.fields.values()), list(range(0, 8 * len(self.fields), 8)))
        self.assertEqual(sorted(field for field in self.fields if re.search("create|destroy", field)), sorted(LIFE))

    def test_registered(self):
        """Both tables are known to root, each once."""
        start, end = (elf.symbol(IMAGE, name) for name in ("backends_start", "backends_end"))
        self.assertEqual(sorted(numbers(start, (end - start) // 8)), sorted(self.tables.values()))

    def test_hooks(self):
        """Every hook is a function, and none of them stands in two places."""
        known = functions()
        for name in self.tables:
            hooks = self.table(name)
            for field in DATA:
                self.assertNotEqual(hooks.pop(field), 0)
            empty = {field for field, value in hooks.items() if not value}
            with self.subTest(backend=name):
                self.assertLessEqual(empty, MAY_LACK[name])
                taken = [value for value in hooks.values() if value]
                self.assertEqual(len(set(taken)), len(taken))
                self.assertEqual([hex(value) for value in taken if value not in known], [])

    def test_apart(self):
        """No function serves both back ends."""
        first, second = (set(self.table(name).values()) - {0} for name in self.tables)
        self.assertEqual(first & second, set())


if __name__ == "__main__":
    unittest.main()
