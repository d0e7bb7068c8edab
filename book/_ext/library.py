"""The pages of the library, made from its ledger and its docstrings."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import FunctionType

import formulas
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from attncourse import ledger
from attncourse.ledger_tests import names_of_tests

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
KINDS = {"reference": "NumPy, float64", "fast": "torch"}


def mechanism_lines(stems: list[str]) -> Iterator[str]:
    """Yield the MyST text of a mechanism's page."""
    by_module = groupby(ledger.of(*stems), lambda each: each.value.__module__)
    for module, entries in by_module:
        path = module.removeprefix("attncourse.")
        kind = KINDS[path.partition(".")[0]]
        about = inspect.getdoc(sys.modules[module]) or ""
        yield from (f"## `{path}`", "", f"*{kind}.* {first(about)}", "")
        for entry in entries:
            yield from entry_lines(entry)


def entry_lines(entry: ledger.Entry) -> Iterator[str]:
    """Yield the docstring of an entry, and what its tests say of it."""
    kind = "autoclass" if inspect.isclass(entry.value) else "autofunction"
    yield from ("````{eval-rst}", f".. {kind}:: {entry.path}")
    methods = own_methods(entry.value)
    if methods:
        yield f"   :members: {', '.join(methods)}"
        yield "   :member-order: bysource"
    yield from ("````", "")
    places = [
        f"{{eq}}`{label}` in {{doc}}`/{chapter}`"
        for chapter, label in formulas.equations_of(entry)
    ]
    if places:
        yield from (f"In the book: {'; '.join(places)}.", "")
    tests = names_of_tests(entry, TESTS)
    if tests:
        number = formulas.number_of_tests(entry)
        stem = ledger.stem(entry.module)
        file = f"tests/{entry.package}/test_{stem}.py"
        yield from (f"::::{{dropdown}} {number} in `{file}`", "")
        # Inside, so that a link to it opens it.
        yield from (f"({formulas.tests_label(entry)})=", "")
        yield from (f"- {each}" for each in tests)
        yield from ("::::", "")


def own_methods(value: object) -> list[str]:
    """Return the public methods that a class explains itself."""
    if not inspect.isclass(value):
        return []
    return [
        name
        for name, each in vars(value).items()
        if not name.startswith("_")
        and isinstance(each, FunctionType | property | classmethod)
        and each.__doc__
    ]


def ledger_lines() -> Iterator[str]:
    """Yield the MyST text of the overview: a table for each mechanism."""
    for title, stems in ledger.MECHANISMS:
        yield from (f"## {title}", "")
        page = f"{{doc}}`library/{stems[0]}`"
        yield from (f"Equations, code and tests by name: {page}.", "")
        yield "::::{list-table}"
        yield from (":class: course-ledger", ":header-rows: 1")
        yield from (":widths: 52 40 8", "")
        yield from ("* - What it is", "  - Source", "  - Tests")
        rows: dict[str, list[ledger.Entry]] = {}
        for each in ledger.of(*stems):
            rows.setdefault(each.name, []).append(each)
        for name, same in rows.items():
            places = ", ".join(
                f"{{py:obj}}`{each.path.removeprefix('attncourse.')} "
                f"<{each.path}>`"
                for each in same
            )
            sources = [each.source for each in same if each.source]
            tests = sum(len(names_of_tests(each, TESTS)) for each in same)
            yield f"* - **{name}**: {first(same[0].doc)}<br>{places}"
            yield f"  - {cited(sources[0]) if sources else ''}"
            yield f"  - {tests}"
        yield from ("::::", "")


def cited(source: str) -> str:
    """Return a source whose papers lead to the bibliography."""
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    titles = ledger.bibliography(text)
    for paper, key in ledger.keys_of(source, titles).items():
        source = source.replace(paper, f"{{cite:t}}`{key}`")
    return source


def first(text: str) -> str:
    """Return the first paragraph of a text, in one line."""
    return " ".join(text.partition("\n\n")[0].split())


def house_style(app, what, name, value, options, lines: list[str]) -> None:
    """Turn a docstring of this project into one that napoleon reads well.

    The source stands before the sections, which it would join; and what
    follows a parameter's name is a description, not a type.
    """
    starts = [n for n, line in enumerate(lines) if line.startswith("Source: ")]
    heads = [n for n, line in enumerate(lines) if line.startswith("-----")]
    if starts and heads and heads[0] < starts[0]:
        end = starts[0]
        while end < len(lines) and lines[end]:
            end += 1
        moved = [*lines[starts[0] : end], ""]
        del lines[starts[0] : end]
        lines[heads[0] - 1 : heads[0] - 1] = moved
    if "Parameters" in lines:
        start = lines.index("Parameters") + 2
        end = start
        while end < len(lines) and lines[end]:
            end += 1
        described = []
        for line in lines[start:end]:
            name, colon, text = line.partition(" : ")
            if colon and not line.startswith(" "):
                described += [name, f"    {text}"]
            else:
                described.append(line)
        lines[start:end] = described


class Generated(SphinxDirective):
    """A place where generated MyST text is read."""

    optional_arguments = 50

    def lines(self) -> Iterator[str]:
        """Yield the text."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Return what the text becomes."""
        self.env.note_reread()
        box = nodes.Element()
        box.document = self.state.document
        where = self.env.doc2path(self.env.docname)
        lines = StringList(list(self.lines()), where)
        self.state.nested_parse(lines, 0, box, match_titles=True)
        return box.children


class Mechanism(Generated):
    """``{mechanism} heads``: all that the modules of some stems offer."""

    required_arguments = 1

    def lines(self) -> Iterator[str]:
        """Yield a section for each module."""
        return mechanism_lines(self.arguments)


class Ledger(Generated):
    """``{ledger}``: each public object with its source and its tests."""

    def lines(self) -> Iterator[str]:
        """Yield a section for each mechanism."""
        return ledger_lines()


def setup(app):
    """Connect the extension."""
    app.add_directive("mechanism", Mechanism)
    app.add_directive("ledger", Ledger)
    # Before napoleon reads the sections.
    app.connect("autodoc-process-docstring", house_style, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
