"""`attncourse class`: an invented class, graded, and what came of it."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from attncourse import questions
from attncourse.grading.keeping.store import Store
from attncourse.grading.running import grade as engine
from attncourse.grading.running.settings import Options
from attncourse.notebooks.course import CLASSROOM, Course, CourseError, unit_of
from attncourse.notebooks.engine import require_fresh, settings
from attncourse.notebooks.release import written
from attncourse.notebooks.sample import Hand, plan
from attncourse.notebooks.sync import chosen

Who = Sequence[tuple[str, str, Hand]]
Scores = Mapping[tuple[str, str], float | None]


def run_class(
    course: Course, *, fresh: bool = False, trust_students: bool = False
) -> int:
    """Grade the sample class where needed, print the table and places.

    Parameters
    ----------
    trust_students : grade also where code cannot be shut in: the notebooks
        are our own.

    Returns
    -------
    status : 0 if every submission got a grade, 1 if one did not.
    """
    folder = course.root / "_build" / "class"
    if fresh and folder.exists():
        shutil.rmtree(folder)
    stems = chosen(course, [])
    require_fresh(course, stems)
    who = plan(stems)
    hand_in(course, folder, who)
    done = grade(course, folder, stems, trust_students)
    print()
    print("\n".join(table(done.scores, done.most, who)))
    points = course.written_points()
    if points:
        print(
            f"Written answers ({points:g} points a unit) wait for a person: "
            "grade them in formgrader."
        )
    print(f"Students' code was held by: {'; '.join(sorted(done.isolation))}")
    print()
    print("\n".join(places(course, folder, who)))
    return done.status


def hand_in(course: Course, folder: Path, who: Who) -> None:
    """Write everybody's notebooks, and take back what is not planned."""
    import nbformat

    planned = {(student, stem) for student, stem, _ in who}
    for old in (folder / "submitted").glob("*/*"):
        if (old.parent.name, old.name) not in planned:
            shutil.rmtree(old)
    for student, stem, hand in who:
        source = nbformat.read(course.source_notebook(stem), as_version=4)
        blank = nbformat.read(course.exercise(stem), as_version=4)
        asked = {
            id_: questions.load(id_) for id_ in questions.ids(unit_of(stem))
        }
        submit(
            folder,
            student,
            stem,
            written(hand.fill(source, blank, asked)),
        )


def submit(folder: Path, student: str, stem: str, text: str) -> None:
    """Put a notebook where nbgrader's collect would put it."""
    file = folder / "submitted" / student / stem / f"{unit_of(stem)}.ipynb"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", newline="\n")


@dataclass
class Done:
    """What came of a class; `scores` by student and unit, `most` by unit."""

    status: int = 0
    scores: dict[tuple[str, str], float | None] = field(default_factory=dict)
    most: dict[str, float] = field(default_factory=dict)
    isolation: set[str] = field(default_factory=set)


def grade(
    course: Course,
    folder: Path,
    stems: Sequence[str],
    trust_students: bool = False,
) -> Done:
    """Grade units of a class as far as they are not graded yet."""
    done = Done()
    options = Options(trust_students=trust_students)
    for number, stem in enumerate(stems, 1):
        print(f"[{number}/{len(stems)}] grading {stem}", flush=True)
        own = settings(course, stem, folder)
        status = engine.run(own, options, stream=io.StringIO())
        if status > 1:
            raise CourseError(f"{stem} must be graded: see above")
        done.status = max(done.status, status)
        with Store(own.db_url, own.folders, course_id=own.course_id) as store:
            for each in store.scores(stem):
                done.scores[each.student, stem] = each.score
                done.most[stem] = each.max_score
            done.isolation |= {each.isolation for each in store.outcomes(stem)}
    return done


def table(scores: Scores, most: Mapping[str, float], who: Who) -> list[str]:
    """Return the grades as lines: a student a row, a unit a column."""
    stems = sorted({stem for _, stem, _ in who})
    handed = {(student, stem) for student, stem, _ in who}
    says = {student: hand.says for student, _, hand in who}
    width = max(map(len, says), default=0)
    wide = max(len("not graded"), *map(len, stems)) + 2
    heads = [f"{stem:>{wide}}" for stem in stems]
    out = [f"{'':{width}} {''.join(heads)}"]
    for student in sorted(says):
        line = "".join(
            f"{_cell(scores, handed, student, stem):>{wide}}" for stem in stems
        )
        out.append(f"{student:{width}} {line}   {says[student]}")
    out.append(
        f"{'of':{width}} "
        + "".join(f"{most.get(stem, 0.0):>{wide}g}" for stem in stems)
    )
    return out


def _cell(scores: Scores, handed: set, student: str, stem: str) -> str:
    """Return a score, or what stands for none: never a zero."""
    if (student, stem) not in handed:
        return "-"
    score = scores.get((student, stem))
    return "not graded" if score is None else f"{score:g}"


def places(course: Course, folder: Path, who: Who) -> list[str]:
    """Return where to look: book, notebooks, report, feedback."""
    student, stem = next(
        ((s, t) for s, t, hand in who if "usual mistakes" in hand.says),
        who[0][:2],
    )
    name = unit_of(stem)
    lines = (
        ("book", course.book),
        ("notebooks", course.exercises),
        ("report", folder / "report" / stem / f"{name}.html"),
        ("feedback", folder / "feedback"),
        ("  such as", folder / "feedback" / student / stem / f"{name}.html"),
        ("grades", folder / "report" / stem / "grades.csv"),
    )
    shown = [f"{name:10} {_shown(file, course.root)}" for name, file in lines]
    where = os.path.relpath(folder, course.root)
    return [
        *shown,
        f"formgrader {CLASSROOM}={where} .venv/bin/jupyter lab",
    ]


def _shown(file: Path, root: Path) -> str:
    shown = os.path.relpath(file, root)
    return shown if file.exists() else f"{shown} (not built yet)"
