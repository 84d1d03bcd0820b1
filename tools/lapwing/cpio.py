"""An initramfs image (cpio "newc", gzip) that depends on nothing but its content: no times, owners or inode numbers."""

import gzip
import stat


class Archive:
    """Add entries parents first; image() gives the whole file."""

    def __init__(self):
        self._parts = []
        self._count = 0

    def directory(self, name, mode=0o755):
        self._add(name, stat.S_IFDIR | mode, b"")

    def file(self, name, data, mode=0o644):
        self._add(name, stat.S_IFREG | mode, data)

    def symlink(self, name, target):
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, name, major, minor, mode=0o600):
        self._add(name, stat.S_IFCHR | mode, b"", (major, minor))

    def image(self, level=9):
        """level: of the compression, 1 (quick) to 9 (small)."""
        self._add("TRAILER!!!", 0, b"")
        return gzip.compress(b"".join(self._parts), level, mtime=0)

    def _add(self, name, mode, data, device=(0, 0)):
        self._count += 1
        path = name.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, major, minor, device major, minor, name size, checksum
        fields = (self._count, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        self._parts += [_padded(header + path), _padded(data)]


def _padded(data):
    return data + bytes(-len(data) % 4)
