"""Config files, as build/host/lapwing-check reads them: the parser that runs on the target, built for the host."""

import os
import re
import subprocess

from .base import CHECKER, EXIT_USAGE, LapwingError


class Guest:
    """A guest whose section has no problem."""

    def __init__(self, name):
        self.name = name
        self.memory = 0
        self.facts = {}


class Config:
    """A config file and what it needs: settings, guests, and files as (host path, boot module's name) without repeats."""

    def __init__(self, path):
        self.path = path
        self.problems = ""
        self.warnings = ""
        self.settings = {}
        self.guests = {}
        self.files = []

    def memory(self):
        """Bytes of all guests together."""
        return sum(guest.memory for guest in self.guests.values())

    def _take(self, fields):
        if fields[0] == "setting":
            self.settings[fields[1]] = fields[2]
            return
        guest = self.guests.setdefault(fields[1], Guest(fields[1]))
        if len(fields) == 5:
            if (fields[3], fields[4]) not in self.files:
                self.files.append((fields[3], fields[4]))
        elif fields[2] == "memory":
            guest.memory = int(fields[3])
        else:
            guest.facts[fields[2]] = fields[3]


def check(path, memory=None, cpus=None):
    """Read a config file. Its problems, one a line, are in .problems, what is only odd in .warnings; what is right is there in spite of them."""
    command = [CHECKER, "--list"]
    if memory:
        command += ["--memory", str(memory)]
    if cpus:
        command += ["--cpus", str(cpus)]
    try:
        done = subprocess.run([*command, "--", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    except OSError as error:
        raise LapwingError(f"cannot run {CHECKER}: {error.strerror}; build it with: make") from error
    messages = done.stderr.decode(errors="replace")
    if done.returncode not in (0, 1):
        raise LapwingError(messages.strip() or f"{CHECKER} failed", EXIT_USAGE)
    config = Config(path)
    for message in messages.splitlines(keepends=True):
        if re.search(r":\d+:\d+: warning: ", message):
            config.warnings += message
        else:
            config.problems += message
    for line in os.fsdecode(done.stdout).splitlines():
        config._take(line.split("\t"))
    return config
