"""Budgets (tests/bench/budget.py): what fails, what is only told, and what a page has to look like."""

import os
import sys
import typing
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench"))

import budget  # noqa: E402 (the path has to be set first)

HEAD = "# A page\n\nText.\n\n| row | what | SVM | VMX | target | KVM |\n|---|---|---|---|---|---|\n"
PAGE = HEAD + "| `a` | one | 1,000 | 500 | 200 | 2,916 |\n| `b` | two | 100 | - | - | - |\n\n| Text | below |\n"


class Cost(typing.NamedTuple):
    operations: int
    ticks: typing.Optional[int]
    outside: typing.Optional[int]


def svm(each, operations=200):
    return Cost(operations, each * operations + 777, each * operations)


def vmx(each, operations=200):
    return Cost(operations, each * operations, None)


GOOD = {"svm": {"a": svm(1000), "b": svm(100)}, "vmx": {"a": vmx(500)}}


def found(measured, page=PAGE):
    """{(machine, row): (good, text)}"""
    findings = budget.compare(budget.parse(page), measured)
    result = {(f.machine, f.name): (f.good, f.text) for f in findings}
    assert len(result) == len(findings)
    return result


class Compare(unittest.TestCase):
    def changed(self, machine, name, cost):
        """What is found of that row if only it differs from its budget. All others are as they should be."""
        costs = {kind: dict(rows) for kind, rows in GOOD.items()}
        costs[machine][name] = cost
        result = found(costs)
        mine = result.pop((machine, name))
        self.assertTrue(all(finding == (True, "") for finding in result.values()), result)
        return mine

    def test_equal(self):
        self.assertEqual(found(GOOD), {("svm", "a"): (True, ""), ("svm", "b"): (True, ""), ("vmx", "a"): (True, "")})

    def test_over(self):
        """One percent more is allowed, and not an instruction of a batch more."""
        self.assertEqual(self.changed("svm", "a", svm(1010)), (True, ""))
        self.assertEqual(self.changed("svm", "a", Cost(200, 0, 202001)), (False, "costs 1,011, its budget is 1,000"))
        self.assertEqual(self.changed("vmx", "a", Cost(200, 101000, None)), (True, ""))
        self.assertEqual(self.changed("vmx", "a", Cost(200, 101001, None)), (False, "costs 506, its budget is 500"))

    def test_under(self):
        """Told from more than one percent on, and good."""
        self.assertEqual(self.changed("svm", "a", svm(990)), (True, ""))
        self.assertEqual(self.changed("svm", "a", svm(989)), (True, "got better: lower the budget from 1,000 to 989"))
        self.assertEqual(self.changed("vmx", "a", Cost(200, 80001, None)),
                         (True, "got better: lower the budget from 500 to 401"))

    def test_rounding(self):
        """A budget is rounded up, so that what was written just now is neither over nor under it."""
        page = HEAD + "| `a` | one | 3 | - | - | - |\n"
        self.assertEqual(found({"svm": {"a": Cost(12, 0, 25)}}, page)["svm", "a"], (True, ""))
        self.assertEqual(found({"svm": {"a": Cost(12, 0, 24)}}, page)["svm", "a"],
                         (True, "got better: lower the budget from 3 to 2"))

    def test_nothing(self):
        """A budget of 0 allows nothing at all."""
        page = HEAD + "| `a` | one | 0 | - | - | - |\n"
        self.assertEqual(found({"svm": {"a": svm(0)}}, page)["svm", "a"], (True, ""))
        self.assertEqual(found({"svm": {"a": Cost(200, 0, 1)}}, page)["svm", "a"], (False, "costs 1, its budget is 0"))

    def test_missing(self):
        self.assertEqual(found({"svm": {"a": svm(1000)}, "vmx": {"a": vmx(500)}})["svm", "b"], (False, "was not measured"))
        self.assertEqual(self.changed("svm", "b", Cost(200, 5, None)), (False, "was not measured"))

    def test_unknown(self):
        costs = {**GOOD, "svm": {**GOOD["svm"], "c": svm(7)}}
        self.assertEqual(found(costs)["svm", "c"], (False, "is not in the table"))

    def test_no_budget(self):
        costs = {**GOOD, "vmx": {"a": vmx(500), "b": vmx(7)}}
        self.assertEqual(found(costs)["vmx", "b"], (False, "has no budget; it costs 7"))


class Page(unittest.TestCase):
    def refused(self, page, why):
        with self.assertRaisesRegex(budget.BadTable, why):
            budget.parse(page)

    def test_malformed(self):
        self.refused("# A page\n", "0 tables")
        self.refused(PAGE + HEAD, "2 tables")
        self.refused(HEAD, "no rows")
        self.refused(HEAD + "| `a` | one | 1 | 2 | - |\n", "line 7: 5 cells")
        self.refused(HEAD + "| a | one | 1 | 2 | - | - |\n", "line 7: 'a' is no name")
        self.refused(PAGE.replace("`b`", "`a`"), "line 8: a second row a")
        for cell in ("", "x", "1,00", "1.5", "-1", "01", "1000,000"):
            self.refused(HEAD + f"| `a` | one | 1 | {cell} | - | - |\n", "line 7: the budget on vmx is")

    def test_rewrite(self):
        """Only budgets change, and what is written is kept to."""
        costs = {"svm": {"a": Cost(12, 0, 1234567), "b": svm(99)}, "vmx": {"a": vmx(400), "b": vmx(3)}}
        page = budget.rewrite(PAGE, costs)
        self.assertEqual(page, PAGE.replace("| 1,000 | 500 |", "| 102,881 | 400 |").replace("| 100 | - |", "| 99 | 3 |"))
        self.assertTrue(all(finding == (True, "") for finding in found(costs, page).values()))

    def test_rewrite_missing(self):
        """A row that is not measured has no budget; one without a line has to be described first."""
        page = budget.rewrite(PAGE, {"svm": {"a": svm(1)}, "vmx": {}})
        self.assertEqual(page, PAGE.replace("| 1,000 | 500 |", "| 1 | - |").replace("| 100 | - |", "| - | - |"))
        with self.assertRaisesRegex(budget.BadTable, "no line for c"):
            budget.rewrite(PAGE, {"svm": {"c": svm(1)}, "vmx": {}})

    def test_of_the_tree(self):
        """The page that there is: each row has a budget on a machine."""
        with open(budget.PAGE, encoding="utf-8") as file:
            rows = budget.parse(file.read())
        for row in rows.values():
            self.assertTrue(any(row.budget(machine) is not None for machine in budget.MACHINES), row.name)


if __name__ == "__main__":
    unittest.main()
