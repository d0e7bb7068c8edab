"""Feedback in Markdown: readable as it stands, harmless when rendered."""

from __future__ import annotations

import itertools
import re

from attncourse.grading.pages import outputs, safe
from attncourse.grading.pages.cards import Card, Cell, Feedback, Written
from attncourse.grading.pages.frame import CODE, LABELS, MARKS, number
from attncourse.grading.pages.listing import lines_of
from attncourse.grading.pages.sentences import (
    HOW,
    MEANINGS,
    given_by_hand,
    parts_heading,
    substituted,
    summary,
    where_it_stopped,
)

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&!@])")
# Some readers make links of bare addresses, and lists of signs.
ADDRESS = re.compile(r"(?i)\b(https?|ftp|mailto|www)([:.])")
LIST = re.compile(r"\A(\d{0,9})([-+=.)])")
LONGEST = 20_000


def plain(text: str) -> str:
    r"""Return text that Markdown shows as it is, in one paragraph.

    Examples
    --------
    >>> print(plain("a <b> *c*"), plain("- http://x"))
    a \<b\> \*c\* \- http\://x
    """
    line = " ".join(safe.text(text).split())
    line = SPECIAL.sub(r"\\\1", line)
    line = ADDRESS.sub(r"\1\\\2", line)
    return LIST.sub(r"\1\\\2", line)


def coded(text: str) -> str:
    r"""Return the course's own words, with what is code in them as code.

    Examples
    --------
    >>> print(coded("`a*b` is *not* it"))
    `a*b` is \*not\* it
    """
    parts = CODE.split(safe.text(text))
    return "".join(
        f"`{part}`" if odd else _kept(part)
        for part, odd in zip(parts, itertools.cycle((0, 1)), strict=False)
    )


def _kept(part: str) -> str:
    """Return plain text, with the blanks around it."""
    lead = " " * part.startswith(" ")
    return f"{lead}{plain(part)}{' ' * part.endswith(' ')}" if part else ""


def fenced(text: str, language: str = "") -> str:
    """Return a block of code that its contents cannot end."""
    runs = re.findall(r"`{3,}", text)
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def as_markdown(told: Feedback) -> str:
    """Return all that the page shows; of pictures, that there are some."""
    outcome = told.outcome
    budget = outputs.Budget()
    blocks = [
        f"# Feedback on {plain(safe.name(outcome.assignment))}",
        f"For {plain(safe.name(outcome.student))}: "
        f"**{number(told.points)} of {number(told.max_points)} points**. "
        f"{plain(summary(told))}",
        _overview(told),
    ]
    for count, card in enumerate(told.cards, 1):
        blocks += _card(count, card, budget)
    if told.written:
        blocks.append("## Written answers")
    for each in told.written:
        blocks += _written(each)
    if told.rest:
        blocks.append("## The rest of your notebook")
    for cell in told.rest:
        blocks += [f"Cell {cell.place + 1}:", *_cell(cell, budget)]
    isolation = outcome.isolation or "not recorded"
    blocks += ["## How this was graded", *map(plain, HOW)]
    blocks.append(f"What held your code while it ran: {plain(isolation)}.")
    return "\n\n".join(filter(None, blocks)) + "\n"


def _overview(told: Feedback) -> str:
    rows = ["| Question | Result | Points |", "| --- | --- | ---: |"]
    for card in told.cards:
        verdict = card.judged.verdict
        rows.append(
            f"| {plain(card.title)} | {MARKS[verdict]} {LABELS[verdict]} | "
            f"{number(card.points)} / {number(card.judged.max_points)} |"
        )
    for each in told.written:
        own = each.manual
        got = "-" if own.points is None else number(own.points)
        label = "Waits for a person" if own.points is None else "Graded"
        rows.append(
            f"| {plain(each.title)} | {label} | "
            f"{got} / {number(own.max_points)} |"
        )
    return "\n".join(rows)


def _card(count: int, card: Card, budget: outputs.Budget) -> list[str]:
    judged = card.judged
    blocks = [
        f"## {count}. {plain(card.title)}",
        f"{MARKS[judged.verdict]} **{LABELS[judged.verdict]}**, "
        f"{number(card.points)} of {number(judged.max_points)} points. "
        f"{plain(judged.says or MEANINGS[judged.verdict])}",
        *map(coded, card.told.notes),
    ]
    if judged.verdict != "pass":
        for each in card.told.misconceptions:
            if each.says:
                place = f" Read: {each.where}." if each.where else ""
                blocks.append(f"> {coded(each.says + place)}")
    for text in (
        where_it_stopped(card),
        substituted(card),
        given_by_hand(card),
    ):
        blocks.append(plain(text))
    blocks.append(_stages(card))
    if card.manual and card.manual.comment.strip():
        blocks.append(f"Comment: {plain(card.manual.comment)}")
    if card.answers:
        blocks.append("Your answer:")
    for cell in card.answers:
        blocks += _cell(cell, budget)
    shown = outputs.as_text(judged.shown, budget)
    if shown:
        blocks.append("What the visible check showed:")
    return blocks + [fenced(block) for block in shown]


def _stages(card: Card) -> str:
    stages = card.told.stages
    if not stages:
        failed = ", ".join(card.told.failed)
        return f"Not yet right: {plain(failed)}." if failed else ""
    lines = [parts_heading(card), ""]
    for each in stages:
        mark = MARKS["pass" if each.passed else "fail"]
        lines.append(f"- {mark} **{plain(each.name)}**: {coded(each.must)}")
    return "\n".join(lines)


def _cell(cell: Cell, budget: outputs.Budget) -> list[str]:
    source = "\n".join(lines_of(cell.source))
    language = "python" if cell.kind == "code" else "markdown"
    shown = outputs.as_text(cell.outputs, budget)
    return [
        fenced(safe.text(source, limit=LONGEST), language),
        *(fenced(block) for block in shown),
    ]


def _written(each: Written) -> list[str]:
    own = each.manual
    points = (
        f"waits for a person; {number(own.max_points)} points at most"
        if own.points is None
        else f"{number(own.points + own.extra)} of "
        f"{number(own.max_points)} points"
    )
    blocks = [f"### {plain(each.title)}: {points}"]
    if each.answer and each.answer.source.strip():
        blocks += _cell(each.answer, outputs.Budget())
    else:
        blocks.append("There is no answer.")
    if own.comment.strip():
        blocks.append(f"Comment: {plain(own.comment)}")
    return blocks
