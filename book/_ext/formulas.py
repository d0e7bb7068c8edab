"""Equations lead to the code that computes them and to its tests, and back.

The table below "Ledger" at the end of each chapter is the one source: its
columns "Equation" and "Code" say which function computes an equation. The
tests are those that use the function. An equation that no function
computes has a row, too, whose code column says in words why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

from attncourse import ledger
from attncourse.ledger_tests import names_of_tests

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
TESTS = ROOT / "tests"
CELL = re.compile(r"^(?:\* |  )-(?: |$)", re.MULTILINE)
EQUATION = re.compile(r"\{eq\}`([\w-]+)`")
CODE = re.compile(r"`([\w.]+)`")
LABEL = re.compile(
    r"^:label: (eq-\S+)|^\$\$ *\((eq-[\w-]+)\) *$", re.MULTILINE
)


@dataclass(frozen=True)
class Row:
    """A row of a chapter's ledger: some equations, and what its code says."""

    equations: tuple[str, ...]
    code: str

    @property
    def entries(self) -> tuple[ledger.Entry, ...]:
        """Return the public functions that the row names."""
        if self.code.startswith("question "):
            return ()
        found: list[ledger.Entry] = []
        module = ""
        for name in CODE.findall(self.code):
            entry = entry_of(name) or entry_of(f"{module}.{name}")
            if entry is None:
                raise ValueError(f"the code must be public: got {name}")
            found.append(entry)
            module = name.rpartition(".")[0] or module
        return tuple(found)


def entry_of(name: str) -> ledger.Entry | None:
    """Return the entry of the library that a short name means.

    Examples
    --------
    >>> entry_of("dense.attention").path
    'attncourse.reference.dense.attention'
    >>> entry_of("fast.dense.attention").path
    'attncourse.fast.dense.attention'
    """
    module, _, last = name.rpartition(".")
    package = "fast" if module.startswith("fast.") else "reference"
    module = module.removeprefix(f"{package}.")
    same = [
        each
        for each in ledger.of(ledger.stem(module))
        if (each.package, each.name) == (package, last)
    ]
    # A unit's first module offers what its siblings define, too.
    return next((each for each in same if each.module == module), None) or (
        same[0] if same else None
    )


def ledger_of(text: str) -> list[Row]:
    """Return the rows of the ledger at the end of a chapter's source."""
    _, _, tail = text.partition("\n## Ledger\n")
    found = re.search(r":::\{list-table\}\n(.*?)\n:::", tail, re.DOTALL)
    if found is None:
        return []
    rows: list[list[str]] = []
    starts = list(CELL.finditer(found[1]))
    ends = [each.start() for each in starts[1:]] + [len(found[1])]
    for start, end in zip(starts, ends, strict=True):
        if start[0].startswith("*"):
            rows.append([])
        rows[-1].append(" ".join(found[1][start.end() : end].split()))
    head = [each.lower() for each in rows[0]]
    equation, code = head.index("equation"), head.index("code")
    return [
        Row(tuple(EQUATION.findall(row[equation])), row[code])
        for row in rows[1:]
    ]


def labels(text: str) -> list[str]:
    """Return the labels of the equations of a chapter's source."""
    return [one or other for one, other in LABEL.findall(text)]


@cache
def _chapters(changed: tuple[float, ...]) -> dict[str, list[Row]]:
    return {
        file.stem: ledger_of(file.read_text(encoding="utf-8"))
        for file in sorted(BOOK.glob("[0-9][0-9]_*.md"))
    }


def chapters() -> dict[str, list[Row]]:
    """Return the ledgers of all chapters, by the chapter's name."""
    files = sorted(BOOK.glob("[0-9][0-9]_*.md"))
    return _chapters(tuple(file.stat().st_mtime for file in files))


def equations_of(entry: ledger.Entry) -> Iterator[tuple[str, str]]:
    """Yield the chapter and the label of each equation of a function."""
    for chapter, rows in chapters().items():
        for row in rows:
            if any(each.path == entry.path for each in row.entries):
                yield from ((chapter, label) for label in row.equations)


def tests_label(entry: ledger.Entry) -> str:
    """Return the label of the list of an entry's tests on its page.

    Labels know no capitals, so a class must differ from its function.
    """
    kind = "class-" if isinstance(entry.value, type) else ""
    return f"tests-{kind}{entry.path}".lower().replace("_", "-")


def number_of_tests(entry: ledger.Entry) -> str:
    """Return how many tests use an entry, in words."""
    count = len(names_of_tests(entry, TESTS))
    return f"{count} test" + "s" * (count > 1)


def link(domain: str, kind: str, target: str, text: nodes.Node) -> nodes.Node:
    """Return a reference that Sphinx resolves when all pages are read."""
    return addnodes.pending_xref(
        "",
        text,
        refdomain=domain,
        reftype=kind,
        reftarget=target,
        refexplicit=True,
        refwarn=True,
    )


def line_for(entries: tuple[ledger.Entry, ...]) -> nodes.paragraph:
    """Return the line below an equation: its code and its tests."""
    line = nodes.paragraph(classes=["course-equation-code"])
    line += nodes.Text("In code: ")
    for count, entry in enumerate(entries):
        if count:
            line += nodes.Text(", ")
        name = entry.path.removeprefix("attncourse.")
        line += link("py", "obj", entry.path, nodes.literal("", name))
        line += nodes.Text(" (")
        words = nodes.inline("", number_of_tests(entry))
        line += link("std", "ref", tests_label(entry), words)
        line += nodes.Text(")")
    return line


def add_lines(app, doctree) -> None:
    """Put a line below each equation that a function computes."""
    rows = chapters().get(app.env.docname, ())
    code = {label: row.entries for row in rows for label in row.equations}
    for equation in list(doctree.findall(nodes.math_block)):
        entries = code.get(equation.get("label"), ())
        if entries:
            place = equation.parent.index(equation)
            equation.parent.insert(place + 1, line_for(entries))


def setup(app):
    """Connect the extension."""
    app.connect("doctree-read", add_lines)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
