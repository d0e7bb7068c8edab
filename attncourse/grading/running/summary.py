"""The end of a run: the class report, the exports, and where they are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attncourse.grading.classdata import ClassData, Manual, Row, Similar
from attncourse.grading.handed_in import collecting, similar
from attncourse.grading.keeping.files import Draft, place_all
from attncourse.grading.keeping.runlog import now
from attncourse.grading.model import Outcome, Plan
from attncourse.grading.pages import exports, report
from attncourse.grading.pages.frame import counted
from attncourse.grading.running.progress import printable

if TYPE_CHECKING:
    from attncourse.grading.keeping.scores import Score
    from attncourse.grading.running.grade import Run
    from attncourse.grading.running.pending import Survey


def summarise(run: Run, survey: Survey) -> Iterator[str]:
    """Write reports and exports; give the lines to print."""
    settings, store = run.settings, run.store
    folder = run.options.report or settings.report
    scores = store.scores(settings.assignment)
    files: dict[Path, str] = {}
    reports = [
        class_data(run, survey, scores, plan, folder)
        for plan in run.assignment.plans.values()
    ]
    # Somebody who could not be read is no student of the gradebook yet.
    sheets = _sheets(scores, settings.assignment, reports)
    notes = tuple(
        f"{name}: {note}"
        for name, sheet in sheets.items()
        for note in sheet.notes
    )
    for plan, data in zip(run.assignment.plans.values(), reports, strict=True):
        data = replace(data, notes=notes)
        files[folder / f"{plan.notebook}.html"] = report.html(data)
        files[folder / f"{plan.notebook}.csv"] = report.csv(data)
    files |= {folder / name: sheet.text for name, sheet in sheets.items()}
    for file, text in files.items():
        write(file, text)
    yield from _lines(run, survey, files)
    for note in notes:
        yield printable(f"note       {note}")


def _sheets(
    scores: list[Score], assignment: str, reports: list[ClassData]
) -> dict[str, exports.Sheet]:
    """Return the tables for other systems, by the names of their files."""
    said: dict[str, list[str]] = {}
    for data in reports:
        for student, comment in exports.comments(data).items():
            said.setdefault(student, []).append(comment)
    comments = {student: " ".join(parts) for student, parts in said.items()}
    return {
        "grades.csv": exports.nbgrader(scores, assignment=assignment),
        "canvas.csv": exports.canvas(scores, assignment=assignment),
        "moodle.csv": exports.moodle(
            scores, assignment=assignment, comments=comments
        ),
    }


def write(file: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    draft = Draft(file, text.encode("utf-8", errors="replace"))
    try:
        place_all([draft])
    finally:
        draft.discard()


def class_data(
    run: Run,
    survey: Survey,
    scores: list[Score],
    plan: Plan,
    folder: Path,
) -> ClassData:
    """Return what the report on one of an assignment's notebooks shows."""
    store, name, unit = run.store, plan.notebook, plan.assignment
    submitted = run.assignment.submitted
    came = {
        row.student: Outcome.from_json(json.loads(row.outcome))
        for row in store.records(plan.assignment)
        if row.notebook == name
    }
    given = store.given(plan.assignment, name)
    rows = []
    for score in scores:
        rows.append(
            Row(
                student=score.student,
                outcome=came.get(score.student),
                problem=survey.problems.get((score.student, name), ""),
                handed_in=score.student in came
                or collecting.handed_in(submitted, score.student, unit),
                first_name=score.first_name or "",
                last_name=score.last_name or "",
                email=score.email or "",
                lms_user_id=score.lms_user_id or "",
                manual=_manual(plan, score, given.get(score.student)),
                penalty=given.get(score.student, ((), 0.0))[1],
                feedback=_page(run, score.student, name, folder),
            )
        )
    known = {score.student for score in scores}
    rows += [
        Row(student=student, problem=why)
        for (student, notebook), why in survey.problems.items()
        if notebook == name and student not in known
    ]
    known |= {row.student for row in rows}
    rows += [  # nobody has got to them yet
        Row(student=student)
        for student in collecting.students(submitted)
        if student not in known
        and collecting.handed_in(submitted, student, unit)
    ]
    return ClassData(
        assignment=plan.assignment,
        rows=tuple(sorted(rows, key=lambda row: row.student)),
        plan=plan,
        similar=_similar(run, plan, came),
        made=now()[:16].replace("T", " ") + " UTC",
        command=run.settings.command,
        isolation=run.isolation or _level(came),
        key_file=str(run.settings.key_file),
    )


