"""Grade one file and keep nothing: what would this notebook get?"""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from attncourse.grading.handed_in.collecting import Submitted
from attncourse.grading.model import GradingError, Outcome
from attncourse.grading.running.engine import Grader
from attncourse.grading.running.pending import Assignment
from attncourse.grading.running.progress import printable
from attncourse.grading.running.settings import Options, Settings
from attncourse.grading.running.summary import write

# No folder of a student can be called so.
NOBODY = "."


def preview(settings: Settings, options: Options, *, stream: TextIO) -> int:
    """Grade a file, print its verdicts, write its feedback if asked to.

    Returns
    -------
    status : 0 if every question passed, 1 if not.
    """
    file = options.notebook
    assert file is not None
    assignment = Assignment(settings, options)
    key = _plan_of(assignment, file)
    student = options.student or NOBODY
    try:
        data = file.read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise GradingError(f"{file} must be readable: got {why}") from None
    task = assignment.task(key, Submitted(student=student, data=data))
    grader = Grader(assignment.setup, workers=1)
    [(_, marked)] = grader.grade([task], assignment.plans)
    if marked.outcome is None:
        raise GradingError(f"{file}: {marked.problem}")
    for line in told(marked.outcome):
        print(line, file=stream)
    if options.report:
        for ending, page in marked.pages.items():
            write(options.report / f"{file.stem}{ending}", page)
            print(
                f"feedback in {options.report / file.stem}{ending}",
                file=stream,
            )
    passed = all(q.verdict == "pass" for q in marked.outcome.questions)
    return int(not passed)


def told(outcome: Outcome) -> list[str]:
    """Return an outcome as lines, a question each."""
    most = sum(question.max_points for question in outcome.questions)
    lines = [
        printable(
            f"{each.verdict:13} {each.points:5g}/{each.max_points:<5g} "
            f"{each.grade_id}: {each.says}"
        )
        for each in outcome.questions
    ]
    lines += [printable(f"note: {note}") for note in outcome.notes]
    lines += [printable(f"look at: {flag}") for flag in outcome.flags]
    lines.append(f"{outcome.points:g} of {most:g} points")
    lines.append(f"isolation: {outcome.isolation}")
    return lines


def _plan_of(assignment: Assignment, file: Path) -> str:
    """Return the key of the plan that a file is about: by its name."""
    plans = assignment.plans
    for key, plan in plans.items():
        if len(plans) == 1 or plan.notebook == file.stem:
            return key
    names = ", ".join(sorted(plan.notebook for plan in plans.values()))
    raise GradingError(f"{file} must be called as one of {names}.ipynb")
