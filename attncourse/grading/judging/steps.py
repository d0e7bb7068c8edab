"""A submission's steps: what they are called, and what they may use."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace

from attncourse.grading.model import Job, Limits, Step

SHORTEST_S = 1.0


def labels(job: Job) -> list[str]:
    """Return a name for each step's cell: its place in the notebook."""
    return [
        f"an instructor's cell ({place})"
        if step.index is None
        else f"cell {step.index + 1}"
        for place, step in enumerate(job.script.steps)
    ]


def allowed(job: Job, step: Step, guilty: int) -> Limits:
    """Return what a step's cell may use.

    After a second cell has run away each further one gets half, so that a
    notebook full of endless loops ends as well.
    """
    known = (
        cell.limits
        for cell in job.plan.cells
        if step.grade_id is not None and cell.grade_id == step.grade_id
    )
    limits = next(known, None) or usual(job)
    share = 0.5 ** max(0, guilty - 1)
    return replace(
        limits,
        cpu_s=min(limits.cpu_s, max(SHORTEST_S, limits.cpu_s * share)),
        wall_s=min(limits.wall_s, max(SHORTEST_S, limits.wall_s * share)),
    )


def usual(job: Job) -> Limits:
    """Return the limits of cells that the source does not know."""
    given = [cell.limits for cell in job.plan.cells if not cell.grade_id]
    return given[0] if given else widest(job)


def widest(job: Job) -> Limits:
    """Return limits for a process in which every cell and test fits."""
    every = [cell.limits for cell in job.plan.cells] or [Limits()]
    return Limits(
        **{
            each.name: max(getattr(one, each.name) for one in every)
            for each in fields(Limits)
        }
    )


def child_seed(seed: str) -> str:
    """Return a seed for a student's process that says nothing of `seed`."""
    return hashlib.sha256(f"student's process\n{seed}".encode()).hexdigest()
