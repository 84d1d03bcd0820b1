"""What every part needs: where things are, and the one kind of error that users see."""

import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build")
HYPERVISOR = os.path.join(BUILD, "lapwing.elf")
VERSION = os.path.join(TOP, "kernel", "base", "version.h")
CHECKER = os.path.join(BUILD, "host", "lapwing-check")

# Exit statuses of ./lapwing
EXIT_OK = 0  # every guest ended well
EXIT_GUEST = 1  # a guest did not
EXIT_PROBLEMS = 1  # check found something
EXIT_USAGE = 2  # wrong command line or config file
EXIT_MACHINE = 3  # the emulator or the hypervisor failed, the run was cut off, or its output could not be written


class LapwingError(Exception):
    """A problem that is told to the user as one line: what, where, what to do."""

    def __init__(self, message, status=EXIT_MACHINE):
        super().__init__(message)
        self.status = status


def version():
    """Such as "0.1.0"."""
    with open(VERSION, encoding="ascii") as file:
        return re.search(r'#define LAPWING_VERSION "(.+)"', file.read())[1]


def count(number, thing):
    """Such as "1 CPU" or "2 CPUs"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def parse_size(text):
    """Bytes, from text such as 4096, 64K, 512M or 2G; ValueError if it is no size."""
    factors = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    factor = factors.get(text[-1:].upper(), 1)
    digits = text[:-1] if factor > 1 else text
    if not (digits.isascii() and digits.isdigit() and int(digits)):
        raise ValueError(text)
    return int(digits) * factor
