"""Which names of a test belong to the student, seen in the source.

The source decides, never a submission: a name that an instructor's cell
binds is the instructor's, whatever a student calls theirs.
"""

from __future__ import annotations

import ast
import builtins
import symtable
import warnings
from dataclasses import dataclass, field

from attncourse.grading.model import Plan, SourceCell
from attncourse.grading.notebooks.syntax import (
    WORD,
    Code,
    look,
    tree,
    without_magics,
)

# What IPython puts into every namespace.
ALWAYS = frozenset(dir(builtins)) | {
    "In",
    "Out",
    "display",
    "exit",
    "get_ipython",
    "quit",
    "_",
    "__",
    "___",
}


@dataclass(frozen=True)
class Needs:
    """What a test or a given cell must be given before it runs.

    `fetched` are the student's names. `imports` are names that only
    answers or free cells import, each with its statement: the judge
    imports them itself, those of `asked` only if the student has. No cell
    of the source binds those of `unknown`. `run` is False for a given cell
    that nothing in the judge depends on.
    """

    fetched: tuple[str, ...] = ()
    imports: dict[str, str] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    run: bool = True


def students(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return the student's names in each test, by its grade id."""
    found = needs(plan)
    return {
        cell.grade_id: found[cell.grade_id].fetched
        for cell in plan.tests
        if cell.grade_id is not None
    }


def needs(plan: Plan) -> dict[str, Needs]:
    """Return what each test and each locked cell needs, by grade id."""
    reader = _Reader()
    for cell in plan.cells:
        if cell.cell_type == "code":
            reader.read(cell)
    return reader.finished()


def functions(cell: SourceCell) -> tuple[str, ...]:
    """Return the functions that a cell of the source defines."""
    module = tree(cell.source)
    return tuple(
        node.name
        for node in (module.body if module else ())
        if isinstance(node, ast.FunctionDef)
    )


class _Reader:
    """Walks the source and remembers who bound a name last."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}  # "judge", "student" or "import"
        self.statements: dict[str, str] = {}
        self.free: set[str] = set()
        self.binders: dict[str, SourceCell] = {}
        self.answers: set[str] = set()
        self.own: dict[str, set[str]] = {}
        self.leans: dict[str, set[str]] = {}
        self.cells: dict[str, SourceCell] = {}
        self.imports: dict[str, dict[str, str]] = {}

    def read(self, cell: SourceCell) -> None:
        code = look(cell.source)
        if cell.kind not in ("test", "locked"):
            self._theirs(cell, code)
        elif cell.grade_id is not None:
            self._ours(cell, cell.grade_id, code)

    def _theirs(self, cell: SourceCell, code: Code) -> None:
        for name in code.defines | code.assigns:
            if cell.kind == "answer" or self.owners.get(name) != "judge":
                self.owners[name] = "student"
        if cell.kind == "answer":
            self.answers |= code.defines | code.assigns
        for name, statement in _imports(cell.source).items():
            if self.owners.get(name) != "judge":
                self.owners[name] = "import"
                self.statements[name] = statement
                if cell.kind != "answer":
                    self.free.add(name)

    def _ours(self, cell: SourceCell, grade_id: str, code: Code) -> None:
        used = _used(cell.source, self.answers)
        self.cells[grade_id] = cell
        self.own[grade_id] = {
            name
            for name in used - ALWAYS
            if self.owners.get(name) == "student"
            or (name not in self.owners and name not in code.binds)
        }
        self.imports[grade_id] = {
            name: statement
            for name, statement in self.statements.items()
            if self.owners[name] == "import" and (name in used or "*" in name)
        }
        self.leans[grade_id] = {
            binder.grade_id
            for name in used - code.defines - code.imports
            if (binder := self.binders.get(name)) and binder.grade_id
        }
        for name in code.binds:
            self.owners[name] = "judge"
            self.binders[name] = cell

    def finished(self) -> dict[str, Needs]:
        kept: set[str] = set()
        found: dict[str, Needs] = {}
        for grade_id in reversed(self.cells):
            if self._wanted(grade_id, kept):
                kept |= self.leans[grade_id] | {grade_id}
        for grade_id in self.cells:
            around = self._below(grade_id)
            fetched = set().union(*(self.own[each] for each in around))
            imports: dict[str, str] = {}
            for each in around:
                imports |= self.imports[each]
            found[grade_id] = Needs(
                fetched=tuple(sorted(fetched)),
                imports=imports,
                unknown=tuple(sorted(fetched - self.owners.keys())),
                asked=tuple(sorted(imports.keys() - self.free)),
                run=grade_id in kept,
            )
        return found

    def _wanted(self, grade_id: str, kept: set[str]) -> bool:
        """Tell whether the judge must run the cell.

        A given cell that only shows what a student's function does is
        left to the student's process.
        """
        if self.cells[grade_id].kind == "test" or grade_id in kept:
            return True
        return not self.own[grade_id]

    def _below(self, grade_id: str) -> set[str]:
        """Return the cell and those whose functions it may call."""
        around, waiting = {grade_id}, [grade_id]
        while waiting:
            for other in self.leans[waiting.pop()] - around:
                around.add(other)
                waiting.append(other)
        return around


def _used(source: str, answers: set[str]) -> set[str]:
    """Return the global names that a cell reads.

    Names of answers count wherever they are written, since a test may
    name them in a string or in a magic.
    """
    words = answers.intersection(WORD.findall(source)) - look(source).binds
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                table = symtable.symtable(source, "", "exec")
            except SyntaxError:
                bare = without_magics(source)
                table = symtable.symtable(bare, "", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return words | look(source).uses
    waiting, used = [table], set(words)
    while waiting:
        scope = waiting.pop()
        waiting.extend(scope.get_children())
        top = scope.get_type() == "module"
        used |= {
            symbol.get_name()
            for symbol in scope.get_symbols()
            if symbol.is_referenced() and (top or symbol.is_global())
        }
    return used


def _imports(source: str) -> dict[str, str]:
    """Return a statement for each name that a cell's top level imports.

    A star import is kept under a key that is no name.
    """
    found: dict[str, str] = {}
    module = tree(source)
    for node in module.body if module else ():
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        for alias in node.names:
            one: ast.stmt = ast.Import(names=[alias])
            if isinstance(node, ast.ImportFrom):
                one = ast.ImportFrom(
                    module=node.module, names=[alias], level=node.level
                )
            name = alias.asname or alias.name.partition(".")[0]
            if name == "*":
                name = ast.unparse(one)
            found[name] = ast.unparse(one)
    return found
