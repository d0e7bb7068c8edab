"""Drawings of the report: SVG that follows the page's colours."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

from attncourse.grading.pages.frame import bar, counted, number

# How verdicts share four colours; every drawing says them in words, too.
GROUPS = {
    "pass": ("all right", ("pass",)),
    "partial": ("partly right", ("partial",)),
    "fail": (
        "not right",
        ("fail", "error", "timeout", "out-of-memory", "crashed"),
    ),
    "missing": ("nothing to grade", ("missing",)),
}
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 240, 12, 40, 40


def bins(points: Sequence[float], most: float) -> list[tuple[float, int]]:
    """Return the lower edges of equal steps, and how many are in each.

    The last step contains its upper edge, too.

    Examples
    --------
    >>> bins([0, 1, 4, 5], 5)
    [(0.0, 1), (1.0, 1), (2.0, 0), (3.0, 0), (4.0, 2)]
    """
    most = max(most, max(points, default=0.0), 1.0)
    steps = (1.0, 2.0, 2.5, 5.0, 10.0) if most >= 5 else (0.5, 1.0)
    width = next(
        (step for step in steps if most / step <= 12),
        10.0 * math.ceil(most / 120),
    )
    count = math.ceil(most / width)
    found = Counter(
        min(count - 1, max(0, int(value / width))) for value in points
    )
    return [(place * width, found[place]) for place in range(count)]


def histogram(points: Sequence[float], most: float) -> str:
    """Return how the points are distributed, with the median."""
    steps = bins(points, most)
    wide = steps[1][0] if len(steps) > 1 else max(most, 1.0)
    end = steps[-1][0] + wide
    highest = max(amount for _, amount in steps) or 1
    scale = (WIDTH - 2 * LEFT) / end
    tall = HEIGHT - TOP - BOTTOM
    floor = HEIGHT - BOTTOM
    bars, texts = [], []
    for edge, amount in steps:
        x, span = LEFT + edge * scale, wide * scale
        top = floor - tall * amount / highest
        texts.append(_text(x, floor + 16, number(edge), "quiet"))
        if amount:
            bars.append(
                f'<rect class="fill" x="{x + 2:.1f}" y="{top:.1f}" '
                f'width="{span - 4:.1f}" height="{floor - top:.1f}"/>'
            )
            texts.append(_text(x + span / 2, top - 5, str(amount)))
    right = LEFT + end * scale
    texts.append(_text(right, floor + 16, number(end), "quiet"))
    texts.append(_text(WIDTH / 2, HEIGHT - 4, "points", "quiet"))
    middle = median(points)
    at = LEFT + middle * scale
    # Near an edge its text must not leave the drawing.
    place = min(max(at, LEFT + 40), WIDTH - 50)
    texts.append(_text(place, 11, f"median {number(middle)}"))
    lines = (
        f'<line class="axis" x1="{LEFT}" y1="{floor}" x2="{right:.1f}" '
        f'y2="{floor}"/><line class="middle" x1="{at:.1f}" y1="16" '
        f'x2="{at:.1f}" y2="{floor}"/>'
    )
    drawn = f"{''.join(bars)}{lines}{''.join(texts)}"
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{_told(steps, wide)}">{drawn}</svg>'
    )


def _text(x: float, y: float, text: str, look: str = "") -> str:
    kind = f' class="{look}"' if look else ""
    return (
        f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="middle">'
        f"{text}</text>"
    )


def _told(steps: list[tuple[float, int]], wide: float) -> str:
    told = [
        f"{number(edge)} to {number(edge + wide)}: {amount}"
        for edge, amount in steps
        if amount
    ]
    return f"Students by points. {'; '.join(told)}."


def verdict_bar(verdicts: Counter[str]) -> str:
    """Return one question's verdicts as a bar with four colours."""
    total = sum(verdicts.values())
    if not total:
        return ""
    parts, said = [], []
    for look, (words, names) in GROUPS.items():
        amount = sum(verdicts[name] for name in names)
        if amount:
            parts.append((look, amount / total))
            said.append(f"{amount} {words}")
    return bar(parts, f"{counted(total, 'student')}: {', '.join(said)}")


def legend() -> str:
    """Return what the colours of `verdict_bar` mean."""
    items = "".join(
        f'<li><svg viewBox="0 0 10 10" aria-hidden="true">'
        f'<rect class="{look}" width="10" height="10"/></svg>{words}</li>'
        for look, (words, _) in GROUPS.items()
    )
    return f'<ul class="legend" aria-label="Colours">{items}</ul>'
