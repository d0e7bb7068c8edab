"""Which submissions must be graded, and the tasks that this makes."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from attncourse.grading.handed_in import collecting
from attncourse.grading.handed_in.collecting import Submitted
from attncourse.grading.keeping import seeds
from attncourse.grading.keeping.byhand import Given
from attncourse.grading.keeping.store import Store
from attncourse.grading.model import GradingError, Plan
from attncourse.grading.notebooks.source import read_plan
from attncourse.grading.running.content import (
    environment_key,
    plan_key,
    submission_key,
)
from attncourse.grading.running.settings import Options, Settings
from attncourse.grading.running.tasks import Setup, Task

NOTHING: Given = ((), 0.0)


@dataclass
class Survey:
    """What was found among the submissions, before any is graded.

    `nothing` are students without this assignment, `loose` names that are
    no student's folder.
    """

    pending: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    problems: dict[tuple[str, str], str] = field(default_factory=dict)
    nothing: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)


class Assignment:
    """An assignment's plans, its submissions, and their keys."""

    def __init__(self, settings: Settings, options: Options):
        if not settings.sources:
            raise GradingError(
                f"{settings.assignment} must have a source notebook: got none"
            )
        self.settings = settings
        self.setup: Setup = replace(
            settings.setup, trust_students=options.trust_students
        )
        self.plans = {
            plan_key(plan): plan
            for plan in (_plan(settings, file) for file in settings.sources)
        }
        self.beside = _beside(settings.sources)
        self.environment = environment_key(settings.code, asdict(self.setup))
        self.secret = seeds.class_key(settings.key_file)

    @property
    def submitted(self) -> Path:
        """The folder with a folder for each student."""
        return self.settings.folders.step("submitted")

    def survey(self, store: Store, options: Options) -> Survey:
        """Look at every submission, and tell what must be graded."""
        found = Survey()
        known = store.keys(self.settings.assignment)
        for student in self._students(options):
            parts = self.collect(student)
            if not parts:
                folder = self.submitted / student
                (found.nothing if folder.is_dir() else found.loose).append(
                    student
                )
            keys = {}
            for key, part in parts:
                name = self.plans[key].notebook
                if part.problem:
                    found.problems[student, name] = part.problem
                else:
                    keys[student, name] = self.content_key(key, part)
            if options.again or any(
                known.get(k) != v for k, v in keys.items()
            ):
                found.pending += [student] * bool(keys)
            elif keys:
                found.unchanged.append(student)
        if options.student is not None and not (
            found.pending or found.unchanged or found.problems
        ):
            raise GradingError(
                f"{options.student} must have handed in "
                f"{self.settings.assignment}: got nothing in {self.submitted}"
            )
        return found

    def collect(self, student: str) -> list[tuple[str, Submitted]]:
        """Return what a student handed in, by the key of the plan."""
        found = []
        names = {plan.notebook for plan in self.plans.values()}
        for key, plan in self.plans.items():
            made = collecting.collect(
                self.submitted,
                student,
                self.settings.assignment,
                plan.notebook,
                tuple(sorted(names - {plan.notebook})),
                plan,
            )
            if made is not None:
                found.append((key, made))
        return found

    def given(self, store: Store) -> dict[str, dict[str, Given]]:
        """Return people's marks, by the key of the plan and student."""
        name = self.settings.assignment
        return {
            key: store.given(name, plan.notebook)
            for key, plan in self.plans.items()
        }

    def tasks(
        self, student: str, given: Mapping[str, Mapping[str, Given]]
    ) -> list[Task]:
        """Return what to do for a student's submission."""
        return [
            self.task(key, part, given=given[key].get(part.student, NOTHING))
            for key, part in self.collect(student)
            if not part.problem
        ]

    def task(
        self,
        key: str,
        part: Submitted,
        store: Store | None = None,
        *,
        given: Given = NOTHING,
    ) -> Task:
        """Return what to do for one notebook.

        What people gave for it is in `given`, or else in the `store`.
        """
        files = {**part.files, **self.beside}
        if store is not None:
            named = self.settings.assignment, self.plans[key].notebook
            given = store.given(*named).get(part.student, NOTHING)
        by_hand, penalty = given
        return Task(
            student=part.student,
            plan=key,
            content_key=self.content_key(key, part),
            data=base64.b64encode(part.data or b"").decode(),
            seed=self.seed(part.student),
            files={
                name: base64.b64encode(data).decode()
                for name, data in files.items()
            },
            given_files=tuple(sorted(self.beside)),
            notes=part.notes,
            by_hand=by_hand,
            penalty=penalty,
        )

    def seed(self, student: str) -> str:
        """Return the seed of a student's hidden cases."""
        return seeds.seed(self.secret, student, self.settings.assignment)

    def content_key(self, key: str, part: Submitted) -> str:
        """Return the key under which a notebook's grade is recorded."""
        whole = replace(part, files={**part.files, **self.beside})
        return submission_key(
            whole,
            plan=key,
            environment=self.environment,
            seed=self.seed(part.student),
        )

    def _students(self, options: Options) -> Sequence[str]:
        known = collecting.students(self.submitted)
        if options.student is None:
            return known
        plain = collecting.plain(options.student)
        if plain and options.student not in known:
            there = f"only {', '.join(known[:10])}" if known else "none"
            more = " and others" if len(known) > 10 else ""
            raise GradingError(
                f"{options.student} must have a folder in {self.submitted}: "
                f"got {there}{more}"
            )
        return [options.student]


def _plan(settings: Settings, file: Path) -> Plan:
    return read_plan(
        file,
        assignment=settings.assignment,
        limits=settings.limits,
        upstream=settings.upstream,
        delimiters=settings.delimiters,
    )


def _beside(sources: Iterable[Path]) -> dict[str, bytes]:
    """Return what the instructor put beside the source notebooks."""
    found: dict[str, bytes] = {}
    for folder in sorted({file.parent for file in sources}):
        found |= collecting.beside(folder)
    return found
