"""What a look at a student's own code adds to an error's sentence.

It looks at the submission alone, never at a run, and so it can tell
nothing of a hidden case.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from attncourse.grading.handed_in.forbidden import answered_with
from attncourse.grading.model import Judged, Outcome, Plan, Script
from attncourse.grading.notebooks.syntax import look


def explained(
    outcome: Outcome,
    script: Script,
    plan: Plan,
    *,
    absent: Iterable[str] = (),
) -> Outcome:
    """Return an outcome whose errors say what the code shows.

    `absent` are packages that are not there when a notebook is graded.
    """
    absent = tuple(absent)
    questions = tuple(
        _of_absent(each, script, plan, absent)
        or _of_order(each, script, plan)
        or each
        for each in outcome.questions
    )
    return replace(outcome, questions=questions)


def _of_absent(
    judged: Judged, script: Script, plan: Plan, absent: tuple[str, ...]
) -> Judged | None:
    """Say that an answer calls what is not there."""
    if judged.error != "RuntimeError" or not absent:
        return None
    test = replace(plan.cell(judged.grade_id), forbids=absent)
    used = [name for name, _ in answered_with(script, test)]
    if not used:
        return None
    package = used[0].partition(".")[0]
    where = f" in line {judged.line}" if judged.line else ""
    says = (
        f"The answer stopped{where} (RuntimeError): it calls {package}, and "
        f"{package} is not there when a notebook is graded. Write what it "
        "does yourself."
    )
    return replace(judged, says=says)


def _of_order(judged: Judged, script: Script, plan: Plan) -> Judged | None:
    """Say that a name is defined further down than where it is needed."""
    if judged.error != "NameError":
        return None
    later = defined_later(script, plan, judged.grade_id)
    if not later:
        return None
    are = "is" if len(later) == 1 else "are"
    it = "it" if len(later) == 1 else "them"
    says = (
        f"{judged.says} Your notebook runs from top to bottom in a new "
        f"process, and {' and '.join(later)} {are} defined only in a cell "
        f"below this question: move {it} up. (To see it yourself: restart "
        "the kernel and run all cells.)"
    )
    return replace(judged, says=says)


def defined_later(
    script: Script, plan: Plan, grade_id: str
) -> tuple[str, ...]:
    """Return the names that an answer uses and only later cells define."""
    answers = plan.cell(grade_id).answers
    before, used, after = set[str](), set[str](), set[str]()
    passed = False
    for step in script.steps:
        if step.do == "test":
            passed = passed or step.grade_id == grade_id
            continue
        code = look(step.source)
        (after if passed else before).update(code.binds)
        # A function of one's own may be what needs the name.
        if not passed and (step.grade_id in answers or not step.grade_id):
            used |= code.uses
    return tuple(sorted((used - before) & after))[:3]
