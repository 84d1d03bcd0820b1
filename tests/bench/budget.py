"""Budgets: the table of docs/costs.md, and whether what was measured keeps to it.

A line of the table is a row: | `name` | what | SVM | VMX | target | KVM |. SVM and VMX are budgets for one operation, "-" where the
row is not measured; target and KVM are for people to read.
"""

import os
import re
import typing

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(TOP, "docs", "costs.md")
HEAD = ["row", "what", "SVM", "VMX", "target", "KVM"]
MACHINES = {"svm": 2, "vmx": 3}  # the column
NONE = "-"
TOLERANCE = 100  # a row may be off by one of so many parts


class BadTable(Exception):
    """What is wrong with the page, in one line."""


class Row(typing.NamedTuple):
    name: str
    line: int  # of the page, from 0
    cells: list

    def budget(self, machine):
        """None: not measured there."""
        cell = self.cells[MACHINES[machine]]
        return None if cell == NONE else int(cell.replace(",", ""))


class Finding(typing.NamedTuple):
    machine: str
    name: str
    good: bool
    text: str  # "" if there is nothing to say


def cells_of(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def parse(text):
    """{name: Row} of the page."""
    lines = text.splitlines()
    heads = [n for n, line in enumerate(lines) if cells_of(line) == HEAD]
    if len(heads) != 1:
        raise BadTable(f"the page has {len(heads)} tables with the head | {' | '.join(HEAD)} |")
    rows = {}
    for number in range(heads[0] + 2, len(lines)):
        if not lines[number].startswith("|"):
            break
        cells = cells_of(lines[number])
        where = f"line {number + 1}"
        if len(cells) != len(HEAD):
            raise BadTable(f"{where}: {len(cells)} cells, not {len(HEAD)}")
        name = re.fullmatch(r"`(\S+)`", cells[0])
        if not name:
            raise BadTable(f"{where}: {cells[0]!r} is no name of a row")
        if name[1] in rows:
            raise BadTable(f"{where}: a second row {name[1]}")
        for machine, column in MACHINES.items():
            if cells[column] != NONE and not re.fullmatch(r"[1-9]\d{0,2}(,\d{3})*|0", cells[column]):
                raise BadTable(f"{where}: the budget on {machine} is {cells[column]!r}")
        rows[name[1]] = Row(name[1], number, cells)
    if not rows:
        raise BadTable("the table has no rows")
    return rows


def cost_of(machine, cost):
    """Sum of a batch's operations that the budget is about: on SVM what was outside the guest, on VMX all ticks."""
    return cost.outside if machine == "svm" else cost.ticks


def each(total, operations):
    """Of one operation, as a budget: rounded up."""
    return -(-total // operations)


def compare(rows, measured):
    """[Finding], one for each budget and each cost without one. measured: {machine: {name: Cost}}, of the machines that count."""
    found = []
    for machine, costs in measured.items():
        for name, row in rows.items():
            budget = row.budget(machine)
            total = cost_of(machine, costs[name]) if name in costs else None
            if budget is None and total is None:
                continue
            if total is None:
                found.append(Finding(machine, name, False, "was not measured"))
            elif budget is None:
                found.append(Finding(machine, name, False, f"has no budget; it costs {each(total, costs[name].operations):,}"))
            else:
                found.append(judge(machine, name, budget, total, costs[name].operations))
        found += [Finding(machine, name, False, "is not in the table") for name in costs if name not in rows]
    return found


def judge(machine, name, budget, total, operations):
    now = each(total, operations)
    if total * TOLERANCE > budget * operations * (TOLERANCE + 1):
        return Finding(machine, name, False, f"costs {now:,}, its budget is {budget:,}")
    if total * TOLERANCE < budget * operations * (TOLERANCE - 1) and now < budget:
        return Finding(machine, name, True, f"got better: lower the budget from {budget:,} to {now:,}")
    return Finding(machine, name, True, "")


def rewrite(text, measured):
    """The page with what was measured as the budgets. A row has to have a line there."""
    rows = parse(text)
    lines = text.splitlines()
    for machine, costs in measured.items():
        unknown = [name for name in costs if name not in rows]
        if unknown:
            raise BadTable(f"no line for {', '.join(unknown)}: add one, with {NONE} as its budgets")
        for name, row in rows.items():
            total = cost_of(machine, costs[name]) if name in costs else None
            row.cells[MACHINES[machine]] = NONE if total is None else f"{each(total, costs[name].operations):,}"
    for row in rows.values():
        lines[row.line] = "| " + " | ".join(row.cells) + " |"
    return "\n".join(lines) + "\n"
