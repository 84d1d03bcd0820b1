"""Device worlds that have been taken over: code of ours in place of a function of theirs.

All device worlds share the pages of their program's text (kernel/world.c), so that what is written there is executed by
every world that comes to that function from then on.
"""

import os
import struct

import elf
from harness import BUILD
from root import IMAGE, physical

DEVICE = os.path.join(BUILD, "user/device.elf")

# abi/abi.h
WORLD_IMAGE_BASE = 0x400000
WORLD_PAGES_BASE = 0x80000000
BUFFER = 2048  # in struct abi_page
SYS_LOG = 3


def replace(debugger, name, code):
    """Code over the beginning of a function of the device worlds', of a machine that stands still."""
    text = physical(elf.symbol(IMAGE, "device_image"))
    debugger.write(text + elf.symbol(DEVICE, name) - WORLD_IMAGE_BASE, code)


def log_for_ever(text):
    """A worker's: puts these eight bytes into the log, again and again."""
    assert len(text) == 8
    return (b"\x48\xb8" + text +  # mov rax, text
            b"\x48\xbb" + struct.pack("<Q", WORLD_PAGES_BASE + BUFFER) +  # mov rbx, its page's buffer
            b"\x48\x89\x03"  # mov [rbx], rax
            b"\xbf\x08\x00\x00\x00"  # again: mov edi, 8
            b"\xb8" + struct.pack("<I", SYS_LOG) +  # mov eax, LOG
            b"\x0f\x05"  # syscall
            b"\xeb\xf2")  # jmp again


# jmp to itself
SPIN = b"\xeb\xfe"
