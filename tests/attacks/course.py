"""A tiny neutral course to attack: one notebook, four questions.

Hidden tests hold canaries (text that occurs nowhere else) and numbers with
many digits, so that the smallest leak is noticed.
"""

import hashlib

from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
)

ASSIGNMENT, NOTEBOOK = "week", "tiny"
# Sixteen bytes, as the engine derives them for a student.
SEED = hashlib.sha256(b"the seed of the attacked student").hexdigest()
MOST = {
    "t-norm": 4.0,
    "t-rows": 2.0,
    "t-tally": 3.0,
    "t-facts": 2.0,
    "t-accepts": 3.0,
}
ANSWERS = {
    "a-norm": "t-norm",
    "a-rows": "t-rows",
    "a-tally": "t-tally",
    "a-facts": "t-facts",
    "a-accepts": "t-accepts",
}
SQUARES = sum(k * k for k in range(12346))
LABEL = hashlib.sha256(b"tiny").hexdigest()[:16]

SETUP = """
import os
import numpy as np

def halved(values):
    return values / 2
"""

HONEST = {
    "a-norm": '''
def norm(values):
    """Return each row divided by its sum; a row of zeros stays."""
    ### BEGIN SOLUTION
    sums = values.sum(axis=-1, keepdims=True)
    return np.divide(
        values, sums, out=np.zeros_like(values), where=sums != 0
    )
    ### END SOLUTION
''',
    "a-rows": '''
def rows(table):
    """Do the same to the rows of a list, in plain loops."""
    ### BEGIN SOLUTION
    made = []
    for row in table:
        whole = 0.0
        for value in row:
            whole += value
        made.append([value / whole if whole else 0.0 for value in row])
    return made
    ### END SOLUTION
''',
    "a-tally": '''
class Tally:
    """Counts by name; `total`, and `most()` for the largest."""
    ### BEGIN SOLUTION
    def __init__(self):
        self.counts = {}

    def add(self, name, count):
        self.counts[name] = self.counts.get(name, 0) + count

    def most(self):
        return max(self.counts, key=self.counts.get)

    @property
    def total(self):
        return sum(self.counts.values())
    ### END SOLUTION
''',
    "a-facts": """
# The sum of the squares up to 12345, a digest, and a table of products.
### BEGIN SOLUTION
import hashlib

total = sum(k * k for k in range(12346))
label = hashlib.sha256(b"tiny").hexdigest()[:16]
table = np.outer(np.arange(1, 6), np.arange(1, 8))
### END SOLUTION
""",
    "a-accepts": '''
def accepts(candidate):
    """Return whether `candidate` divides a vector by its sum."""
    ### BEGIN SOLUTION
    for values in ([3.0, 1.0], [1.0, 2.0, 5.0]):
        values = np.array(values)
        try:
            got = candidate(values.copy())
        except Exception:
            return False
        if not np.allclose(got, values / values.sum()):
            return False
    return True
    ### END SOLUTION
''',
}

