"""Where grades are kept: nbgrader's gradebook and folders.

A submission is saved in one transaction: its grades, a record of how they
came about, and the files that go with them. Whatever is interrupted is
graded again; whatever is there is there whole, and once.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbgrader.utils import parse_utc
from sqlalchemy import Connection

from attncourse.grading.keeping import byhand, enrol, marks, records, rules
from attncourse.grading.keeping.files import Draft, place_all
from attncourse.grading.keeping.folders import Folders
from attncourse.grading.keeping.gradebook import Book
from attncourse.grading.keeping.scores import Score, scores
from attncourse.grading.model import Outcome, Plan

STAMP = "timestamp.txt"
NOTHING_GIVEN = byhand.digest((), 0.0)


@dataclass(frozen=True, kw_only=True)
class Graded:
    """One notebook of a submission, graded.

    `notebook` is what formgrader shows, with nbgrader's metadata; `pages`
    is the feedback, by the ending of its file, such as ``.html``, and
    `by_hand` a digest of the people's marks that it tells.
    """

    plan: Plan
    outcome: Outcome
    content_key: str
    notebook: dict[str, Any]
    pages: Mapping[str, str] = field(default_factory=dict)
    by_hand: str = NOTHING_GIVEN


class Store:
    """A gradebook, and the folders beside it."""

    def __init__(
        self,
        db_url: str,
        folders: Folders,
        *,
        course_id: str = "default_course",
        penalty: marks.Penalty | None = None,
    ):
        self.book = Book(db_url, course_id)
        self.folders = folders
        self.penalty = penalty
        self._wanted: dict[int, tuple[Plan, dict]] = {}

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the gradebook."""
        self.book.close()

    def save(
        self,
        parts: Sequence[Graded],
        *,
        again: bool = False,
    ) -> bool:
        """Save a submission's notebooks, all of them or none.

        Parameters
        ----------
        parts : the notebooks of one student's submission.
        again : save even if the same is there already.

        Returns
        -------
        saved : False if another grader had saved the very same.
        """
        drafts: list[Draft] = []
        try:
            for file, (content, mode) in self._files(parts).items():
                drafts.append(Draft(file, content, mode=mode))

            def work(connection: Connection) -> bool:
                if not again and self._is_there(connection, parts):
                    return False
                self._write(connection, parts)
                # Placed while no other grader can write, so that files
                # and grades are of the same run.
                place_all(drafts)
                return True

            return self.book.change(work)
        finally:
            for draft in drafts:
                draft.discard()

    def rewrite(
        self, record: Any, pages: Mapping[str, str], by_hand: str
    ) -> None:
        """Replace the feedback of a record, and nothing else."""
        drafts: list[Draft] = []
        who = record.student, record.assignment, record.notebook

        def work(connection: Connection) -> None:
            if records.tell(connection, record, by_hand):
                place_all(drafts)

        try:
            for ending, page in pages.items():
                drafts.append(Draft(self.feedback(*who, ending), _bytes(page)))
            self.book.change(work)
        finally:
            for draft in drafts:
                draft.discard()

    def keys(self, assignment: str) -> dict[tuple[str, str], str]:
        """Return content keys of what is graded, by student and notebook."""
        return {
            (row.student, row.notebook): row.content_key
            for row in self.records(assignment)
            if self.autograded(row.student, assignment, row.notebook).exists()
        }

    def outcomes(
        self, assignment: str, notebook: str | None = None
    ) -> list[Outcome]:
        """Return how every grade came about, by student."""
        return [
            Outcome.from_json(json.loads(row.outcome))
            for row in self.records(assignment)
            if notebook in (None, row.notebook)
        ]

    def has_records(self) -> bool:
        """Tell whether anything at all was graded here."""
        with self.book.reading() as connection:
            return records.some(connection)

    def records(self, assignment: str) -> list[Any]:
        """Return the records of an assignment: a row for each notebook."""
        with self.book.reading() as connection:
            return records.of(connection, assignment)

    def scores(self, assignment: str) -> list[Score]:
        """Return a row for each student; what is not graded is None."""
        with self.book.reading() as connection:
            return scores(connection, assignment)

    def given(self, assignment: str, notebook: str) -> dict[str, byhand.Given]:
        """Return people's marks and the late penalty, by student."""
        with self.book.reading() as connection:
            return byhand.given(connection, assignment, notebook)

    def autograded(self, student: str, assignment: str, name: str) -> Path:
        """Return where formgrader looks for a graded notebook."""
        folder = self.folders.path("autograded", student, assignment)
        return folder / f"{name}.ipynb"

    def feedback(
        self, student: str, assignment: str, name: str, ending: str = ".html"
    ) -> Path:
        """Return where a student's feedback is."""
        folder = self.folders.path("feedback", student, assignment)
        return folder / f"{name}{ending}"

    def _files(self, parts: Sequence[Graded]) -> dict[Path, tuple[bytes, int]]:
        """Return the files that go with a submission, and their modes."""
        found: dict[Path, tuple[bytes, int]] = {}
        for part in parts:
            who = part.outcome.student, part.plan.assignment
            name = part.plan.notebook
            text = _bytes(as_text(part.notebook))
            found[self.autograded(*who, name)] = (text, 0o444)
            for ending, page in part.pages.items():
                file = self.feedback(*who, name, ending)
                found[file] = (_bytes(page), 0o644)
            stamp = self._stamp(*who)
            if stamp is not None:
                # By it formgrader sees that this is the newest submission.
                for step in ("autograded", "feedback")[: 1 + bool(part.pages)]:
                    file = self.folders.path(step, *who) / STAMP
                    found[file] = (_bytes(stamp), 0o644)
        return found

    def _stamp(self, student: str, assignment: str) -> str | None:
        """Return when something was handed in, as nbgrader wrote it down."""
        file = self.folders.path("submitted", student, assignment) / STAMP
        if file.is_symlink() or not file.is_file():
            return None
        with file.open("rb") as stream:
            return stream.read(200).decode("utf-8", errors="replace")

    def _is_there(
        self, connection: Connection, parts: Sequence[Graded]
    ) -> bool:
        for part in parts:
            who = part.outcome.student, part.plan.assignment
            file = self.autograded(*who, part.plan.notebook)
            key = records.key(connection, *who, part.plan.notebook)
            if key != part.content_key or not file.exists():
                return False
        return True

    def _write(
        self,
        connection: Connection,
        parts: Sequence[Graded],
    ) -> None:
        for part in parts:
            plan, student = part.plan, part.outcome.student
            top = enrol.assignment(
                connection, plan.assignment, self.book.course_id
            )
            notebook = enrol.notebook(connection, plan.notebook, top)
            ids = self._cells(connection, plan, notebook)
            when = _moment(self._stamp(student, plan.assignment))
            parent = marks.submission(connection, student, top, when)
            row = marks.submitted_notebook(connection, parent, notebook)
            told = rules.automatic(plan, part.outcome, part.notebook)
            marks.write(connection, row, ids, *told)
            if self.penalty:
                marks.penalise(connection, student, parent, self.penalty)
            records.put(connection, part, row)

    def _cells(
        self, connection: Connection, plan: Plan, notebook: str
    ) -> marks.Ids:
        """Return the ids of the cells; brought up to the plan if need be."""
        known = self._wanted.get(id(plan))
        if known:
            ids = enrol.cell_ids(connection, notebook)
            if ids.keys() == known[1].keys():
                return ids
        wanted = enrol.graded_cells(plan)
        ids = enrol.cells(connection, wanted, plan, notebook)
        enrol.sources(connection, plan, notebook)
        # The plan is kept with it: its id must stay its own.
        self._wanted[id(plan)] = plan, wanted
        return ids


def as_text(notebook: dict[str, Any]) -> str:
    """Return a notebook as JSON with a cell a line.

    To indent it would take the slower of Python's two encoders.
    """
    cells = ",\n".join(
        json.dumps(cell, ensure_ascii=False) for cell in notebook["cells"]
    )
    rest = {key: notebook[key] for key in notebook if key != "cells"}
    return f'{{"cells": [\n{cells}\n],\n{json.dumps(rest)[1:]}\n'


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="replace")


def _moment(stamp: str | None) -> datetime.datetime | None:
    try:
        return parse_utc(stamp.strip()) if stamp else None
    except (ValueError, OverflowError):
        return None
