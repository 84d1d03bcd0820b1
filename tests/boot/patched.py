"""A hypervisor whose device world was taken over: code of the world's replaced in a copy of the image."""

import os

import elf
from harness import BUILD, HYPERVISOR, Failure

WORLD = os.path.join(BUILD, "user/device.elf")
FLAT = os.path.join(BUILD, "user/device.bin")
WORLD_IMAGE_BASE = 0x400000  # abi/abi.h
JMP = b"\xe9"


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def hypervisor(path, code, place, entry):
    """Write to path a copy of the image where `code` takes the place of a function of the device world's, and the function
    `entry` jumps there."""
    image, world = bytearray(_read(HYPERVISOR)), _read(FLAT)
    at = image.find(world)
    if at < 0 or image.find(world, at + 1) >= 0:
        raise Failure("the device world is not to be found in the image")
    begin, end = elf.extent(WORLD, place)
    if len(code) > end - begin:
        raise Failure(f"{place} has {end - begin} bytes, the code {len(code)}")
    jump = elf.symbol(WORLD, entry)
    for where, what in ((begin, code), (jump, JMP + (begin - jump - 5).to_bytes(4, "little", signed=True))):
        offset = at + where - WORLD_IMAGE_BASE
        image[offset:offset + len(what)] = what
    with open(path, "wb") as file:
        file.write(image)
    return path