def _page(run: Run, student: str, name: str, folder: Path) -> str:
    file = run.store.feedback(student, run.settings.assignment, name)
    return os.path.relpath(file, folder) if file.exists() else ""


def _manual(plan: Plan, score: Score, given: Any) -> tuple[Manual, ...]:
    """Return what people gave, and what waits for them."""
    found = {each.grade_id: each for each in given[0]} if given else {}
    tests = {test.grade_id for test in plan.tests}
    for (notebook, name), points in score.points.items():
        if notebook == plan.notebook and name not in tests | found.keys():
            most = next(
                (c.points for c in plan.cells if c.grade_id == name), 0.0
            )
            found[name] = Manual(grade_id=name, max_points=most, points=points)
    return tuple(found.values())


def _level(came: dict[str, Outcome]) -> str:
    return "; ".join(sorted({o.isolation for o in came.values()} - {""}))


def _similar(
    run: Run, plan: Plan, came: dict[str, Outcome]
) -> tuple[Similar, ...]:
    """Return answers that are built alike."""
    answers: dict[str, dict[str, str]] = {}
    for student in came:
        file = run.store.autograded(student, plan.assignment, plan.notebook)
        if not file.exists():
            continue
        for cell in json.loads(file.read_text("utf-8"))["cells"]:
            told = cell["metadata"].get("nbgrader", {})
            if told.get("solution") and cell["cell_type"] == "code":
                own = answers.setdefault(student, {})
                own[told["grade_id"]] = cell["source"]
    return tuple(similar.pairs(plan, answers))


def _lines(run: Run, survey: Survey, files: dict[Path, str]) -> Iterator[str]:
    told = f"{len(run.saved)} graded"
    if survey.unchanged:
        told += f", {len(survey.unchanged)} unchanged"
    if survey.problems:
        told += f", {len(survey.problems)} unreadable"
    if run.lost:
        told += f", {len(run.lost)} to grade again"
    yield f"{run.settings.assignment}: {told}"
    if run.isolation:
        yield f"isolation  {run.isolation}"
    for file in files:
        kind = "report" if file.suffix == ".html" else "table"
        yield f"{kind:10} {os.path.relpath(file)}"
    feedback = run.settings.folders.step("feedback")
    yield f"feedback   {os.path.relpath(feedback)}"
    yield from _missed(run, survey)
    for (student, name), why in sorted(survey.problems.items()):
        yield printable(f"unreadable {student}, {name}: {why}")
    log = run.settings.log_file
    why = f"; why is in {os.path.relpath(log)}" if log else ""
    for student in run.lost:
        yield printable(
            f"lost       {student}: run the same command again{why}"
        )


def _missed(run: Run, survey: Survey) -> Iterator[str]:
    """Say what lies where no submission is looked for."""
    unit = run.settings.assignment
    where = os.path.relpath(run.assignment.submitted)
    for name in survey.loose:
        yield printable(
            f"ignored    {where}/{name}: a submission must lie in "
            f"STUDENT/{unit}"
        )
    if survey.nothing:
        yield printable(
            f"nothing    of {counted(len(survey.nothing), 'student')}, who "
            f"have no folder {unit}: {_some(survey.nothing)}"
        )
    if not (survey.pending or survey.unchanged or survey.problems):
        names = [plan.notebook for plan in run.assignment.plans.values()]
        yield printable(
            f"nothing    was handed in: notebooks must lie in "
            f"{where}/STUDENT/{unit}/{names[0]}.ipynb"
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more
