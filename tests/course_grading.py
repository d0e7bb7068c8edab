"""The real engine on a unit of this course, and the same in-process."""

from __future__ import annotations

import base64
import contextlib
import copy
import functools
import io
import json
import types
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from unittest import mock

from notebooks.cells import COURSE

from attncourse import questions
from attncourse.grading.model import Judged, Plan
from attncourse.grading.notebooks import source
from attncourse.grading.running.marking import Marker
from attncourse.grading.running.tasks import Marked, Setup, Task
from attncourse.notebooks import engine, sample, sync
from attncourse.notebooks.release import written

SEED = "5eed" * 8
# What both must say of an answer, word for word.
SAME = ("verdict", "points", "failed_stages", "diagnosis", "error", "line")


class Unit:
    """A unit with its questions, its source and a notebook that is right."""

    def __init__(self, unit: str) -> None:
        self.name = unit
        self.source = sync.source_of(COURSE, questions.stem(unit))
        self.plan: Plan = source.read_plan(
            json.loads(written(self.source)),
            assignment=questions.stem(unit),
            notebook=unit,
        )
        self.asked = {id_: questions.load(id_) for id_ in questions.ids(unit)}

    def solved(self) -> Any:
        """Return a notebook in which every answer is right."""
        return sample.solved(self.source)

    def notebook(self, sources: Mapping[str, str]) -> Any:
        """Return it with these answers instead, by their questions."""
        notebook = copy.deepcopy(self.solved())
        for cell, question in sample.answers(notebook, self.asked):
            cell.source = sources.get(question.id, cell.source)
        return notebook

    def right(self, question: str) -> str:
        """Return the source of a question's right answer."""
        cells = sample.answers(self.solved(), self.asked)
        return next(c.source for c, asked in cells if asked.id == question)


@functools.cache
def unit(name: str) -> Unit:
    """Return a unit, read once."""
    return Unit(name)


class Engine:
    """A worker of the engine, set up as for this course."""

    def __init__(self, *preload: str) -> None:
        given: Setup = engine.settings(COURSE, "01_lookup").setup
        preload = (*given.preload, *preload)
        self._marker = Marker(replace(given, preload=preload))

    def mark(self, unit: Unit, notebook: Any) -> Marked:
        """Return what comes of a notebook, or of the bytes of a file."""
        data = notebook
        if not isinstance(data, bytes):
            data = written(notebook).encode()
        return self._marker.mark(
            Task(
                student="anna",
                plan="p",
                content_key="k",
                data=base64.b64encode(data).decode(),
                seed=SEED,
            ),
            unit.plan,
        )

    def judged(self, unit: Unit, notebook: Any) -> dict[str, Judged]:
        """Return what came of each question, by its id."""
        marked = self.mark(unit, notebook)
        assert marked.outcome is not None, marked.problem
        return by_question(unit, marked)

    def close(self) -> None:
        """End the servers."""
        self._marker.close()


def by_question(unit: Unit, marked: Marked) -> dict[str, Judged]:
    """Return the results of an outcome by the questions' ids."""
    assert marked.outcome is not None, marked.problem
    return {
        f"{unit.name}.{each.grade_id.removesuffix('-test')}": each
        for each in marked.outcome.questions
    }


def examined(
    unit: Unit, sources: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return what `questions.examine` tells of the same cells in here."""
    module = types.ModuleType("__main__")
    space, told = vars(module), {}
    with warnings.catch_warnings(), _silently():
        warnings.simplefilter("ignore")
        for place, cell in enumerate(unit.plan.cells):
            if cell.cell_type != "code":
                continue
            id_ = f"{unit.name}.{cell.grade_id}"
            if cell.kind == "test":
                id_ = id_.removesuffix("-test")
                told[id_] = _told(id_, cell.source, space)
                continue
            text = sources.get(id_, cell.source)
            with contextlib.suppress(Exception):  # a cell may stop
                exec(compile(text, f"<cell {place}>", "exec"), space)
    return told


def _silently() -> Any:
    return contextlib.redirect_stdout(io.StringIO())


def _told(id_: str, source: str, space: dict[str, Any]) -> dict[str, Any]:
    """Examine the function of a question with what its test brings."""
    brought: dict[str, Any] = {}

    def grade(_: str, answer: Callable, **secret: Any) -> float:
        brought.update(secret, answer=answer)
        return 0.0

    judge = {"check": lambda *_: None, "np": __import__("numpy")}
    name = questions.load(id_).function_name
    with mock.patch.object(questions, "grade", grade):
        exec(source, judge | {name: space.get(name), "__name__": "judge"})
    return questions.examine(id_, key=SEED, **brought).told()
