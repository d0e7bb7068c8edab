"""Attacks by source that breaks whoever reads it without running it."""

from attacks.attack import Attack
from nbformat.v4 import new_code_cell

# Source that breaks whatever reads it without running it.
DEEP = {
    "signs": "x = " + "-" * 60_000 + "1",
    "brackets": "x = " + "(" * 5_000 + ")" * 5_000,
    "lists": "x = " + "[" * 90 + "]" * 90,
    "sums": "x = 1" + " + 1" * 9_000,
    "attributes": "x = a" + ".b" * 20_000,
    "calls": "x = a" + "()" * 20_000,
    "compares": "x = 1" + " < 1" * 9_000,
    "nots": "x = " + "not " * 60_000 + "1",
    "lambdas": "x = " + "lambda: " * 20_000 + "1",
    "ifs": "\n".join(" " * k + "if 1:" for k in range(99))
    + "\n"
    + " " * 99
    + "x",
    "elses": "if 1: x\n" + "elif 1: x\n" * 2_000,
    "texts": "x = " + "'a' " * 40_000,
    "lines": "\n" * 300_000,
    "names": "x" * 3_000_000,
    "backslashes": "\\\n" * 100_000,
    "decorators": "@x\n" * 10_000 + "def f(): pass",
    "f-strings": "x = f'" + "{1}" * 8_000 + "'",
    "stars": "x = [" + "*[" * 80 + "]" * 80 + "]",
    "statements": "x = 1\n" * 5_000,
    "semicolons": "x = 1;" * 5_000,
}


def breaking(kinds):
    """Return a change that adds the cells of `DEEP` of these kinds."""

    def change(notebook):
        for kind in kinds:
            notebook.cells.append(new_code_cell(DEEP[kind]))

    return change


def in_an_answer(notebook):
    for each in notebook.cells:
        if each.id == "a-facts":
            each.source = DEEP["signs"] + "\n" + DEEP["sums"]


GROUPS = {
    "nesting": ("brackets", "lists", "lambdas", "ifs", "stars"),
    "long chains": ("signs", "sums", "attributes", "calls", "compares"),
    "long lists": ("elses", "statements", "semicolons", "decorators"),
    "long texts": ("texts", "lines", "names", "backslashes", "f-strings"),
    "negations": ("nots",),
}
ALL = (
    *(
        Attack(name=f"breaks parsers by {name}", change=breaking(kinds))
        for name, kinds in GROUPS.items()
    ),
    Attack(
        name="breaks parsers in an answer",
        change=in_an_answer,
        answers={"a-facts": "pass"},
    ),
)
