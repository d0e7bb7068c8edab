"""Time two ways of computing the same, alternately, and compare."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Work = Callable[[], object]
# A round lasts at least this long, so that the clock's steps do not show.
ROUND_SECONDS = 0.01


@dataclass(frozen=True)
class Timing:
    """Medians over the rounds: milliseconds of both, and their ratio."""

    ours_ms: float
    theirs_ms: float
    ratio: float
    rounds: int
    clock: str


def clock_of(threads: int) -> str:
    """Return the name of the clock to use.

    With one thread that is the processor time of this process, which does
    not count what other programs do in between. Threads at work together
    need the wall clock.

    Examples
    --------
    >>> clock_of(2)
    'perf_counter'
    """
    fine = time.get_clock_info("process_time").resolution <= 1e-4
    return "process_time" if threads == 1 and fine else "perf_counter"


def compare(
    ours: Work, theirs: Work, *, rounds: int, threads: int = 1
) -> Timing:
    """Return the time of `ours` over that of `theirs`, a median of ratios.

    Each round times both, one right after the other, so that a machine
    that slows down slows both; the order alternates. One round before the
    first is not counted.

    Examples
    --------
    >>> timing = compare(lambda: sum(range(9)), lambda: 0, rounds=3)
    >>> timing.ratio > 0, timing.rounds
    (True, 3)
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1: got {rounds}")
    clock = clock_of(threads)
    now = getattr(time, clock)
    works = (ours, theirs)
    repeats = [_repeats(each, now) for each in works]
    found: list[tuple[float, float]] = []
    for number in range(rounds):
        seconds = [0.0, 0.0]
        for which in (0, 1) if number % 2 else (1, 0):
            start = now()
            for _ in range(repeats[which]):
                works[which]()
            seconds[which] = (now() - start) / repeats[which]
        found.append((seconds[0], max(seconds[1], 1e-9)))
    return Timing(
        ours_ms=1e3 * statistics.median(one for one, _ in found),
        theirs_ms=1e3 * statistics.median(two for _, two in found),
        ratio=statistics.median(one / two for one, two in found),
        rounds=rounds,
        clock=clock,
    )


def _repeats(work: Work, now: Callable[[], float]) -> int:
    """Return how often to repeat so that a round is long enough."""
    work()  # the first call allocates, and fills the caches
    start = now()
    for done in itertools.count(1):
        work()
        if now() - start >= ROUND_SECONDS:
            return done
    raise AssertionError("a count has no end")
