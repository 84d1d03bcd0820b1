"""./lapwing check finds what boot would refuse, with line and column; files are made up."""

import os
import subprocess
import tempfile
import unittest

from lapwing.base import CHECKER


def kernel(protocol=0x20c, init_size=8 << 20, size=64 << 10):
    """What stands at the start of a bzImage (Documentation/arch/x86/boot.rst)."""
    image = bytearray(size)
    image[0x1f1] = 1
    image[0x1fe:0x200] = b"\x55\xaa"
    image[0x202:0x206] = b"HdrS"
    image[0x206:0x208] = protocol.to_bytes(2, "little")
    image[0x211] = 1
    image[0x22c:0x230] = (0x7fffffff).to_bytes(4, "little")
    image[0x234] = 1
    image[0x236] = 1
    image[0x238:0x23c] = (255).to_bytes(4, "little")
    image[0x258:0x260] = (16 << 20).to_bytes(8, "little")
    image[0x260:0x264] = init_size.to_bytes(4, "little")
    return bytes(image)


class CheckCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.write("vmlinuz", kernel())

    def write(self, name, data):
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(data)

    def check(self, text, *expected, status=1):
        """The problems of a config file: each begins with LINE:COLUMN and holds the text behind it."""
        self.write("test.conf", text if isinstance(text, bytes) else text.encode())
        done = subprocess.run([CHECKER, "test.conf"], cwd=self.folder, capture_output=True, check=False)
        lines = done.stderr.decode().splitlines()
        self.assertEqual(len(lines), len(expected), lines)
        for line, part in zip(lines, expected):
            place, what = part.split(" ", 1)
            self.assertTrue(line.startswith(f"test.conf:{place}: "), line)
            self.assertIn(what, line)
        self.assertEqual(done.returncode, status, lines)

    def test_nothing_is_wrong(self):
        self.check("[guest g]\nimage=vmlinuz\nmemory=64M\ncmdline=quiet\n", status=0)

    def test_a_path(self):
        self.write("test.conf", b"[guest g]\nimage=vmlinuz\nmemory=64M\n")
        done = subprocess.run([CHECKER, os.path.join(self.folder, "test.conf")], capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_memory_below_init_size(self):
        self.check("[guest g]\nimage=vmlinuz\nmemory=20M\n", "3:8 needs RAM up to 0x1800000")

    def test_memory_below_the_initrd(self):
        self.write("initrd", bytes(50 << 20))
        self.check("[guest g]\nimage=vmlinuz\ninitrd=initrd\nmemory=64M\n", "4:8 initrd: 51200 KiB do not fit")

    def test_empty_files(self):
        self.write("empty", b"")
        self.check("[guest g]\nimage=vmlinuz\ninitrd=empty\n", '3:8 "empty" is an empty file')
        self.check("[guest g]\nimage=empty\n", '2:7 "empty" is an empty file')

    def test_old_protocol(self):
        self.write("old", kernel(protocol=0x203))
        self.check("[guest g]\nimage=old\n", "2:7 boot protocol 2.03")

    def test_command_line_that_the_kernel_does_not_take(self):
        self.check(f"[guest g]\nimage=vmlinuz\nmemory=64M\ncmdline={'x' * 300}\n", "4:9 300 characters, the kernel takes 255")

    def test_quotes(self):
        self.check('[guest g]\nimage=vmlinuz\ncmdline="quiet"\n', "3:9 warning: the quotes", status=0)
        self.check('[guest g]\nimage=vmlinuz\ncmdline=a="quiet"\n', status=0)

    def test_no_utf8(self):
        self.check(b"[guest g]\nimage=vmlinuz\ncmdline=caf\xe9\n", "3:12 byte 0xe9: this is no UTF-8")
        self.check("[guest g]\nimage=vmlinuz\ncmdline=café\n", status=0)

    def test_a_folder(self):
        os.mkdir(os.path.join(self.folder, "boot"))
        self.check("[guest g]\nimage=boot\n", '2:7 "boot" is not there: that is a folder')

    def test_compressed_images(self):
        for magic, tool in ((b"\x1f\x8b\x08", "gunzip"), (b"\xfd7zXZ\0", "unxz"), (b"\x28\xb5\x2f\xfd", "unzstd")):
            self.write("packed", magic + bytes(1000))
            self.check("[guest g]\nimage=packed\n", f"2:7 it is compressed; unpack it with {tool}")

    def test_modules_of_what_takes_none(self):
        self.write("m", b"m")
        self.check("[guest g]\nimage=vmlinuz\nmodules=m\n", "3:9 a Linux kernel takes no modules: say initrd = m")


if __name__ == "__main__":
    unittest.main()
