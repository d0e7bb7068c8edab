"""What one more submission costs, apart from starting up; told as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

# What a submission's time goes into, by the names in the log.
PARTS = {
    "judge": "the judge with the tests",
    "shown": "the run that is shown",
    "scored": "the run that is scored",
}
REST = "forks, reading, feedback and gradebook"


@dataclass(frozen=True)
class Spent:
    """What a command took: seconds of processor, and on the wall."""

    submissions: int
    cpu_s: float
    wall_s: float


def marginal(few: Spent, many: Spent) -> tuple[float, float]:
    """Return what one more submission costs: processor and wall seconds.

    Examples
    --------
    >>> marginal(Spent(2, 3.0, 4.0), Spent(12, 4.0, 5.0))
    (0.1, 0.1)
    """
    more = many.submissions - few.submissions
    if more < 1:
        raise ValueError(
            f"the larger class must be larger: got {few.submissions} and "
            f"{many.submissions} submissions"
        )
    return (many.cpu_s - few.cpu_s) / more, (many.wall_s - few.wall_s) / more


@dataclass(frozen=True)
class Cost:
    """What one more submission of a honest student costs.

    Seconds of processor time and on the wall; `start_s` is the wall time
    of the command apart from its submissions, `parts` are as in `ours`.
    """

    grader: str
    workers: int
    submissions: int
    cpu_s: float
    wall_s: float
    start_s: float
    parts: dict[str, float] = field(default_factory=dict)


def cost(
    grader: str,
    workers: int,
    runs: Sequence[Spent],
    parts: dict[str, float] | None = None,
) -> Cost:
    """Return a submission's cost from a run with few and one with many."""
    few, many = runs
    cpu, wall = marginal(few, many)
    start = few.wall_s - few.submissions * wall
    return Cost(
        grader, workers, many.submissions, cpu, wall, start, parts or {}
    )


def middle(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure of what was measured several times.

    Examples
    --------
    >>> once, twice, thrice = (
    ...     Cost("g", 1, 5, cpu, 9.0 - cpu, 0.0, {"judge": cpu})
    ...     for cpu in (1.0, 7.0, 2.0)
    ... )
    >>> found = middle([once, twice, thrice])
    >>> found.cpu_s, found.wall_s, found.parts
    (2.0, 7.0, {'judge': 2.0})
    """
    first = costs[0]
    return replace(
        first,
        cpu_s=median(each.cpu_s for each in costs),
        wall_s=median(each.wall_s for each in costs),
        start_s=median(each.start_s for each in costs),
        parts={
            name: median(each.parts[name] for each in costs)
            for name in first.parts
        },
    )


def table(costs: Sequence[Cost]) -> list[str]:
    """Return the costs as lines; ratios are to the first, nbgrader's."""
    base = costs[0]
    out = [
        f"{'one more submission':24} {'CPU':>9} "
        f"{'wall':>9} {'CPU ratio':>10} {'throughput':>11}"
    ]
    for each in costs:
        name = f"{each.grader}, {each.workers} at a time"
        out.append(
            f"{name:24} {1e3 * each.cpu_s:6.0f} ms "
            f"{1e3 * each.wall_s:6.0f} ms {base.cpu_s / each.cpu_s:9.0f}x "
            f"{base.wall_s / each.wall_s:10.0f}x"
        )
    for each in costs:
        if each.parts:
            where = [
                f"{told} {1e3 * seconds:.0f} ms"
                for told, seconds in where_it_goes(each)
            ]
            out.append(
                f"of the CPU, {each.workers} at a time: {', '.join(where)}"
            )
    return out


def where_it_goes(cost: Cost) -> list[tuple[str, float]]:
    """Return what the processor is busy with, and for how many seconds.

    The rest is what the parts leave of the whole: forks, reading, writing
    of pages and gradebook.
    """
    parts = [(PARTS[name], cost.parts[name]) for name in PARTS]
    return [*parts, (REST, cost.cpu_s - sum(cost.parts.values()))]


def as_json(each: Cost) -> dict[str, Any]:
    """Return a cost as JSON's types, with where it goes by its names."""
    where = dict(where_it_goes(each)) if each.parts else {}
    return asdict(each) | {"where": where}
