"""Tell an instructor where an answer uses what its question forbids.

Flags, never points: a person decides. What is seen is what stands in the
code, through aliases and the usual detours, and what a best-effort patch
records while the code runs.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterable, Iterator

from attncourse.grading.model import Plan, Script, SourceCell, Step
from attncourse.grading.notebooks.dotted import (
    COMPUTED,
    TEXT,
    Aliases,
    Use,
    uses,
)
from attncourse.grading.notebooks.syntax import tree

# The variable of the student's process in which `watch` records.
CALLS = "_grading_calls"
MOST_FLAGS = 20
# Honest notebooks have a tenth of it; more is looked through in part.
MOST_TOGETHER = 150_000


def find(script: Script, plan: Plan) -> tuple[str, ...]:
    """Return a sentence for each forbidden thing that an answer uses.

    Looked through are a test's answers and whatever of the student's own
    cells they reach by name, but not the answers of other questions.
    """
    asked = [test for test in plan.tests if test.forbids]
    if not asked:
        return ()
    code = _Code(script)
    flags: dict[str, None] = {}
    for test in asked:
        for says in code.faults(test):
            flags[says] = None
    return tuple(flags)[:MOST_FLAGS]


def answered_with(
    script: Script, test: SourceCell
) -> Iterator[tuple[str, int]]:
    """Yield what a test's answers use of what it forbids, and the line."""
    if not any(
        each in step.source for step in script.steps for each in test.forbids
    ):
        return
    for _, use in _Code(script).uses(test):
        if offends(use.name, test.forbids):
            yield use.name, use.line


def offends(name: str, forbids: Iterable[str]) -> str | None:
    """Return what forbids a dotted name, or None.

    Examples
    --------
    >>> offends("numpy.linalg.inv", ["numpy.linalg"])
    'numpy.linalg'
    >>> offends("numpy.linspace", ["numpy.linalg"])
    >>> offends("x.softmax", [".softmax"])
    '.softmax'
    """
    name = name.removeprefix("builtins.")
    for each in forbids:
        if each.startswith("."):
            if name.endswith(each):
                return each
        elif f"{name}.".startswith(f"{each}."):
            return each
    return None


class _Code:
    """The student's cells as trees, and what each top-level name is."""

    def __init__(self, script: Script) -> None:
        self.aliases = Aliases()
        self.trees: list[tuple[Step, ast.Module | None]] = []
        self.homes: dict[str, list[tuple[Step, ast.stmt]]] = {}
        together = 0
        for step in script.steps:
            if step.do == "test":
                continue
            together += len(step.source)
            module = tree(step.source) if together <= MOST_TOGETHER else None
            self.trees.append((step, module))
        # Twice: a name may be used above the line that renames it.
        for _, module in (*self.trees, *self.trees):
            if module is not None:
                self.aliases.learn(module)
        for step, module in self.trees:
            if module is not None and step.grade_id is None:
                self._definitions(step, module)

    def _definitions(self, step: Step, module: ast.Module) -> None:
        for node in module.body:
            for name in _bound(node):
                self.homes.setdefault(name, []).append((step, node))

    def faults(self, test: SourceCell) -> Iterator[str]:
        """Yield what one test's answers use and must not."""
        for step, module in self.trees:
            unseen = module is None and len(step.source) > 1000
            if unseen and step.grade_id in test.answers:
                yield (
                    f"{test.grade_id}: cell {_number(step)} could not be "
                    "looked through for what is forbidden"
                )
        for step, use in self.uses(test):
            says = self._judged(use, test.forbids)
            if says:
                yield (
                    f"{test.grade_id}: {says} (cell {_number(step)}, "
                    f"line {use.line})"
                )

    def uses(self, test: SourceCell) -> Iterator[tuple[Step, Use]]:
        """Yield what one test's answers use, and where."""
        seen: set[int] = set()
        waiting: deque[tuple[Step, ast.AST]] = deque()
        for step, module in self.trees:
            if step.grade_id in test.answers and module is not None:
                waiting.append((step, module))
        while waiting:
            step, node = waiting.popleft()
            if id(node) in seen:
                continue
            seen.add(id(node))
            for use in uses(node, self.aliases):
                yield step, use
                waiting.extend(self.homes.get(use.name, ()))

    @staticmethod
    def _judged(use: Use, forbids: tuple[str, ...]) -> str | None:
        if use.name == TEXT:
            return "executes text that could hold what is forbidden"
        owner, _, last = use.name.rpartition(".")
        if last == COMPUTED:
            near = not owner or any(
                f"{each}.".startswith(f"{owner}.") for each in forbids
            )
            where = f" in {owner}" if owner else ""
            return f"looks up a computed name{where}" if near else None
        by = offends(use.name, forbids)
        if by is None:
            return None
        return f"uses {use.name[:80]}, though {by} is forbidden"


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    return [
        each.id
        for each in ast.walk(node)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    ]


def _number(step: Step) -> str:
    return "?" if step.index is None else str(step.index + 1)


def watch(names: Iterable[str]) -> str:
    """Return code that records calls of forbidden functions.

    It is run in the student's process before the student's cells, in their
    namespace; `CALLS` then names a list of dotted names. It sees functions
    of modules that are loaded, called from a notebook's own code; it is
    easily undone by who wants to, and changes no result.
    """
    return WATCH.format(names=sorted(set(names)), calls=CALLS)


def called(calls: object, plan: Plan) -> tuple[str, ...]:
    """Return a flag for each forbidden call that `watch` recorded."""
    if not isinstance(calls, list):
        return ()
    forbids = {name for test in plan.tests for name in test.forbids}
    told = {
        name
        for name in calls[:1000]
        if type(name) is str and offends(name, forbids)
    }
    return tuple(
        f"{name[:80]} was called while the notebook ran"
        for name in sorted(told)[:MOST_FLAGS]
    )


WATCH = """\
def _grading_watch(names, record):
    import builtins
    import functools
    import sys

    def is_function(value):
        # A ufunc has methods, such as `reduce`, that a wrapper would hide.
        return (
            callable(value)
            and not isinstance(value, type)
            and type(value).__name__ != "ufunc"
        )

    def recorded(function, name):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            caller = sys._getframe(1).f_globals.get("__name__")
            if caller == "__main__" and name not in record:
                record.append(name)
            return function(*args, **kwargs)

        return wrapper

    def patch(owner, attribute, name):
        function = getattr(owner, attribute, None)
        if is_function(function):
            try:
                setattr(owner, attribute, recorded(function, name))
            except (AttributeError, TypeError):
                pass

    for name in names:
        module = sys.modules.get(name)
        if module is not None:
            for attribute in list(vars(module)):
                if not attribute.startswith("_"):
                    patch(module, attribute, name + "." + attribute)
            continue
        home, _, attribute = name.rpartition(".")
        owner = sys.modules.get(home) if home else builtins
        if owner is not None:
            patch(owner, attribute, name)


{calls} = []
_grading_watch({names!r}, {calls})
del _grading_watch
"""
