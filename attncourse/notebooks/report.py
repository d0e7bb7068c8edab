"""`attncourse class`: an invented class, graded, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from attncourse import questions
from attncourse.notebooks.classroom import FOLDER, Class, Steps, grader_digest
from attncourse.notebooks.course import Course, CourseError, unit_of
from attncourse.notebooks.release import written
from attncourse.notebooks.sample import Hand, plan
from attncourse.notebooks.sync import chosen, sync

Rows = list[dict[str, str]]


def run_class(course: Course, *, fresh: bool = False) -> int:
    """Grade the sample class where needed, print the table and places.

    Returns
    -------
    status : 0 if every submission got a grade, 1 if one did not.
    """
    folder = course.root / "_build" / "class"
    if fresh and folder.exists():
        shutil.rmtree(folder)
    stems = chosen(course, [])
    stale = sync(course, stems, check=True)
    if stale:
        raise CourseError(
            f"exercises must fit solutions: stale are {', '.join(stale)}; "
            "run `attncourse sync`"
        )
    who = plan(stems)
    class_ = Class(course, folder)
    hand_in(class_, who)
    failed = grade(class_, stems)
    rows = class_.grades()
    print()
    print("\n".join(table(rows, class_, stems, who)))
    print()
    print("\n".join(places(class_, who)))
    for line in failed:
        print(line, file=sys.stderr)
    return int(bool(failed))


def hand_in(class_: Class, who: Sequence[tuple[str, str, Hand]]) -> None:
    """Write everybody's notebooks, and take back what is not planned."""
    import nbformat

    course = class_.course
    planned = {(student, stem) for student, stem, _ in who}
    for old in (class_.folder / "submitted").glob("*/*"):
        if (old.parent.name, old.name) not in planned:
            shutil.rmtree(old)
    for student, stem, hand in who:
        source = nbformat.read(course.source_notebook(stem), as_version=4)
        blank = nbformat.read(course.exercise(stem), as_version=4)
        asked = {
            id_: questions.load(id_) for id_ in questions.ids(unit_of(stem))
        }
        class_.submit(stem, student, written(hand.fill(source, blank, asked)))


def grade(class_: Class, stems: Sequence[str]) -> list[str]:
    """Grade the units that changed, saying so; return what failed."""
    done = class_.folder / "done.json"
    known = json.loads(done.read_text()) if done.exists() else {}
    grader = grader_digest(class_.course)
    digests = {stem: class_.fingerprint(stem, grader) for stem in stems}
    todo = [stem for stem in stems if known.get(stem) != digests[stem]]
    if not todo:
        print("Nothing has changed since the class was graded.")
        return []
    progress = Progress(sum(len(class_.students(stem)) for stem in todo))
    failed = []
    with class_.steps() as steps:
        for stem in todo:
            problems = _grade_unit(class_, stem, steps, progress)
            failed += problems
            if not problems:
                known[stem] = digests[stem]
        steps.export()
    progress.end()
    # Written last: an interrupted run is repeated, never believed.
    done.write_text(json.dumps(known, indent=1))
    return failed


def _grade_unit(
    class_: Class, stem: str, steps: Steps, progress: Progress
) -> list[str]:
    steps.generate(stem, anew=True)
    problems = []
    for student in class_.students(stem):
        progress.next(f"{stem}: {student}")
        try:
            steps.autograde(stem, student)
            steps.feedback(stem, student)
        except CourseError as error:
            problems.append(str(error))
    return problems


class Progress:
    """One line a submission, or one changing line on a terminal."""

    def __init__(self, total: int):
        self.total = total
        self.number = 0
        self.start = time.monotonic()
        self.live = sys.stdout.isatty()

    def next(self, what: str) -> None:
        """Say what is graded now."""
        self.number += 1
        text = f"[{self.number:2}/{self.total}] grading {what}"
        sys.stdout.write(f"\r\x1b[K{text}" if self.live else f"{text}\n")
        sys.stdout.flush()

    def end(self) -> None:
        """Say how long it took."""
        if self.total:
            taken = time.monotonic() - self.start
            lead = "\r\x1b[K" if self.live else ""
            sys.stdout.write(
                f"{lead}{self.total} submissions graded in {taken:.0f} s\n"
            )


def table(
    rows: Rows,
    class_: Class,
    stems: Sequence[str],
    who: Sequence[tuple[str, str, Hand]],
) -> list[str]:
    """Return the grades as lines: a student a row, a unit a column."""
    scores = {
        (row["student_id"], row["assignment"]): float(row["score"])
        for row in rows
    }
    most = {row["assignment"]: float(row["max_score"]) for row in rows}
    handed = {(student, stem) for student, stem, _ in who}
    says = {student: hand.says for student, _, hand in who}
    width = max(map(len, says), default=0)
    wide = max(map(len, stems)) + 2
    heads = [f"{stem:>{wide}}" for stem in stems]
    out = [f"{'':{width}} {''.join(heads)}"]
    for student in sorted(says):
        cells = [
            f"{scores.get((student, stem), 0.0):g}"
            if (student, stem) in handed
            else "-"
            for stem in stems
        ]
        line = "".join(f"{cell:>{wide}}" for cell in cells)
        out.append(f"{student:{width}} {line}   {says[student]}")
    out.append(
        f"{'of':{width}} "
        + "".join(f"{most.get(stem, 0.0):>{wide}g}" for stem in stems)
    )
    points = class_.course.written_points()
    if points:
        out.append(
            f"Written answers ({points:g} points a unit) wait for a person: "
            "grade them in formgrader."
        )
    return out


def places(class_: Class, who: Sequence[tuple[str, str, Hand]]) -> list[str]:
    """Return where to look: book, notebooks, feedback."""
    course = class_.course
    student, stem = next(
        ((s, t) for s, t, hand in who if "usual mistakes" in hand.says),
        who[0][:2],
    )
    page = class_.page(stem, student)
    lines = (
        ("book", course.book),
        ("notebooks", course.exercises),
        ("feedback", class_.folder / "feedback"),
        ("  such as", page),
        ("grades", class_.folder / "grades.csv"),
    )
    shown = [f"{name:10} {_shown(file, course.root)}" for name, file in lines]
    where = os.path.relpath(class_.folder, course.root)
    return [
        *shown,
        f"formgrader {FOLDER}={where} .venv/bin/jupyter lab",
    ]


def _shown(file: Path, root: Path) -> str:
    shown = os.path.relpath(file, root)
    return shown if file.exists() else f"{shown} (not built yet)"
