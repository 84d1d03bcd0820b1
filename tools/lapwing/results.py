"""How the guests ended: read from what the hypervisor prints, and shown as a table.

    lapwing| result NAME REASON STATUS RUNTIME_MS EXITS
    lapwing| all guests ended: N well, M badly

A line that does not fit the terminal's width goes on behind `lapwing|>` in the next one.
"""

import re

# What a terminal acts on rather than shows: CSI sequences, other escape sequences, and CR.
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-Z\\-~]|\r")

# With this the console takes a line back that it had begun: the prompt, when another source has something to say.
ERASED = "\r\x1b[K"

CONTINUED = "lapwing|>"

RESULT = re.compile(r"^lapwing\| result (\S+) ([A-Z_]+) (\d+) (\d+) (\d+)$")
ALL_ENDED = re.compile(r"^lapwing\| all guests ended: (\d+) well, (\d+) badly$")

# enum abi_end in words, where lower case alone does not say it
WORDS = {
    "POWEROFF": "powered off", "EXIT": "exit device", "LOAD": "image not loaded",
    "EMULATION": "instruction not emulated", "WORLD_CRASH": "device world crashed",
    "WORLD_HANG": "device world hung", "INVALID_STATE": "invalid guest state", "INTERNAL": "internal error",
    "HALTED": "halted for good", "BAD_CONFIG": "not started: config", "NOT_CREATED": "not started",
}


class Result:
    def __init__(self, name, reason, status, run_ms, exits):
        self.name = name
        self.reason = reason
        self.status = int(status)
        self.run_ms = int(run_ms)
        self.exits = int(exits)


class Results:
    """Feed it the serial output. guests: the last result of each, in the order of arrival."""

    def __init__(self):
        self.guests = {}
        self.well = self.badly = None  # None: they have not all ended
        self._rest = b""
        self._last = ""  # the hypervisor's last line, as far as it is there

    def feed(self, data):
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(ESCAPES.sub("", line.decode(errors="replace").rpartition(ERASED)[2]))

    def _line(self, line):
        if line.startswith(CONTINUED):
            line = self._last + line[len(CONTINUED):]
        if line.startswith("lapwing| "):
            self._last = line
        line = line.rstrip()
        found = RESULT.match(line)
        if found:
            self.guests.pop(found[1], None)
            self.guests[found[1]] = Result(*found.groups())
        found = ALL_ENDED.match(line)
        if found:
            self.well, self.badly = int(found[1]), int(found[2])

    def complete(self):
        return self.well is not None

    def table(self):
        """Lines: name, how it ended, exit status, run time, exits."""
        rows = [("guest", "ended", "status", "run time", "exits")]
        for result in self.guests.values():
            rows.append((result.name, WORDS.get(result.reason, result.reason.lower().replace("_", " ")),
                         str(result.status), f"{result.run_ms / 1000:.1f} s", str(result.exits)))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  "
                f"{row[4]:>{widths[4]}}" for row in rows]
