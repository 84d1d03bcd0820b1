"""./lapwing check finds what boot would refuse, with line and column; files are made up."""

import os
import socket
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


def multiboot():
    """The shortest image: a header, loaded where it says (Multiboot specification 0.6.96, 3.1.3)."""
    magic, flags = 0x1badb002, 0x10000
    words = (magic, flags, -(magic + flags) % (1 << 32), 0x100000, 0x100000, 0, 0, 0x100000)
    return b"".join(word.to_bytes(4, "little") for word in words)


class CheckCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.write("vmlinuz", kernel())

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)

    def path(self, name):
        return os.path.join(self.folder, name)

    def check(self, text, *expected, status=1, powerless=False):
        """The problems of a config file: each begins with LINE:COLUMN and holds the text behind it. powerless: files' modes
        count even if we are root."""
        self.write("test.conf", text if isinstance(text, bytes) else text.encode())
        without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if powerless and os.geteuid() == 0 else []
        done = subprocess.run([*without, CHECKER, "test.conf"], cwd=self.folder, capture_output=True, timeout=60, check=False)
        lines = done.stderr.decode().splitlines()
        self.assertEqual(len(lines), len(expected), lines)
        for line, part in zip(lines, expected):
            place, what = part.split(" ", 1)
            self.assertTrue(line.startswith(f"test.conf:{place}: "), line)
            for words in what.split("*"):
                self.assertIn(words, line)
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
        self.check('[guest g]\nimage=vmlinuz\ncmdline="a b" c="d"\n', status=0)
        self.check("[guest g]\nimage=vmlinuz\ncmdline=it's\n", status=0)
        for half in ('"a b', 'a b"', 'a="b c', "'a b", "a b'", '"a" b"'):
            self.check(f"[guest g]\nimage=vmlinuz\ncmdline={half}\n", "3:9 warning: the command line has a quote without", status=0)

    def test_quotes_of_modules(self):
        self.write("mb", multiboot())
        self.check('[guest g]\nimage=mb\nmodules=mb "a b", vmlinuz "c\n', "3:19 warning: the module's arguments have a quote", status=0)

    def test_no_utf8(self):
        self.check(b"[guest g]\nimage=vmlinuz\ncmdline=caf\xe9\n", "3:12 byte 0xe9: this is no UTF-8")
        self.check("[guest g]\nimage=vmlinuz\ncmdline=café\n", status=0)

    def test_a_folder(self):
        os.mkdir(os.path.join(self.folder, "boot"))
        self.check("[guest g]\nimage=boot\n", '2:7 "boot" is a folder: give the path of a file')

    def test_what_is_no_file(self):
        """What cannot be read is said to be what it is; and a FIFO, which nobody writes to, is not waited for."""
        os.mkfifo(self.path("fifo"))
        os.symlink("nowhere", self.path("link"))
        os.symlink("loop", self.path("loop"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path("socket"))
            self.check("[guest a]\nimage=fifo\n[guest b]\nimage=socket\n[guest c]\nimage=/dev/null\n[guest d]\nimage=link\n"
                       "[guest e]\nimage=loop\n[guest f]\nimage=vmlinuz/\n[guest g]\nimage=vmlinuz\ninitrd=none\nmemory=64M\n",
                       '2:7 "fifo" is a FIFO: give the path of a file', '4:7 "socket" is a socket: give', '6:7 "/dev/null" is a device',
                       '8:7 "link" is a link to what is not there', '10:7 "loop" cannot be read: Too many levels of symbolic links',
                       '12:7 "vmlinuz/" is not there: give the path of a file', '15:8 "none" is not there: give the path of a file')

    def test_no_permission(self):
        self.write("secret", kernel())
        os.chmod(self.path("secret"), 0)
        self.check("[guest g]\nimage=secret\n", '2:7 "secret" cannot be read: Permission denied', powerless=True)

    def test_what_is_no_config_file(self):
        os.mkfifo(self.path("fifo"))
        for name, what in (("fifo", "is a FIFO: give the path of a file"), (".", "is a folder: give the path of a file"),
                           ("none", "is not there: name a config file")):
            done = subprocess.run([CHECKER, name], cwd=self.folder, capture_output=True, timeout=10, check=False)
            self.assertEqual((done.returncode, done.stderr.decode()), (2, f"{name} {what}\n"))

    def test_file_names(self):
        """GRUB cannot pass some names as they are; ./lapwing iso asks nobody else."""
        for name, column in (("a'b", 8), ('"a', 7), ("a\\b", 8), ("a b", 8), ("lapwing.conf", 7)):
            self.write(name, kernel())
            self.check(f"[guest g]\nimage={name}\nmemory=64M\n", f'2:{column} bad value for "image": it is one file name of')
        for name in ("a,b", "a$b", "a;b", "(hd0)", "{a}", "#a", "--", "ä"):
            self.write(name, kernel())
            self.check(f"[guest g]\nimage={name}\nmemory=64M\n", status=0)

    def test_as_many_files_as_boot_modules(self):
        """64, the config file among them: what the hypervisor says of them, test_config.c and test_control.c have."""
        text = ""
        for number in range(64):
            self.write(f"f{number}", kernel())
            text += f"[guest g{number}]\nimage=f{number}\nmemory=64M\n"
        self.check(text.rpartition("[guest ")[0], status=0)
        self.check(text, f'{63 * 3 + 2}:7 "f63" is one file too many: there may be 64 boot modules')

    def test_packed_images(self):
        """Though what is packed may be seen in them: a multiboot header, for one."""
        header = b"".join(word.to_bytes(4, "little") for word in (0x1badb002, 0, 0x100000000 - 0x1badb002))
        for magic, tool in ((b"\x1f\x8b\x08", "gunzip"), (b"\xfd7zXZ\0", "unxz"), (b"\x28\xb5\x2f\xfd", "unzstd"), (b"BZh9", "bunzip2"),
                            (b"\x04\x22\x4d\x18", "unlz4"), (b"\x02\x21\x4c\x18", "unlz4"), (b"\x5d\0\0\x80\0", "unlzma"),
                            (b"\x89LZO\0", "lzop -d"), (b"PK\3\4", "unzip"), (bytes(257) + b"ustar", "tar -x")):
            self.write("packed", magic + bytes(512 - len(magic)) + header + bytes(1000))
            self.check("[guest g]\nimage=packed\n", f"2:7 packed: neither a Linux bzImage nor a PVH or multiboot1 ELF file: it is * with {tool}")

    def test_kernels_that_are_cut_off(self):
        whole = bytearray(kernel())
        whole[0x1f4:0x1f8] = ((len(whole) - 2 * 512) // 16).to_bytes(4, "little")
        for missing, problems in ((0, ()), (15, ()), (16, ("2:7 cut: a Linux kernel that is cut off: copy it again",))):
            self.write("cut", whole[:len(whole) - missing])
            self.check("[guest g]\nimage=cut\nmemory=64M\n", *problems, status=1 if problems else 0)
        self.write("cut", whole[:0x240])
        self.check("[guest g]\nimage=cut\n", "2:7 it is a Linux kernel that is cut off; copy it again")

    def test_modules_of_what_takes_none(self):
        self.write("m", b"m")
        self.check("[guest g]\nimage=vmlinuz\nmodules=m\n", "3:9 a Linux kernel takes no modules: say initrd = m")


if __name__ == "__main__":
    unittest.main()
