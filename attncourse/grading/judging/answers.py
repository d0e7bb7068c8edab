"""What is known of a question's answer, from the run that is shown."""

from __future__ import annotations

from collections.abc import Sequence

from attncourse.grading.judging.names import Needs
from attncourse.grading.judging.session import Session
from attncourse.grading.judging.verdicts import Answer
from attncourse.grading.model import Job, SourceCell
from attncourse.grading.notebooks.syntax import Code, look


def answer(
    job: Job,
    test: SourceCell,
    place: int,
    visible: Session,
    needs: Needs,
    *,
    well: bool,
) -> Answer:
    """Return how the cells ended that answer the test at step `place`.

    `well` tells that the test came to its end.
    """
    functions = frozenset().union(
        *(
            look(cell.source).defines
            for cell in job.plan.cells
            if cell.grade_id in test.answers
        )
    )
    if well and not visible.guilty:
        return Answer(functions=functions)  # else nothing will be said of it
    steps = _answering(job, test, place, needs, visible.codes)
    own = {
        cell.grade_id: cell.visible.strip()
        for cell in job.plan.cells
        if cell.grade_id in test.answers
    }
    guilt = next(
        (visible.guilty[each] for each in steps if each in visible.guilty),
        None,
    )
    failed = next(
        (visible.failed[each] for each in steps if each in visible.failed),
        None,
    )
    written = [job.script.steps[each] for each in steps]
    return Answer(
        untouched=bool(written)
        and all(
            own.get(step.grade_id or "") == step.source.strip()
            for step in written
        ),
        there=bool(written) and test.grade_id not in job.script.missing,
        guilt=guilt,
        failed=failed,
        line=visible.line(failed),
        functions=functions,
        cells=tuple(visible.labels[each] for each in steps),
        stopped=tuple(
            visible.labels[each]
            for each in sorted(visible.guilty)
            if each < place
        ),
    )


def _answering(
    job: Job,
    test: SourceCell,
    place: int,
    needs: Needs,
    codes: Sequence[Code],
) -> list[int]:
    """Return the steps that answer a test: by name of cell or function."""
    wanted = set(needs.fetched)
    return [
        index
        for index, step in enumerate(job.script.steps[:place])
        if step.do == "cell"
        and (
            (step.grade_id is not None and step.grade_id in test.answers)
            or wanted & codes[index].binds
        )
    ]
