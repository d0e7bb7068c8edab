"""Feedback that tells what people gave since it was written."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from attncourse.grading.handed_in import submission
from attncourse.grading.keeping import byhand
from attncourse.grading.keeping.store import Store
from attncourse.grading.model import GradingError, Outcome
from attncourse.grading.running.marking import finish
from attncourse.grading.running.pending import NOTHING, Assignment


def refresh(assignment: Assignment, store: Store) -> Iterator[str]:
    """Write the pages anew that people's marks have overtaken.

    Nothing is graded: the outcome is the recorded one. Give the students.
    """
    plans = {plan.notebook: key for key, plan in assignment.plans.items()}
    given = assignment.given(store)
    for row in store.records(assignment.settings.assignment):
        if row.notebook not in plans:
            continue
        key = plans[row.notebook]
        people = given[key].get(row.student, NOTHING)
        shown = byhand.digest(*people)
        if shown == row.by_hand:
            continue
        for own, part in assignment.collect(row.student):
            if own != key or part.problem:
                continue
            task = assignment.task(key, part, given=people)
            if task.content_key != row.content_key:
                continue  # it will be graded again, with a page of its own
            plan = assignment.plans[key]
            try:
                read = submission.read(base64.b64decode(task.data))
            except GradingError:
                continue
            outcome = Outcome.from_json(json.loads(row.outcome))
            script = submission.match(plan, read)
            made = finish(task, plan, read, script, outcome)
            store.rewrite(row, made.pages, shown)
            yield row.student
