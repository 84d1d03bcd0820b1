"""What an ELF file of root's or of a world's says about itself: symbols, code, and where the fields of structures are."""

import functools
import re
import struct
import subprocess

from harness import Failure


def _output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def symbol(elf, name):
    """The address of a function or variable."""
    found = re.findall(rf"^([0-9a-f]+) [a-zA-Z] {name}$", _output("nm", elf), re.MULTILINE)
    if len(found) != 1:
        raise Failure(f"{elf} has {len(found)} symbols {name}")
    return int(found[0], 16)


def function(elf, name):
    """(address, first 16 bytes) of a function."""
    address = symbol(elf, name)
    dump = _output("objdump", "-s", f"--start-address={address}", f"--stop-address={address + 16}", elf)
    return address, bytes.fromhex("".join(re.findall(r"^ [0-9a-f]+ ((?:[0-9a-f]+ ){1,4})", dump, re.MULTILINE)))


def extent(elf, name):
    """(first address, address behind) of a function."""
    found = re.findall(rf"^([0-9a-f]+) ([0-9a-f]+) [tT] {name}$", _output("nm", "-S", elf), re.MULTILINE)
    if len(found) != 1:
        raise Failure(f"{elf} has {len(found)} functions {name}")
    begin, size = (int(number, 16) for number in found[0])
    return begin, begin + size


def key_sites(elf):
    """[(address, target)] of the branches that root's static keys patch: .keys of kernel/cpu/key.h."""
    start, end = symbol(elf, "keys_start"), symbol(elf, "keys_end")
    dump = _output("objdump", "-s", f"--start-address={start}", f"--stop-address={end}", elf)
    table = bytes.fromhex("".join(re.findall(r"^ [0-9a-f]+ ((?:[0-9a-f]+ ){1,4})", dump, re.MULTILINE)))
    return [(at, target) for at, target, _ in struct.iter_unpack("<QQQ", table)]


def illegal_instruction(elf):
    """The address of a UD2 in the text of an ELF file."""
    found = re.search(r"^ +([0-9a-f]+):\s+0f 0b +\s*ud2", _output("objdump", "-d", elf), re.MULTILINE)
    return int(found[1], 16)


@functools.lru_cache(maxsize=None)
def _structures(elf):
    """{structure: {field: offset}} by the debug information (DWARF 5, 5.7.1 and 5.7.6): a structure's members are the entries
    one level below it."""
    structures, names, depth, tag, name = {}, {}, 0, "", ""
    for line in _output("readelf", "--wide", "--debug-dump=info", elf).splitlines():
        entry = re.match(r" <([0-9a-f]+)><[0-9a-f]+>: Abbrev Number: \d+ \((\w+)\)", line)
        if entry:
            depth, tag, name = int(entry[1], 16), entry[2], ""
            names[depth] = ""
            continue
        value = re.match(r"\s+<[0-9a-f]+>\s+DW_AT_(name|data_member_location)\s*:.*?(\S+)\s*$", line)
        if value and value[1] == "name":
            name = value[2]
            if tag == "DW_TAG_structure_type":
                names[depth] = name
        elif value and tag == "DW_TAG_member":
            structures.setdefault(names.get(depth - 1, ""), {})[name] = int(value[2], 0)
    return structures


def fields(elf, structure):
    """{field: offset} of a structure."""
    return _structures(elf)[structure]


def offset(elf, path):
    """Of a field in its structure: path is "structure.field"."""
    structure, _, field = path.partition(".")
    try:
        return _structures(elf)[structure][field]
    except KeyError:
        raise Failure(f"{elf} has no {path}") from None
