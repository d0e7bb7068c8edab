"""Judge a question again, with the instructor's functions before it.

So a mistake is not punished twice: where an answer leans on an earlier one
that failed, and is meant to, it is tried with the right one. That is done
after the earlier question is closed, in a process in which no other is
scored.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from attncourse.grading.judging.bench import Tried
from attncourse.grading.judging.names import functions as defined
from attncourse.grading.judging.verdicts import Answer, judged
from attncourse.grading.model import Job, Judged, SourceCell
from attncourse.grading.notebooks.syntax import (
    Code,
    look,
    look_at_all,
    without_magics,
)

Named = tuple[str | None, Code]  # a cell's code, with its grade id
AGAIN = ("fail", "partial", "error")


def candidates(
    job: Job, questions: Mapping[str, Judged]
) -> Iterator[tuple[SourceCell, tuple[str, ...]]]:
    """Yield failed tests, each with earlier failed functions it leans on."""
    if all(each.verdict not in AGAIN for each in questions.values()):
        return
    failed: set[str] = set()
    steps = [step for step in job.script.steps if step.do != "test"]
    looked = look_at_all(step.source for step in steps)
    theirs = [
        (step.grade_id, code) for step, code in zip(steps, looked, strict=True)
    ]
    for cell in job.plan.tests:
        own = _functions(job, cell)
        question = questions.get(cell.grade_id or "")
        if question is None:
            continue
        if question.verdict in AGAIN and failed - own:
            names = tuple(sorted(_leans(job, cell, theirs) & (failed - own)))
            if names:
                yield cell, names
        if question.points < question.max_points:
            failed |= own


def functions(
    job: Job, names: tuple[str, ...], test: SourceCell
) -> dict[str, Any]:
    """Return the instructor's own functions of these names.

    They come from the source's cells before the test; what cannot be made
    that way is left out.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    sink = io.StringIO()
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        for cell in job.plan.cells:
            if cell.grade_id == test.grade_id:
                break
            if cell.cell_type != "code" or cell.kind == "test":
                continue
            with contextlib.suppress(Exception):
                source = without_magics(cell.source)
                exec(compile(source, "<source>", "exec"), namespace)
    found = {name: namespace.get(name) for name in names}
    return {
        name: _function(value)
        for name, value in found.items()
        if callable(value) and not isinstance(value, type)
    }


def better(
    before: Judged, cell: SourceCell, tried: Tried, names: tuple[str, ...]
) -> Judged | None:
    """Return the new result if it gives more points, else None."""
    after = judged(cell, Answer(), tried, before.shown)
    if after.points <= before.points:
        return None
    what = ", ".join(names)
    return replace(
        after,
        says=f"{after.says} It was tried with the instructor's {what}, since "
        "an earlier question failed.",
        substituted=names,
        flags=tuple(dict.fromkeys((*before.flags, *after.flags))),
        seconds=round(before.seconds + tried.seconds, 4),
    )


def _functions(job: Job, test: SourceCell) -> set[str]:
    """Return the functions that the source's answers to a test define."""
    return {
        name
        for cell in job.plan.cells
        if cell.grade_id in test.answers
        for name in defined(cell)
    }


def _leans(job: Job, test: SourceCell, theirs: list[Named]) -> set[str]:
    """Return the names that a student's answer to a test leans on.

    Only those count that the instructor's own answer leans on as well: to
    another question a lent function might be the answer itself.
    """
    ours = [
        (cell.grade_id, look(cell.source))
        for cell in job.plan.cells
        if cell.cell_type == "code" and cell.kind != "test"
    ]
    own = _functions(job, test)
    return _used(theirs, test, own) & _used(ours, test, own)


def _used(cells: list[Named], test: SourceCell, own: set[str]) -> set[str]:
    """Return the names that the answer to a test uses, through others."""
    used = set().union(
        *(
            code.uses
            for name, code in cells
            if (name is not None and name in test.answers) or own & code.binds
        )
    )
    while True:
        around = used.union(
            *(code.uses for _, code in cells if code.defines & used)
        )
        if around == used:
            return used
        used = around


def _function(value: Any) -> Any:
    """Return a plain function: nothing but a call gets through."""

    def instructors(*args: Any, **kwargs: Any) -> Any:
        return value(*args, **kwargs)

    instructors.__name__ = getattr(value, "__name__", "function")
    return instructors