TESTS = {
    "t-norm": """
assert np.allclose(norm(np.array([[1.0, 3.0]])), [[0.25, 0.75]])
### BEGIN HIDDEN TESTS
# CANARY-SOURCE-norm-5f1d83
rng = np.random.default_rng([int(os.environ["GRADING_SEED"], 16), 1])

def wanted(values):
    sums = values.sum(axis=-1, keepdims=True)
    return np.where(sums == 0, 0.0, values / np.where(sums == 0, 1, sums))

inputs = [rng.uniform(1, 9, shape) for shape in ((5,), (3, 7), (2, 3, 5))]
kept = [each.copy() for each in inputs]
print("CANARY-PRINT-norm-9a7c21", inputs)
right = True
for got, before in zip(map(norm, inputs), kept):
    right = right and isinstance(got, np.ndarray)
    right = right and got.shape == before.shape
    right = right and bool(np.allclose(got, wanted(before), atol=1e-12))
unchanged = all(map(np.array_equal, inputs, kept))
blind = np.array([[0.0, 0.0], [8123.456789, 71.98765432]])
got = norm(blind)
zero = np.shape(got) == (2, 2) and bool(np.allclose(got, wanted(blind)))
2.0 * right + 1.0 * (right and unchanged) + 1.0 * (right and zero)
### END HIDDEN TESTS
""",
    "t-rows": """
assert rows([[1.0, 3.0]]) == [[0.25, 0.75]]
### BEGIN HIDDEN TESTS
# CANARY-SOURCE-rows-1b2e90
rng = np.random.default_rng([int(os.environ["GRADING_SEED"], 16), 3])
drawn = rng.uniform(1, 9, (3, 4)).tolist() + [[0.0, 0.0]]
made = rows(drawn)
assert [len(row) for row in made] == [4, 4, 4, 2]
for one, row in zip(made, drawn, strict=True):
    for part, value in zip(one, row, strict=True):
        want = value / sum(row) if sum(row) else 0.0
        assert abs(part - want) < 1e-12, f"CANARY-ASSERT-rows-{want}"
### END HIDDEN TESTS
""",
    "t-tally": """
small = Tally()
small.add("a", 2)
small.add("b", 1)
assert small.most() == "a" and small.total == 3
### BEGIN HIDDEN TESTS
# CANARY-SOURCE-tally-c4e0b7
rng = np.random.default_rng([int(os.environ["GRADING_SEED"], 16), 2])
names = [f"CANARY-NAME-{n:010d}" for n in rng.integers(10**9, 10**10, 6)]
counts = [int(count) for count in rng.permutation(np.arange(30, 36))]
large = Tally()
for name, count in zip(names, counts):
    large.add(name, count)
assert large.most() == names[counts.index(35)], "CANARY-ASSERT-tally-77d1"
assert large.total == 195, f"CANARY-ASSERT-tally-{names}"
assert Tally().total == 0
large.add(names[0], 100)
assert large.most() == names[0]
### END HIDDEN TESTS
""",
    "t-facts": f"""
assert isinstance(total, int) and np.shape(table) == (5, 7)
### BEGIN HIDDEN TESTS
# CANARY-SOURCE-facts-e91a46
assert total == {SQUARES}, "CANARY-ASSERT-facts: {SQUARES}"
assert label == "{LABEL}", "CANARY-ASSERT-facts: {LABEL}"
np.testing.assert_array_equal(table, [[
    row * column for column in range(1, 8)] for row in range(1, 6)])
### END HIDDEN TESTS
""",
    "t-accepts": """
assert accepts(lambda values: values / values.sum())
### BEGIN HIDDEN TESTS
# CANARY-SOURCE-accepts-20b9f8
rng = np.random.default_rng([int(os.environ["GRADING_SEED"], 16), 4])

def right_plain(values):
    "CANARY-DOC-accepts-61f2"
    return values / values.sum()

def right_mean(values):
    return np.asarray(values) / (np.mean(values) * len(values))

def wrong_scale(values, factor=1.0625314159):
    return factor * values / values.sum()

def wrong_order(values):
    return np.sort(values) / values.sum()

def wrong_error(values):
    raise KeyError("CANARY-MESSAGE-accepts-d3a5")

truth = {right_plain: True, right_mean: True, wrong_scale: False,
         wrong_order: False, wrong_error: False}
mixed = [list(truth)[k] for k in rng.permutation(len(truth))]
3.0 * all([bool(accepts(each)) == truth[each] for each in mixed])
### END HIDDEN TESTS
""",
}
SHOW = "print(halved(np.array([1.0, 3.0])))"


def _cell(grade_id, source, *, grade, solution, locked, points=0):
    told = {
        "schema_version": 3,
        "grade_id": grade_id,
        "grade": grade,
        "solution": solution,
        "locked": locked,
        "task": False,
    }
    if grade:
        told["points"] = points
    return new_code_cell(
        source.strip("\n"), id=grade_id, metadata={"nbgrader": told}
    )


def source():
    """Return the instructor's notebook, as nbgrader keeps it."""
    cells = [
        new_markdown_cell("# A tiny week", id="intro"),
        _cell("setup", SETUP, grade=False, solution=False, locked=True),
    ]
    for answer, test in ANSWERS.items():
        cells += [
            _cell(
                answer,
                HONEST[answer],
                grade=False,
                solution=True,
                locked=False,
            ),
            _cell(
                test,
                TESTS[test],
                grade=True,
                solution=False,
                locked=True,
                points=MOST[test],
            ),
        ]
    cells.append(_cell("show", SHOW, grade=False, solution=False, locked=True))
    return new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {
                "name": "python3",
                "display_name": "Python 3",
                "language": "python",
            }
        },
    )


def honest():
    """Return an honest student's notebook: no hidden test, no marks."""
    notebook = source()
    for cell in notebook.cells:
        cell.source = visible(cell.source)
    return notebook


def visible(text):
    """Return `text` without hidden tests and solution marks."""
    head, _, rest = text.partition("### BEGIN HIDDEN TESTS")
    text = head + rest.partition("### END HIDDEN TESTS")[2]
    return "\n".join(
        line for line in text.splitlines() if "SOLUTION" not in line
    )
