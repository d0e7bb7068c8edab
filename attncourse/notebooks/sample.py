"""An invented class: notebooks as students hand them in, mistakes and all.

Wrong answers are the questions' own misconceptions, so every sample shows
what real mistakes get to read.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from attncourse.checking.edit import EditError, body_of
from attncourse.checking.question import (
    AnyQuestion,
    Audit,
    Misconception,
    Prediction,
    Question,
)
from attncourse.notebooks.release import HIDDEN, SOLVED

Asked = Mapping[str, AnyQuestion]


@dataclass(frozen=True)
class Hand:
    """A way to fill in a notebook, told in words."""

    says: str
    fill: Callable[[Any, Any, Asked], Any]


def solved(source: Any) -> Any:
    """Return nbgrader's source notebook as a student who knows all."""
    notebook = copy.deepcopy(source)
    for cell in notebook.cells:
        source = SOLVED.sub(lambda found: found[1], cell.source)
        cell.source = HIDDEN.sub("", source).rstrip()
    return notebook


def answers(notebook: Any, asked: Asked) -> list[tuple[Any, AnyQuestion]]:
    """Return the answer cells of a notebook with their questions."""
    by_name = {id_.partition(".")[2]: each for id_, each in asked.items()}
    return [
        (cell, by_name[name])
        for cell in notebook.cells
        if (name := cell.metadata.get("nbgrader", {}).get("grade_id"))
        in by_name
    ]


def all_right(source: Any, blank: Any, asked: Asked) -> Any:
    """Answer every question."""
    return solved(source)


def untouched(source: Any, blank: Any, asked: Asked) -> Any:
    """Hand in the notebook as it was given out."""
    return copy.deepcopy(blank)


def first_half(source: Any, blank: Any, asked: Asked) -> Any:
    """Answer the first half of the questions, leave the rest."""
    notebook = copy.deepcopy(blank)
    cells = answers(notebook, asked)
    done = answers(solved(source), asked)[: (len(cells) + 1) // 2]
    for (cell, _), (other, _) in zip(cells, done, strict=False):
        cell.source = other.source
    return notebook


def mistaken(first: int) -> Callable[[Any, Any, Asked], Any]:
    """Return a hand that answers with misconceptions, from `first` on."""

    def fill(source: Any, blank: Any, asked: Asked) -> Any:
        notebook = solved(source)
        for turn, (cell, question) in enumerate(answers(notebook, asked)):
            cell.source = _mistake(question, first + turn, cell.source)
        return notebook

    return fill


def two_at_once(source: Any, blank: Any, asked: Asked) -> Any:
    """Combine two misconceptions in the first written function."""
    notebook = solved(source)
    for cell, question in answers(notebook, asked):
        if isinstance(question, Question):
            pair = _composable(question)
            cell.source = edited_source(question, *pair)
            break
    return notebook


def _composable(question: Question) -> tuple[Misconception, ...]:
    first = question.misconceptions[0]
    for other in question.misconceptions[1:]:
        try:
            question.wrong(first, other)
        except (EditError, SyntaxError):
            continue
        return first, other
    return (first,)


def broken_syntax(source: Any, blank: Any, asked: Asked) -> Any:
    """Forget a bracket in the first answer."""
    notebook = solved(source)
    cell, question = answers(notebook, asked)[0]
    cell.source = cell.source.replace(
        f"def {question.function_name}(", f"def {question.function_name}((", 1
    )
    return notebook


def test_deleted(source: Any, blank: Any, asked: Asked) -> Any:
    """Delete the first test cell, and copy the last one."""
    notebook = solved(source)
    tests = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code"
        and cell.metadata.get("nbgrader", {}).get("grade")
    ]
    notebook.cells.remove(tests[0])
    again = copy.deepcopy(tests[-1])
    again.id = "copy-of-a-test"
    notebook.cells.append(again)
    return notebook


def single_precision(source: Any, blank: Any, asked: Asked) -> Any:
    """Compute in float32 wherever a function is asked for."""
    notebook = solved(source)
    for cell, question in answers(notebook, asked):
        if isinstance(question, Question):
            name = question.function_name
            cell.source += SINGLE.format(name=name)
    return notebook


SINGLE = """


def single(value):
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return value.astype(np.float32) if kind == "f" else value


def in_single_precision(function):
    def answer(*args, **kwargs):
        return function(
            *map(single, args), **{{k: single(v) for k, v in kwargs.items()}}
        )

    return answer


{name} = in_single_precision({name})"""


def endless(source: Any, blank: Any, asked: Asked) -> Any:
    """Wait for ever in the last written function."""
    notebook = solved(source)
    for cell, question in reversed(answers(notebook, asked)):
        if isinstance(question, Question):
            source, start = body_of(question.function)
            cell.source = source[:start] + "    while True:\n        pass"
            break
    return notebook


def _mistake(question: AnyQuestion, turn: int, right: str) -> str:
    name = question.function_name
    if isinstance(question, Question):
        listed = question.misconceptions
        return edited_source(question, listed[turn % len(listed)])
    if isinstance(question, Prediction):
        chosen = {
            key: statement.options[turn % len(statement.options)]
            for key, statement in question.statements.items()
        }
        return f"def {name}():\n    return {chosen!r}"
    assert isinstance(question, Audit)
    if turn % 2:
        return right
    return f"def {name}(candidate):\n    assert callable(candidate)"


def edited_source(question: Question, *chosen: Misconception) -> str:
    """Return the question's function as text, with misconceptions in it."""
    source, start = body_of(question.function)
    head, text = source[:start], source[start:]
    for each in chosen:
        for old, new in each.edits:
            text = text.replace(old, new, 1)
    return (head + text).rstrip("\n")


# Everybody hands in something; each unit gets the next two of the usual
# hands, and the last ones in the list come once.
USUAL = (
    Hand("knows everything", all_right),
    Hand("makes usual mistakes", mistaken(0)),
    Hand("did half of it", first_half),
    Hand("makes other mistakes", mistaken(3)),
    Hand("computes in float32", single_precision),
    Hand("handed in a blank notebook", untouched),
    Hand("two mistakes at once", two_at_once),
)
ODD = (
    Hand("deleted a test, copied another", test_deleted),
    Hand("forgot a bracket", broken_syntax),
    Hand("loops for ever in one answer", endless),
)
STUDENTS = (
    "ada",
    "bao",
    "chidi",
    "dilnoza",
    "emil",
    "farah",
    "goro",
    "hana",
    "ines",
    "jamal",
)


def plan(stems: list[str]) -> list[tuple[str, str, Hand]]:
    """Return who hands in which unit how: (student, stem, hand).

    Every unit gets two of the usual hands, and the odd ones are spread
    over the units; a dozen submissions at least.
    """
    hands: list[tuple[str, Hand]] = []
    share = max(2, -(-9 // len(stems)))
    for index, stem in enumerate(stems):
        turns = range(index * share, (index + 1) * share)
        hands += [(stem, USUAL[turn % len(USUAL)]) for turn in turns]
    hands += [
        (stems[index % len(stems)], hand) for index, hand in enumerate(ODD)
    ]
    everybody = USUAL + ODD
    return sorted(
        (STUDENTS[everybody.index(hand)], stem, hand) for stem, hand in hands
    )
