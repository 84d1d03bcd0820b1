"""Device worlds that have been taken over: code of ours that they execute.

All device worlds share the pages of their program's text (kernel/worlds/world.c). What is written there is in all of them, and only
the one that is sent there executes it.
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


def take_over(session, name, function, code):
    """Start a guest again, whose worker goes on in code of ours when it comes to a function of its world's."""
    session.command(f"stop {name}", rf"{name}: stopped")
    debugger = session.debugger()
    # Where no world of these tests has been: Bochs would go on executing what it has decoded before.
    room = elf.symbol(DEVICE, "emul_task_switch")
    text = physical(elf.symbol(IMAGE, "device_image"))
    debugger.write(text + room - WORLD_IMAGE_BASE, code)
    session.send(f"start {name}\r")
    session.flush()
    debugger.stop_at(*elf.function(DEVICE, function))
    debugger.set_register("rip", room)
    debugger.close()
    session.expect("lapwing", rf"{name}: started")


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


def call_for_ever(number, a=0, b=0):
    """A worker's: one system call, again and again."""
    return (b"\xbf" + struct.pack("<I", a) +  # again: mov edi, a
            b"\xbe" + struct.pack("<I", b) +  # mov esi, b
            b"\xb8" + struct.pack("<I", number) +  # mov eax, number
            b"\x0f\x05"  # syscall
            b"\xeb\xed")  # jmp again


# jmp to itself
SPIN = b"\xeb\xfe"
