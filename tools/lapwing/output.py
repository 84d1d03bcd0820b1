"""Standard output and standard error: what is said on them arrives, or it is known that it does not."""

import errno
import os
import time

from .base import LapwingError


class OutputGone(Exception):
    """Who read our standard output has ended, and wants no more: that is nothing to complain about."""


def open_closed():
    """What we were started without leads nowhere, so that no file of ours takes its number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def show(data):
    """Write bytes to standard output."""
    try:
        _write(1, data)
    except BrokenPipeError:
        raise OutputGone from None
    except OSError as error:
        raise LapwingError(f"cannot write to standard output: {error.strerror}") from error


def say(text):
    """Write a line to standard output."""
    show(os.fsencode(text + "\n"))


def tell(text):
    """Write text to standard error. If that cannot be, nobody is there who could be told."""
    try:
        _write(2, os.fsencode(text))
    except OSError:
        pass


def _write(descriptor, data):
    while data:
        try:
            data = data[os.write(descriptor, data):]
        except BlockingIOError:
            time.sleep(0.01)


def reason(error):
    """An OSError in words: of a full disk it does not say which, unless it was on opening a file."""
    if error.errno == errno.ENOSPC or not error.filename:
        return error.strerror or str(error)
    return f"{error.filename}: {error.strerror}"
